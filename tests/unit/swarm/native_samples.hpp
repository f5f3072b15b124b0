// One example of every message, with every field set, and random ones, for tests of the native dialect.
#pragma once

#include <string>
#include <vector>

#include "dht/base/random.hpp"
#include "swarm/native_message.hpp"

namespace shoal::swarm::test {

inline Bytes random_bytes(Random& random, std::size_t size) {
  Bytes out(size);
  random.fill(out);
  return out;
}

// Small and large ones alike, the borders of MessagePack's forms among them.
inline std::uint32_t random_number(Random& random) {
  static constexpr std::uint32_t borders[] = {0, 127, 128, 255, 256, 65535, 65536, 0xffffffff};
  if (random.below(2) == 0) return borders[random.below(8)];
  return static_cast<std::uint32_t>(random.next() >> (32 + random.below(32)));
}

inline IpAddress random_address(Random& random) {
  return IpAddress::from_bytes(random_bytes(random, random.below(2) == 0 ? 4 : 16));
}
inline Endpoint random_endpoint(Random& random) {
  return {random_address(random), static_cast<std::uint16_t>(random.next())};
}

inline wire::HashRequest random_hash_request(Random& random) {
  return {random.bytes<32>(), random_number(random), random_number(random), random_number(random),
          random_number(random)};
}

inline wire::PeerExchange random_exchange(Random& random) {
  wire::PeerExchange out;
  for (auto n = random.below(max_exchange_entries + 1); n > 0; --n) {
    wire::ExchangeEntry entry{random_endpoint(random), std::nullopt, random.below(2) == 0};
    if (random.below(2) == 0) entry.key = random.bytes<32>();
    out.added.push_back(entry);
  }
  for (auto n = random.below(max_exchange_entries + 1); n > 0; --n)
    out.dropped.push_back(random_endpoint(random));
  return out;
}

inline wire::Hello random_hello(Random& random) {
  wire::Hello out;
  out.client = std::string(random.below(max_client_bytes + 1), 'x');
  out.listen_port = static_cast<std::uint16_t>(random.next());
  out.metadata_bytes = random_number(random);
  out.max_requests = random_number(random);
  if (random.below(2) == 0) out.your_address = random_address(random);
  return out;
}

// Number `which` of the variant (below native_messages), but for Block: its data is a
// Buffer, which is the caller's to make. Pieces take all three forms.
inline wire::Message random_message(Random& random, std::size_t which) {
  const wire::Request request{random_number(random), random_number(random), random_number(random)};
  switch (which) {
    case 0:
      return wire::KeepAlive{};
    case 1:
      return wire::Choke{};
    case 2:
      return wire::Unchoke{};
    case 3:
      return wire::Interested{};
    case 4:
      return wire::NotInterested{};
    case 5:
      return wire::Have{random_number(random)};
    case 6: {
      using Form = wire::Pieces::Form;
      const auto form = static_cast<Form>(random.below(3));
      if (form != Form::bits) return wire::Pieces{form, {}};
      const std::size_t most = random.below(4) == 0 ? 3 * pieces_part_bytes : 200;
      return wire::Pieces{form, random_bytes(random, 1 + random.below(most))};
    }
    case 7:
      return request;
    case 8:
      return wire::Cancel{request};
    case 9:
      return wire::Reject{request};
    case 10:
      return wire::Block{random_number(random), random_number(random), {}};
    case 11:
      return wire::AllowedFast{random_number(random)};
    case 12:
      return random_hash_request(random);
    case 13: {
      wire::Hashes out{random_hash_request(random), {}};
      for (auto n = random.below(random.below(4) == 0 ? max_hashes + 1 : 20); n > 0; --n)
        out.hashes.push_back(random.bytes<32>());
      return out;
    }
    case 14:
      return wire::HashReject{random_hash_request(random)};
    case 15:
      return random_hello(random);
    case 16:
      return wire::MetadataRequest{random_number(random)};
    case 17:
      return wire::MetadataPart{random_number(random), random_number(random),
                                random_bytes(random, random.below(max_metadata_part + 1))};
    case 18:
      return wire::MetadataReject{random_number(random)};
    default:
      return random_exchange(random);
  }
}

// The bytes of a message, a bitfield in all its parts, a block's header with its payload behind.
inline Bytes encoded(const wire::Message& message) {
  Bytes out;
  if (const auto* block = std::get_if<wire::Block>(&message)) {
    write_block_header(block->piece, block->begin, out);
    append(out, block->data.view());
    return out;
  }
  const auto* pieces = std::get_if<wire::Pieces>(&message);
  if (pieces == nullptr || pieces->form != wire::Pieces::Form::bits) {
    write_message(message, out);
    return out;
  }
  const ByteView bits = pieces->bits;
  for (std::size_t at = 0; at < bits.size(); at += pieces_part_bytes)
    write_pieces_part(bits.size(), bits.subspan(at, std::min(pieces_part_bytes, bits.size() - at)), out);
  return out;
}

}  // namespace shoal::swarm::test
