// How inputs are changed, for every target: libFuzzer's own ways, and now and then a part of the input many
// times over, up to the greatest length: what costs more than its length shows at length alone.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most,
                                               unsigned seed) {
  std::minstd_rand random{seed};
  const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random()) % bound; };
  if (size < 2 || size >= most || below(64) != 0) return LLVMFuzzerMutate(data, size, most);
  // data = head, part, tail  ->  head, part, part ..., tail
  const std::size_t begin = below(size), part = 1 + below(std::min<std::size_t>(size - begin, 64));
  const std::size_t tail = size - begin - part;
  const std::size_t times = 1 + below((most - size) / part + 1);
  std::memmove(data + begin + part * times, data + begin + part, tail);
  for (std::size_t i = 1; i < times; ++i) std::memcpy(data + begin + part * i, data + begin, part);
  return begin + part * times + tail;
}
