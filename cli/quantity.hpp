// Quantities as people write and read them: rates and sizes with K, M, G = 2^10, 2^20, 2^30, and durations.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "dht/base/result.hpp"

namespace shoal::cli {

// "500K", "2M", "1.5G", "4096", with an optional "B", "iB" or "/s" behind: bytes (a second). At least 1, at
// most 2^50.
[[nodiscard]] Result<std::uint64_t> parse_quantity(std::string_view text);

// "0 B", "999 B", "1.0 KiB", "12.3 MiB", "123 GiB": three digits that mean something.
[[nodiscard]] std::string show_size(std::uint64_t bytes);
[[nodiscard]] std::string show_rate(double bytes_a_second);  // the same, "/s"
// "0.4 s", "42 s", "1:05", "2:03:04", "3 d 4 h".
[[nodiscard]] std::string show_duration(double seconds);

// "1 file", "2 files".
[[nodiscard]] std::string counted(std::uint64_t count, std::string_view one, std::string_view many);

}  // namespace shoal::cli
