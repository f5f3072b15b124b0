// Contents made of sizes alone, for tests of leaves that never look at bytes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dht/base/random.hpp"
#include "storage/content.hpp"
#include "swarm/peer_handle.hpp"

namespace shoal::swarm::test {

inline storage::ContentPtr make_content(std::uint32_t piece_length,
                                        const std::vector<std::uint64_t>& lengths) {
  auto out = std::make_shared<storage::Content>();
  out->name = "content";
  out->piece_length = piece_length;
  for (const std::uint64_t length : lengths) {
    storage::ContentFile file;
    file.path = "file" + std::to_string(out->files.size());
    file.length = length;
    file.first_piece = out->pieces;
    file.start = std::uint64_t{out->pieces} * piece_length;
    file.pieces = static_cast<std::uint32_t>((length + piece_length - 1) / piece_length);
    out->pieces += file.pieces;
    out->bytes += length;
    out->files.push_back(file);
  }
  out->index_files();
  return out;
}

inline Random make_random(std::uint8_t seed) {
  Random::Seed raw{};
  raw[0] = seed;
  return Random{raw};
}

inline PeerHandle make_peer(std::uint32_t index, std::uint32_t generation = 1) { return {index, generation}; }

}  // namespace shoal::swarm::test
