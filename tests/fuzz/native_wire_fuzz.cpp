// The reader of native messages: whatever it accepts is written again as the very bytes that came, but for
// what may grow: unknown types, and a hello's unknown and absent keys.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "swarm/native_message.hpp"
#include "tests/fuzz/watch.hpp"

using namespace shoal;
using namespace shoal::swarm;

namespace {

void write_again(const wire::Message& message, Bytes& out) {
  const auto* pieces = std::get_if<wire::Pieces>(&message);
  if (pieces == nullptr || pieces->form != wire::Pieces::Form::bits) return write_message(message, out);
  const ByteView bits = pieces->bits;
  for (std::size_t at = 0; at < bits.size(); at += pieces_part_bytes)
    write_pieces_part(bits.size(), bits.subspan(at, std::min(pieces_part_bytes, bits.size() - at)), out);
}

}  // namespace

// The shortest message takes two bytes and is a value of many, in a vector that doubles.
const shoal::fuzz::Bounds shoal::fuzz::bounds{.heap_per_byte = decoder.heap_per_byte +
                                                               3 * sizeof(swarm::wire::Message) / 2};

void shoal::fuzz::one(ByteView input) {
  MessageReader reader;
  std::vector<wire::Message> got;
  const bool whole = reader.read(input, got).has_value();

  const Aside aside;
  const bool grows =
      std::ranges::any_of(got, [](const auto& m) { return std::holds_alternative<wire::Hello>(m); });
  Bytes again;
  for (const wire::Message& message : got) write_again(message, again);
  if (whole && !grows && !reader.in_pieces() && reader.unknown() == 0 && !equal(again, input)) std::abort();
  // Written, it is read again as the same, hello included.
  MessageReader second;
  std::vector<wire::Message> more;
  if (!again.empty() && !second.read(again, more)) std::abort();
  Bytes third;
  for (const wire::Message& message : more) write_again(message, third);
  if (third != again || more.size() != got.size()) std::abort();

  if (const auto block = read_block_header(input)) {
    Bytes header;
    write_block_header(block->piece, block->begin, header);
    if (!equal(header, input.first(block->bytes))) std::abort();
  }
}
