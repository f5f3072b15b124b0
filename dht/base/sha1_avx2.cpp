// Eight messages side by side, for processors with AVX2; compiled for those.
#include "dht/base/sha1_kernel.hpp"
#include "dht/base/sha1_parallel.hpp"

namespace shoal {

void sha1_avx2(Sha1Columns& columns, std::size_t first, const std::uint8_t* const* messages,
               std::size_t blocks) {
  Sha1Kernel<8>::run(&columns.words[0][first], Sha1Columns::count, messages + first, blocks);
}

}  // namespace shoal
