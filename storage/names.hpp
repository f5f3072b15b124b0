// Names that strangers chose: which of them may touch a file system, and how all of them are shown.
//
// A name is raw bytes. What escapes its folder is refused (empty, ".", "..", NUL, "/", longer than 255 bytes:
// the limit of Linux file systems); every other name is kept byte for byte where the file system takes it,
// and has a substitute where not (layout.hpp decides for a whole content). Nothing here looks at a disk.
#pragma once

#include <bitset>
#include <compare>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dht/base/result.hpp"
#include "storage/content.hpp"

namespace shoal::storage {

inline constexpr std::size_t max_component_bytes = 255;  // NAME_MAX of every Linux file system but a few
inline constexpr std::size_t max_path_depth = 100;       // folders and file of a path; more is no honest tree

// One component of a path. Code::unsafe where it would escape, Code::too_large where it is too long.
[[nodiscard]] Result<void> check_component(std::string_view name);
// Components joined by '/', at most max_path_depth of them.
[[nodiscard]] Result<void> check_path(std::string_view path);

// The order of a file tree (BEP 52): component by component, bytewise. Not the order of the joined strings:
// "a/b" stands before "a.txt", although '.' < '/'.
[[nodiscard]] std::strong_ordering compare_paths(std::string_view a, std::string_view b);

// The file of a content with that path. O(log n).
[[nodiscard]] std::optional<std::uint32_t> file_with(const Content& content, std::string_view path);

// For screens and logs: printable UTF-8 as it is; control and bidi characters, other invisible ones, bytes
// that are not UTF-8, and the backslash as \xNN for each byte. So no two names look the same by escaping and
// none moves the cursor or turns the line around. unescape_display gives the name back; nullopt for text that
// escape_for_display never makes.
[[nodiscard]] std::string escape_for_display(std::string_view raw);
[[nodiscard]] std::optional<std::string> unescape_display(std::string_view shown);

// What is odd about a name: what some file system refuses in it (FAT, exFAT, NTFS, UTF-8-only ones). A bit
// for each value of a byte, and two for what stands last.
inline constexpr std::size_t odd_last_dot = 256, odd_last_space = 257;
using Oddities = std::bitset<258>;
[[nodiscard]] Oddities oddities(std::string_view name);

// The name to use where a file system refuses the true one: what is odd, and '%', becomes %XX; what would be
// longer than 255 bytes is shortened and ends in a hash of the name, so that two names stay two.
// escaped_name: with a hash of the name, and then a counter, where that is taken.
[[nodiscard]] std::string percent_escape(std::string_view name);
[[nodiscard]] std::string escaped_name(std::string_view name,
                                       const std::function<bool(std::string_view)>& taken);

// The name of an unfinished file: NAME.part, or NAME~XXXXXXXX.part (a hash, and then a counter) where that is
// taken or longer than 255 bytes. `taken` tells of a candidate whether it is the name of something else.
[[nodiscard]] std::string part_name(std::string_view name,
                                    const std::function<bool(std::string_view)>& taken);
// For every file of a content, the path of its part file beneath the folder given with -o: beside the file,
// and equal to no other path of the content. Symbolic links have none (empty). A pure function of the
// content.
[[nodiscard]] std::vector<std::string> part_paths(const Content& content);

// Symbolic links. The info dictionary holds targets relative to the content's root (BEP 47), the disk
// relative to the link's folder. `resolve_link` takes the link's path and its text on the disk and gives the
// target relative to the root, "" being the root itself; nullopt where it is absolute, leaves the content, or
// goes up again after going down (which a link in between could turn into an escape). `link_text` is the
// inverse.
[[nodiscard]] std::optional<std::string> resolve_link(std::string_view link_path, std::string_view text);
[[nodiscard]] std::string link_text(std::string_view link_path, std::string_view target_from_root);

}  // namespace shoal::storage
