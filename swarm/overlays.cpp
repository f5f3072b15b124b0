#include "swarm/overlays.hpp"

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>

#include "dht/krpc_codec.hpp"
#include "dht/native_codec.hpp"

namespace shoal::swarm {
namespace {

// A look-up in mainline is eight searches: where native nodes are known too it is made rarely.
constexpr std::chrono::minutes slots_read_every{1};

// `nodes`: how many share what this process keeps for others.
dht::NodeConfig node_config(const SessionConfig& config, dht::StrangerLimits& strangers, Dialect dialect,
                            Family family, std::size_t nodes) {
  dht::NodeConfig out;
  out.strangers = &strangers;
  out.family = family;
  out.identity = crypto::SigningKey::from_seed(config.identity);
  out.scope = config.reach == Reach::local ? dht::Scope::local : dht::Scope::internet;
  // Mainline has no such phase: who is behind a NAT is soon found out by whoever asks (BEP 5).
  const bool full = config.role == Role::bootstrap_node || dialect == Dialect::mainline;
  out.membership = config.role == Role::visitor ? dht::Membership::visiting
                   : full                       ? dht::Membership::full
                                                : dht::Membership::earned;
  out.max_stored_records /= nodes;
  return out;
}

std::string overlay_name(Dialect dialect, Family family) {
  return overlay_names[(dialect == Dialect::native ? 0 : 2) + (family == Family::v4 ? 0 : 1)];
}

std::unique_ptr<dht::Codec> codec_of(Dialect dialect) {
  if (dialect == Dialect::native) return std::make_unique<dht::NativeCodec>();
  return std::make_unique<dht::KrpcCodec>();
}

}  // namespace

Overlays::Overlays(Now now, const SessionConfig& config, dht::StrangerLimits& strangers, Random& random) {
  const auto one = [](bool used) { return std::size_t{used}; };
  const std::size_t nodes =
      (one(config.native) + one(config.mainline)) * (one(config.ipv4) + one(config.ipv6));
  for (const Dialect dialect : {Dialect::native, Dialect::mainline}) {
    if (dialect == Dialect::native ? !config.native : !config.mainline) continue;
    for (const Family family : {Family::v4, Family::v6}) {
      if (family == Family::v4 ? !config.ipv4 : !config.ipv6) continue;
      const std::string name = overlay_name(dialect, family);
      overlays_.push_back({name,
                           dialect,
                           family,
                           {now, node_config(config, strangers, dialect, family, nodes), codec_of(dialect),
                            random.fork(name)}});
    }
  }
  Overlay* four = of(Dialect::mainline, Family::v4);
  Overlay* six = of(Dialect::mainline, Family::v6);
  if (four != nullptr && six != nullptr) four->node.stand_beside(six->node);
}

void Overlays::start(Now now, const SessionConfig& config) {
  for (Overlay& overlay : overlays_) {
    std::vector<dht::SavedContact> saved;
    for (const OverlayContacts& contacts : config.saved) {
      if (contacts.overlay != overlay.name) continue;
      for (const storage::StoredContact& contact : contacts.contacts)
        if (const auto endpoint = Endpoint::from_compact(contact.endpoint))
          saved.push_back({*endpoint, contact.last_seen_ms});
    }
    overlay.node.restore(now, saved, node_output_);
    settle(now, overlay);
  }
  bootstrap(now, config.bootstrap);
}

Overlays::Overlay* Overlays::of(Dialect dialect, Family family) {
  for (Overlay& overlay : overlays_)
    if (overlay.dialect == dialect && overlay.family == family) return &overlay;
  return nullptr;
}

Overlays::Overlay* Overlays::any_of(Family family) {
  Overlay* native = of(Dialect::native, family);
  return native != nullptr ? native : of(Dialect::mainline, family);
}

void Overlays::handle(Now now, const Endpoint& from, ByteView datagram) {
  if (datagram.empty()) return;
  const bool native = datagram.front() == dht::native_first_byte;
  if (!native && datagram.front() != dht::krpc_first_byte) return;
  Overlay* overlay = of(native ? Dialect::native : Dialect::mainline, from.address.family);
  if (overlay == nullptr) return;
  overlay->node.handle(now, from, datagram, node_output_);
  settle(now, *overlay);
}

void Overlays::tick(Now now) {
  for (Overlay& overlay : overlays_) {
    if (overlay.node.next_wake() > now.mono) continue;
    overlay.node.tick(now, node_output_);
    settle(now, overlay);
  }
}

Instant Overlays::next_wake() const {
  Instant first = never;
  for (const Overlay& overlay : overlays_) first = std::min(first, overlay.node.next_wake());
  return first;
}

void Overlays::bootstrap(Now now, const std::vector<Endpoint>& nodes, std::optional<Dialect> dialect) {
  for (Overlay& overlay : overlays_) {
    if (dialect && overlay.dialect != *dialect) continue;
    overlay.node.bootstrap(now, nodes, node_output_);
    settle(now, overlay);
  }
}

// The purpose is noted before the node's output is settled, so that a search that ends at once finds its
// owner.
void Overlays::started(Now now, Overlay& overlay, dht::SearchId search, Purpose purpose) {
  overlay.purposes.emplace(search, std::move(purpose));
  settle(now, overlay);
}

void Overlays::look_up(Now now, Slot slot, const dht::EpochKeys& keys, Visibility visibility) {
  for (Overlay& overlay : overlays_) {
    if (overlay.dialect == Dialect::native)
      started(now, overlay, overlay.node.get_records(now, keys.key, usual_paths, node_output_),
              {Purpose::Kind::look_up, slot});
    else if (overlay.has_contact && visibility == Visibility::sealed)
      look_up_slots(now, overlay, slot, keys);
  }
}

void Overlays::look_up_slots(Now now, Overlay& overlay, Slot slot, const dht::EpochKeys& keys) {
  const Overlay* native = of(Dialect::native, overlay.family);
  std::erase_if(overlay.read_at,
                [&](const auto& entry) { return entry.second + slots_read_every <= now.mono; });
  if (native != nullptr && native->has_contact && overlay.read_at.contains(keys.key)) return;
  overlay.read_at[keys.key] = now.mono;
  overlay.readings[++overlay.last_reading].slot = slot;
  std::vector<std::uint32_t> all(dht::sealed_slots);
  std::iota(all.begin(), all.end(), 0U);
  read_slots(now, overlay, overlay.last_reading, keys, all);
}

// The reading may be over, and gone, when this returns.
void Overlays::read_slots(Now now, Overlay& overlay, std::uint64_t reading, const dht::EpochKeys& keys,
                          const std::vector<std::uint32_t>& places) {
  const Slot slot = overlay.readings[reading].slot;
  overlay.readings[reading].left = static_cast<std::uint32_t>(places.size());
  for (const std::uint32_t place : places)
    started(now, overlay,
            overlay.node.get_item(now, dht::slot_target(keys, place), to_vector(dht::slot_salt(keys, place)),
                                  node_output_),
            {.kind = Purpose::Kind::read_slot, .slot = slot, .reading = reading, .place = place});
}

// The slot of this announcer, or all that have not been read.
void Overlays::read_for_writing(Now now, Overlay& overlay, std::uint64_t reading) {
  Reading& its = overlay.readings[reading];
  const auto news = its.news;  // may outlive the reading
  std::vector<std::uint32_t> places;
  for (std::uint32_t place = 0; place < dht::sealed_slots; ++place)
    if (its.found.empty() ? place == dht::slot_of(news->announcer) : !its.found.contains(place))
      places.push_back(place);
  for (const std::uint32_t place : places) its.found.try_emplace(place);
  read_slots(now, overlay, reading, news->keys, places);
}

void Overlays::ask(Now now, Slot slot, const Endpoint& who, const Key& key) {
  if (Overlay* overlay = of(Dialect::native, who.address.family))
    started(now, *overlay, overlay->node.ask(now, who, key, node_output_),
            {.kind = Purpose::Kind::ask, .slot = slot, .asked = who});
}

void Overlays::look_up_peers(Now now, Slot slot, const InfoHash& content) {
  for (Overlay& overlay : overlays_)
    if (overlay.dialect == Dialect::mainline)
      started(now, overlay, overlay.node.get_peers(now, dht_key(content), node_output_),
              {.kind = Purpose::Kind::look_up, .slot = slot, .name = content});
}

void Overlays::announce_peer(Now now, Slot slot, const InfoHash& content, dht::Completeness completeness,
                             std::uint16_t port) {
  const Key key = dht_key(content);
  for (Overlay& overlay : overlays_) {
    if (overlay.dialect != Dialect::mainline) continue;
    overlay.node.hold_peer(key, completeness);
    if (!overlay.has_contact) continue;
    const dht::PeerPut self{port, dht::PortIs::source, completeness};
    started(now, overlay, overlay.node.announce_peer(now, key, self, node_output_),
            {.kind = Purpose::Kind::publish, .slot = slot});
  }
}

void Overlays::forget_peer(const InfoHash& content) {
  for (Overlay& overlay : overlays_)
    if (overlay.dialect == Dialect::mainline) overlay.node.forget(dht_key(content));
}

// It enters the table once it has answered.
void Overlays::heard_of(Now now, const Endpoint& node) {
  if (Overlay* overlay = of(Dialect::mainline, node.address.family))
    started(now, *overlay, overlay->node.ping(now, node, node_output_), {.kind = Purpose::Kind::greeting});
}

void Overlays::hold(const Publication& publication) {
  for (Overlay& overlay : overlays_)
    if (overlay.dialect == Dialect::native) overlay.node.hold(publication.key, publication.record.bytes);
}

void Overlays::forget(const Key& key) {
  for (Overlay& overlay : overlays_)
    if (overlay.dialect == Dialect::native) overlay.node.forget(key);
}

void Overlays::publish(Now now, Slot slot, const Publication& publication, Visibility visibility) {
  for (Overlay& overlay : overlays_) {
    if (!overlay.has_contact) continue;
    if (overlay.dialect == Dialect::native) {
      started(now, overlay,
              overlay.node.put_record(now, publication.key, publication.record.bytes,
                                      publication.record.salt_for(overlay.family), node_output_),
              {.kind = Purpose::Kind::publish, .slot = slot});
      continue;
    }
    if (visibility == Visibility::open) continue;
    Reading& reading = overlay.readings[++overlay.last_reading];
    reading.slot = slot;
    reading.news = std::make_shared<const Publication>(publication);
    read_for_writing(now, overlay, overlay.last_reading);
  }
}

// News are written over what was read, and only over that: who writes at the same time makes us read again.
void Overlays::slots_read(Now now, Overlay& overlay, std::uint64_t reading) {
  Reading& its = overlay.readings[reading];
  auto write = its.news && its.anybody_answered
                   ? dht::next_in_slots(its.news->keys, its.found, its.news->record.bytes, now.wall)
                   : std::nullopt;
  if (its.news && its.anybody_answered && !write && its.found.size() < dht::sealed_slots)
    return read_for_writing(now, overlay, reading);
  const Reading over = std::move(its);
  overlay.readings.erase(reading);
  if (!over.news)
    events_.push_back(LookupEnded{over.slot, overlay.family, over.anybody_answered});
  else if (!write)
    events_.push_back(Published{over.slot, 0});
  else
    started(now, overlay, overlay.node.put_item(now, std::move(write->item), write->expected, node_output_),
            {.kind = Purpose::Kind::publish, .slot = over.slot});
}

void Overlays::settle(Now now, Overlay& overlay) {
  std::move(node_output_.datagrams.begin(), node_output_.datagrams.end(), std::back_inserter(datagrams_));
  node_output_.datagrams.clear();
  std::vector<dht::Event> events = std::exchange(node_output_.events, {});
  for (dht::Event& event : events) on(now, overlay, event);
  events.clear();
  if (node_output_.events.empty()) node_output_.events = std::move(events);  // keeps its room
}

void Overlays::ended(Now now, Overlay& overlay, Purpose& purpose, dht::SearchDone& done) {
  const bool answered = done.outcome == dht::SearchOutcome::finished;
  switch (purpose.kind) {
    case Purpose::Kind::question:
      answer(purpose, done);
      break;
    case Purpose::Kind::read_slot: {
      Reading& reading = overlay.readings[purpose.reading];
      reading.anybody_answered = reading.anybody_answered || answered;
      if (--reading.left == 0) slots_read(now, overlay, purpose.reading);
      break;
    }
    default:
      events_.push_back(LookupEnded{purpose.slot, overlay.family, answered});
  }
}

void Overlays::on(Now now, Overlay& overlay, dht::Event& event) {
  const auto take = [&](dht::SearchId search) -> std::optional<Purpose> {
    auto node = overlay.purposes.extract(search);
    return node ? std::optional{std::move(node.mapped())} : std::nullopt;
  };
  if (auto* values = std::get_if<dht::SearchValues>(&event)) {
    const auto found = overlay.purposes.find(values->search);
    if (found == overlay.purposes.end()) return;
    const Purpose& purpose = found->second;
    events_.push_back(
        RecordsFound{purpose.slot, std::move(values->records),
                     purpose.kind == Purpose::Kind::ask ? std::optional{purpose.asked} : std::nullopt});
  } else if (auto* peers = std::get_if<dht::SearchPeers>(&event)) {
    const auto found = overlay.purposes.find(peers->search);
    if (found == overlay.purposes.end()) return;
    const Purpose& purpose = found->second;
    if (purpose.kind == Purpose::Kind::question)
      events_.push_back(OverlayAnswer{purpose.command, PeersAnswer{std::move(peers->peers)}});
    else
      events_.emplace_back(std::in_place_type<PeersFound>, purpose.slot, purpose.name,
                           std::move(peers->peers));
  } else if (auto* item = std::get_if<dht::SearchItem>(&event)) {
    const auto found = overlay.purposes.find(item->search);
    if (found == overlay.purposes.end()) return;
    const Purpose& purpose = found->second;
    if (purpose.kind == Purpose::Kind::question) {
      events_.push_back(OverlayAnswer{purpose.command, ItemAnswer{std::move(item->item)}});
      return;
    }
    RecordsFound records{purpose.slot, {}, std::nullopt};
    for (const ByteView record : dht::records_of(item->item.value))
      records.records.push_back({to_vector(record), {}});
    if (Reading& reading = overlay.readings[purpose.reading]; reading.news)
      reading.found[purpose.place] = std::move(item->item);
    if (!records.records.empty()) events_.push_back(std::move(records));
  } else if (auto* done = std::get_if<dht::SearchDone>(&event)) {
    if (auto purpose = take(done->search)) ended(now, overlay, *purpose, *done);
  } else if (auto* put = std::get_if<dht::PutDone>(&event)) {
    const auto purpose = take(put->search);
    if (!purpose) return;
    if (purpose->kind == Purpose::Kind::question)
      answer(*purpose, *put);
    else
      events_.push_back(Published{purpose->slot, put->stored});
  } else if (auto* ping = std::get_if<dht::PingDone>(&event)) {
    if (const auto purpose = take(ping->search); purpose && purpose->kind == Purpose::Kind::question)
      events_.push_back(
          OverlayAnswer{purpose->command, PingAnswer{ping->endpoint, ping->id, ping->round_trip}});
  } else if (std::holds_alternative<dht::FirstContact>(event)) {
    overlay.has_contact = true;
    events_.push_back(Connected{overlay.family});
  } else if (std::holds_alternative<dht::ExternalAddress>(event)) {
    events_.push_back(Connected{overlay.family});
  } else if (const auto* skew = std::get_if<dht::ClockSkew>(&event)) {
    events_.push_back(OverlayAnswer{0, ClockAnswer{skew->ahead, skew->matters, skew->doubtful}});
  } else if (const auto* jump = std::get_if<dht::SizeJump>(&event)) {
    events_.push_back(OverlayAnswer{0, SizeAnswer{overlay.dialect, jump->from, jump->to, jump->matters}});
  } else if (std::holds_alternative<dht::Reachable>(event)) {
    if (const auto endpoint = overlay.node.external_endpoint())
      events_.push_back(OverlayAnswer{0, ReachAnswer{*endpoint, true}});
  }
}

std::optional<Endpoint> Overlays::external(Family family) const {
  for (const Overlay& overlay : overlays_)  // native ones stand first: their reports are signed
    if (overlay.family == family)
      if (const auto endpoint = overlay.node.external_endpoint()) return endpoint;
  return std::nullopt;
}

bool Overlays::reachable(Family family) const {
  for (const Overlay& overlay : overlays_)
    if (overlay.dialect == Dialect::native && overlay.family == family)
      return !overlay.node.stats().read_only;
  return false;
}

dht::RecordInputs Overlays::own_place(std::uint16_t port) const {
  dht::RecordInputs out;
  for (const Family family : {Family::v4, Family::v6}) {
    const auto seen = external(family);
    if (!seen) continue;
    (family == Family::v4 ? out.v4 : out.v6) = seen->address;
    out.endpoints.push_back({seen->address, port});
    if (reachable(family)) out.reach = dht::Reach::reachable;
  }
  return out;
}

bool Overlays::has_contacts() const {
  return std::any_of(overlays_.begin(), overlays_.end(),
                     [](const Overlay& overlay) { return overlay.has_contact; });
}

std::vector<storage::SaveContactsJob> Overlays::contacts_to_save(Now now) const {
  std::vector<storage::SaveContactsJob> out;
  for (const Overlay& overlay : overlays_) {
    storage::SaveContactsJob job{overlay.name, {}};
    for (const dht::SavedContact& contact : overlay.node.contacts_to_save(now))
      job.contacts.push_back({contact.endpoint.compact(), contact.last_seen_unix_ms});
    if (!job.contacts.empty()) out.push_back(std::move(job));
  }
  return out;
}

std::vector<DhtStatus> Overlays::status() const {
  std::vector<DhtStatus> out;
  for (const Overlay& overlay : overlays_) {
    const dht::NodeStats stats = overlay.node.stats();
    out.push_back({overlay.dialect, overlay.family, stats.position,
                   static_cast<std::uint32_t>(stats.contacts), static_cast<std::uint32_t>(stats.records),
                   stats.network_size, overlay.node.external_endpoint(), !stats.read_only, stats.queries_in,
                   stats.queries_out, stats.bytes_in, stats.bytes_out});
  }
  return out;
}

std::vector<Bytes> Overlays::dump_records() const {
  std::vector<Bytes> out;
  for (const Overlay& overlay : overlays_)
    for (auto& [key, record] : overlay.node.stored_records()) out.push_back(std::move(record));
  return out;
}

std::uint64_t Overlays::digest() const {
  std::uint64_t out = 0;
  for (const Overlay& overlay : overlays_) out = out * 0x9E3779B97F4A7C15ULL + overlay.node.digest();
  return out;
}

Bytes Overlays::lan_ping(Random& random) const {
  Bytes out;
  dht::Query query;
  query.transaction = dht::TransactionId::from(random.next());
  query.role = dht::SenderRole::read_only;
  query.body = dht::PingQuery{};
  if (!overlays_.empty() && overlays_.front().dialect == Dialect::native)
    query.sender = overlays_.front().node.position();
  dht::NativeCodec{}.encode(query, out);
  return out;
}

std::vector<dht::Datagram> Overlays::take_datagrams() { return std::exchange(datagrams_, {}); }
std::vector<OverlayEvent> Overlays::take_events() { return std::exchange(events_, {}); }

}  // namespace shoal::swarm
