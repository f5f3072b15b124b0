// `dht`: questions to the DHT, each by a peer without contents that joins, asks, tells and leaves.
#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "cli/commands.hpp"
#include "cli/peer_process.hpp"
#include "cli/source.hpp"
#include "dht/base/bencode.hpp"
#include "dht/base/crypto.hpp"
#include "storage/names.hpp"
#include "swarm/info_hash.hpp"

namespace shoal::cli {
namespace {

using swarm::InfoHash;

double milliseconds(Duration duration) { return seconds(duration) * 1000; }

// Asked once there is a contact: a search from an empty table ends at once. It is given up after half of
// --wait's usual minute without one.
class Question : public Duty {
 public:
  Question(CommandRoom& room, PeerProcess& peer, std::optional<swarm::Dialect> dialect)
      : room_(room), peer_(peer), dialect_(dialect) {}

  void begin(const std::vector<Endpoint>& hints) override {
    if (!hints.empty()) peer_.host().command(swarm::Bootstrap{hints});
  }
  void second() override {
    contacts_changed();  // it may have been before we began
    if (asked_ || peer_.finishing()) return;
    room_.report.progress("joining the DHT");
    if (++seconds_ >= give_up_after) nobody();
  }
  void contacts_changed() override {
    if (asked_ || contacts() == 0) return;
    asked_ = true;
    ask();
  }
  Farewell interrupted() override { return {Exit::interrupted, ""}; }

 protected:
  static constexpr int give_up_after = 30;  // seconds

  virtual void ask() = 0;

  template <class Command>
  void put(Command command) {
    asked_at_ = peer_.host().now().mono;
    peer_.host().command(std::move(command));
  }
  [[nodiscard]] Duration since_asked() const { return peer_.host().now().mono - asked_at_; }
  void failed(Exit exit, std::string sentence) {
    room_.report.failure({exit, std::move(sentence), {}});
    peer_.finish(exit);
  }
  void nobody() {
    failed(Exit::no_contact, "not one contact answered; give a node with --bootstrap HOST:PORT");
  }
  static EventLine with_figures(EventLine line, const swarm::LookupAnswer& answer) {
    return line.count("asked", answer.asked)
        .count("answered", answer.answered)
        .count("hops", answer.hops)
        .number("ms", milliseconds(answer.took));
  }
  void say_figures(const swarm::LookupAnswer& answer) {
    room_.report.say(fmt::format("{} asked, {} answered, {} hops, {:.0f} ms", answer.asked, answer.answered,
                                 answer.hops, milliseconds(answer.took)));
  }

  CommandRoom& room_;
  PeerProcess& peer_;

 private:
  [[nodiscard]] std::uint32_t contacts() const {
    std::uint32_t out = 0;
    for (const swarm::DhtStatus& dht : peer_.host().session().dht())
      if (!dialect_ || dht.dialect == *dialect_) out += dht.contacts;
    return out;
  }

  std::optional<swarm::Dialect> dialect_;  // whose contacts are needed; none: anybody's
  int seconds_ = 0;
  bool asked_ = false;
  Instant asked_at_{};
};

class Ping final : public Duty {
 public:
  Ping(CommandRoom& room, PeerProcess& peer) : room_(room), peer_(peer) {}

  void begin(const std::vector<Endpoint>& hints) override {
    if (hints.empty())
      failed("this node has no address that could be asked");
    else
      peer_.host().command(swarm::DhtPing{hints.front()});
  }
  void answered(const swarm::Answer& answer) override {
    const auto* ping = std::get_if<swarm::PingAnswer>(&answer.what);
    if (ping == nullptr || peer_.finishing()) return;
    if (!ping->position) {
      failed(fmt::format("{} does not answer; see that a peer runs there and UDP reaches it",
                         ping->node.to_string()));
      return;
    }
    const std::string position = to_hex(ping->position->bytes);
    const double ms = milliseconds(ping->round_trip);
    room_.report.event(
        EventLine{"pong"}.text("node", ping->node.to_string()).text("position", position).number("ms", ms));
    room_.report.data(fmt::format("{} {} {:.1f} ms", ping->node.to_string(), position, ms));
    peer_.finish(Exit::done);
  }
  Farewell interrupted() override { return {Exit::interrupted, ""}; }

