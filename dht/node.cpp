// Node: the way in and out, and the public face. The duties are in node_answers, node_replies, node_searches
// and node_upkeep; see node.hpp and node_state.hpp.
#include "dht/node.hpp"

#include <algorithm>
#include <utility>

#include "dht/base/check.hpp"
#include "dht/identity.hpp"
#include "dht/limits.hpp"
#include "dht/mainline_id.hpp"
#include "dht/node_state.hpp"

namespace shoal::dht {
namespace {

IpAddress bound_address(const NodeConfig& config) {
  return config.scope == Scope::internet && config.external ? *config.external : IpAddress{};
}

// Whether the address part of a position that we only heard of is the one of its address; the key part must
// wait for its proof.
bool position_fits_address(const Key& id, const IpAddress& address) {
  const std::uint32_t difference = load_be<std::uint32_t>(id.bytes.data()) ^ bep42(address, id.bytes.back());
  return difference >> (32 - address_bits) == 0;
}

bool fresher(const SavedContact& a, const SavedContact& b) {
  if (a.last_seen_unix_ms != b.last_seen_unix_ms) return a.last_seen_unix_ms > b.last_seen_unix_ms;
  return a.endpoint < b.endpoint;
}

Search search_for(SearchKind kind, const Key& target) {
  Search out;
  out.kind = kind;
  out.target = target;
  return out;
}
Search put_of(const Key& target, Payload payload) {
  Search out = search_for(SearchKind::put, target);
  out.subject = subject_of(payload);
  out.payload = std::move(payload);
  return out;
}

// FNV-1a by words: a fingerprint of what was sent, for comparing two runs, not against forgery.
std::uint64_t fold(std::uint64_t hash, ByteView bytes) {
  constexpr std::uint64_t prime = 0x100000001b3ULL;
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) hash = (hash ^ load_be<std::uint64_t>(bytes.data() + i)) * prime;
  for (; i < bytes.size(); ++i) hash = (hash ^ bytes[i]) * prime;
  return hash ^ (hash >> 29);
}

}  // namespace

NodeState::NodeState(Now now, NodeConfig configuration, std::unique_ptr<Codec> dialect, Random source)
    : config(std::move(configuration)),
      codec(std::move(dialect)),
      traits(codec->traits()),
      random(source.fork("node")),
      position(place_at(bound_address(config))),
      table(position),
      holdings(random.bytes<32>(), position,
               static_cast<std::uint32_t>(std::min<std::size_t>(config.max_stored_records, Store::capacity)),
               *config.signatures),
      tokens(random.bytes<32>()),
      guard(random),
      skew(config.scope == Scope::local ? limits::skew_voters_local : limits::skew_voters),
      upkeep(now.mono, random),
      read_only(config.membership == Membership::visiting ||
                (config.scope == Scope::internet && config.membership == Membership::earned)) {
  if (config.external) external = Endpoint{*config.external, 0};
  if (config.strangers == nullptr) config.strangers = &own_strangers;
  left_alone_secret = random.next();
  party_secret = random.next();
}

Key NodeState::place_at(const IpAddress& address) {
  return traits.proofs == Proofs::absent ? mainline_position(address, random)
                                         : position_of(config.identity.public_key, address);
}

bool NodeState::allowed(const Endpoint& endpoint) const {
  if (!usable_source(endpoint, config.family)) return false;
  return config.scope == Scope::local || endpoint.address.global();
}

bool NodeState::heard_usable(const NodeInfo& node, Instant now) const {
  if (!allowed(node.endpoint) || node.id == position || known.dead(node.endpoint, now)) return false;
  if (external && node.endpoint == *external) return false;
  if (config.scope == Scope::local) return true;
  if (traits.proofs == Proofs::absent) return bep42_valid(node.id, node.endpoint.address);
  return position_fits_address(node.id, node.endpoint.address);
}

bool NodeState::hearsay_usable(const NodeInfo& node, Instant now) const {
  if (config.scope == Scope::internet && node.endpoint.port < limits::least_heard_port) return false;
  return heard_usable(node, now);
}

bool NodeState::left_alone(const Endpoint& endpoint) const {
  constexpr std::uint64_t odd = 0x9E3779B97F4A7C15ULL;
  if (!hopes_to_be_reached()) return false;
  if (std::find(bootstraps.begin(), bootstraps.end(), endpoint) != bootstraps.end()) return false;
  return ((std::hash<Endpoint>{}(endpoint) ^ left_alone_secret) * odd) >> 63 == 0;
}

