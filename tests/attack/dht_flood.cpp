// Floods a DHT node with puts from many addresses (THREATS A14, A15).
//   dht_flood NODE:PORT FIRST-SOURCE SOURCES MANNER records|peers|items RATE PUTS SECONDS
// MANNER: `forged` puts with tokens that were never given; `put` asks for a token first, as an honest node
// does; `look` only asks, and counts the answers that hold something. RATE questions or forged puts a second,
// until PUTS are sent (of `look`: asked) or SECONDS are over. What is put depends on FIRST-SOURCE: the same
// again is `look`ed for. Prints `ready` when it begins, and in the end one JSON object.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include <poll.h>

#include "dht/base/check.hpp"
#include "dht/base/random.hpp"
#include "dht/item.hpp"
#include "dht/krpc_codec.hpp"
#include "dht/mainline_id.hpp"
#include "dht/native_codec.hpp"
#include "dht/record.hpp"
#include "dht/subject.hpp"
#include "dht/swarm_keys.hpp"
#include "tests/attack/flood.hpp"

namespace shoal::attack {
namespace {

constexpr std::size_t batch = 64, datagram_most = 2048;
constexpr std::uint64_t put_mark = 1ULL << 63;  // in the transaction: a put's answer, not a question's

// Room for one control message.
struct Control {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(in6_pktinfo))> bytes{};
};

// One socket that sends from any address and hears what comes to any.
class Line {
 public:
  explicit Line(const Endpoint& node)
      : node_(socket_name(node)), v6_(node.address.family == Family::v6), slots_(batch) {
    fd_ = ::socket(v6_ ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    Endpoint any;
    any.address.family = node.address.family;
    SocketName own = socket_name(any);
    constexpr int on = 1, room = 32 << 20;
    // An address of a routed network is our own in IPv4; in IPv6 it must be asked for.
    if (v6_) SHOAL_CHECK(::setsockopt(fd_, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on) == 0);
    SHOAL_CHECK(fd_ >= 0 && ::bind(fd_, own.get(), own.size) == 0);
    SHOAL_CHECK(::setsockopt(fd_, v6_ ? IPPROTO_IPV6 : IPPROTO_IP, v6_ ? IPV6_RECVPKTINFO : IP_PKTINFO, &on,
                             sizeof on) == 0);
    (void)::setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    own_port_ = [&] {
      SHOAL_CHECK(::getsockname(fd_, own.get(), &own.size) == 0);
      return ntohs(reinterpret_cast<sockaddr_in*>(&own.storage)->sin_port);  // at one place in both families
    }();
  }
  [[nodiscard]] int descriptor() const { return fd_; }
  [[nodiscard]] std::uint16_t own_port() const { return own_port_; }

  // Leaves with the others of its batch, or at flush().
  void send(const IpAddress& from, Bytes bytes) {
    Slot& slot = slots_[used_++];
    slot.bytes = std::move(bytes);
    slot.part = {slot.bytes.data(), slot.bytes.size()};
    msghdr& message = messages_[used_ - 1].msg_hdr;
    message = {};
    message.msg_name = node_.get();
    message.msg_namelen = node_.size;
    message.msg_iov = &slot.part;
    message.msg_iovlen = 1;
    if (v6_) {
      in6_pktinfo info{};
      std::memcpy(&info.ipi6_addr, from.bytes.data(), 16);
      put_control(message, slot.control, IPPROTO_IPV6, IPV6_PKTINFO, info);
    } else {
      in_pktinfo info{};
      std::memcpy(&info.ipi_spec_dst, from.bytes.data(), 4);
      put_control(message, slot.control, IPPROTO_IP, IP_PKTINFO, info);
    }
    if (used_ == batch) flush();
  }
  void flush() {
    for (std::size_t sent = 0; sent < used_;) {
      const int done = ::sendmmsg(fd_, messages_.data() + sent, static_cast<unsigned>(used_ - sent), 0);
      if (done > 0) {
        sent += static_cast<std::size_t>(done);
        continue;
      }
      SHOAL_CHECK(errno == EAGAIN || errno == ENOBUFS || errno == ECONNREFUSED);
      pollfd ready{fd_, POLLOUT, 0};
      (void)::poll(&ready, 1, 10);
    }
    used_ = 0;
  }

  // Calls take(datagram) with each that has come, a few hundred at a time.
  template <class Take>
  void receive(Take take) {
    std::array<std::uint8_t, datagram_most> room;
    for (int count = 0; count < 256; ++count) {
      const ssize_t got = ::recv(fd_, room.data(), room.size(), 0);
      if (got < 0) return;
      take(ByteView{room.data(), static_cast<std::size_t>(got)});
    }
  }

 private:
  struct Slot {
    Bytes bytes;
    iovec part{};
    Control control{};
  };
  template <class T>
  static void put_control(msghdr& message, Control& control, int level, int type, const T& value) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = CMSG_SPACE(sizeof value);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(sizeof value);
    std::memcpy(CMSG_DATA(header), &value, sizeof value);
  }