 private:
  void failed(std::string sentence) {
    room_.report.failure({Exit::no_contact, std::move(sentence), {}});
    peer_.finish(Exit::no_contact);
  }
  CommandRoom& room_;
  PeerProcess& peer_;
};

// `find`, and `stats`, which looks for nobody in particular in order to see the network.
class Find final : public Question {
 public:
  Find(CommandRoom& room, PeerProcess& peer) : Question(room, peer, std::nullopt) {
    if (room.options.target)
      target_ = *room.options.target;
    else
      crypto::system_random(target_.bytes);
  }

 private:
  void ask() override { put(swarm::DhtFind{target_}); }

  void answered(const swarm::Answer& answer) override {
    const auto* find = std::get_if<swarm::LookupAnswer>(&answer.what);
    if (find == nullptr || peer_.finishing()) return;
    if (room_.options.verb == Verb::dht_stats)
      show_stats();
    else
      show_nodes(*find);
    if (find->answered == 0)
      nobody();
    else
      peer_.finish(Exit::done);
  }

  void show_nodes(const swarm::LookupAnswer& find) {
    std::vector<std::string> nodes;
    for (const dht::FoundNode& each : find.closest) {
      nodes.push_back(fmt::format("{} {}", to_hex(each.id.bytes), each.endpoint.to_string()));
      room_.report.data(nodes.back());
    }
    room_.report.event(with_figures(
        EventLine{"found"}.text("target", to_hex(target_.bytes)).list("nodes", std::move(nodes)), find));
    say_figures(find);
  }

  void show_stats() {
    for (const swarm::DhtStatus& dht : peer_.host().session().dht()) {
      const char* family = dht.family == Family::v4 ? "IPv4" : "IPv6";
      const bool native = dht.dialect == swarm::Dialect::native;
      const std::string external = dht.external ? dht.external->to_string() : "";
      room_.report.event(EventLine{"dht"}
                             .text("dialect", native ? "native" : "mainline")
                             .text("family", family)
                             .text("position", to_hex(dht.position.bytes))
                             .count("contacts", dht.contacts)
                             .count("records", dht.records)
                             .number("estimated_nodes", dht.estimated_nodes)
                             .text("external", external)
                             .flag("reachable", dht.reachable)
                             .count("queries_in", dht.queries_in)
                             .count("queries_out", dht.queries_out)
                             .count("bytes_in", dht.bytes_in)
                             .count("bytes_out", dht.bytes_out));
      room_.report.data(fmt::format("{}, {}: {} contacts of about {:.0f} nodes, seen from outside as {}, {}",
                                    native ? "shoal" : "BitTorrent", family, dht.contacts,
                                    dht.estimated_nodes, external.empty() ? "(not known)" : external,
                                    dht.reachable ? "reachable" : "not known to be reachable"));
    }
  }

  Key target_;
};

// `peers`: one name after another, in the order given; a hybrid has two.
class Peers final : public Question {
 public:
  Peers(CommandRoom& room, PeerProcess& peer, std::vector<InfoHash> names)
      : Question(room, peer, swarm::Dialect::mainline), names_(std::move(names)) {}

 private:
  void ask() override {
    found_.clear();
    first_after_.reset();
    put(swarm::DhtGetPeers{names_[next_]});
  }

  void answered(const swarm::Answer& answer) override {
    if (peer_.finishing()) return;
    if (const auto* peers = std::get_if<swarm::PeersAnswer>(&answer.what)) found(*peers);
    if (const auto* end = std::get_if<swarm::LookupAnswer>(&answer.what)) ended(*end);
  }

  void found(const swarm::PeersAnswer& answer) {
    if (!first_after_) first_after_ = since_asked();
    for (const Endpoint& peer : answer.peers) {
      found_.push_back(peer.to_string());
      room_.report.data(names_.size() == 1 ? found_.back() : to_hex(names_[next_]) + " " + found_.back());
    }
  }

  void ended(const swarm::LookupAnswer& end) {
    if (end.answered == 0 && found_.empty()) {
      nobody();
      return;
    }
    const std::string name = to_hex(names_[next_]);
    if (found_.empty()) missing_.push_back(name);
    EventLine line{"peers"};
    line.text("name", name).list("peers", std::move(found_));
    if (first_after_) line.number("first_ms", milliseconds(*first_after_));
    room_.report.event(with_figures(std::move(line), end));
    say_figures(end);
    if (++next_ < names_.size())
      ask();
    else if (missing_.empty())
      peer_.finish(Exit::done);
    else
      failed(Exit::no_peer, fmt::format("nobody is announced under {}; see that whoever shares it is online",
                                        fmt::join(missing_, ", ")));
  }

