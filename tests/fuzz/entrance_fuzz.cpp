// A stranger's stream from its first byte: noise, or the flights of a genuine dialler of either form with the
// input laid over them, in any cuts; then what follows the greeting, into the codec of the peer that it
// became.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "swarm/entrance.hpp"
#include "swarm/mse_wire.hpp"
#include "tests/fuzz/watch.hpp"

namespace {

using namespace shoal;
using namespace shoal::swarm;

Bytes taken(WireCodec& codec, Now now, BufferPool& pool) {
  std::vector<Buffer> frames;
  codec.flush(now, frames);
  Bytes out;
  for (Buffer& frame : frames) {
    append(out, frame.view());
    pool.give(std::move(frame));
  }
  return out;
}

void lay_over(Bytes& bytes, std::size_t at, ByteView input) {
  for (std::size_t i = 0; i < input.size(); ++i) {
    if (at + i < bytes.size())
      bytes[at + i] ^= input[i];
    else
      bytes.push_back(input[i]);
  }
}

// What the host would give on after the admission.
void follow(Entrance::Admission& admission, const BtParams& params, ByteView more, Now now,
            BufferPool& pool) {
  if (admission.content != 1) std::abort();
  if (admission.way() == Way::native) return;
  const bool hidden = admission.way() == Way::obfuscated;
  const std::unique_ptr<WireCodec> codec =
      hidden ? std::unique_ptr<WireCodec>{MseWire::make_answerer(params, std::move(*admission.mse), pool)}
             : std::unique_ptr<WireCodec>{BtWire::make_answerer(params, pool)};
  std::vector<wire::Message> messages;
  if (!codec->receive(now, admission.bytes, messages)) return;
  if (codec->receive(now, more, messages)) static_cast<void>(taken(*codec, now, pool));
}

}  // namespace

// Both ends of the stream are here, and what waits between them.
const shoal::fuzz::Bounds shoal::fuzz::bounds{.heap_per_byte = 2 * sizeof(wire::Message), .heap = 256 << 10};

void shoal::fuzz::one(ByteView input) {
  if (input.size() < 4) return;
  const std::size_t step = 1 + input[0], at = input[1] + 256U * (input[2] % 4U);
  const std::uint8_t form = input[3];
  const ByteView rest = input.subspan(4);
  const InfoHash name{1};
  const BtParams params{.info_hash = name, .accepted = {name}, .peer_id = {2}, .v2 = {}};
  const BtParams theirs{.info_hash = name, .accepted = {name}, .peer_id = {3}, .v2 = {}};
  const Now now{Instant{} + std::chrono::seconds{100}, from_unix_ms(1'790'000'000'000)};
  BufferPool pool;
  Random random{ByteArray<32>{form}};
  Entrance entrance{static_cast<Obfuscation>(form % 3)};
  entrance.info_hashes().set(1, {name});
  constexpr StreamId stream = accepted_stream + 1;
  if (!entrance.accept(now, stream, {*IpAddress::parse("20.0.0.1"), 1000})) std::abort();

  std::unique_ptr<WireCodec> dialler;
  if ((form & 4) != 0) dialler = BtWire::make_dialler(theirs, pool);
  if ((form & 12) == 8) dialler = MseWire::make_dialler(theirs, {}, random, pool);
  Bytes waits = dialler ? taken(*dialler, now, pool) : Bytes{};
  bool laid = (form & 16) != 0 && dialler;  // over a later flight instead of the first
  if (!laid) lay_over(waits, at, rest);
  for (std::size_t read = 0; read < waits.size();) {
    const std::size_t bytes = std::min(step, waits.size() - read);
    Entrance::Admission admission =
        entrance.received(now, stream, ByteView{waits}.subspan(read, bytes), random);
    read += bytes;
    std::vector<wire::Message> heard;
    if (dialler && !admission.reply.empty() && dialler->receive(now, admission.reply, heard))
      append(waits, taken(*dialler, now, pool));
    if (std::exchange(laid, false)) lay_over(waits, read + at % 64, rest);
    if (admission.verdict == Entrance::Verdict::wait) continue;
    if (admission.verdict == Entrance::Verdict::admit)
      follow(admission, params, ByteView{waits}.subspan(read), now, pool);
    return;
  }
  if (entrance.next_wake() == never) std::abort();  // it waits, and not for ever
}
