// See watch.hpp. Memory is counted by the sanitizer's hooks, so that C libraries count as well.
#include "tests/fuzz/watch.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include <sanitizer/allocator_interface.h>

namespace shoal::fuzz {
namespace {

struct Count {
  bool runs = false;
  int aside = 0;
  std::int64_t live = 0, peak = 0;  // bytes since the input came
  std::chrono::nanoseconds since{}, time{};
};
thread_local Count count;  // libFuzzer has a thread of its own, which does not count

void allocated(const volatile void*, std::size_t bytes) {
  if (!count.runs) return;
  count.live += static_cast<std::int64_t>(bytes);
  if (count.aside == 0) count.peak = std::max(count.peak, count.live);
}
void freed(const volatile void* place) {
  if (!count.runs || place == nullptr) return;
  count.live -= static_cast<std::int64_t>(__sanitizer_get_allocated_size(const_cast<const void*>(place)));
}

std::chrono::nanoseconds thread_time() {
  timespec at{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
  return std::chrono::seconds{at.tv_sec} + std::chrono::nanoseconds{at.tv_nsec};
}

struct Steps {
  std::uint64_t taken = 0;
  ~Steps() {
    if (taken > 0) std::fprintf(stderr, "stat::steps_taken: %llu\n", static_cast<unsigned long long>(taken));
  }
};
Steps steps;

}  // namespace

void stepped() { ++steps.taken; }

Aside::Aside() {
  if (count.aside++ == 0) count.time += thread_time() - count.since;
}
Aside::~Aside() {
  if (--count.aside == 0) count.since = thread_time();
}

Spent measure(ByteView input) {
  static const int hooked = __sanitizer_install_malloc_and_free_hooks(allocated, freed);
  if (hooked == 0) std::abort();
  count = {};
  count.runs = true;
  count.since = thread_time();
  one(input);
  count.time += thread_time() - count.since;
  count.runs = false;
  return {count.time, static_cast<std::size_t>(count.peak)};
}

std::optional<std::string> exceeds(ByteView input) {
  const std::size_t heap = bounds.heap_per_byte * input.size() + bounds.heap;
  const std::chrono::nanoseconds time = bounds.time * slower;
  Spent least = measure(input);
  for (int again = 0; again < 2 && (least.time > time || least.heap > heap); ++again) {
    const Spent spent = measure(input);
    least = {std::min(least.time, spent.time), std::min(least.heap, spent.heap)};
  }
  const auto said = [&](const char* what, auto spent, auto bound) {
    return std::string{what} + " " + std::to_string(spent) + ", bound " + std::to_string(bound) + ", input " +
           std::to_string(input.size()) + " bytes";
  };
  if (least.time > time) return said("nanoseconds of processor time:", least.time.count(), time.count());
  if (least.heap > heap) return said("bytes of heap at once:", least.heap, heap);
  return std::nullopt;
}

}  // namespace shoal::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (const auto what = shoal::fuzz::exceeds({data, size})) {
    std::fprintf(stderr, "%s\n", what->c_str());
    std::abort();
  }
  return 0;
}
