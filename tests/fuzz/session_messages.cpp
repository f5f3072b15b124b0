// What the others say to a session (session_world.hpp): messages of every kind, mostly such as make sense
// now.
#include <algorithm>
#include <utility>

#include "swarm/native_message.hpp"
#include "tests/fuzz/session_world.hpp"

namespace shoal::fuzz {

using namespace swarm;

wire::Request SessionWorld::request() {
  const std::uint32_t piece = script_.number(content_.pieces);
  const std::uint32_t begin =
      script_.byte() % 4 == 0 ? script_.number(64) : script_.byte() % 2 * storage::block_bytes;
  const std::uint32_t known = piece < content_.pieces ? content_.piece_bytes(piece) : storage::block_bytes;
  const std::uint32_t left = begin < known ? known - begin : storage::block_bytes;
  return {piece, begin, script_.byte() % 8 == 0 ? script_.number(64) : std::min(left, storage::block_bytes)};
}

wire::Message SessionWorld::about_blocks(Other& other) {
  switch (script_.byte() % 16) {
    case 0:
    case 1:
    case 2:
      return wire::Request{request()};
    case 3:
      return wire::Cancel{request()};
    case 4:
      return wire::Reject{other.wanted.empty() ? request() : other.wanted.back()};
    default:
      break;
  }
  // A block: mostly one that was asked for, and mostly the right bytes.
  wire::Request what = request();
  if (!other.wanted.empty() && script_.byte() % 8 != 0) {
    const auto at = other.wanted.begin() + static_cast<std::ptrdiff_t>(script_.byte() % other.wanted.size());
    what = *at;
    other.wanted.erase(at);
  }
  what.length = std::clamp<std::uint32_t>(what.length, 1, storage::block_bytes);
  Bytes bytes(what.length);
  if (what.piece < known_.pieces.size()) {
    const Bytes& piece = known_.pieces[what.piece];
    if (what.begin < piece.size())
      std::copy_n(piece.begin() + what.begin, std::min<std::size_t>(what.length, piece.size() - what.begin),
                  bytes.begin());
  }
  if (script_.byte() % 16 == 0) bytes[script_.byte() % bytes.size()] ^= 1;
  wire::Block block{what.piece, what.begin, pool_.take()};
  block.data.extend(other.codec->block_lead());
  block.data.drop_front(other.codec->block_lead());
  block.data.append(bytes);
  return block;
}

wire::Message SessionWorld::about_itself() {
  const std::uint32_t piece = script_.number(content_.pieces);
  switch (script_.byte() % 13) {
    case 0:
      return wire::KeepAlive{};
    case 1:
      return wire::Choke{};
    case 2:
    case 3:
      return wire::Unchoke{};
    case 4:
      return wire::Interested{};
    case 5:
      return wire::NotInterested{};
    case 6:
      return wire::Have{piece};
    case 7:
      return wire::AllowedFast{piece};
    case 8:
    case 9: {
      wire::Pieces pieces;
      const std::uint8_t form = script_.byte();
      pieces.form = static_cast<wire::Pieces::Form>(form % 3);
      pieces.count = content_.pieces;
      if (pieces.form == wire::Pieces::Form::bits) {
        pieces.bits.resize(1 + form / 128, 0xf0);
        const ByteView raw = script_.take(pieces.bits.size());
        std::ranges::copy(raw, pieces.bits.begin());
      }
      return pieces;
    }
    case 10:
      if (dialect_ == Speak::bittorrent) return wire::DontHave{piece};
      return wire::Choke{};
    case 11:
      if (dialect_ == Speak::bittorrent)
        return wire::DhtPort{static_cast<std::uint16_t>(script_.number(6881))};
      return wire::Unchoke{};
    default: {
      wire::Hello hello;
      const std::uint8_t form = script_.byte();
      hello.client = "fuzz";
      hello.listen_port = (form & 1) != 0 ? static_cast<std::uint16_t>(5000 + script_.byte() % 8) : 0;
      hello.metadata_bytes =
          (form & 2) != 0 ? static_cast<std::uint32_t>(content_.info.size()) : script_.number(16);
      hello.max_requests = (form & 4) != 0 ? 250 : script_.number(16);
      hello.takes_exchange = (form & 8) == 0;
      hello.upload_only = (form & 16) != 0;
      return hello;
    }
  }
}

wire::Message SessionWorld::about_hashes(Other& other) {
  if (!other.hashes_wanted.empty() && script_.byte() % 8 != 0) {
    const wire::HashRequest asked = other.hashes_wanted.back();
    other.hashes_wanted.pop_back();
    if (script_.byte() % 8 == 0) return wire::HashReject{asked};
    // The layer as it is, cut and padded to what was asked for.
    wire::Hashes out{asked, {}};
    for (std::size_t f = 0; f < content_.files.size(); ++f) {
      if (content_.files[f].root != asked.root) continue;
      const Bytes& layer = known_.layers[f];
      for (std::uint32_t i = 0; i < std::min(asked.length, 64U); ++i) {
        const std::size_t at = (std::size_t{asked.index} + i) * Sha256{}.size();
        out.hashes.push_back(at + Sha256{}.size() <= layer.size() ? to_array<32>(ByteView{layer}.subspan(at))
                                                                  : Sha256{});
      }
    }
    if (script_.byte() % 8 == 0 && !out.hashes.empty()) out.hashes.back()[0] ^= 1;
    return out;
  }
  wire::HashRequest request;
  const auto& file = content_.files[script_.byte() % content_.files.size()];
  if (script_.byte() % 8 != 0) request.root = file.root;
  request.base = script_.byte() % 8 == 0 ? script_.number(8) : script_.byte() % 3;
  request.index = script_.number(4);
  request.length = script_.byte() % 4 == 0 ? script_.number(8) : 1U << script_.byte() % 4;
  request.proofs = script_.number(4);
  if (script_.byte() % 8 == 0) return wire::HashReject{request};
  return request;
}

wire::Message SessionWorld::exchange() {
  wire::PeerExchange out;
  // The native writer writes no more than its reader takes; what is longer is native_wire_fuzz's to try.
  const std::size_t most = dialect_ == Speak::native ? max_exchange_entries : 70;
  for (std::size_t i = script_.byte() % (most + 1); i > 0; --i) {
    const std::uint8_t number = script_.byte();
    Endpoint endpoint{IpAddress::v4(0x14010001 + (std::uint32_t{number % 8U} / 2 << 16)),
                      static_cast<std::uint16_t>(5000 + number % 8)};
    if (number >= 128)  // any address, any port
      endpoint = {IpAddress::v4(load_be<std::uint32_t>(script_.array<4>().data())),
                  static_cast<std::uint16_t>(script_.number(1024))};
    wire::ExchangeEntry entry{endpoint, std::nullopt, (number & 8) != 0};
    if (dialect_ == Speak::native)
      entry.key = crypto::ExchangeKey::from_secret(ByteArray<32>{static_cast<std::uint8_t>(number % 8 + 1)})
                      .public_key;
    if ((number & 64) != 0)
      out.dropped.push_back(endpoint);
    else
      out.added.push_back(entry);
  }
  return out;
}

std::optional<wire::Message> SessionWorld::message(Other& other) {
  const std::uint8_t what = script_.byte() % 16;
  if (what < 6) return about_itself();
  if (what < 12) return about_blocks(other);
  if (what < 14) return about_hashes(other);
  if (what < 15 && script_.flag()) return exchange();
  const ByteView info = content_.info;
  constexpr std::size_t part_bytes = 16 * 1024;
  const std::uint32_t part = script_.number(1);
  switch (script_.byte() % 3) {
    case 0:
      return wire::MetadataRequest{part};
    case 1:
      return wire::MetadataReject{part};
    default: {
      wire::MetadataPart out{part, static_cast<std::uint32_t>(info.size()), {}};
      const std::size_t at = std::size_t{part} * part_bytes;
      if (at < info.size()) out.data = to_vector(info.subspan(at, std::min(part_bytes, info.size() - at)));
      const std::uint8_t lie = script_.byte();
      if (lie % 8 == 0 && !out.data.empty()) out.data[lie % out.data.size()] ^= 1;
      if (lie % 8 == 1) out.total_bytes = script_.number(64);
      return out;
    }
  }
}

void SessionWorld::say(Other& other) {
  flush(other);  // of a handshake
  if (!other.open || !other.codec->established()) return;
  if (auto what = message(other)) other.codec->send(now(), std::move(*what));
  flush(other);
}

}  // namespace shoal::fuzz