  std::vector<InfoHash> names_;
  std::size_t next_ = 0;
  std::vector<std::string> found_, missing_;
  std::optional<Duration> first_after_;
};

// The one string that most items are, escaped for display; anything else as it is encoded.
std::string shown_value(ByteView value) {
  const auto document = bencode::Document::parse(value, {});
  const auto text = document ? document->root().text() : std::nullopt;
  return storage::escape_for_display(text ? *text : as_text(value));
}

class GetItem final : public Question {
 public:
  GetItem(CommandRoom& room, PeerProcess& peer)
      : Question(room, peer, swarm::Dialect::mainline), salt_(to_vector(as_bytes(room.options.salt))) {}

 private:
  void ask() override {
    const auto& author = room_.options.author;
    put(swarm::DhtGetItem{author ? dht::mutable_target(*author, salt_) : *room_.options.target, salt_});
  }

  // Of an immutable one the first is all there is; of another the newest counts, and so the end.
  void answered(const swarm::Answer& answer) override {
    if (peer_.finishing()) return;
    if (const auto* item = std::get_if<swarm::ItemAnswer>(&answer.what)) {
      if (!newest_ || newest_->sequence < item->item.sequence) newest_ = item->item;
      if (!room_.options.author) tell(*newest_);
    }
    const auto* end = std::get_if<swarm::LookupAnswer>(&answer.what);
    if (end == nullptr || peer_.finishing()) return;
    if (newest_)
      tell(*newest_);
    else if (end->answered == 0)
      nobody();
    else
      failed(Exit::no_peer, "nobody has this item; it lives for two hours after it was put");
  }

  void tell(const dht::Item& item) {
    const std::string value = shown_value(item.value);
    EventLine line{"item"};
    line.text("value", value).text("encoded", to_hex(item.value)).number("ms", milliseconds(since_asked()));
    if (item.public_key) line.integer("sequence", item.sequence);
    room_.report.event(line);
    room_.report.data(value);
    peer_.finish(Exit::done);
  }

  Bytes salt_;
  std::optional<dht::Item> newest_;
};

// A mutable item is read before it is written: its number must rise.
class PutItem final : public Question {
 public:
  PutItem(CommandRoom& room, PeerProcess& peer, Bytes value, const std::optional<crypto::SigningKey>& author)
      : Question(room, peer, swarm::Dialect::mainline), author_(author) {
    put_.item.value = std::move(value);
    put_.item.salt = to_vector(as_bytes(room.options.salt));
  }

 private:
  void ask() override {
    if (author_)
      put(swarm::DhtGetItem{dht::mutable_target(author_->public_key, put_.item.salt), put_.item.salt});
    else
      put(swarm::DhtPutItem{put_});
  }

  void answered(const swarm::Answer& answer) override {
    if (peer_.finishing()) return;
    if (const auto* item = std::get_if<swarm::ItemAnswer>(&answer.what))
      put_.expected = std::max(put_.expected.value_or(item->item.sequence), item->item.sequence);
    if (std::holds_alternative<swarm::LookupAnswer>(answer.what)) write();
    if (const auto* end = std::get_if<swarm::PutAnswer>(&answer.what)) tell(*end);
  }

  void write() {
    if (put_.expected == std::numeric_limits<std::int64_t>::max()) {
      failed(Exit::taken, "the item there has the last number there is; choose another --salt");
      return;
    }
    put_.item = dht::make_item(*author_, std::move(put_.item.salt), put_.expected.value_or(0) + 1,
                               std::move(put_.item.value));
    put(swarm::DhtPutItem{put_});
  }

  void tell(const swarm::PutAnswer& end) {
    if (end.stored == 0) {
      if (end.refused == 0)
        nobody();
      else
        failed(Exit::taken,
               "every node refused it: somebody wrote there meanwhile; run the same command again");
      return;
    }
    const std::string key = author_
                                ? to_hex(author_->public_key)
                                : to_hex(ByteView{dht::immutable_target(put_.item.value).bytes}.first(20));
    EventLine line{"stored"};
    line.text("key", key).count("nodes", end.stored);
    if (author_) line.integer("sequence", put_.item.sequence);
    room_.report.event(line);
    room_.report.data(key);
    room_.report.say(fmt::format("{} nodes keep it for two hours", end.stored));
    peer_.finish(Exit::done);
  }

