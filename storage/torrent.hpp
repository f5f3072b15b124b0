// Torrent files: an info dictionary with what peers could tell as well, the piece layers.
#pragma once

#include <cstddef>
#include <vector>

#include "dht/base/bytes.hpp"
#include "dht/base/result.hpp"
#include "storage/content.hpp"

namespace shoal::storage {

inline constexpr std::size_t max_torrent_bytes = std::size_t{160} << 20;  // info, 64 MiB of layers, extras

// `layers` has an element a file: its verified piece layer, or empty where the file needs none or the torrent
// does not have it.
struct Torrent {
  ContentPtr content;
  std::vector<Bytes> layers;
};
// Errors: those of parse_info; mismatch where a layer does not hash to its file's root.
[[nodiscard]] Result<Torrent> read_torrent(ByteView file);
// Precondition: the layers are true ones of this content; missing ones are left out.
[[nodiscard]] Bytes write_torrent(const Content& content, const std::vector<Bytes>& layers);

}  // namespace shoal::storage
