// Node: starting up and staying alive. Introductions (endpoints without a name), saved contacts, the timeouts
// of every query, the duties of upkeep, proofs asked of those who may enter the table.
#include <algorithm>
#include <utility>

#include "dht/limits.hpp"
#include "dht/node_state.hpp"

namespace shoal::dht {

// Keyed: nobody should find a network that passes for that of another.
Party NodeState::party_of(const Endpoint& endpoint) const {
  constexpr std::uint64_t odd = 0x9E3779B97F4A7C15ULL;
  const std::uint64_t mixed = (std::hash<IpAddress>{}(endpoint.address.network()) ^ party_secret) * odd;
  return static_cast<Party>(mixed >> 48 | 1U);
}

void NodeState::introduce(Now now, const Endpoint& endpoint, Purpose purpose, NodeOutput& out) {
  const bool known_already =
      std::any_of(introductions.begin(), introductions.end(),
                  [&](const Introduction& introduction) { return introduction.endpoint == endpoint; });
  if (known_already) return;
  introductions.push_back({endpoint, purpose, 0, 0});
  send_introduction(now, introductions.back(), out);
  if (introductions.back().outstanding == 0) introductions.pop_back();  // the transaction table is full
}

void NodeState::send_introduction(Now now, Introduction& introduction, NodeOutput& out) {
  Sending sending;
  sending.purpose = introduction.purpose;
  sending.party = party_of(introduction.endpoint);
  sending.proof = ProofWanted::yes;
  if (hopes_to_be_reached()) sending.probe = ProbeWanted::yes;  // the earlier, the more strangers there are
  ++introduction.attempts;
  if (send_query(now, introduction.endpoint, FindQuery{position}, sending, out)) ++introduction.outstanding;
}

void NodeState::introduced(Now now, const Transaction& transaction, const Endpoint& from, const Reply& reply,
                           Standing standing, NodeOutput& out) {
  std::erase_if(introductions,
                [&](const Introduction& introduction) { return introduction.endpoint == from; });
  add_guide(now, {reply.sender, from}, standing);
  std::vector<Key> near;
  for (const NodeInfo& node : reply.nodes)
    if (node.id != position) near.push_back(node.id);
  if (near.size() + 1 < limits::k) near.push_back(reply.sender);
  size.sample(size_from(position, near), now.mono);
  if (reply.nodes.size() >= limits::k / 2) table.informed(transaction.party);
  table.named(from, reply.sender, transaction.party);  // it may have called us before
  consider_heard(reply.nodes, transaction.party, now.mono);
  restore_more(now, out);
}

void NodeState::introduction_stage(Now now, const Transaction& transaction, NodeOutput& out) {
  const auto it =
      std::find_if(introductions.begin(), introductions.end(),
                   [&](const Introduction& introduction) { return introduction.endpoint == transaction.to; });
  if (it == introductions.end()) return;
  if (transaction.stage == Stage::slow) it->slow = true;
  if (transaction.stage == Stage::dead && it->outstanding > 0) --it->outstanding;
  // Saved contacts are many and get one attempt; an endpoint that the user named gets three.
  if (transaction.stage == Stage::overdue && it->purpose == Purpose::bootstrap &&
      it->attempts < limits::bootstrap_attempts) {
    send_introduction(now, *it, out);
  } else if (transaction.stage == Stage::dead && it->outstanding == 0) {
    introductions.erase(it);
  }
}

// Of those saved a day ago most are gone: whoever is slow gives its place to the next.
void NodeState::restore_more(Now now, NodeOutput& out) {
  if (saved.all.empty()) return;
  auto in_flight = static_cast<std::size_t>(
      std::count_if(introductions.begin(), introductions.end(), [](const Introduction& introduction) {
        return introduction.purpose == Purpose::restore && !introduction.slow;
      }));
  for (; in_flight < limits::restore_parallel && saved.left(); ++saved.asked) {
    if (table.find(saved.all[saved.asked]) != nullptr) continue;
    introduce(now, saved.all[saved.asked], Purpose::restore, out);
    ++in_flight;
  }
  if (!saved.left() && has_contacts()) saved = {};
}

// The one place where silence is dealt with, whatever the query was for.
void NodeState::stage_passed(Now now, const Transaction& transaction, NodeOutput& out) {
  if (transaction.stage == Stage::dead) {
    ++counters.timeouts;
    ++silent_in_a_row;
    const Link link = link_suspect(now.mono) ? Link::suspect : Link::sound;
    if (link == Link::sound) {
      known.silent(transaction.to, now.mono);
      std::erase_if(guides, [&](const Guide& guide) { return guide.node.endpoint == transaction.to; });
      const Contact* contact = table.find(transaction.to);
      if (contact != nullptr && contact->failures + 1 == limits::failures_to_evict) {
        churn.died(now.mono - contact->answered);
        table.set_passed_on_for(std::max<Duration>(limits::passed_on_least, churn.life() / 2));
      }
      const LostContact silent{transaction.to, contact != nullptr ? contact->party : no_party};
      if (table.failed(transaction.to, link)) {
        remember_lost(silent);
        if (const auto replacement = table.take_replacement(now.mono))
          queue_verification({replacement->endpoint, std::nullopt, false, replacement->party});
      }
    }
    if (had_contact && !has_contacts()) had_contact = false;
  }
  switch (transaction.purpose) {
    case Purpose::lookup:
    case Purpose::put:
    case Purpose::ping:
    case Purpose::ask:
      search_stage(now, transaction, out);
      break;
    case Purpose::bootstrap:
    case Purpose::restore:
      introduction_stage(now, transaction, out);
      break;
    case Purpose::upkeep:
    case Purpose::verify:
    case Purpose::probe:
      break;
  }
}

void NodeState::run_duties(Now now, NodeOutput& out) {
  while (const auto duty = upkeep.due(now.mono, facts(now.mono, now.mono), random)) do_duty(now, *duty, out);
}

void NodeState::do_duty(Now now, Duty duty, NodeOutput& out) {
  switch (duty) {
    case Duty::bootstrap: {
      const std::vector<Endpoint> again = bootstraps;
      for (const Endpoint& endpoint : again) introduce(now, endpoint, Purpose::bootstrap, out);
      saved.asked = 0;  // whoever starts before its link is up has asked them all in vain
      restore_more(now, out);
      break;
    }
    case Duty::neighbourhood:
      upkeep_lookup(now, position, out);
      break;
    case Duty::fill:
      ask_around(now, out);
      break;
    case Duty::lost:
      ask_a_lost_one(now, out);
      break;
    case Duty::stalest:
      ask_stalest(now, out);
      break;
    case Duty::refresh:
      if (const auto bucket = table.stale_bucket(now.mono - limits::refresh_every))
        upkeep_lookup(now, random_in_bucket(*bucket), out);
      break;
    case Duty::probe:
      ask_to_be_probed(now, out);
      // Everybody may be known by now; who is left alone from here on is a stranger by the next time.
      if (upkeep.probing_rarely()) left_alone_secret = random.next();
      break;
  }
}

void NodeState::upkeep_lookup(Now now, const Key& target, NodeOutput& out) {
  Search search;
  search.kind = SearchKind::upkeep;
  search.target = target;
  search.started = now.mono;
  const std::uint64_t id = next_search++;
  Search& kept = searches.emplace(id, std::move(search)).first->second;
  start_lookup(now, kept);
  advance(now, id, out);
}

void NodeState::take_size(Now now, const Lookup& lookup, NodeOutput& out) {
  const auto sample = lookup.size_sample();
  if (!sample) return;
  size.sample(*sample, now.mono);
  const auto from = size.doubled_from();
  if (from.has_value() == size_jumped) return;
  size_jumped = from.has_value();
  out.events.emplace_back(SizeJump{from.value_or(size.value()), size.value(), size_jumped});
}

// Shares `index` bits with our position and not the next.
Key NodeState::random_in_bucket(int index) {
  Key key{random.bytes<32>()};
  for (int bit = 0; bit < index; ++bit) key.set_bit(bit, position.bit(bit));
  key.set_bit(index, !position.bit(index));
  return key;
}

// In a tiny network everybody is in the table and is asked all the time.
bool NodeState::to_be_a_stranger(const Endpoint& endpoint) const {
  return table.size() <= limits::tiny_table && upkeep.probing_rarely() && left_alone(endpoint);
}

// One packet, two uses: is it alive, and whom does it know where we have room?
void NodeState::ask_stalest(Now now, NodeOutput& out) {
  const Contact* contact = table.stalest(now.mono);
  if (contact == nullptr) return;
  if (to_be_a_stranger(contact->endpoint)) {
    table.asked(contact->endpoint, now.mono);  // passed over
    return;
  }
  Sending sending;
  sending.purpose = Purpose::upkeep;
  sending.expected = contact->id;
  if (wants_proof(now.mono, {contact->id, contact->endpoint}, Goal::nodes, contact->party))
    sending.proof = ProofWanted::yes;
  const Endpoint to = contact->endpoint;
  QueryBody body = PingQuery{};
  if (const auto bucket = bucket_to_fill()) {
    filled_bucket = *bucket;
    body = FindQuery{random_in_bucket(*bucket)};
  }
  send_query(now, to, body, sending, out);
}

// A bucket deeper than the network goes stays empty for ever; but the estimate may err by half.
std::optional<int> NodeState::bucket_to_fill() const {
  constexpr double margin = 2, any = 1e30;
  const double seen = std::max(size.value(), static_cast<double>(table.size() + 1));
  return table.bucket_with_room(filled_bucket, upkeep.filling_first() ? any : margin * seen);
}

// Names for a bucket with room, from who should know the place: one query, where a lookup would take ten.
void NodeState::ask_around(Now now, NodeOutput& out) {
  const auto bucket = bucket_to_fill();
  if (!bucket) return;
  filled_bucket = *bucket;
  const Key point = random_in_bucket(*bucket);
  if (upkeep.fill_by_lookup() && !upkeep_searching) {
    upkeep_lookup(now, point, out);
    return;
  }
  contact_scratch.clear();
  table.closest(point, limits::k, RoutingTable::Choice::fit, now.mono, contact_scratch);
  if (contact_scratch.empty()) return;
  // Of the nearest one whose party has led us to the fewest: nobody alone should tell us who there is.
  const Contact& contact = **std::ranges::min_element(contact_scratch, {}, [this](const Contact* one) {
    return one->party == no_party ? table.size() : table.parties().led_by(one->party);
  });
  if (to_be_a_stranger(contact.endpoint)) return;
  Sending sending;
  sending.purpose = Purpose::upkeep;
  sending.expected = contact.id;
  const Endpoint to = contact.endpoint;
  send_query(now, to, FindQuery{point}, sending, out);
}

void NodeState::remember_lost(const LostContact& contact) {
  if (std::ranges::find(lost, contact.endpoint, &LostContact::endpoint) != lost.end()) return;
  if (lost.size() < limits::lost)
    lost.push_back(contact);
  else
    lost[static_cast<std::size_t>(random.below(lost.size()))] = contact;
}

// It is asked for our own neighbourhood: if it lives on the other side of a cut that has healed, its answer
// names those whom our region needs.
void NodeState::ask_a_lost_one(Now now, NodeOutput& out) {
  if (lost.empty()) return;
  const auto& [to, party] = lost[static_cast<std::size_t>(random.below(lost.size()))];
  Sending sending;
  sending.party = party;
  sending.purpose = Purpose::upkeep;
  sending.proof = ProofWanted::yes;
  send_query(now, to, FindQuery{position}, sending, out);
}

void NodeState::ask_to_be_probed(Now now, NodeOutput& out) {
  const Key point{random.bytes<32>()};
  contact_scratch.clear();
  table.closest(point, limits::k, RoutingTable::Choice::fit, now.mono, contact_scratch);
  Endpoint to;
  if (!contact_scratch.empty()) {
    const auto other =
        std::find_if(contact_scratch.begin(), contact_scratch.end(),
                     [this](const Contact* contact) { return !left_alone(contact->endpoint); });
    to = (other != contact_scratch.end() ? *other : contact_scratch.front())->endpoint;
  } else if (!guides.empty()) {
    to = guides[static_cast<std::size_t>(random.below(guides.size()))].node.endpoint;
  } else {
    return;
  }
  Sending sending;
  sending.purpose = Purpose::upkeep;
  sending.probe = ProbeWanted::yes;
  send_query(now, to, PingQuery{}, sending, out);
}

Duration NodeState::far_pace() const { return ChurnSeen::stretched(limits::verify_far_every, churn.life()); }

void NodeState::send_verifications(Now now, NodeOutput& out) {
  while (!verifications.empty() && next_verification <= now.mono) {
    const Verification next = verifications.front();
    verifications.pop_front();
    verify(now, next, out);
  }
  while (!heard.empty() && next_heard <= now.mono) {
    if (!heard_pace.admit(now.mono, far_pace(), limits::verify_heard_burst)) {
      next_heard = heard_pace.next(far_pace(), limits::verify_heard_burst);
      break;
    }
    const Verification next = heard.front();
    heard.pop_front();
    next_heard = now.mono + limits::verify_every;
    // Others may have taken its place while it waited.
    if (next.id && !table.has_room_for(*next.id, next.endpoint.address, next.party)) continue;
    verify(now, next, out);
  }
}

void NodeState::verify(Now now, const Verification& next, NodeOutput& out) {
  // It may have proven itself since, and a stranger is none once we have written to it.
  const bool stranger = next.stranger && known.stranger(next.endpoint, now.mono);
  if (!stranger && next.id && !unverified(next.endpoint, *next.id, now.mono)) return;
  Sending sending;
  sending.purpose = Purpose::verify;
  sending.proof = ProofWanted::yes;
  sending.to_stranger = stranger;
  sending.party = next.party;
  send_query(now, next.endpoint, PingQuery{}, sending, out);
  next_verification = now.mono + limits::verify_every;
}

}  // namespace shoal::dht
