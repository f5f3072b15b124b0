// BitTorrent's stream: whatever comes behind (or instead of) a handshake, in any cuts, what is held stays
// bounded.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "swarm/bt_wire.hpp"
#include "tests/fuzz/watch.hpp"

namespace {
constexpr std::size_t most_step = 256, shortest_message = 4;
}
// Beyond a decoder's: the messages that one step completes are values of many bytes, in a vector that takes
// three times its room while it grows.
const shoal::fuzz::Bounds shoal::fuzz::bounds{.heap = decoder.heap + 3 * most_step / shortest_message *
                                                                         sizeof(swarm::wire::Message)};

void shoal::fuzz::one(ByteView input) {
  using namespace swarm;
  if (input.size() < 2) return;
  const std::size_t step = 1 + input[0];
  const bool greeted = (input[1] & 1) != 0;
  const ByteView rest = input.subspan(2);
  BufferPool pool;
  BtParams params;
  params.accepted = {params.info_hash};
  params.peer_id = {1};
  params.v2 = params.info_hash;
  const auto wire = BtWire::make_answerer(params, pool);
  std::vector<wire::Message> out;
  if (greeted) {
    params.peer_id = {2};
    std::vector<Buffer> hello;
    BtWire::make_dialler(params, pool)->flush({}, hello);
    if (!wire->receive({}, hello[0].view(), out)) std::abort();
  }
  for (std::size_t at = 0; at < rest.size(); at += step) {
    const bool taken = wire->receive({}, rest.subspan(at, std::min(step, rest.size() - at)), out).has_value();
    if (wire->held() > std::min(input.size(), max_pieces_bytes) + 68) std::abort();
    if (!taken && wire->held() != 0) std::abort();
    if (!taken) break;
    for (wire::Message& message : out)
      if (auto* block = std::get_if<wire::Block>(&message)) pool.give(std::move(block->data));
    out.clear();
  }
}
