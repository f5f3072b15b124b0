// BitTorrent's messages: whatever is read is within its bounds, and what we write of it reads back as
// written.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "swarm/bt_message.hpp"
#include "swarm/limits.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal;
  using namespace shoal::swarm;
  if (size == 0) return 0;
  const ByteView body{data, size};
  if (body[0] == bt_piece_kind) return 0;  // never comes here
  BtReader reader;
  std::vector<wire::Message> messages;
  if (!reader.read(body, messages)) return 0;
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
  return 0;
}
