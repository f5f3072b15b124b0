// What the two kinds of links have in common as text. Private to link.cpp and magnet.cpp.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "storage/link.hpp"

namespace shoal::storage {

[[nodiscard]] inline bool starts_with_any_case(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() &&
         std::equal(lower.begin(), lower.end(), text.begin(), [](char want, char c) {
           return want == (c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
         });
}

// %XX for what RFC 3986 does not let stand for itself, but for `also_literal`.
void percent_encode(std::string& out, std::string_view text, std::string_view also_literal);

// Magnet links (magnet.cpp). The text begins with `magnet:` in any case and is at most max_link_bytes long.
[[nodiscard]] Result<Link> parse_magnet(std::string_view text);
[[nodiscard]] std::string format_magnet(const Link& link);

}  // namespace shoal::storage
