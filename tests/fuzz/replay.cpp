// Runs inputs through a fuzz target without libFuzzer, in any build, and tells the processor time of all of
// them and of the slowest, in microseconds: NAME_replay FILE... (tests/fuzz/run --times). The least of three
// runs counts.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>

#include "tests/fuzz/watch.hpp"

namespace shoal::fuzz {
namespace {

using Time = std::chrono::nanoseconds;

Time thread_time() {
  timespec at{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
  return std::chrono::seconds{at.tv_sec} + Time{at.tv_nsec};
}

struct Clock {
  int aside = 0;
  Time since{}, time{};
};
Clock now_running;

Time time_of(ByteView input) {
  now_running = {.since = thread_time()};
  one(input);
  return now_running.time + (thread_time() - now_running.since);
}

}  // namespace

Aside::Aside() {
  if (now_running.aside++ == 0) now_running.time += thread_time() - now_running.since;
}
Aside::~Aside() {
  if (--now_running.aside == 0) now_running.since = thread_time();
}
void stepped() {}

}  // namespace shoal::fuzz

int main(int argc, char** argv) {
  using namespace shoal::fuzz;
  Time all{}, slowest{};
  for (int i = 1; i < argc; ++i) {
    std::ifstream file{argv[i], std::ios::binary};
    const shoal::Bytes input{std::istreambuf_iterator<char>{file}, {}};
    Time least = time_of(input);
    for (int again = 0; again < 2; ++again) least = std::min(least, time_of(input));
    all += least;
    slowest = std::max(slowest, least);
  }
  std::printf("%lld %lld %lld\n", static_cast<long long>(all.count() / 1000),
              static_cast<long long>(slowest.count() / 1000), static_cast<long long>(bounds.time.count()));
  return slowest <= bounds.time ? 0 : 1;
}
