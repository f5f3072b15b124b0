// Dialect: the two that a peer speaks, in the DHT and on streams.
//
// Way: how a connection with a peer is begun. Sealed contents know the native channel alone; of a public one
// BitTorrent's dialect as well, behind message stream encryption or plain.
#pragma once

#include <cstdint>
#include <initializer_list>

namespace shoal::swarm {

enum class Dialect : std::uint8_t { native, mainline };
enum class Way : std::uint8_t { native, obfuscated, plain };

// Whether a content may be found, joined and read by holders of its link alone, or by any BitTorrent client.
enum class Visibility : std::uint8_t { sealed, open };

class Ways {
 public:
  constexpr Ways() = default;
  constexpr Ways(std::initializer_list<Way> ways) {
    for (const Way way : ways) add(way);
  }
  [[nodiscard]] constexpr bool has(Way way) const { return (bits_ & bit(way)) != 0; }
  constexpr void add(Way way) { bits_ = static_cast<std::uint8_t>(bits_ | bit(way)); }
  constexpr void remove(Way way) { bits_ = static_cast<std::uint8_t>(bits_ & ~bit(way)); }
  bool operator==(const Ways&) const = default;

 private:
  static constexpr std::uint8_t bit(Way way) {
    return static_cast<std::uint8_t>(1U << static_cast<unsigned>(way));
  }
  std::uint8_t bits_ = 0;
};

}  // namespace shoal::swarm
