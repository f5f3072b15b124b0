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
#include "tests/fuzz/script.hpp"
#include "tests/fuzz/watch.hpp"

namespace {

using namespace shoal;

using fuzz::Script;

Key key_of(Script& script) {
  Key out;
  out.bytes = script.array<32>(4);
  return out;
}

Endpoint place(std::uint8_t byte) {
  return {IpAddress::v4(byte < 128 ? 0x7f000001 : (20U << 24) + (std::uint32_t{byte} << 8) + 1),
          static_cast<std::uint16_t>(1000 + byte)};
}

struct InFlight {
  Endpoint to;
  dht::TransactionId id;
};

}  // namespace

// A whole node with its tables, and up to 200 steps of it.
const shoal::fuzz::Bounds shoal::fuzz::bounds{
    .time = std::chrono::milliseconds{50}, .heap_per_byte = 0, .heap = 4 << 20};

void shoal::fuzz::one(ByteView input) {
  using namespace dht;
  crypto::initialise();
  Script script{input};
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
        reply.sender = key_of(script);
        const std::uint8_t shape = script.byte();
        if ((shape & 1) != 0) reply.observed = place(script.byte());
        if ((shape & 2) != 0) reply.proof = Proof{};
        const ByteView record = script.take(shape >> 4 << 3);
        if (!record.empty()) reply.records.push(record);
        if ((shape & 4) != 0) reply.token = script.take(8);
        reply.records_held = shape;
        for (int i = 0; i < (shape & 15); ++i) reply.nodes.push({key_of(script), place(script.byte())});
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
        node.get_records(now, key_of(script), script.byte(), out);
        break;
      case 6:
        node.ask(now, place(script.byte()), key_of(script), out);
        break;
      default:
        node.put_record(now, key_of(script), Bytes(368, script.byte()), {}, out);
        break;
    }
    settle();
    stepped();
  }
  if (node.stats().contacts != 0) std::abort();  // nobody here can sign
}
