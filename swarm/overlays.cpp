#include "swarm/overlays.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "dht/native_codec.hpp"

namespace shoal::swarm {
namespace {

constexpr std::size_t usual_paths = 1;

dht::NodeConfig node_config(const SessionConfig& config, Family family) {
  dht::NodeConfig out;
  out.family = family;
  out.identity = crypto::SigningKey::from_seed(config.identity);
  out.scope = config.reach == Reach::local ? dht::Scope::local : dht::Scope::internet;
  out.membership = config.role == Role::bootstrap_node ? dht::Membership::full : dht::Membership::earned;
  return out;
}

std::string overlay_name(Family family) { return family == Family::v4 ? "native4" : "native6"; }

}  // namespace

Overlays::Overlays(Now now, const SessionConfig& config, Random& random) {
  for (const Family family : {Family::v4, Family::v6}) {
    if (family == Family::v4 ? !config.ipv4 : !config.ipv6) continue;
    overlays_.push_back({overlay_name(family),
                         family,
                         {now, node_config(config, family), std::make_unique<dht::NativeCodec>(),
                          random.fork(overlay_name(family))},
                         {},
                         false});
  }
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
    settle(overlay);
  }
  bootstrap(now, config.bootstrap);
}

Overlays::Overlay* Overlays::of(Family family) {
  for (Overlay& overlay : overlays_)
    if (overlay.family == family) return &overlay;
  return nullptr;
}

void Overlays::handle(Now now, const Endpoint& from, ByteView datagram) {
  Overlay* overlay = of(from.address.family);
  if (overlay == nullptr) return;
  overlay->node.handle(now, from, datagram, node_output_);
  settle(*overlay);
}

void Overlays::tick(Now now) {
  for (Overlay& overlay : overlays_) {
    if (overlay.node.next_wake() > now.mono) continue;
    overlay.node.tick(now, node_output_);
    settle(overlay);
  }
}

Instant Overlays::next_wake() const {
  Instant first = never;
  for (const Overlay& overlay : overlays_) first = std::min(first, overlay.node.next_wake());
  return first;
}

void Overlays::bootstrap(Now now, const std::vector<Endpoint>& nodes) {
  for (Overlay& overlay : overlays_) {
    overlay.node.bootstrap(now, nodes, node_output_);
    settle(overlay);
  }
}

// The purpose is noted before the node's output is settled, so that a search that ends at once finds its
// owner.
void Overlays::started(Overlay& overlay, dht::SearchId search, Purpose purpose) {
  overlay.purposes.emplace(search, std::move(purpose));
  settle(overlay);
}

void Overlays::look_up(Now now, Slot slot, const Key& key) {
  for (Overlay& overlay : overlays_)
    started(overlay, overlay.node.get_records(now, key, usual_paths, node_output_),
            {Purpose::Kind::look_up, slot, 0, {}});
}

void Overlays::ask(Now now, Slot slot, const Endpoint& who, const Key& key) {
  if (Overlay* overlay = of(who.address.family))
    started(*overlay, overlay->node.ask(now, who, key, node_output_), {Purpose::Kind::ask, slot, 0, who});
}

void Overlays::hold(const Publication& publication) {
  for (Overlay& overlay : overlays_) overlay.node.hold(publication.key, publication.record.bytes);
}

void Overlays::forget(const Key& key) {
  for (Overlay& overlay : overlays_) overlay.node.forget(key);
}

void Overlays::publish(Now now, Slot slot, const Publication& publication) {
  for (Overlay& overlay : overlays_)
    if (overlay.has_contact)
      started(overlay,
              overlay.node.put_record(now, publication.key, publication.record.bytes,
                                      publication.record.salt_for(overlay.family), node_output_),
              {Purpose::Kind::publish, slot, 0, {}});
}

void Overlays::ping(Now now, CommandId command, const Endpoint& who) {
  if (Overlay* overlay = of(who.address.family))
    started(*overlay, overlay->node.ping(now, who, node_output_), {Purpose::Kind::ping, 0, command, who});
  else
    events_.push_back(OverlayAnswer{command, PingAnswer{who, std::nullopt, {}}});
}

