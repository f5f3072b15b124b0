// Watch: what every input of a fuzz target is held to besides the sanitizers: processor time, and bytes of
// heap that live at once (THREATS A16). A target defines `bounds` and `one`; the entry that libFuzzer calls
// is in watch.cpp, which is linked to each.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "dht/base/bytes.hpp"

namespace shoal::fuzz {

struct Bounds {
  // Of one input, in a release build; a build with sanitizers is given `slower` times as much.
  std::chrono::microseconds time{10'000};
  // At the peak, beyond what lived when the input came: so many a byte of input, and so many more.
  std::size_t heap_per_byte = 4, heap = 65'536;
};
inline constexpr Bounds decoder{};  // THREATS A16

// Measured over the inputs kept (tests/fuzz/run --times): with clang's ASan, UBSan and coverage at -O1
// decoders take 7 to 20 times as long as in GCC's release build, whole machines 6 to 11 times, and what is
// all cryptography hardly longer.
inline constexpr int slower = 10;

// ---- what a target defines
extern const Bounds bounds;
void one(ByteView input);

// While one lives, neither time nor memory count: around what a target does to check the outcome. What was
// allocated meanwhile has to be freed before it ends.
class Aside {
 public:
  Aside();
  ~Aside();
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;
};

// A target that takes many steps with one input says so at each; their sum is printed at the end.
void stepped();

struct Spent {
  std::chrono::nanoseconds time{};
  std::size_t heap = 0;
};
[[nodiscard]] Spent measure(ByteView input);  // runs `one`
// Runs `one`; what bound the input exceeds, in words. What seems to exceed one is run twice more, and the
// least counts: what is made once a process is made by then, and no neighbour of this machine raises an
// alarm.
[[nodiscard]] std::optional<std::string> exceeds(ByteView input);

}  // namespace shoal::fuzz