  SocketName node_;
  bool v6_;
  int fd_ = -1;
  std::uint16_t own_port_ = 0;
  std::vector<Slot> slots_;
  std::array<mmsghdr, batch> messages_{};
  std::size_t used_ = 0;
};

// What is put, by number; several under one key, so that one token serves them.
class Puts {
 public:
  Puts(const Sources& sources, dht::Subject subject, std::uint16_t port)
      : sources_(sources), subject_(subject), port_(port) {}
  [[nodiscard]] std::uint64_t per_key() const { return subject_ == dht::Subject::items ? 1 : 4; }
  [[nodiscard]] IpAddress source(std::uint64_t key) const { return sources_.at(key); }

  [[nodiscard]] dht::QueryBody question(std::uint64_t key) const {
    return dht::get_body(subject_, target(key), dht::NodesWanted::no);
  }
  // `room` keeps what the body's views point to.
  [[nodiscard]] dht::QueryBody put(std::uint64_t key, std::uint64_t number, ByteView token,
                                   dht::Payload& room) {
    switch (subject_) {
      case dht::Subject::records:
        room = record(key, number);
        break;
      case dht::Subject::peers:
        room = dht::PeerPut{.port = static_cast<std::uint16_t>(2000 + number % per_key())};
        break;
      case dht::Subject::items:
        room = dht::ItemPut{item(key), std::nullopt};
        break;
    }
    return dht::put_body(room, target(key), token);
  }

 private:
  [[nodiscard]] ByteArray<32> drawn(std::string_view what, std::uint64_t number) const {
    Bytes seed = to_vector(as_bytes(what));
    append(seed, sources_.at(0).view());
    append_be(seed, number);
    return crypto::blake2b<32>(seed);
  }
  [[nodiscard]] dht::EpochKeys keys(std::uint64_t key) const {
    const dht::ContentId content = drawn("content", key);
    return dht::derive_epoch(content, dht::Days{content}.epoch_at(wall()));
  }
  [[nodiscard]] static WallTime wall() {
    return std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now());
  }
  [[nodiscard]] Key target(std::uint64_t key) const {
    switch (subject_) {
      case dht::Subject::records:
        return keys(key).key;
      case dht::Subject::peers:
        return dht::mainline_key(ByteView{drawn("name", key)}.first(dht::mainline_id_bytes));
      case dht::Subject::items:
        return dht::target_of(item(key).view());
    }
    return {};
  }
  [[nodiscard]] dht::RecordPut record(std::uint64_t key, std::uint64_t number) {
    const dht::EpochKeys epoch = keys(key);
    const auto announcer =
        dht::announcer_keys(drawn("announcer", number), drawn("content", key), epoch.epoch);
    const IpAddress from = source(key);
    dht::RecordInputs inputs;
    inputs.endpoints = {{from, port_}};
    inputs.sequence = dht::next_sequence(announcer, wall(), 0);
    inputs.expiry = dht::draw_expiry(wall(), random_);
    (from.family == Family::v4 ? inputs.v4 : inputs.v6) = from;
    const dht::BuiltRecord built = dht::build_record(epoch, announcer, inputs, random_);
    return {built.bytes, built.salt_for(from.family)};
  }
  // As long as there may be: what fills a store fastest.
  [[nodiscard]] dht::Item item(std::uint64_t key) const {
    dht::Item out;
    out.value = to_vector(as_bytes("995:"));
    append(out.value, drawn("item", key));
    out.value.resize(4 + 995, 'x');
    return out;
  }

  Sources sources_;
  dht::Subject subject_;
  std::uint16_t port_;
  Random random_{{}};
};

struct Counts {
  std::uint64_t asked = 0, puts = 0, accepted = 0, refused = 0, found = 0;
  double agreement = 0;  // as Yardstick has it
};

class Flood {
 public:
  Flood(const Endpoint& node, const Sources& sources, dht::Subject subject)
      : line_(node), puts_(sources, subject, line_.own_port()) {
    if (subject == dht::Subject::records)
      codec_ = std::make_unique<dht::NativeCodec>();
    else
      codec_ = std::make_unique<dht::KrpcCodec>();
    named_ = codec_->traits().askers == dht::Askers::named;
  }

  Counts forge(double rate, std::uint64_t puts, double most) {
    constexpr std::uint64_t different = 4096;  // each from its own source, as it says
    std::vector<Bytes> ready;
    Random random{{}};
    for (std::uint64_t i = 0; i < different; ++i) {
      dht::Payload room;
      const auto token = random.bytes<8>();
      ready.push_back(encoded(i | put_mark, puts_.put(i, i, token, room)));
    }
    const Pace pace = begin(rate);
    while (counts_.puts < puts && pace.passed() < most) {
      for (const std::uint64_t due = std::min(pace.due(), puts); counts_.puts < due; ++counts_.puts)
        line_.send(puts_.source(counts_.puts % different), ready[counts_.puts % different]);
      turn([](std::uint64_t, const dht::Reply&) {});
    }
    return settle();
  }

