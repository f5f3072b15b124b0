// See subject.hpp.
#include "dht/subject.hpp"

namespace shoal::dht {

QueryBody get_body(Subject subject, const Key& target, NodesWanted nodes) {
  switch (subject) {
    case Subject::peers:
      return GetPeersQuery{.target = target};
    case Subject::items:
      return GetItemQuery{.target = target, .newer_than = {}};
    case Subject::records:
      break;
  }
  return GetRecordsQuery{target, nodes};
}

QueryBody put_body(const Payload& payload, const Key& target, ByteView token) {
  if (const auto* peer = std::get_if<PeerPut>(&payload))
    return AnnouncePeerQuery{target, token, peer->port, peer->port_is, peer->completeness};
  if (const auto* item = std::get_if<ItemPut>(&payload))
    return PutItemQuery{token, item->item.view(), item->expected};
  const auto& put = std::get<RecordPut>(payload);
  return PutRecordQuery{target, token, put.salt, put.record};
}

}  // namespace shoal::dht
