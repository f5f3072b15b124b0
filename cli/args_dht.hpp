// Arguments of `dht`, judged. Text in, options or one sentence out; the flags themselves are declared with
// all others (args.cpp).
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "cli/args.hpp"

namespace shoal::cli {

// As it came.
struct DhtText {
  std::string node, key;              // ping, find
  std::vector<std::string> contents;  // peers
  struct Item {
    std::string key, value, salt;
    bool is_mutable = false;
  } get, put;
};

// Of the question that `out.verb` names.
[[nodiscard]] std::expected<void, std::string> judge_dht(const DhtText& text, Options& out);

}  // namespace shoal::cli
