// Sixteen messages side by side, for processors with AVX-512 (F and BW); compiled for those.
#include "dht/base/sha1_kernel.hpp"
#include "dht/base/sha1_parallel.hpp"

namespace shoal {

void sha1_avx512(Sha1Columns& columns, const std::uint8_t* const* messages, std::size_t blocks) {
  Sha1Kernel<16>::run(&columns.words[0][0], Sha1Columns::count, messages, blocks);
}

}  // namespace shoal
