// PieceMap and Picker under arbitrary sequences of what peers and disks can do: every invariant is
// recomputed, and whatever is picked must be held, wanted and new to the peer.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <vector>

#include "dht/base/check.hpp"
#include "swarm/picker.hpp"
#include "tests/fuzz/script.hpp"
#include "tests/fuzz/watch.hpp"
#include "tests/unit/swarm/contents.hpp"

namespace {

using namespace shoal;
using namespace shoal::swarm;

constexpr std::uint32_t peer_count = 6;

using fuzz::Script;

struct World {
  storage::ContentPtr content;
  PieceMap map;
  Picker picker;
  std::vector<std::uint32_t> generation = std::vector<std::uint32_t>(peer_count, 0);
  std::vector<std::set<BlockRef>> asked = std::vector<std::set<BlockRef>>(peer_count);
  std::set<BlockRef> arrived;

  explicit World(std::uint32_t pieces)
      : content(test::make_content(4 * storage::block_bytes,
                                   {std::uint64_t{pieces} * 4 * storage::block_bytes - 20000, 1})),
        map(content, Bitfield{content->pieces}),
        picker(map, Random{Random::Seed{}}) {}

  [[nodiscard]] PeerHandle handle(std::uint32_t i) const { return {i, generation[i]}; }

  void join(Script& in, std::uint32_t who) {
    for (const BlockRef block : asked[who]) map.release(handle(who), block);
    asked[who].clear();
    picker.remove_peer(handle(who));
    ++generation[who];
    Bitfield has{content->pieces};
    if (in.below(3) == 0)
      has.set_all();
    else
      for (std::uint32_t i = in.below(8); i > 0; --i) has.set(in.below(content->pieces));
    picker.add_peer(handle(who), has);
  }

  void pick(Script& in, std::uint32_t who) {
    std::vector<BlockRef> out;
    const std::uint32_t want = in.below(20);
    const auto outstanding = static_cast<std::uint32_t>(asked[who].size());
    const double speed = in.below(200) * 1000.0;
    const std::uint32_t unjudged = in.below(limits::unproven_pieces + 1);
    const std::uint32_t got = picker.pick({handle(who), want, outstanding, speed, unjudged}, out);
    SHOAL_CHECK(got == out.size() && got <= want);
    for (const BlockRef block : out) {
      SHOAL_CHECK(picker.has(handle(who), block.piece) && map.wanted(block.piece));
      SHOAL_CHECK(map.block_state(block) == BlockState::requested);
      SHOAL_CHECK(asked[who].insert(block).second);
    }
  }

  void deliver(Script& in, std::uint32_t who) {
    const std::uint32_t piece = in.below(content->pieces);
    BlockRef block{piece, in.below(content->blocks_in(piece))};
    if (!asked[who].empty() && in.below(4) != 0) block = *asked[who].begin();
    const bool known = asked[who].erase(block) > 0;
    const auto how = known || in.below(2) == 0 ? PieceMap::Asked::now : PieceMap::Asked::late;
    const auto arrival = map.arrived(block, handle(who), how);
    SHOAL_CHECK(!known || arrival.verdict != PieceMap::Verdict::unrequested);
    if (arrival.verdict != PieceMap::Verdict::accepted) return;
    for (std::uint32_t i = 0; i < arrival.others; ++i)
      SHOAL_CHECK(asked[arrival.cancel[i].index].erase(block) == 1);
    arrived.insert(block);
  }

  void finish_write(Script& in) {
    if (arrived.empty()) return;
    const BlockRef block = *arrived.begin();
    arrived.erase(block);
    if (in.below(6) == 0) return map.write_failed(block);
    Sha256 leaf{};
    leaf[0] = static_cast<std::uint8_t>(in.below(4) == 0);
    if (map.written(block, leaf) == PieceMap::Progress::more) return;
    const auto leaves = map.leaves(block.piece);
    const std::vector<Sha256> truth(leaves.size());
    const auto wrong = static_cast<std::size_t>(leaves.end() - leaves.begin()) -
                       static_cast<std::size_t>(std::count(leaves.begin(), leaves.end(), Sha256{}));
    if (wrong == 0) return map.verified(block.piece);
    map.failed(block.piece);
    SHOAL_CHECK(map.blame(block.piece, truth).size() == wrong);
  }

  // One of those that are tried again.
  void ask_reserved(std::uint32_t piece, std::uint32_t who) {
    std::vector<BlockRef> out;
    map.request_free(piece, handle(who), 0, 3, out);
    for (const BlockRef block : out) SHOAL_CHECK(asked[who].insert(block).second);
  }

  void piece_event(Script& in, std::uint32_t who) {
    const std::uint32_t piece = in.below(content->pieces);
    const PieceState state = map.state(piece);
    const bool needed = state == PieceState::missing || state == PieceState::partial;
    if (map.reserved(piece) && needed && generation[who] != 0) return ask_reserved(piece, who);
    if (state == PieceState::missing && in.below(4) == 0) return map.reserve(piece);
    if (state == PieceState::verified) return map.committed(piece);
    if (state == PieceState::have && in.below(4) == 0) return map.recheck(piece);
    if (state == PieceState::missing && in.below(4) == 0) return map.checking(piece);
    if (state != PieceState::complete || !map.leaves(piece).empty()) return;
    std::vector<bool> good(content->blocks_in(piece));
    for (std::size_t i = 0; i < good.size(); ++i) good[i] = in.below(2) == 0;
    map.restore(piece, std::vector<Sha256>(good.size()), good);
    if (map.state(piece) == PieceState::complete) map.verified(piece);
  }

  void step(Script& in) {
    const std::uint32_t who = in.below(peer_count);
    const bool here = generation[who] != 0;
    switch (in.below(10)) {
      case 0:
        return join(in, who);
      case 1:
        if (here) picker.peer_has(handle(who), in.below(content->pieces));
        return;
      case 2:
        if (here) picker.peer_lacks(handle(who), in.below(content->pieces));
        return;
      case 3:
      case 4:
        if (here) pick(in, who);
        return;
      case 5:
        return deliver(in, who);
      case 6:
        return finish_write(in);
      case 7:
        if (asked[who].empty()) return;
        map.release(handle(who), *asked[who].rbegin());
        asked[who].erase(*asked[who].rbegin());
        return;
      case 8:
        return piece_event(in, who);
      default: {
        const std::uint32_t file = in.below(2);
        if (in.below(2) == 0) return picker.set_priority(file, static_cast<Priority>(in.below(4)));
        const std::vector<std::uint32_t> soon{in.below(content->pieces), in.below(content->pieces)};
        picker.set_deadlines(soon);
      }
    }
  }
};

}  // namespace

// Every invariant is computed anew each 8 steps.
const shoal::fuzz::Bounds shoal::fuzz::bounds{
    .time = std::chrono::milliseconds{500}, .heap_per_byte = 64, .heap = 4 << 20};

void shoal::fuzz::one(ByteView input) {
  Script in{input};
  World world{1 + in.below(70)};
  for (int steps = 0; !in.empty(); ++steps) {
    world.step(in);
    stepped();
    if (steps % 8 == 0) {
      world.map.check_invariants();
      world.picker.check_invariants();
    }
  }
  world.map.check_invariants();
  world.picker.check_invariants();
}
