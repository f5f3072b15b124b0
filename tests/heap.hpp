// How much of the heap a test program has in use.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define SHOAL_HEAP_OF_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SHOAL_HEAP_OF_SANITIZER 1
#endif
#endif

#ifdef SHOAL_HEAP_OF_SANITIZER
#include <sanitizer/allocator_interface.h>
#else
#include <malloc.h>
#endif

namespace shoal {

[[nodiscard]] inline std::size_t heap_in_use() {
#ifdef SHOAL_HEAP_OF_SANITIZER
  return __sanitizer_get_current_allocated_bytes();
#else
  const auto heap = ::mallinfo2();
  return heap.uordblks + heap.hblkhd;
#endif
}

}  // namespace shoal
