// Node: replies to our queries. A reply is believed if transaction id and source match a query in flight; a
// contact enters the table only by a signature over that query, from a position that belongs to its key and
// address.
#include <algorithm>

#include "dht/identity.hpp"
#include "dht/limits.hpp"
#include "dht/node_state.hpp"
#include "dht/proof.hpp"

namespace shoal::dht {

void NodeState::on_reply(Now now, const Endpoint& from, const Reply& reply, NodeOutput& out) {
  const auto number = reply.transaction.number();
  const auto transaction = number ? transactions.close(*number, from) : std::nullopt;
  if (!transaction) {
    ++counters.dropped;
    return;
  }
  ++counters.replies_in;
  last_reply = now.mono;
  silent_in_a_row = 0;
  config.strangers->answered(from.address);
  const auto standing = meet(now, from, reply, *transaction, out);
  if (!standing) {
    ++counters.dropped;
    table.remove(from);
    Transaction silent = *transaction;  // a liar's answer is as good as none
    silent.stage = Stage::dead;
    stage_passed(now, silent, out);
    return;
  }
  for (const NodeInfo& node : reply.nodes) table.named(node.endpoint, node.id, transaction->party);
  if (sibling != nullptr) sibling->consider_heard(reply.nodes, transaction->party, now.mono);
  switch (transaction->purpose) {
    case Purpose::lookup:
    case Purpose::put:
    case Purpose::ping:
    case Purpose::ask:
      search_replied(now, *transaction, from, reply, *standing, out);
      break;
    case Purpose::bootstrap:
    case Purpose::restore:
      introduced(now, *transaction, from, reply, *standing, out);
      break;
    case Purpose::upkeep:
      consider_heard(reply.nodes, transaction->party, now.mono);
      if (std::erase_if(lost, [&](const LostContact& one) { return one.endpoint == from; }) > 0)
        upkeep.found_again(now.mono);
      break;
    case Purpose::verify:
    case Purpose::probe:
      break;
  }
  if (!had_contact && has_contacts()) {
    had_contact = true;
    upkeep.restart(now.mono);
    out.events.emplace_back(FirstContact{from});
  }
}

void NodeState::on_failure(Now now, const Endpoint& from, const Failure& failure, NodeOutput& out) {
  const auto number = failure.transaction.number();
  const auto transaction = number ? transactions.close(*number, from) : std::nullopt;
  if (!transaction) {
    ++counters.dropped;
    return;
  }
  ++counters.replies_in;
  last_reply = now.mono;
  silent_in_a_row = 0;
  config.strangers->answered(from.address);
  known.answered(from, now.mono);
  const auto it = searches.find(transaction->search);
  if (transaction->purpose == Purpose::put) {
    if (it == searches.end() || !it->second.store_back) return;
    it->second.store_back->refused(transaction->candidate);
    advance(now, transaction->search, out);
  } else {
    Transaction silent = *transaction;
    silent.stage = Stage::dead;
    stage_passed(now, silent, out);
  }
}

std::optional<Standing> NodeState::meet(Now now, const Endpoint& from, const Reply& reply,
                                        const Transaction& transaction, NodeOutput& out) {
  const Duration round_trip = now.mono - transaction.sent;
  usual.sample(round_trip);
  const Contact* contact = table.find(from);
  if (contact != nullptr && contact->id == reply.sender) churn.lived(now.mono - contact->answered);
  // An id belongs to one address and the reverse: whoever answers there under another id starts anew, and
  // since somebody may be taking addresses over, its neighbours in the bucket have to prove themselves again
  // (A5). That costs no question of its own, or who changes ids could have us flood others.
  if (contact != nullptr && contact->id != reply.sender) table.doubt(contact->id, now.mono);
  if (contact != nullptr && (contact->id != reply.sender || reply.role == SenderRole::read_only))
    table.remove(from);
  std::optional<Standing> proven;
  if (traits.proofs == Proofs::absent) {
    const bool fits = config.scope == Scope::local || bep42_valid(reply.sender, from.address);
    proven = !fits || !allowed(from)               ? Standing::invalid
             : reply.role == SenderRole::read_only ? Standing::read_only
                                                   : Standing::full;
    if (*proven == Standing::full) admit(now, from, reply, transaction);
    if (reply.observed) take_vote(now, from, *reply.observed, out);
  } else if (reply.proof && transaction.proof_wanted) {
    proven = check_proof(now, from, reply, transaction, out);
    if (!proven) return std::nullopt;
    if (*proven == Standing::full) admit(now, from, reply, transaction);
    if (transaction.to_stranger && hopes_to_be_reached() && allowed(from)) {
      read_only = false;
      if (has_contacts()) upkeep.restart(now.mono);  // others may know us now, and nobody is left alone
      out.events.emplace_back(Reachable{});
    }
  }
  const bool may_enter = !proven && reply.role == SenderRole::full && table.find(from) == nullptr;
  if (const Proven* earlier = may_enter ? known.proven(from, now.mono) : nullptr;
      earlier != nullptr && earlier->position == reply.sender && earlier->position_fits) {
    Proven renewed = *earlier;  // proven within 15 min; it had no place then, or was read-only
    renewed.role = SenderRole::full;
    known.proved(from, renewed);
    admit(now, from, reply, transaction);
  }
  // The table remembers its own entries.
  if (table.heard(from, reply.sender, now, round_trip))
    known.no_longer_silent(from);
  else
    known.answered(from, now.mono);
  for (Guide& guide : guides) {
    if (guide.node.endpoint != from || guide.node.id == reply.sender) continue;
    guide.node.id = reply.sender;  // it learnt its address and moved
    guide.standing = proven.value_or(Standing::unknown);
  }
  if (!proven && transaction.expected && *transaction.expected != reply.sender &&
      unverified(from, reply.sender, now.mono))
    queue_verification({from, reply.sender, false, transaction.party});
  return proven ? *proven : standing_of(from, reply.sender, now.mono);
}

std::optional<Standing> NodeState::check_proof(Now now, const Endpoint& from, const Reply& reply,
                                               const Transaction& transaction, NodeOutput& out) {
  if (!reply.observed || reply.observed->address.family != config.family) return std::nullopt;
  ++counters.signatures_checked;
  const ProofSubject subject{reply.transaction, transaction.sender, reply.sender, *reply.observed};
  if (!proof_holds(*reply.proof, subject, *config.signatures)) return std::nullopt;
  const bool local = config.scope == Scope::local;
  const bool bound =
      position_valid(reply.sender, reply.proof->public_key, local ? IpAddress{} : from.address);
  const bool fits = bound && allowed(from);
  known.proved(from, {reply.sender, reply.role, fits, now.mono});
  take_vote(now, from, *reply.observed, out);
  // A private address is written to on the user's or the LAN's word alone.
  const bool named = std::ranges::find(bootstraps, from) != bootstraps.end() ||
                     (config.scope == Scope::internet && !from.address.global());
  const auto voter = named ? SkewMedian::Voter::named : SkewMedian::Voter::heard_of;
  skew.report(from, reply.proof->unix_ms, now.mono - transaction.sent, now, voter);
  apply_skew(now, out);
  if (!fits) return Standing::invalid;
  return reply.role == SenderRole::read_only ? Standing::read_only : Standing::full;
}

void NodeState::admit(Now now, const Endpoint& from, const Reply& reply, const Transaction& transaction) {
  const Proven* proven = known.proven(from, now.mono);
  Contact contact;
  contact.id = reply.sender;
  contact.endpoint = from;
  contact.party = transaction.party;
  contact.since = now.mono;
  contact.answered = now.mono;
  contact.asked = transaction.sent;
  contact.proven = proven != nullptr ? proven->at : now.mono;
  contact.round_trip.sample(now.mono - transaction.sent);
  const Admission admission = table.admit(contact, now.mono);
  if (admission == Admission::added || admission == Admission::replaced)
    std::erase_if(guides, [&](const Guide& guide) { return guide.node.endpoint == from; });
  if (table.find(from) != nullptr) known.in_table(from);
}

Standing NodeState::standing_of(const Endpoint& endpoint, const Key& id, Instant now) const {
  const Contact* contact = table.find(endpoint);
  if (contact != nullptr && contact->id == id) return Standing::full;
  const Proven* proven = known.proven(endpoint, now);
  if (proven == nullptr || proven->position != id) return Standing::unknown;
  if (!proven->position_fits) return Standing::invalid;
  return proven->role == SenderRole::read_only ? Standing::read_only : Standing::full;
}

void NodeState::add_guide(Now now, const NodeInfo& node, Standing standing) {
  if (table.find(node.endpoint) != nullptr || node.id == position) return;
  std::erase_if(guides, [&](const Guide& guide) { return guide.node.endpoint == node.endpoint; });
  if (guides.size() >= limits::guides) guides.erase(guides.begin());
  guides.push_back({node, standing, now.mono});
}

void NodeState::take_vote(Now now, const Endpoint& from, const Endpoint& observed, NodeOutput& out) {
  if (observed.address.family != config.family) return;
  if (config.scope == Scope::internet && !(observed.address.global() && from.address.global())) return;
  vote.report(from, observed, now.mono);
  if (observed != external) apply_external(now, out);  // one more vote for what holds changes nothing
}

void NodeState::apply_external(Now now, NodeOutput& out) {
  const auto winner = vote.winner(now.mono);
  if (!winner || winner == external) return;
  const bool moved = !external || external->address != winner->address;
  external = winner;
  if (!moved) return;
  out.events.emplace_back(ExternalAddress{winner->address});
  if (config.scope == Scope::local) return;
  const Key bound = place_at(winner->address);
  if (bound == position) return;
  position = bound;
  table.move_to(position, now.mono);
  holdings.set_position(position);
  if (has_contacts()) upkeep.restart(now.mono);
}

void NodeState::apply_skew(Now now, NodeOutput& out) {
  const auto median = skew.median(now);
  const auto ahead = median ? median : skew.of_named(now);
  const bool matters = ahead && std::chrono::abs(*ahead) > limits::skew_matters;
  const ClockFound found = !matters ? ClockFound::right : median ? ClockFound::wrong : ClockFound::doubtful;
  if (found == clock) return;
  clock = found;
  out.events.emplace_back(
      ClockSkew{ahead.value_or(std::chrono::milliseconds{}), matters, found == ClockFound::doubtful});
}

bool NodeState::wants_proof(Instant now, const NodeInfo& node, Goal goal, Party party) const {
  const auto& [id, endpoint] = node;
  if (traits.proofs == Proofs::absent) return false;
  if (const Contact* contact = table.find(endpoint); contact != nullptr && contact->id == id)
    return now - contact->proven >= limits::proof_life;
  const Proven* proven = known.proven(endpoint, now);
  if (proven != nullptr && proven->position == id) return false;
  return goal == Goal::store || (allowed(endpoint) && table.has_room_for(id, endpoint.address, party));
}

// Nodes named in passing: those that would fill a place are asked for their proof; at once where they stand
// near us, since of the nearest none may be missing, else as the pace permits.
void NodeState::consider_heard(const NodeList& nodes, Party party, Instant now) {
  const Region region = size.region();
  for (const NodeInfo& node : nodes) {
    if (!table.has_room_for(node.id, node.endpoint.address, party))
      continue;  // first: seldom true, and cheap
    if (!hearsay_usable(node, now) || left_alone(node.endpoint) || table.find(node.endpoint) != nullptr)
      continue;
    if (!unverified(node.endpoint, node.id, now)) continue;
    if (region.contains(distance(position, node.id)) && verifications.size() < limits::verify_queue / 2) {
      queue_verification({node.endpoint, node.id, false, party});  // the other half is for askers
      continue;
    }
    const bool queued = std::any_of(heard.begin(), heard.end(),
                                    [&](const Verification& one) { return one.endpoint == node.endpoint; });
    if (heard.size() >= limits::verify_queue || queued) continue;
    heard.push_back({node.endpoint, node.id, false, party});
  }
}

}  // namespace shoal::dht