bool NodeState::link_suspect(Instant now) const {
  return silent_in_a_row >= limits::suspect_after && now - last_reply >= limits::suspect_silence;
}

void NodeState::send(const Endpoint& to, Bytes bytes, NodeOutput& out) {
  trace = fold(trace ^ to.port, bytes);
  counters.bytes_out += bytes.size();
  out.datagrams.push_back({to, std::move(bytes)});
}

// Whether we write to it because others say so. Who was ever in the table, or answered the query before this
// one, or was saved, has answered once; those whom the user named are known to be wanted, and a ping goes to
// these or to the host of a peer that we speak with.
bool NodeState::by_word_of_others(Instant now, const Endpoint& to, Purpose purpose) const {
  switch (purpose) {
    case Purpose::bootstrap:
    case Purpose::restore:
    case Purpose::upkeep:
    case Purpose::put:
    case Purpose::ping:
      return false;
    case Purpose::lookup:
    case Purpose::ask:
    case Purpose::verify:
    case Purpose::probe:
      break;
  }
  return table.find(to) == nullptr && !known.validated(to, now) &&
         std::find(bootstraps.begin(), bootstraps.end(), to) == bootstraps.end();
}

bool NodeState::send_query(Now now, const Endpoint& to, QueryBody body, const Sending& sending,
                           NodeOutput& out) {
  const bool of_search = sending.purpose == Purpose::lookup || sending.purpose == Purpose::put;
  if (of_search && transactions.size() + limits::transactions_kept_free >= limits::transactions) return false;
  if (by_word_of_others(now.mono, to, sending.purpose) &&
      !config.strangers->take_datagram(now.mono, to.address))
    return false;
  Transaction transaction;
  do transaction.id = random.next();
  while (transaction.id == 0);
  const Contact* contact = table.find(to);
  transaction.to = to;
  transaction.purpose = sending.purpose;
  transaction.form = sending.form;
  transaction.proof_wanted = sending.proof == ProofWanted::yes && traits.proofs == Proofs::required;
  transaction.sender_told = sending.tell_sender;
  transaction.to_stranger = sending.to_stranger;
  transaction.candidate = sending.candidate;
  transaction.round = sending.round;
  transaction.search = sending.search;
  transaction.expected = sending.expected;
  transaction.party = contact != nullptr && contact->party != no_party ? contact->party : sending.party;
  if (sending.tell_sender) transaction.sender = position;
  transaction.sent = now.mono;
  transaction.soft = contact != nullptr ? contact->round_trip.soft_timeout() : usual.within();
  const auto search = searches.find(sending.search);
  const bool leisurely = search != searches.end() && search->second.kind == SearchKind::upkeep;
  if (leisurely) transaction.soft = limits::soft_ceiling;  // nobody waits: the fewer questions the better
  if (!transactions.open(transaction)) return false;

  Query query;
  query.transaction = TransactionId::from(transaction.id);
  if (sending.tell_sender || traits.askers == Askers::named) query.sender = position;
  if (read_only) query.role = SenderRole::read_only;
  if (transaction.proof_wanted) query.proof = ProofWanted::yes;
  query.probe = sending.probe;
  query.wants_v4 = query.wants_v6 =
      sibling != nullptr && std::holds_alternative<FindQuery>(body) && !of_search;
  query.body = body;
  Bytes bytes;
  codec->encode(Message{query}, bytes);
  table.asked(to, now.mono);
  if (hopes_to_be_reached()) known.wrote_to(to, now.mono);
  ++counters.queries_out;
  if (search != searches.end() && !leisurely) counters.bytes_out_searches += bytes.size();
  send(to, std::move(bytes), out);
  return true;
}

void NodeState::handle(Now now, const Endpoint& from, ByteView datagram, NodeOutput& out) {
  counters.bytes_in += datagram.size();
  if (!usable_source(from, config.family)) {
    ++counters.dropped;
    return;
  }
  const Contact* contact = table.find(from);
  const bool validated = (contact != nullptr && now.mono - contact->answered <= limits::proof_life) ||
                         known.validated(from, now.mono);
  const SourceStanding standing = validated ? SourceStanding::validated : SourceStanding::unproven;
  if (guard.admit(now.mono, from, datagram.size(), standing) == Acceptance::drop) {
    ++counters.dropped;
    return;
  }
  const auto message = codec->decode(datagram);
  if (!message) {
    ++counters.dropped;
    return;
  }
  if (const auto* query = std::get_if<Query>(&*message)) {
    ++counters.queries_in;
    const std::size_t room = validated ? traits.max_datagram : datagram.size() * limits::amplification;
    on_query(now, from, room, *query, out);
  } else if (const auto* reply = std::get_if<Reply>(&*message)) {
    on_reply(now, from, *reply, out);
  } else {
    on_failure(now, from, std::get<Failure>(*message), out);
  }
  tick(now, out);
}

