// Local service discovery (BEP 14): who has which public content, called out to the local group.
//
// A message is HTTP in form and a datagram in size. Read leniently: header names in any case, in any order,
// lines ended by CR LF or LF; what is unknown is passed over. Not here: when it is sent and how often (BEP
// 14: a content once in 5 minutes, one message a minute), whether the sender is a neighbour.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dht/base/bytes.hpp"
#include "dht/base/endpoint.hpp"
#include "dht/base/result.hpp"

namespace shoal::swarm::lsd {

inline constexpr std::size_t message_most = 1400;  // bytes
inline constexpr std::size_t contents_most = 20;   // of one message
inline constexpr std::size_t cookie_most = 64;
inline constexpr std::uint16_t group_port = 6771;
[[nodiscard]] Endpoint group(Family family);  // 239.192.152.143 and ff15::efc0:988f

struct Announcement {
  std::uint16_t port = 0;               // where its BitTorrent listens
  std::vector<ByteArray<20>> contents;  // info-hashes
  std::string cookie;                   // opaque: by its own the sender knows what it hears of itself
};

// At most contents_most contents; the cookie of letters, digits and hyphens, at most cookie_most.
[[nodiscard]] Bytes encode(Family family, const Announcement& announcement);
// Errors: malformed, too_large.
[[nodiscard]] Result<Announcement> decode(ByteView datagram);

}  // namespace shoal::swarm::lsd