void Overlays::find(Now now, CommandId command, const Key& target) {
  if (overlays_.empty()) return;
  Overlay& overlay = overlays_.front();
  started(overlay, overlay.node.find_node(now, target, usual_paths, node_output_),
          {Purpose::Kind::find, 0, command, {}});
}

void Overlays::settle(Overlay& overlay) {
  std::move(node_output_.datagrams.begin(), node_output_.datagrams.end(), std::back_inserter(datagrams_));
  node_output_.datagrams.clear();
  std::vector<dht::Event> events = std::exchange(node_output_.events, {});
  for (dht::Event& event : events) on(overlay, event);
  events.clear();
  if (node_output_.events.empty()) node_output_.events = std::move(events);  // keeps its room
}

void Overlays::on(Overlay& overlay, dht::Event& event) {
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
  } else if (auto* done = std::get_if<dht::SearchDone>(&event)) {
    const auto purpose = take(done->search);
    if (!purpose) return;
    if (purpose->kind == Purpose::Kind::find) {
      FindAnswer answer;
      for (const dht::FoundNode& node : done->closest) answer.closest.push_back({node.id, node.endpoint});
      answer.asked = done->stats.queries;
      answer.answered = done->stats.answered;
      answer.hops = done->stats.depth;
      answer.took = done->stats.took;
      events_.push_back(OverlayAnswer{purpose->command, std::move(answer)});
    } else {
      events_.push_back(
          LookupEnded{purpose->slot, overlay.family, done->outcome == dht::SearchOutcome::finished});
    }
  } else if (auto* put = std::get_if<dht::PutDone>(&event)) {
    if (const auto purpose = take(put->search)) events_.push_back(Published{purpose->slot, put->stored});
  } else if (auto* ping = std::get_if<dht::PingDone>(&event)) {
    if (const auto purpose = take(ping->search))
      events_.push_back(
          OverlayAnswer{purpose->command, PingAnswer{ping->endpoint, ping->id, ping->round_trip}});
  } else if (std::holds_alternative<dht::FirstContact>(event)) {
    overlay.has_contact = true;
    events_.push_back(Connected{overlay.family});
  } else if (std::holds_alternative<dht::ExternalAddress>(event)) {
    events_.push_back(Connected{overlay.family});
  } else if (const auto* skew = std::get_if<dht::ClockSkew>(&event)) {
    events_.push_back(OverlayAnswer{0, ClockAnswer{skew->ahead, skew->matters}});
  } else if (std::holds_alternative<dht::Reachable>(event)) {
    if (const auto endpoint = overlay.node.external_endpoint())
      events_.push_back(OverlayAnswer{0, ReachAnswer{*endpoint, true}});
  }
}

std::optional<Endpoint> Overlays::external(Family family) const {
  for (const Overlay& overlay : overlays_)
    if (overlay.family == family) return overlay.node.external_endpoint();
  return std::nullopt;
}

bool Overlays::reachable(Family family) const {
  for (const Overlay& overlay : overlays_)
    if (overlay.family == family) return !overlay.node.stats().read_only;
  return false;
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
    out.push_back({overlay.family, stats.position, static_cast<std::uint32_t>(stats.contacts),
                   static_cast<std::uint32_t>(stats.records), stats.network_size,
                   overlay.node.external_endpoint(), !stats.read_only, stats.queries_in, stats.queries_out,
                   stats.bytes_in, stats.bytes_out});
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
  if (!overlays_.empty()) query.sender = overlays_.front().node.position();
  dht::NativeCodec{}.encode(query, out);
  return out;
}

std::vector<dht::Datagram> Overlays::take_datagrams() { return std::exchange(datagrams_, {}); }
std::vector<OverlayEvent> Overlays::take_events() { return std::exchange(events_, {}); }

}  // namespace shoal::swarm
