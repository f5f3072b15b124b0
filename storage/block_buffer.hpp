// BlockBuffer: room for one block where the kernel copies fast. A copy to a place a few bytes behind the
// source's within a page takes three times as long on some processors (Zen 3: 2.2 GB/s in place of 7.5), and
// that is where malloc puts large buffers: at 16.
#pragma once

#include <array>
#include <cstdint>

#include "storage/content.hpp"

namespace shoal::storage {

struct alignas(64) BlockBuffer {
  std::array<std::uint8_t, block_bytes> bytes;
};
static_assert(sizeof(BlockBuffer) == block_bytes);  // several of them are one run of bytes

}  // namespace shoal::storage
