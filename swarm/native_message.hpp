// The native dialect's messages as bytes: one canonical MessagePack array [type, field ...] each, and back.
// The table of types is in native_message.cpp.
//
// Not here: frames and keys (native_channel), gathering and order (native_wire). A block's payload never
// passes through here, only the header before it.
//
// Invariants of the reader: every field is checked against its type and bound; what is accepted is the one
// permitted spelling (but for unknown types and unknown keys of a hello, which are skipped); memory follows
// the bytes that came.
#pragma once

#include <cstdint>
#include <vector>

#include "dht/base/bytes.hpp"
#include "dht/base/result.hpp"
#include "swarm/wire_codec.hpp"

namespace shoal::swarm {

// Bounds of single messages; a sender that exceeds one has a bug and is stopped by SHOAL_CHECK, but for
// Hashes, whose number the other end chose: too many are written as a HashReject.
inline constexpr std::size_t max_exchange_entries = 64;  // added, and as many dropped
inline constexpr std::size_t max_metadata_part = 16384;
inline constexpr std::size_t max_block_bytes = 16384;
inline constexpr std::size_t pieces_part_bytes = 32768;  // every part of a bitfield but the last

// This dialect says the first so many of wire::Message; the others are BitTorrent's alone.
inline constexpr std::size_t native_messages = std::variant_size_v<wire::Message> - 2;

// Appends a message. Not for Block, nor for Pieces with bits: see the next two.
void write_message(const wire::Message& message, Bytes& out);
// One part of a bitfield of `total` bytes.
void write_pieces_part(std::size_t total, ByteView part, Bytes& out);
// What stands before a block's payload, at most max_block_lead bytes.
void write_block_header(std::uint32_t piece, std::uint32_t begin, Bytes& out);

struct BlockHeader {
  std::uint32_t piece = 0, begin = 0;
  std::size_t bytes = 0;  // of the header itself
};
[[nodiscard]] Result<BlockHeader> read_block_header(ByteView plain);

// Reads a connection's messages; keeps what goes from one to the next: a bitfield in parts, the count of
// unknowns.
class MessageReader {
 public:
  // All messages of one frame, appended to `out`. An empty frame, or a block, is malformed.
  [[nodiscard]] Result<void> read(ByteView frame, std::vector<wire::Message>& out);
  // A bitfield is under way: nothing but its next part may come.
  [[nodiscard]] bool in_pieces() const { return pieces_total_ != 0; }
  [[nodiscard]] std::uint32_t unknown() const { return unknown_; }           // messages skipped so far
  [[nodiscard]] std::size_t pieces_bytes() const { return pieces_.size(); }  // held of it

 private:
  [[nodiscard]] Result<std::size_t> read_one(ByteView input, std::vector<wire::Message>& out);
  [[nodiscard]] Result<void> take_pieces_part(std::uint64_t total, ByteView part,
                                              std::vector<wire::Message>& out);
  [[nodiscard]] Result<void> skip_unknown();

  Bytes pieces_;
  std::size_t pieces_total_ = 0;
  std::uint32_t unknown_ = 0;
};

}  // namespace shoal::swarm
