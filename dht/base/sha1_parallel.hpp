// The seam between Sha1Lanes and the sources compiled for one kind of processor each. Callers look first
// whether the processor has it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace shoal {

// The states of sixteen messages: five words each, a column a message.
struct Sha1Columns {
  static constexpr std::size_t count = 16;
  alignas(64) std::uint32_t words[5][count];
};

// Take `blocks` blocks of 64 bytes of each of the messages. All `count` of them (AVX-512), or eight from
// `first` on, which is 0 or 8.
void sha1_avx512(Sha1Columns& columns, const std::uint8_t* const* messages, std::size_t blocks);
void sha1_avx2(Sha1Columns& columns, std::size_t first, const std::uint8_t* const* messages,
               std::size_t blocks);

}  // namespace shoal
