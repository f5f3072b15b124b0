// How often this test program has allocated by operator new. A file of its own, since compilers distrust a
// replaced operator that they can see into; absent under sanitizers, which need theirs.
#pragma once

#include <cstdint>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHOAL_COUNTS_ALLOCATIONS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SHOAL_COUNTS_ALLOCATIONS 0
#endif
#endif
#ifndef SHOAL_COUNTS_ALLOCATIONS
#define SHOAL_COUNTS_ALLOCATIONS 1
#endif

namespace shoal::swarm::test {

[[nodiscard]] std::uint64_t allocations();

}  // namespace shoal::swarm::test