  std::optional<crypto::SigningKey> author_;
  dht::ItemPut put_;
};

// The names of a content in BitTorrent's DHT: v1's, and v2's cut short.
Outcome<void> add_names(const std::string& argument, std::vector<InfoHash>& out) {
  if (const auto raw = from_hex(argument); raw && raw->size() == InfoHash{}.size()) {
    out.push_back(to_array<20>(*raw));
    return {};
  }
  const auto source = read_source(argument);
  if (!source) return std::unexpected(source.error());
  const auto* link = std::get_if<storage::Link>(&*source);
  const storage::Content* content =
      link == nullptr ? std::get<storage::Torrent>(*source).content.get() : nullptr;
  if (content != nullptr ? content->sealed || content->is_private : !link->is_public)
    return give_up(Exit::usage, fmt::format("'{}' is announced to no public DHT; give a magnet link",
                                            storage::escape_for_display(argument)));
  const auto& v1 = content != nullptr ? content->v1 : link->v1;
  const storage::ContentId& id = content != nullptr ? content->id : link->id;
  if (v1) out.push_back(*v1);
  if (!v1 || id != storage::id_of_v1(*v1)) out.push_back(to_array<20>(ByteView{id}.first(20)));
  return {};
}

// Of items that this state signs. Not the node's own key, which the DHT knows by its address.
crypto::SigningKey item_key(const storage::Identity& identity) {
  return crypto::SigningKey::from_seed(crypto::blake2b<32>(as_bytes("shoal: key of items"), identity.seed));
}

Outcome<Bytes> item_value(const std::string& argument) {
  Bytes text = to_vector(as_bytes(argument));
  if (argument == "-") {
    auto read = read_to_end(STDIN_FILENO, dht::item_value_most);
    if (!read)
      return give_up(Exit::usage, "stdin could not be read, or holds more than the 996 bytes of an item");
    text = std::move(*read);
  }
  Bytes value;
  bencode::Writer{value}.string(text);
  if (value.size() > dht::item_value_most)
    return give_up(Exit::usage, fmt::format("an item has at most 996 bytes, and this {}", text.size()));
  return value;
}

// What the command line says is judged before anybody is asked.
Outcome<std::unique_ptr<Duty>> duty_of(CommandRoom& room, PeerProcess& peer, const OpenState& state) {
  switch (room.options.verb) {
    case Verb::dht_ping:
      return std::make_unique<Ping>(room, peer);
    case Verb::dht_peers: {
      std::vector<InfoHash> names;
      for (const std::string& each : room.options.contents)
        if (const auto ok = add_names(each, names); !ok) return std::unexpected(ok.error());
      return std::make_unique<Peers>(room, peer, std::move(names));
    }
    case Verb::dht_get:
      return std::make_unique<GetItem>(room, peer);
    case Verb::dht_put: {
      auto value = item_value(room.options.source);
      if (!value) return std::unexpected(value.error());
      std::optional<crypto::SigningKey> author;
      if (room.options.permanence == Permanence::changeable) {
        if (!state.identity_lock)
          return give_up(Exit::taken,
                         "another command uses this state's keys; stop it first, or give another --state");
        author = item_key(state.identity);
      }
      return std::make_unique<PutItem>(room, peer, std::move(*value), author);
    }
    default:
      return std::make_unique<Find>(room, peer);
  }
}

}  // namespace

Outcome<Exit> dht_command(CommandRoom& room) {
  auto state = open_state(room.options.state, Use::with_identity, room.environment);
  if (!state) return std::unexpected(state.error());
  PeerProcess peer{room.options, room.report, room.reactor, **state};
  const auto duty = duty_of(room, peer, **state);
  if (!duty) return std::unexpected(duty.error());
  if (auto opened = peer.open(swarm::Role::visitor, {}); !opened) return std::unexpected(opened.error());
  std::vector<storage::HostPort> hosts;
  if (room.options.node) hosts.push_back(*room.options.node);
  return peer.run(**duty, hosts);
}

}  // namespace shoal::cli
