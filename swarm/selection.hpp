// Which files of a content are wanted: the globs of `get --only`, over paths as they lie in the content.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/content.hpp"

namespace shoal::swarm {

// `*` matches anything but '/', `**` anything, `?` one byte but '/', `[a-z]` and `[!a-z]` one of a set; a
// pattern that names a folder takes what is in it. Linear memory, no recursion: at most |pattern| x |path|
// steps.
[[nodiscard]] bool glob_match(std::string_view pattern, std::string_view path);

// Per file; every file where `globs` is empty. Symbolic links and empty files are wanted with the rest by
// their names.
// `places`: first and last of each range of files by their place in the info dictionary, padding counted
// (BEP 53); none: all of them. Where both are given a file must be in both.
using FilePlaces = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
[[nodiscard]] std::vector<bool> wanted_files(const storage::Content& content,
                                             const std::vector<std::string>& globs,
                                             const FilePlaces& places = {});

}  // namespace shoal::swarm
