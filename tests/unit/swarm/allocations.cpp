// The counting operator new of the swarm's tests. See allocations.hpp.
#include "tests/unit/swarm/allocations.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<std::uint64_t> count{0};
}

std::uint64_t shoal::swarm::test::allocations() { return count; }

#if SHOAL_COUNTS_ALLOCATIONS
void* operator new(std::size_t size) {
  ++count;
  if (void* out = std::malloc(size == 0 ? 1 : size)) return out;
  throw std::bad_alloc{};
}
void operator delete(void* what) noexcept { std::free(what); }
void operator delete(void* what, std::size_t) noexcept { std::free(what); }
#endif
