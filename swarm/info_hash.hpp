// Info-hashes: by what name BitTorrent's dialect knows a content, and the table of those that are open here.
// A hybrid has two names. MSE asks for a content by a hash of its name, so both lead there by one look-up,
// however many contents are open (THREATS A31).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "dht/base/bytes.hpp"
#include "dht/base/hash.hpp"
#include "dht/base/key.hpp"

namespace shoal::swarm {

using InfoHash = ByteArray<20>;  // of v1, or the first 20 bytes of v2's (BEP 52)

[[nodiscard]] Key dht_key(const InfoHash& hash);  // where its peers are announced (BEP 5)

// What an MSE handshake asks for instead of the name: H("req2", name).
[[nodiscard]] Sha1 obfuscated_name(const InfoHash& hash);

class InfoHashTable {
 public:
  using Content = std::uint32_t;  // the owner's name of an open content

  // The names of a content, in place of those it had. A name that another content has stays with that.
  void set(Content content, const std::vector<InfoHash>& hashes);
  void remove(Content content) { set(content, {}); }
  [[nodiscard]] bool empty() const { return contents_.empty(); }

  [[nodiscard]] std::optional<Content> find(const InfoHash& hash) const;
  // The name that is asked for so; nullptr: none of ours.
  [[nodiscard]] const InfoHash* find_obfuscated(const Sha1& name) const;

 private:
  std::map<InfoHash, Content> contents_;
  std::map<Sha1, InfoHash> obfuscated_;
  std::map<Content, std::vector<InfoHash>> names_;  // those of contents_
};

}  // namespace shoal::swarm
