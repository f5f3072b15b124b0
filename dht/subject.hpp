// What a search looks for and a put stores: records of the native dialect, peers and items of mainline.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "dht/item.hpp"
#include "dht/message.hpp"

namespace shoal::dht {

enum class Subject : std::uint8_t { records, peers, items };

struct RecordPut {
  Bytes record;  // passed record.hpp's check
  Salt salt{};   // opens its address commitment
};
struct PeerPut {  // ourselves
  std::uint16_t port = 0;
  PortIs port_is = PortIs::stated;
  Completeness completeness = Completeness::downloader;
};
struct ItemPut {
  Item item;
  std::optional<std::int64_t> expected;  // cas
};
using Payload = std::variant<RecordPut, PeerPut, ItemPut>;

[[nodiscard]] inline Subject subject_of(const Payload& payload) {
  return static_cast<Subject>(payload.index());
}
// The query that asks for the values under a target, and the one that puts; views point into `payload`.
[[nodiscard]] QueryBody get_body(Subject subject, const Key& target, NodesWanted nodes);
[[nodiscard]] QueryBody put_body(const Payload& payload, const Key& target, ByteView token);

}  // namespace shoal::dht
