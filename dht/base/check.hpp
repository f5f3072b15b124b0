// SHOAL_CHECK: our own bugs stop the program, in release builds too. Never used on input from outside.
#pragma once

namespace shoal {

[[noreturn]] void check_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace shoal

#define SHOAL_CHECK(condition) \
  (static_cast<bool>(condition) ? void(0) : ::shoal::check_failed(#condition, __FILE__, __LINE__))
