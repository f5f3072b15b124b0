// BitTorrent's messages: whatever is read is within its bounds, and what we write of it reads back as
// written.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "swarm/bt_message.hpp"
#include "swarm/limits.hpp"
#include "tests/fuzz/watch.hpp"

const shoal::fuzz::Bounds shoal::fuzz::bounds = decoder;

void shoal::fuzz::one(ByteView input) {
  using namespace swarm;
  if (input.empty()) return;
  if (input[0] == bt_piece_kind) return;  // never comes here
  BtReader reader;
  std::vector<wire::Message> messages;
  if (!reader.read(input, messages)) return;
  const Aside aside;
  // Our names for the extended messages, so that they read back.
  const BtExtensions ours{.metadata = 1,
                          .exchange = 2,
                          .dont_have = 3,
                          .fast = true,
                          .extended = true,
                          .hashes = true,
                          .dht = true};
  for (const wire::Message& message : messages) {
    Bytes once, twice;
    write_bt(message, ours, once);
    if (once.empty()) std::abort();
    BtReader again;
    std::vector<wire::Message> back;
    if (!again.read(once, back) || back.size() != 1) std::abort();
    write_bt(back[0], ours, twice);
    if (once != twice) std::abort();
  }
}
