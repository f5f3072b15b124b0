// Layout: under which names a content lies beneath its folder. They are the content's own, but for components
// that the file system refuses: those have a substitute, the same one wherever the component stands (in paths
// of files, empty folders, part files and the targets of links).
//
// Invariants: substitutes are a pure function of the content; none equals another component of the content or
// another substitute (ASCII letters of both cases counting as one, since what refuses names mostly ignores
// case), so that two paths stay two. Which of them are used depends on the file system alone; the catalog's
// disk paths of a download tell it again after a restart. Only `refused_oddities` looks at a disk.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dht/base/result.hpp"
#include "storage/content.hpp"
#include "storage/names.hpp"
#include "storage/vfs.hpp"

namespace shoal::storage {

// From a component to what stands for it.
using Substitutes = std::map<std::string, std::string, std::less<>>;

// One for each odd component of the content (names.hpp); none for an ordinary content. O(bytes of all names).
[[nodiscard]] Substitutes substitutes(const Content& content);

struct Layout {
  std::string root_name;                   // the content's name, or its substitute
  std::vector<std::string> disk_paths;     // per file where it is not root_name/path, else "" or no element
  std::vector<std::string> empty_folders;  // beneath the folder, as the content has them
  std::vector<std::string> parts;          // per file: its part file (part_paths in names.hpp)
};
// `replaced`: those substitutes that are used.
[[nodiscard]] Layout lay_out(const Content& content, const Substitutes& replaced);
// A relative path, or the text of a link, with each component in `replaced` replaced.
[[nodiscard]] std::string with_substitutes(std::string_view path, const Substitutes& replaced);
// Whether `on_disk` is `path` with some of its components replaced, or none.
[[nodiscard]] bool stands_for(std::string_view on_disk, std::string_view path, const Substitutes& odd);
// Where `path` lies in a folder whose names were chosen by somebody else: a substitute is taken where it is
// there. Reads only.
[[nodiscard]] std::string find_path(Folder& folder, std::string_view path, const Substitutes& odd);

// What a row of the catalog says of a content's names.
struct NamesTold {
  Substitutes replaced;
  Substitutes open;  // the row has no path with these components
};
// `odd`: substitutes(content). `disk_paths`: per file; "" where root_name/path. nullopt: the row's paths are
// not those of any layout of the content (a share from other names).
[[nodiscard]] std::optional<NamesTold> names_told(const Content& content, const Substitutes& odd,
                                                  const std::string& root_name,
                                                  std::span<const std::string> disk_paths);

// Which of `asked` the folder's file system refuses, found out by making and removing an empty file for each:
// at most 258, whatever the content. They bear names of their own (".shoal-probe-..."); nothing that is there
// is touched. A dot or space at the end also counts as refused where it is dropped in silence, as FAT does.
// Errors: those of any file that cannot be made there; `path` is the file's, in the folder.
[[nodiscard]] PathResult<Oddities> refused_oddities(Folder& folder, const Oddities& asked);

}  // namespace shoal::storage
