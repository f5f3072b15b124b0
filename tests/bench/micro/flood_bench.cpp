// What strangers can make a peer spend (THREATS A15, A31): a whole session's turn for each datagram or first
// flight of a flood, all that the host does beside its system calls.
#include <benchmark/benchmark.h>

#include "dht/krpc_codec.hpp"
#include "dht/native_codec.hpp"
#include "swarm/mse.hpp"
#include "swarm/native_channel.hpp"
#include "swarm/session.hpp"
#include "tests/unit/dht/announcements.hpp"

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;

class Flooded {
 public:
  Flooded() {
    crypto::initialise();
    SessionConfig config;
    config.identity = {1};
    config.mainline = true;
    config.listen_port = 6881;
    config.role = Role::bootstrap_node;
    session_.emplace(std::move(config), pool_);
    feed(Tick{});
    OpenContent sealed;
    sealed.id = {1, 2, 3};
    sealed.folder = "/nowhere";
    feed(CommandIn{1, sealed});
  }
  void feed(Input input) {
    session_->handle(now, std::move(input), out_);
    for (Output& output : out_)
      if (auto* write = std::get_if<Write>(&output)) pool_.give(std::move(write->bytes));
    outputs += out_.size();
    out_.clear();
  }

  Now now = dht::test::at_second(0);
  std::uint64_t outputs = 0;

 private:
  BufferPool pool_{64};
  std::optional<Session> session_;
  std::vector<Output> out_;
};

std::vector<Bytes> puts_with_bad_tokens(bool native) {
  Random random{{}};
  std::vector<Bytes> out;
  for (int i = 0; i < 1024; ++i) {
    dht::Query query;
    query.transaction = dht::TransactionId::from(random.next());
    const Bytes record(368, 1), token = to_vector(random.bytes<16>());
    dht::PutRecordQuery put;
    put.target = Key{random.bytes<32>()};
    put.token = token;
    put.record = record;
    dht::AnnouncePeerQuery announce;
    announce.target = put.target;
    announce.token = token;
    announce.port = 5000;
    query.sender = native ? std::nullopt : std::optional{Key{random.bytes<32>()}};
    if (native)
      query.body = put;
    else
      query.body = announce;
    if (native)
      dht::NativeCodec{}.encode(query, out.emplace_back());
    else
      dht::KrpcCodec{}.encode(query, out.emplace_back());
  }
  return out;
}

// So many a second, from 16,384 addresses: at 4,000 all are looked at, of 50,000 most are one too many.
void flood_of_puts(benchmark::State& state, bool native) {
  Flooded peer;
  const std::vector<Bytes> puts = puts_with_bad_tokens(native);
  const Duration gap{1'000'000 / state.range(0)};
  std::uint32_t i = 0;
  const auto next = [&] {
    peer.now.mono += gap;
    peer.feed(DatagramIn{
        {dht::test::public_host(i % 16'384, 1), 5000}, puts[i % puts.size()], DatagramIn::Via::own_port});
    ++i;
  };
  while (i < 200'000) next();  // bursts are over
  for (auto _ : state) next();
}
BENCHMARK_CAPTURE(flood_of_puts, native, true)->Arg(4'000)->Arg(50'000);
BENCHMARK_CAPTURE(flood_of_puts, mainline, false)->Arg(4'000)->Arg(50'000);

// A stream that is accepted, brings a first flight of noise and is shunned for it.
void junk_first_flights(benchmark::State& state) {
  Flooded peer;
  Random random{{}};
  StreamId stream = accepted_stream;
  Bytes junk(first_flight_bytes);
  for (auto _ : state) {
    peer.now.mono += 10us;
    store_be(junk.data(), random.next());
    ++stream;
    peer.feed(StreamAccepted{stream, {dht::test::public_host(stream % 16'384, 1), 5000}});
    peer.feed(StreamReceived{stream, junk});
  }
}
BENCHMARK(junk_first_flights);

// What the budget of handshakes is about: the answer to a greeting that looks like MSE's, and to a native one
// that a member made, or that only begins with a tag.
void answer_to_mse(benchmark::State& state) {
  Random random{{}};
  Bytes first(96);
  InfoHashTable none;
  for (auto _ : state) {
    random.fill(first);
    Mse mse = Mse::answerer(none, {.plain = true, .rc4 = true}, random);
    ByteView view = first;
    benchmark::DoNotOptimize(mse.receive(view));
    benchmark::DoNotOptimize(mse.take_reply());
  }
}
BENCHMARK(answer_to_mse)->Unit(benchmark::kMicrosecond);

void answer_to_native(benchmark::State& state, bool member) {
  Random random{{}};
  ChannelParams ours, theirs;
  ours.ours = crypto::ExchangeKey::from_secret(random.bytes<32>());
  theirs.ours = crypto::ExchangeKey::from_secret(random.bytes<32>());
  theirs.remote = ours.ours.public_key;
  for (auto _ : state) {
    state.PauseTiming();
    Bytes flight = *NativeChannel{noise::Role::initiator, theirs, random}.first_flight();
    if (!member) flight.back() ^= 1;
    state.ResumeTiming();
    NativeChannel channel{noise::Role::responder, ours, random};
    ByteView view = flight;
    Bytes reply;
    benchmark::DoNotOptimize(channel.handshake(dht::test::at_second(0), view, reply));
  }
}
BENCHMARK_CAPTURE(answer_to_native, member, true)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(answer_to_native, junk, false)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace shoal::swarm