void NodeState::tick(Now now, NodeOutput& out) {
  while (const auto transaction = transactions.due(now.mono)) stage_passed(now, *transaction, out);
  if (!external && vote.undecided_until(now.mono) <= now.mono) apply_external(now, out);
  restore_more(now, out);
  start_waiting(now, out);
  send_verifications(now, out);
  run_duties(now, out);
  if (holdings.next_expiry() <= now.mono) holdings.expire(now);
}

Instant NodeState::next_wake() const {
  Instant wake = std::min(transactions.next_due(), holdings.next_expiry());
  if (!verifications.empty()) wake = std::min(wake, next_verification);
  if (!heard.empty()) wake = std::min(wake, next_heard);
  if (!external) wake = std::min(wake, vote.undecided_until(last_seen));
  return std::min(wake, upkeep.next(facts(last_seen, wake)));
}

Facts NodeState::facts(Instant now, Instant until) const {
  Facts facts;
  facts.contacts = has_contacts();
  const bool few = table.size() < limits::lonely_below && born + limits::lonely_after <= now;
  facts.lonely = !facts.contacts || few || link_suspect(now);
  facts.endpoints = !bootstraps.empty() || !saved.all.empty();
  facts.bootstrapping = starting();
  facts.hopes_to_be_reached = hopes_to_be_reached();
  facts.room = upkeep.filling_by(until) && bucket_to_fill().has_value();
  facts.searching = upkeep_searching;
  facts.lost = !lost.empty();
  facts.entries = table.size();
  facts.life = churn.life();
  return facts;
}

Node::Node(Now now, NodeConfig config, std::unique_ptr<Codec> codec, Random random)
    : state_(std::make_unique<NodeState>(now, std::move(config), std::move(codec), std::move(random))) {
  state_->last_seen = state_->born = now.mono;
}
Node::~Node() = default;
Node::Node(Node&&) noexcept = default;
Node& Node::operator=(Node&&) noexcept = default;

void Node::handle(Now now, const Endpoint& from, ByteView datagram, NodeOutput& out) {
  state_->last_seen = now.mono;
  state_->handle(now, from, datagram, out);
}
void Node::tick(Now now, NodeOutput& out) {
  state_->last_seen = now.mono;
  state_->tick(now, out);
}
Instant Node::next_wake() const { return state_->next_wake(); }

void Node::bootstrap(Now now, std::span<const Endpoint> endpoints, NodeOutput& out) {
  state_->last_seen = now.mono;
  for (const Endpoint& endpoint : endpoints) {
    if (!state_->allowed(endpoint)) continue;  // whoever made a link may have named any place (THREATS A30)
    auto& kept = state_->bootstraps;
    if (std::find(kept.begin(), kept.end(), endpoint) == kept.end()) {
      if (kept.size() >= limits::bootstrap_endpoints) kept.erase(kept.begin());
      kept.push_back(endpoint);
    }
    state_->introduce(now, endpoint, Purpose::bootstrap, out);
  }
}

void Node::restore(Now now, std::span<const SavedContact> contacts, NodeOutput& out) {
  state_->last_seen = now.mono;
  std::vector<SavedContact> fresh(contacts.begin(), contacts.end());
  std::erase_if(fresh, [this](const SavedContact& contact) { return !state_->allowed(contact.endpoint); });
  std::sort(fresh.begin(), fresh.end(), fresher);
  if (fresh.size() > limits::restore_most) fresh.resize(limits::restore_most);
  state_->saved = {};
  for (const SavedContact& contact : fresh) state_->saved.all.push_back(contact.endpoint);
  state_->restore_more(now, out);
}

SearchId Node::get_records(Now now, const Key& target, std::size_t paths, NodeOutput& out) {
  Search search = search_for(SearchKind::values, target);
  search.paths = static_cast<std::uint8_t>(std::clamp<std::size_t>(paths, 1, limits::paths));
  return state_->begin(now, std::move(search), out);
}

SearchId Node::find_node(Now now, const Key& target, std::size_t paths, NodeOutput& out) {
  Search search = search_for(SearchKind::nodes, target);
  search.paths = static_cast<std::uint8_t>(std::clamp<std::size_t>(paths, 1, limits::paths));
  return state_->begin(now, std::move(search), out);
}