  Counts put(double rate, std::uint64_t puts, double most) {
    const Pace pace = begin(rate);
    while (counts_.puts < puts && pace.passed() < most) {
      ask(pace.due());
      turn([&](std::uint64_t key, const dht::Reply& reply) {
        for (std::uint64_t i = 0; i < puts_.per_key() && counts_.puts < puts; ++i, ++counts_.puts) {
          const std::uint64_t number = key * puts_.per_key() + i;
          dht::Payload room;
          line_.send(puts_.source(key),
                     encoded(number | put_mark, puts_.put(key, number, reply.token, room)));
        }
      });
    }
    return settle();
  }

  Counts look(double rate, std::uint64_t questions, double most) {
    const Pace pace = begin(rate);
    while (counts_.asked < questions && pace.passed() < most) {
      ask(std::min(pace.due(), questions));
      turn([](std::uint64_t, const dht::Reply&) {});
    }
    return settle();
  }

 private:
  // All is made ready: whoever measures may begin.
  static Pace begin(double rate) {
    std::puts("ready");
    std::fflush(stdout);
    return Pace{rate};
  }
  void ask(std::uint64_t due) {
    for (; counts_.asked < due; ++counts_.asked)
      line_.send(puts_.source(counts_.asked), encoded(counts_.asked, puts_.question(counts_.asked)));
  }
  Bytes encoded(std::uint64_t transaction, const dht::QueryBody& body) {
    dht::Query query;
    query.transaction = dht::TransactionId::from(transaction);
    if (named_) query.sender = dht::mainline_key(ByteView{sender_}.first(dht::mainline_id_bytes));
    query.role = dht::SenderRole::read_only;
    query.body = body;
    Bytes out;
    codec_->encode(query, out);
    return out;
  }
  // Sends what waits, takes what came; on_token(key, reply) for each answer to a question.
  template <class OnToken>
  void turn(OnToken on_token) {
    yardstick_.take();
    line_.flush();
    pollfd ready{line_.descriptor(), POLLIN, 0};
    (void)::poll(&ready, 1, 1);
    line_.receive([&](ByteView datagram) {
      const auto message = codec_->decode(datagram);
      if (!message) return;
      if (const auto* reply = std::get_if<dht::Reply>(&*message)) {
        const auto number = reply->transaction.number();
        if (!number) return;
        if ((*number & put_mark) != 0) {
          ++counts_.accepted;
          return;
        }
        counts_.found += !reply->records.empty() || !reply->peers.empty() || reply->item ? 1 : 0;
        if (!reply->token.empty()) on_token(*number, *reply);
      } else if (std::holds_alternative<dht::Failure>(*message)) {
        ++counts_.refused;
      }
    });
  }
  // The answers that are still on their way.
  Counts settle() {
    for (int turns = 0; turns < 200; ++turns) turn([](std::uint64_t, const dht::Reply&) {});
    counts_.agreement = yardstick_.agreement();
    return counts_;
  }

  Yardstick yardstick_;
  Line line_;
  Puts puts_;
  std::unique_ptr<dht::Codec> codec_;
  bool named_ = false;
  ByteArray<32> sender_ = Random{{}}.bytes<32>();
  Counts counts_;
};

std::optional<dht::Subject> subject_of(std::string_view name) {
  if (name == "records") return dht::Subject::records;
  if (name == "peers") return dht::Subject::peers;
  if (name == "items") return dht::Subject::items;
  return std::nullopt;
}

int run(char** arguments) {
  const auto node = Endpoint::parse(arguments[1]);
  const auto first = IpAddress::parse(arguments[2]);
  const int sources = std::atoi(arguments[3]);
  const std::string_view manner = arguments[4];
  const auto subject = subject_of(arguments[5]);
  if (!node || !first || sources < 1 || !subject) return 2;
  Flood flood{*node, {*first, static_cast<std::uint32_t>(sources)}, *subject};
  const double rate = std::atof(arguments[6]), most = std::atof(arguments[8]);
  const auto puts = static_cast<std::uint64_t>(std::atoll(arguments[7]));
  const Pace clock{1};
  const Counts counts = manner == "forged" ? flood.forge(rate, puts, most)
                        : manner == "put"  ? flood.put(rate, puts, most)
                                           : flood.look(rate, puts, most);
  std::printf(
      "{\"asked\":%llu,\"puts\":%llu,\"accepted\":%llu,\"refused\":%llu,\"found\":%llu,\"seconds\":%.2f,"
      "\"agreement_us\":%.1f}\n",
      static_cast<unsigned long long>(counts.asked), static_cast<unsigned long long>(counts.puts),
      static_cast<unsigned long long>(counts.accepted), static_cast<unsigned long long>(counts.refused),
      static_cast<unsigned long long>(counts.found), clock.passed(), counts.agreement);
  return 0;
}

}  // namespace
}  // namespace shoal::attack

int main(int count, char** arguments) {
  const int code = count == 9 ? shoal::attack::run(arguments) : 2;
  if (code == 2)
    std::fputs(
        "usage: dht_flood NODE:PORT FIRST-SOURCE SOURCES forged|put|look records|peers|items RATE PUTS "
        "SECONDS\n",
        stderr);
  return code;
}
