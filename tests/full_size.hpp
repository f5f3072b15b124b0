// How large a test is: small enough for every run as a rule, and of the size that THREATS names with
// SHOAL_FULL=1 in the environment.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace shoal::test {

[[nodiscard]] inline std::uint64_t sized(std::uint64_t usual, std::uint64_t full) {
  return std::getenv("SHOAL_FULL") != nullptr ? full : usual;
}

}  // namespace shoal::test