SearchId Node::get_peers(Now now, const Key& target, NodeOutput& out) {
  Search search = search_for(SearchKind::values, target);
  search.subject = Subject::peers;
  return state_->begin(now, std::move(search), out);
}

SearchId Node::get_item(Now now, const Key& target, Bytes salt, NodeOutput& out) {
  Search search = search_for(SearchKind::values, target);
  search.subject = Subject::items;
  search.salt = std::move(salt);
  return state_->begin(now, std::move(search), out);
}

SearchId Node::put_record(Now now, const Key& target, Bytes record, const Salt& address_salt,
                          NodeOutput& out) {
  return state_->begin(now, put_of(target, RecordPut{std::move(record), address_salt}), out);
}

SearchId Node::announce_peer(Now now, const Key& target, const PeerPut& self, NodeOutput& out) {
  return state_->begin(now, put_of(target, self), out);
}

SearchId Node::put_item(Now now, Item item, std::optional<std::int64_t> expected, NodeOutput& out) {
  Search search = put_of(target_of(item.view()), ItemPut{item, expected});
  search.salt = std::move(item.salt);
  return state_->begin(now, std::move(search), out);
}

SearchId Node::ping(Now now, const Endpoint& to, NodeOutput& out) {
  Search search = search_for(SearchKind::ping, {});
  search.to = to;
  return state_->begin(now, std::move(search), out);
}

SearchId Node::ask(Now now, const Endpoint& to, const Key& target, NodeOutput& out) {
  Search search = search_for(SearchKind::ask, target);
  search.to = to;
  return state_->begin(now, std::move(search), out);
}

void Node::cancel(SearchId search) {
  const auto it = state_->searches.find(static_cast<std::uint64_t>(search));
  if (it == state_->searches.end()) return;
  if (it->second.lookup && it->second.phase == Search::Phase::looking) --state_->lookups_running;
  state_->searches.erase(it);
}

void Node::hold(const Key& target, Bytes record) {
  // Built by us; refused only when 32,768 are held, and then the announcement still goes to others.
  static_cast<void>(state_->holdings.records.hold(target, std::move(record)));
}
void Node::hold_peer(const Key& target, Completeness completeness) {
  static_cast<void>(state_->holdings.peers.hold(target, completeness));  // as above
}
void Node::forget(const Key& target) {
  state_->holdings.records.forget(target);
  state_->holdings.peers.forget(target);
}

std::vector<SavedContact> Node::contacts_to_save(Now now) const {
  std::vector<SavedContact> out;
  state_->table.for_each([&](const Contact& contact) {
    // The wall clock may have jumped since; what is saved is counted back from now.
    const auto ago = std::chrono::duration_cast<std::chrono::milliseconds>(now.mono - contact.answered);
    out.push_back({contact.endpoint, unix_ms(now.wall - ago)});
  });
  std::sort(out.begin(), out.end(), fresher);
  return out;
}

std::optional<IpAddress> Node::external_address() const {
  if (!state_->external) return std::nullopt;
  return state_->external->address;
}
std::optional<Endpoint> Node::external_endpoint() const {
  if (!state_->external || state_->external->port == 0) return std::nullopt;
  return state_->external;
}
void Node::stand_beside(Node& other) {
  SHOAL_CHECK(state_->config.family != other.state_->config.family);
  state_->sibling = other.state_.get();
  other.state_->sibling = state_.get();
}
const Key& Node::position() const { return state_->position; }

NodeStats Node::stats() const {
  NodeStats stats = state_->counters;
  stats.position = state_->position;
  stats.contacts = state_->table.size();
  stats.replacements = state_->table.replacements();
  stats.buckets = state_->table.bucket_count();
  stats.records = state_->holdings.size();
  stats.held = state_->holdings.records.held();
  stats.searches = state_->searches.size();
  stats.transactions = state_->transactions.size();
  stats.network_size = state_->size.value();
  stats.read_only = state_->read_only;
  return stats;
}

std::uint64_t Node::digest() const {
  std::uint64_t hash = fold(state_->trace, state_->position.bytes);
  state_->table.for_each([&](const Contact& contact) { hash = fold(hash, contact.id.bytes); });
  return hash ^ state_->holdings.records.digest() ^ state_->searches.size() ^
         (state_->transactions.size() << 32);
}

std::vector<std::pair<Key, Bytes>> Node::stored_records() const {
  auto out = state_->holdings.records.dump();
  for (auto& [target, item] : state_->holdings.items.dump()) out.emplace_back(target, std::move(item.value));
  return out;
}

}  // namespace shoal::dht
