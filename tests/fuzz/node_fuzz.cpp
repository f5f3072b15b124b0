// A node under arbitrary datagrams and times: no crash, nothing unproven in its table, bounded output. The
// input is a script: each step takes a command byte, then what it needs. Replies can be steered to match
// queries in flight, so that the code behind the transaction check is reached as well.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "dht/limits.hpp"
#include "dht/native_codec.hpp"
#include "dht/node.hpp"

namespace {

using namespace shoal;

class Script {
 public:
  explicit Script(ByteView bytes) : rest_(bytes) {}
  [[nodiscard]] bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t out = rest_[0];
    rest_ = rest_.subspan(1);
    return out;
  }
  ByteView take(std::size_t most) {
    const ByteView out = rest_.first(std::min(most, rest_.size()));
    rest_ = rest_.subspan(out.size());
    return out;
  }
  Key key() {
    Key out;
    const ByteView raw = take(4);
    std::copy(raw.begin(), raw.end(), out.bytes.begin());
    return out;
  }

 private:
  ByteView rest_;
};

Endpoint place(std::uint8_t byte) {
  return {IpAddress::v4(byte < 128 ? 0x7f000001 : (20U << 24) + (std::uint32_t{byte} << 8) + 1),
          static_cast<std::uint16_t>(1000 + byte)};
}

struct InFlight {
  Endpoint to;
  dht::TransactionId id;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal::dht;
  crypto::initialise();
  Script script{{data, size}};
  const NativeCodec codec;
  NodeConfig config;
  config.identity = crypto::SigningKey::from_seed({});
  config.scope = script.byte() % 2 == 0 ? Scope::local : Scope::internet;
  config.max_stored_records = 64;
  Now now{Instant{std::chrono::seconds{1000}}, WallTime{std::chrono::milliseconds{1'760'000'000'000}}};
  Node node{now, config, std::make_unique<NativeCodec>(), Random{{}}};
  NodeOutput out;
  std::vector<InFlight> in_flight;
  const auto settle = [&] {
    if (out.datagrams.size() > 4096) std::abort();
    for (const Datagram& datagram : out.datagrams) {
      if (datagram.bytes.size() > limits::datagram) std::abort();
      const auto message = codec.decode(datagram.bytes);
      if (!message) std::abort();  // we never send what we would refuse
      if (const auto* query = std::get_if<Query>(&*message))
        in_flight.push_back({datagram.to, query->transaction});
    }
    out.datagrams.clear();
    out.events.clear();
  };
  for (int step = 0; step < 200 && !script.empty(); ++step) {
    switch (script.byte() % 8) {
      case 0: {
        const Endpoint from = place(script.byte());
        node.handle(now, from, script.take(script.byte()), out);
        break;
      }
      case 1: {  // a right header before arbitrary bytes
        Bytes framed{native_first_byte};
        append_be(framed, native_network_id);
        const Endpoint from = place(script.byte());
        append(framed, script.take(script.byte()));
        node.handle(now, from, framed, out);
        break;
      }
      case 2: {  // a reply to something that was asked
        if (in_flight.empty()) break;
        const InFlight asked = in_flight[script.byte() % in_flight.size()];
        Reply reply;
        reply.transaction = asked.id;
        reply.sender = script.key();
        const std::uint8_t shape = script.byte();
        if ((shape & 1) != 0) reply.observed = place(script.byte());
        if ((shape & 2) != 0) reply.proof = Proof{};
        const ByteView record = script.take(shape >> 4 << 3);
        if (!record.empty()) reply.records.push(record);
        if ((shape & 4) != 0) reply.token = script.take(8);
        reply.records_held = shape;
        for (int i = 0; i < (shape & 15); ++i) reply.nodes.push({script.key(), place(script.byte())});
        Bytes bytes;
        codec.encode(Message{reply}, bytes);
        node.handle(now, asked.to, bytes, out);
        break;
      }
      case 3: {
        const Duration ahead = std::chrono::milliseconds{script.byte() * 20};
        now.mono += ahead;
        now.wall += std::chrono::duration_cast<std::chrono::milliseconds>(ahead);
        node.tick(now, out);
        if (node.next_wake() < now.mono - std::chrono::hours{1}) std::abort();
        break;
      }
      case 4: {
        const Endpoint endpoint = place(script.byte());
        node.bootstrap(now, std::span{&endpoint, 1}, out);
        break;
      }
      case 5:
        node.get_records(now, script.key(), script.byte(), out);
        break;
      case 6:
        node.ask(now, place(script.byte()), script.key(), out);
        break;
      default:
        node.put_record(now, script.key(), Bytes(368, script.byte()), {}, out);
        break;
    }
    settle();
  }
  if (node.stats().contacts != 0) std::abort();  // nobody here can sign
  return 0;
}
