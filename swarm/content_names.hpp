// ContentNames: by which names one content is known: to us and in links by ids of 32 bytes, in BitTorrent's
// dialect by info-hashes of 20 (BEP 3, BEP 52).
#pragma once

#include <optional>
#include <vector>

#include "storage/content.hpp"
#include "swarm/info_hash.hpp"

namespace shoal::swarm {

// The first 20 bytes: what BitTorrent's dialect calls a content of v2.
[[nodiscard]] inline InfoHash shortened(ByteView id) { return to_array<20>(id.first(20)); }
// A name that is 20 bytes long: v1's, or one cut short; which, and of what, only the metadata says.
[[nodiscard]] inline bool is_short(const storage::ContentId& id) {
  return id == storage::id_of_v1(shortened(id));
}

struct ContentNames {
  storage::ContentId id{};
  std::optional<Sha1> v1;
  bool v2 = false;                              // its id is also v2's
  bool known = false;                           // all this comes from its metadata
  std::optional<Sha1> asked_by = std::nullopt;  // by a link whose v1 name is not the metadata's

  // What it may be called, its id first. Names come to it when it becomes known, none goes.
  [[nodiscard]] std::vector<storage::ContentId> all() const {
    std::vector<storage::ContentId> out{id};
    if (v1) out.push_back(storage::id_of_v1(*v1));
    if (known) out.push_back(storage::id_of_v1(shortened(id)));
    if (asked_by) out.push_back(storage::id_of_v1(*asked_by));
    return out;
  }
  [[nodiscard]] bool is_v2(const InfoHash& name) const { return v2 && name == shortened(id); }
  // v1's first, which everybody knows.
  [[nodiscard]] std::vector<InfoHash> info_hashes() const {
    std::vector<InfoHash> out;
    if (v1) out.push_back(*v1);
    if (v2) out.push_back(shortened(id));
    return out;
  }
};

}  // namespace shoal::swarm
