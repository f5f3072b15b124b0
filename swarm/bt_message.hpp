// BitTorrent's messages as bytes and back: the body of each frame (BEP 3), with the fast extension (BEP 6),
// metadata (BEP 9), the extension protocol (BEP 10), peer exchange (BEP 11), partial seeds (BEP 21), hashes
// (BEP 52) and the withdrawal of a Have (BEP 54).
//
// Not here: lengths before the frames, the handshake (bt_wire), encryption. A block's payload never passes
// through here, only the header before it. Invariants of the reader: every field is checked against its size
// and bound; what is unknown is skipped, so often and no more; memory follows the bytes that came.
#pragma once

#include <cstdint>
#include <vector>

#include "dht/base/bytes.hpp"
#include "dht/base/result.hpp"
#include "swarm/wire.hpp"

namespace shoal::swarm {

inline constexpr std::size_t bt_block_header_bytes = 1 + 8;  // kind, piece, begin
inline constexpr std::size_t bt_control_bytes =
    1 << 17;  // of any frame but a bitfield: 2,000 entries of exchange
inline constexpr std::uint8_t bt_piece_kind = 7, bt_bitfield_kind = 5;
// What a frame of this kind means for the set of pieces that its sender has (wire::Pieces): names it, comes
// only after it, so that who has not named one has none (BEP 3), or nothing.
enum class BtOrder : std::uint8_t { names_pieces, after_pieces, any };
[[nodiscard]] BtOrder bt_order(std::uint8_t kind);

// What the other end's extended handshake named its messages; 0: it does not take such.
struct BtExtensions {
  std::uint8_t metadata = 0, exchange = 0, dont_have = 0;
  bool fast = false;      // BEP 6, of its reserved bits
  bool extended = false;  // BEP 10
  bool hashes = false;    // BEP 52
  bool dht = false;       // BEP 5
};

// Appends the body of a frame, its kind first; nothing at all where the other end does not take such a
// message and can do without. Not for Block. A KeepAlive has an empty body, and so is not written here
// either.
void write_bt(const wire::Message& message, const BtExtensions& theirs, Bytes& out);
void write_bt_block_header(std::uint32_t piece, std::uint32_t begin, std::uint8_t* out);  // of 9 bytes

class BtReader {
 public:
  // A frame's body, not empty, not a block. Errors: malformed, too_large.
  [[nodiscard]] Result<void> read(ByteView body, std::vector<wire::Message>& out);
  [[nodiscard]] const BtExtensions& theirs() const { return theirs_; }
  void set_reserved(const BtExtensions& theirs) { theirs_ = theirs; }

 private:
  [[nodiscard]] Result<void> read_extended(ByteView body, std::vector<wire::Message>& out);
  [[nodiscard]] Result<void> read_hello(ByteView payload, std::vector<wire::Message>& out);
  [[nodiscard]] Result<void> skip();
  BtExtensions theirs_;
  std::uint32_t unknown_ = 0;
};

}  // namespace shoal::swarm
