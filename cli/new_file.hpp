// A file that the user named for what a command makes: -o of `create`, --svg of `simulate`. It is written
// beside its name and renamed, so that no half of one is ever found there; what stands there is never
// replaced.
#pragma once

#include <string>

#include "cli/exit_code.hpp"
#include "dht/base/bytes.hpp"

namespace shoal::cli {

// `flag`: the one that names the file, for the sentence that says what to do.
// To be asked before long work: fails where something stands at `path`, be it a dangling symbolic link.
[[nodiscard]] Outcome<void> expect_free(const std::string& path, const char* flag);
// Durable when it returns.
[[nodiscard]] Outcome<void> write_new_file(const std::string& path, ByteView bytes, const char* flag);

}  // namespace shoal::cli
