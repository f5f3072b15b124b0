#include "swarm/info_hash.hpp"

#include <algorithm>

namespace shoal::swarm {

Key dht_key(const InfoHash& hash) {
  Key out;
  std::ranges::copy(hash, out.bytes.begin());
  return out;
}

Sha1 obfuscated_name(const InfoHash& hash) {
  Sha1Stream stream;
  stream.update(as_bytes("req2"));
  stream.update(hash);
  return stream.finish();
}

void InfoHashTable::set(Content content, const std::vector<InfoHash>& hashes) {
  if (const auto before = names_.extract(content))
    for (const InfoHash& hash : before.mapped()) {
      contents_.erase(hash);
      obfuscated_.erase(obfuscated_name(hash));
    }
  for (const InfoHash& hash : hashes)
    if (contents_.try_emplace(hash, content).second) {
      obfuscated_.emplace(obfuscated_name(hash), hash);
      names_[content].push_back(hash);
    }
}

std::optional<InfoHashTable::Content> InfoHashTable::find(const InfoHash& hash) const {
  const auto found = contents_.find(hash);
  return found == contents_.end() ? std::nullopt : std::optional{found->second};
}

const InfoHash* InfoHashTable::find_obfuscated(const Sha1& name) const {
  const auto found = obfuscated_.find(name);
  return found == obfuscated_.end() ? nullptr : &found->second;
}

}  // namespace shoal::swarm
