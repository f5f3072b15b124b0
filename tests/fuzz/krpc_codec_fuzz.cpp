// KRPC's decoder: whatever it accepts is within its bounds, and what we write of it reads back as the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "dht/item.hpp"
#include "dht/krpc_codec.hpp"
#include "dht/limits.hpp"
#include "tests/fuzz/watch.hpp"

namespace {

using namespace shoal;

bool within_bounds(const dht::Message& message) {
  if (const auto* query = std::get_if<dht::Query>(&message)) {
    const auto* put = std::get_if<dht::PutItemQuery>(&query->body);
    return put == nullptr ||
           (put->item.value.size() <= dht::item_value_most && put->item.salt.size() <= dht::item_salt_most);
  }
  if (const auto* reply = std::get_if<dht::Reply>(&message))
    return reply->peers.size() <= dht::max_peers_in_reply && reply->nodes.size() <= dht::max_nodes_in_reply;
  return true;
}

}  // namespace

const shoal::fuzz::Bounds shoal::fuzz::bounds = decoder;

void shoal::fuzz::one(ByteView input) {
  const dht::KrpcCodec codec;
  const auto message = codec.decode(input);
  if (!message) return;
  if (!within_bounds(*message)) std::abort();
  const Aside aside;
  Bytes once, twice;
  codec.encode(*message, once);
  if (once.size() > dht::limits::datagram_read) return;
  const auto again = codec.decode(once);
  if (!again) std::abort();
  codec.encode(*again, twice);
  if (once != twice) std::abort();
}
