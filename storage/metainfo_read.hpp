// Reading info dictionaries: what the v1 and the v2 part share. Private to the metainfo*.cpp files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "dht/base/bencode.hpp"
#include "dht/base/result.hpp"
#include "storage/metainfo.hpp"

namespace shoal::storage {

// parse_info, where the content is not finished.
[[nodiscard]] Result<std::shared_ptr<Content>> read_info(Bytes info);
// Sets the ids that follow from its info.
void set_ids(Content& content);
// Errors: malformed.
[[nodiscard]] Result<void> check_roots(const Content& content);

// A content while its files are read.
struct MetainfoWalk {
  Content& content;
  std::uint64_t row = 0;  // bytes of the row of pieces so far
  std::size_t names_bytes = 0;

  // too_large beyond the bounds of metainfo.hpp.
  [[nodiscard]] Result<void> count_name(std::size_t bytes);
  [[nodiscard]] Result<void> count_bytes(std::uint64_t bytes);
};

// The string under `attr`, "" where there is none. Errors: malformed.
[[nodiscard]] Result<std::string_view> read_attributes(bencode::Value properties);
// The `symlink path` of a link at link_path, as ContentFile::target. Errors: malformed, unsafe, too_large.
[[nodiscard]] Result<std::string> read_link_target(MetainfoWalk& walk, bencode::Value properties,
                                                   std::string_view link_path);
// Whether two paths, neighbours in the order of a tree, cannot both be there.
[[nodiscard]] bool paths_clash(std::string_view before, std::string_view path);

// The v1 part (BEP 3, BEP 47), in metainfo_v1.cpp. `pieces` and `piece length` are read by both.
//   read_v1_files: v1 alone; the walk's content gets its files. Its piece length is known.
//   check_hybrid: of a content whose v2 part is read; Code::mismatch where v1 has other files.
// Then the row of pieces is as long as the hashes say, or it is refused.
[[nodiscard]] Result<void> read_v1_files(MetainfoWalk& walk, bencode::Value root);
[[nodiscard]] Result<void> check_hybrid(Content& content, bencode::Value root);

}  // namespace shoal::storage
