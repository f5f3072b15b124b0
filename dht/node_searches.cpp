// Node: searches, that is lookups, puts and direct questions, from their beginning to their one last event.
#include <algorithm>
#include <utility>

#include "dht/limits.hpp"
#include "dht/node_state.hpp"
#include "dht/record.hpp"
#include "dht/seeds.hpp"

namespace shoal::dht {
namespace {

Goal goal_of(SearchKind kind) {
  switch (kind) {
    case SearchKind::values:
      return Goal::records;
    case SearchKind::put:
      return Goal::store;
    case SearchKind::nodes:
    case SearchKind::upkeep:
    case SearchKind::ping:
    case SearchKind::ask:
      break;
  }
  return Goal::nodes;
}

std::uint64_t mark_of(ByteView value) { return load_be<std::uint64_t>(crypto::blake2b<8>(value).data()); }

// False as well where so many were looked at that somebody floods us.
bool first_seen(Search& search, ByteView value) {
  if (search.seen.size() >= limits::values_per_search) return false;
  const std::uint64_t mark = mark_of(value);
  if (std::ranges::find(search.seen, mark) != search.seen.end()) return false;
  search.seen.push_back(mark);
  return true;
}

bool direct(SearchKind kind) { return kind == SearchKind::ping || kind == SearchKind::ask; }

}  // namespace

SearchId NodeState::begin(Now now, Search search, NodeOutput& out) {
  last_seen = now.mono;
  const std::uint64_t id = next_search++;
  search.started = now.mono;
  Search& kept = searches.emplace(id, std::move(search)).first->second;
  if (direct(kept.kind)) {
    const bool usable = usable_source(kept.to, config.family);
    if (kept.kind == SearchKind::ask) own_values(now, id, kept, out);
    if (searches.size() > limits::lookups_waiting) {
      finish(now, id, kept, SearchOutcome::refused, out);
    } else if (!usable) {
      finish(now, id, kept, SearchOutcome::nobody_answered, out);
    } else {
      kept.phase = Search::Phase::asking;
      send_direct(now, id, kept, out);
    }
    return SearchId{id};
  }
  // Nodes with another clock refuse our records, and would for as long as it is wrong.
  if (searches.size() > limits::lookups_waiting ||
      (kept.kind == SearchKind::put && clock == ClockFound::wrong)) {
    finish(now, id, kept, SearchOutcome::refused, out);
    return SearchId{id};
  }
  if (kept.kind == SearchKind::values) own_values(now, id, kept, out);
  waiting.push_back(id);
  if (!has_contacts()) upkeep.hurry_bootstrap(now.mono);
  run_duties(now, out);
  start_waiting(now, out);
  return SearchId{id};
}

// What we keep ourselves under the target: we may be one of its region.
void NodeState::own_values(Now now, std::uint64_t id, Search& search, NodeOutput& out) {
  Reply own;
  switch (search.subject) {
    case Subject::records: {
      record_scratch.clear();
      holdings.records.get(now, search.target, limits::datagram * 8, random, record_scratch);
      SearchValues values{SearchId{id}, {}};
      for (const ByteView record : record_scratch) {
        values.records.push_back({to_vector(record), Endpoint{}});
        search.seen.push_back(mark_of(record));
      }
      if (!values.records.empty()) out.events.emplace_back(std::move(values));
      return;
    }
    case Subject::peers:
      holdings.peers.get(now.mono, search.target, max_peers_in_reply, PeerStore::Seeds::wanted, {}, random,
                         own.peers);
      break;
    case Subject::items:
      if (const Item* item = holdings.items.get(now.mono, search.target)) own.item = item->view();
      break;
  }
  take_values(now, id, search, Endpoint{}, own, 0, out);
}

void NodeState::start_waiting(Now now, NodeOutput& out) {
  while (!waiting.empty() && lookups_running < limits::lookups_running) {
    const std::uint64_t id = waiting.front();
    const auto it = searches.find(id);
    if (it == searches.end()) {  // cancelled
      waiting.pop_front();
      continue;
    }
    if (!has_contacts()) {
      if (starting()) return;  // answers may come yet
      waiting.pop_front();
      finish(now, id, it->second, SearchOutcome::nobody_answered, out);
      continue;
    }
    waiting.pop_front();
    if (it->second.kind == SearchKind::put && try_recent_tokens(now, it->second)) {
      advance(now, id, out);
      continue;
    }
    start_lookup(now, it->second);
    advance(now, id, out);
  }
}

bool NodeState::try_recent_tokens(Now now, Search& search) {
  for (const RecentLookup& lookup : recent) {
    if (lookup.target != search.target || now.mono - lookup.at > limits::tokens_fresh ||
        lookup.places.empty())
      continue;
    search.store_back.emplace(lookup.places);
    search.phase = Search::Phase::putting;
    return true;
  }
  return false;
}

void NodeState::start_lookup(Now now, Search& search) {
  const Goal goal = goal_of(search.kind);
  const Slow slow = search.kind == SearchKind::upkeep ? Slow::given_up : Slow::asked_again;
  search.lookup.emplace(search.target, LookupRules{goal, traits.targets, search.paths, slow}, position,
                        now.mono);
  search.lookup->have(search.seen.size());  // of our own store, which may be one of the region's
  search.phase = Search::Phase::looking;
  search.contacts = table.size();
  if (search.kind == SearchKind::upkeep)
    upkeep_searching = true;
  else
    ++lookups_running;
  table.touch(search.target, now.mono);
  std::vector<NodeInfo> seeds;
  choose_seeds(table, search.target, size.region(), now.mono, seeds);
  if (seeds.size() < limits::k)
    for (const Guide& guide : guides) seeds.push_back(guide.node);
  for (const RecentLookup& lookup : recent)
    if (lookup.target == search.target)
      seeds.insert(seeds.end(), lookup.closest.begin(), lookup.closest.end());
  if (search.kind == SearchKind::upkeep)
    std::erase_if(seeds, [this](const NodeInfo& node) { return left_alone(node.endpoint); });
  search.lookup->seed(seeds);
}

void NodeState::advance(Now now, std::uint64_t id, NodeOutput& out) {
  const auto it = searches.find(id);
  if (it == searches.end()) return;
  if (it->second.phase == Search::Phase::looking) advance_lookup(now, id, it->second, out);
  // The lookup of a put may just have ended, and with it, when there was nowhere to put to, the search.
  const auto still = searches.find(id);
  if (still != searches.end() && still->second.phase == Search::Phase::putting)
    advance_put(now, id, still->second, out);
}

void NodeState::advance_lookup(Now now, std::uint64_t id, Search& search, NodeOutput& out) {
  Lookup& lookup = *search.lookup;
  const Region region = size.region();
  for (;;) {
    ask_scratch.clear();
    lookup.next(region, ask_scratch);
    if (ask_scratch.empty()) break;
    bool all_sent = true;
    for (const Ask& ask : ask_scratch) {
      const NodeInfo& node = lookup.node_of(ask.candidate);
      Sending sending;
      sending.purpose = Purpose::lookup;
      sending.form = ask.form;
      sending.search = id;
      sending.candidate = ask.candidate;
      sending.round = search.round;
      sending.expected = node.id;
      const Contact* root = table.find(lookup.root_of(ask.candidate).endpoint);
      sending.party = root != nullptr ? root->party : no_party;
      if (wants_proof(now.mono, node, lookup.goal(), sending.party)) sending.proof = ProofWanted::yes;
      QueryBody body = FindQuery{search.target};
      if (ask.form == Ask::Form::approach) {
        // The region's prefix and a random tail, another for each who is asked: they lead to different nodes
        // of it.
        Key point{random.bytes<32>()};
        for (int bit = 0; bit < region.prefix_bits; ++bit) point.set_bit(bit, search.target.bit(bit));
        body = FindQuery{point};
      } else if (ask.form == Ask::Form::records) {
        body = get_body(search.subject, search.target, NodesWanted::yes);
      } else if (ask.form == Ask::Form::more) {
        body = get_body(search.subject, search.target, NodesWanted::no);
      }
      sending.tell_sender = lookup.goal() == Goal::nodes;
      if (!send_query(now, node.endpoint, body, sending, out)) {
        lookup.failed(ask.candidate);
        all_sent = false;
      }
    }
    if (all_sent) break;
  }
  if (lookup.finished(region) || (begins_again(search) && lookup.exhausted(region)))
    lookup_over(now, id, search, out);
}

// A search for records that has found none on one path, though the network is no small one: somebody may
// stand in the way. It goes on over four disjoint paths, then eight (S/Kademlia; THREATS D5, D6).
bool NodeState::goes_on(const Search& search) const {
  return search.kind == SearchKind::values && search.stats.values == 0 && search.seen.empty() &&
         search.paths < limits::paths && search.lookup->answers() > 0 && size.value() > limits::small_network;
}

// One that began with the first contacts after a start, and nobody answered it: meanwhile there are more.
bool NodeState::begins_again(const Search& search) const {
  constexpr std::uint8_t times = 3;
  return search.kind != SearchKind::upkeep && search.lookup->answers() == 0 && search.round < times &&
         table.size() > search.contacts;
}

void NodeState::lookup_over(Now now, std::uint64_t id, Search& search, NodeOutput& out) {
  const Lookup& lookup = *search.lookup;
  search.stats.queries += lookup.queries();
  search.stats.answered += lookup.answers();
  search.stats.timed_out += lookup.failures();
  search.stats.depth = lookup.depth();
  const bool again = begins_again(search);
  if (again || goes_on(search)) {
    if (!again)
      search.paths =
          static_cast<std::uint8_t>(search.paths < limits::paths_next ? limits::paths_next : limits::paths);
    ++search.round;
    --lookups_running;
    start_lookup(now, search);
    advance_lookup(now, id, search, out);
    return;
  }
  if (search.kind == SearchKind::upkeep) {
    upkeep_searching = false;
    take_size(now, lookup, out);
  } else {
    --lookups_running;
  }
  if (lookup.answers() == 0) {
    // Everybody we knew is silent: the endpoints remembered from the start are asked again, now.
    upkeep.hurry_bootstrap(now.mono);
    finish(now, id, search, SearchOutcome::nobody_answered, out);
    return;
  }
  const Goal goal = lookup.goal();
  if (goal != Goal::nodes) {
    std::erase_if(recent, [&](const RecentLookup& other) { return other.target == search.target; });
    if (recent.size() >= limits::recent_lookups) recent.pop_front();
    RecentLookup done{search.target, now.mono, lookup.closest(2 * limits::k), {}};
    if (goal == Goal::store) done.places = lookup.places(size.region());
    recent.push_back(std::move(done));
  }
  if (search.kind == SearchKind::put) {
    search.store_back.emplace(recent.back().places);
    search.phase = Search::Phase::putting;
    return;
  }
  finish(now, id, search, SearchOutcome::finished, out);
}

void NodeState::advance_put(Now now, std::uint64_t id, Search& search, NodeOutput& out) {
  StoreBack& store_back = *search.store_back;
  for (;;) {
    put_scratch.clear();
    store_back.next(put_scratch);
    if (put_scratch.empty()) break;
    for (const std::uint16_t number : put_scratch) {
      const Place& place = store_back.place(number);
      Sending sending;
      sending.purpose = Purpose::put;
      sending.search = id;
      sending.candidate = number;
      sending.expected = place.id;
      sending.tell_sender = false;
      const QueryBody body = put_body(search.payload, search.target, place.token_view());
      if (!send_query(now, place.endpoint, body, sending, out)) store_back.failed(number);
    }
  }
  if (store_back.finished()) finish(now, id, search, SearchOutcome::finished, out);
}

void NodeState::send_direct(Now now, std::uint64_t id, Search& search, NodeOutput& out) {
  Sending sending;
  sending.purpose = search.kind == SearchKind::ping ? Purpose::ping : Purpose::ask;
  sending.form = Ask::Form::more;
  sending.search = id;
  sending.proof = ProofWanted::yes;
  sending.tell_sender = search.kind == SearchKind::ping;
  ++search.attempts;
  QueryBody body = PingQuery{};
  if (search.kind == SearchKind::ask) body = get_body(search.subject, search.target, NodesWanted::no);
  if (send_query(now, search.to, body, sending, out)) {
    ++search.outstanding;
    ++search.stats.queries;
  } else if (search.outstanding == 0) {
    finish(now, id, search, SearchOutcome::refused, out);
  }
}

void NodeState::search_replied(Now now, const Transaction& transaction, const Endpoint& from,
                               const Reply& reply, Standing standing, NodeOutput& out) {
  const auto it = searches.find(transaction.search);
  if (it == searches.end()) return;
  Search& search = it->second;
  if (transaction.purpose == Purpose::ping || transaction.purpose == Purpose::ask) {
    add_guide(now, {reply.sender, from}, standing);
    direct_replied(now, search, transaction, from, reply, out);
    return;
  }
  if (transaction.purpose == Purpose::put) {
    if (search.store_back) search.store_back->stored(transaction.candidate);
    advance(now, transaction.search, out);
    return;
  }
  if (search.phase != Search::Phase::looking) return;
  Lookup& lookup = *search.lookup;
  if (transaction.round != search.round) {  // of an earlier lookup: its records are as good
    take_values(now, transaction.search, search, from, reply, search.stats.depth, out);
    return;
  }
  const bool renamed = transaction.expected && *transaction.expected != reply.sender;
  std::uint32_t fresh = 0;
  if (lookup.goal() != Goal::nodes)
    fresh = take_values(now, transaction.search, search, from, reply, lookup.depth_of(transaction.candidate),
                        out);
  if (renamed) {
    lookup.failed(transaction.candidate);  // its real name may bring it back in by referral
  } else {
    NodeList usable;
    for (const NodeInfo& node : reply.nodes)
      if (hearsay_usable(node, now.mono) && !(search.kind == SearchKind::upkeep && left_alone(node.endpoint)))
        usable.push(node);
    Lookup::Answer answer;
    answer.candidate = transaction.candidate;
    answer.form = transaction.form;
    answer.standing = standing;
    answer.heard = {usable.begin(), usable.size()};
    answer.token = reply.token;
    answer.held = reply.records_held;
    answer.got = static_cast<std::uint32_t>(reply.records.size());
    answer.fresh = fresh;
    lookup.answered(answer);
  }
  advance(now, transaction.search, out);
}

void NodeState::direct_replied(Now now, Search& search, const Transaction& transaction, const Endpoint& from,
                               const Reply& reply, NodeOutput& out) {
  if (search.phase != Search::Phase::asking) return;
  ++search.stats.answered;
  search.stats.depth = 1;
  const std::uint64_t id = transaction.search;
  if (search.kind == SearchKind::ping) {
    out.events.emplace_back(PingDone{SearchId{id}, from, reply.sender, now.mono - transaction.sent});
    searches.erase(id);
    return;
  }
  take_values(now, id, search, from, reply, 1, out);
  SearchDone done{SearchId{id}, SearchOutcome::finished, {{reply.sender, from}}, search.stats};
  done.stats.took = now.mono - search.started;
  out.events.emplace_back(std::move(done));
  searches.erase(id);
}

// A query of a search became slow, overdue or dead.
void NodeState::search_stage(Now now, const Transaction& transaction, NodeOutput& out) {
  const auto it = searches.find(transaction.search);
  if (it == searches.end()) return;
  Search& search = it->second;
  if (direct(search.kind)) {
    if (transaction.stage == Stage::dead) {
      --search.outstanding;
      ++search.stats.timed_out;
    }
    if (transaction.stage == Stage::overdue && search.attempts < limits::ask_attempts) {
      send_direct(now, transaction.search, search, out);
    } else if (transaction.stage == Stage::dead && search.outstanding == 0) {
      finish(now, transaction.search, search, SearchOutcome::nobody_answered, out);
    }
    return;
  }
  const auto tell = [&](auto& leaf) {
    if (transaction.stage == Stage::slow) leaf.slow(transaction.candidate);
    if (transaction.stage == Stage::overdue) leaf.overdue(transaction.candidate);
    if (transaction.stage == Stage::dead) leaf.failed(transaction.candidate);
  };
  if (transaction.purpose == Purpose::put && search.store_back) tell(*search.store_back);
  if (transaction.purpose == Purpose::lookup && search.phase == Search::Phase::looking &&
      transaction.round == search.round)
    tell(*search.lookup);
  advance(now, transaction.search, out);
}

// Checks and hands on; gives how many were new and good.
std::uint32_t NodeState::take_values(Now now, std::uint64_t id, Search& search, const Endpoint& from,
                                     const Reply& reply, std::uint8_t depth, NodeOutput& out) {
  std::uint32_t fresh = 0;
  std::optional<Event> event;
  switch (search.subject) {
    case Subject::records: {
      SearchValues values{SearchId{id}, {}};
      for (const ByteView record : reply.records)
        if (first_seen(search, record) && check_record(record, search.target, now.wall, *config.signatures))
          values.records.push_back({to_vector(record), from});
      fresh = static_cast<std::uint32_t>(values.records.size());
      event = std::move(values);
      break;
    }
    case Subject::peers: {
      SearchPeers found{SearchId{id}, {}};
      for (const Endpoint& peer : reply.peers)
        if (usable_source(peer, peer.address.family) && first_seen(search, peer.compact()))
          found.peers.push_back(peer);
      fresh = static_cast<std::uint32_t>(found.peers.size());
      event = std::move(found);
      break;
    }
    case Subject::items: {
      if (!reply.item || (search.newest && reply.item->sequence <= *search.newest) ||
          !check_item(*reply.item, search.salt, search.target))
        break;
      search.newest = reply.item->sequence;
      fresh = 1;
      event = SearchItem{SearchId{id}, item_of(*reply.item, search.salt)};
      break;
    }
  }
  if (fresh == 0) return 0;
  if (search.stats.first_value_after == Duration{}) {
    search.stats.first_value_after = std::max(Duration{1}, now.mono - search.started);
    search.stats.depth_first_value = depth;
  }
  search.stats.values += fresh;
  if (search.kind != SearchKind::put) out.events.push_back(std::move(*event));
  return fresh;
}

void NodeState::finish(Now now, std::uint64_t id, Search& search, SearchOutcome outcome, NodeOutput& out) {
  search.stats.took = now.mono - search.started;
  const SearchId name{id};
  switch (search.kind) {
    case SearchKind::upkeep:
      break;
    case SearchKind::ping:
      out.events.emplace_back(PingDone{name, search.to, std::nullopt, Duration{}});
      break;
    case SearchKind::put: {
      PutDone done{name, outcome, 0, 0, search.stats};
      if (search.store_back) {
        done.stored = search.store_back->stored_count();
        done.refused = search.store_back->refused_count();
        done.stats.queries += search.store_back->queries();
      }
      out.events.emplace_back(done);
      break;
    }
    case SearchKind::values:
    case SearchKind::nodes:
    case SearchKind::ask: {
      SearchDone done{name, outcome, {}, search.stats};
      if (search.lookup)
        for (const NodeInfo& node : search.lookup->closest(limits::k))
          done.closest.push_back({node.id, node.endpoint});
      out.events.emplace_back(std::move(done));
      break;
    }
  }
  searches.erase(id);
}

}  // namespace shoal::dht
