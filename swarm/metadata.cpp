// See metadata.hpp. Invariants: a part is missing, asked of one peer, or here; in_flight of an offer counts
// the parts asked of it; parts have been allocated for the one size that is tried now, and bytes only for
// parts that came.
#include "swarm/metadata.hpp"

#include <algorithm>
#include <tuple>

#include "dht/base/check.hpp"
#include "storage/metainfo.hpp"

namespace shoal::swarm {
namespace {

constexpr std::uint32_t most_offers = 256;  // a swarm has fewer peers
constexpr std::uint32_t most_rejects = 16;  // then it is asked no more
constexpr Duration after_reject = std::chrono::seconds{5};

}  // namespace

MetadataFetch::Offer* MetadataFetch::find(PeerHandle peer) {
  const auto found =
      std::find_if(offers_.begin(), offers_.end(), [&](const Offer& o) { return o.peer == peer; });
  return found == offers_.end() ? nullptr : &*found;
}

std::uint32_t MetadataFetch::part_bytes(std::uint32_t part) const {
  return std::min(limits::metadata_part_bytes, total_bytes_ - part * limits::metadata_part_bytes);
}

bool MetadataFetch::offer(PeerHandle peer, std::uint32_t total_bytes) {
  if (total_bytes > limits::max_metadata_bytes) return false;
  if (total_bytes == 0 || complete_ || offers_.size() >= most_offers || find(peer) != nullptr) return true;
  offers_.push_back({.peer = peer, .total_bytes = total_bytes});
  if (parts_.empty()) start();
  return true;
}

void MetadataFetch::remove_peer(PeerHandle peer) {
  if (find(peer) == nullptr) return;
  for (Part& part : parts_)
    if (part.asked != never && part.from == peer) give_up(part);
  std::erase_if(offers_, [&](const Offer& offer) { return offer.peer == peer; });
  const auto usable = [&](const Offer& offer) { return offer.total_bytes == total_bytes_; };
  if (single_ == peer || std::none_of(offers_.begin(), offers_.end(), usable)) start();
}

// The size that most claim; after a mismatch, one peer alone: the one least tried whose size most claim.
void MetadataFetch::start() {
  parts_.clear();
  here_ = total_bytes_ = 0;
  for (Offer& offer : offers_) offer.in_flight = 0;
  single_ = {};
  if (offers_.empty() || complete_) return;
  const auto claims = [&](const Offer& offer) {
    return std::count_if(offers_.begin(), offers_.end(),
                         [&](const Offer& other) { return other.total_bytes == offer.total_bytes; });
  };
  const auto rank = [&](const Offer& offer) {
    return std::tuple{alone_ ? offer.tried : 0U, alone_ ? offer.rejects : 0U, -claims(offer)};
  };
  const auto best = std::min_element(offers_.begin(), offers_.end(),
                                     [&](const Offer& a, const Offer& b) { return rank(a) < rank(b); });
  if (alone_) {
    single_ = best->peer;
    ++best->tried;
  }
  total_bytes_ = best->total_bytes;
  parts_.resize((total_bytes_ + limits::metadata_part_bytes - 1) / limits::metadata_part_bytes);
}

void MetadataFetch::give_up(Part& part) {
  if (Offer* offer = find(part.from); offer != nullptr && offer->in_flight > 0) --offer->in_flight;
  part.from = {};
  part.asked = never;
}

void MetadataFetch::next(Instant now, std::vector<Ask>& out) {
  if (complete_ || offers_.empty()) return;
  bool single_fails = false;
  for (Part& part : parts_) {
    if (part.asked == never || part.asked + limits::metadata_timeout > now) continue;
    if (Offer* offer = find(part.from); offer != nullptr) {
      ++offer->rejects;
      offer->not_before = now + after_reject;
      single_fails = single_fails || offer->peer == single_;
    }
    give_up(part);
  }
  if (single_fails && offers_.size() > 1) start();
  for (Offer& offer : offers_)
    if (offer.not_before <= now) offer.not_before = {};
  std::uint32_t part = 0;
  for (bool any = true; any;) {  // one each in turn, so that all peers share the work
    any = false;
    for (Offer& offer : offers_) {
      if (offer.total_bytes != total_bytes_ || (single_ && offer.peer != single_)) continue;
      if (offer.in_flight >= limits::metadata_parts_in_flight || offer.not_before != Instant{}) continue;
      if (offer.rejects >= most_rejects) continue;
      while (part < parts_.size() && (parts_[part].asked != never || !parts_[part].data.empty())) ++part;
      if (part == parts_.size()) return;
      parts_[part].from = offer.peer;
      parts_[part].asked = now;
      ++offer.in_flight;
      out.push_back({.peer = offer.peer, .part = part});
      any = true;
    }
  }
}

Instant MetadataFetch::next_time() const {
  Instant out = never;
  if (complete_) return out;
  for (const Part& part : parts_)
    if (part.asked != never) out = std::min(out, part.asked + limits::metadata_timeout);
  // Somebody who rejected may be asked again.
  for (const Offer& offer : offers_)
    if (offer.total_bytes == total_bytes_ && offer.not_before != Instant{} && offer.rejects < most_rejects &&
        (!single_ || offer.peer == single_))
      out = std::min(out, offer.not_before);
  return out;
}

MetadataFetch::Verdict MetadataFetch::part(Instant /*now*/, PeerHandle peer, std::uint32_t part,
                                           std::uint32_t total_bytes, ByteView data) {
  Offer* offer = find(peer);
  if (offer == nullptr || complete_) return Verdict::discarded;
  if (total_bytes != offer->total_bytes) return Verdict::strike;
  if (part >= parts_.size() || parts_[part].asked == never || parts_[part].from != peer)
    return Verdict::discarded;
  if (data.size() != part_bytes(part)) return Verdict::strike;
  Part& target = parts_[part];
  target.data = to_vector(data);
  target.asked = never;
  --offer->in_flight;
  offer->not_before = {};
  ++here_;
  return here_ == parts_.size() ? finish(peer) : Verdict::taken;
}

MetadataFetch::Verdict MetadataFetch::finish(PeerHandle last) {
  whole_.clear();
  whole_.reserve(total_bytes_);
  bool several = false;
  for (const Part& part : parts_) {
    append(whole_, part.data);
    several = several || part.from != last;
  }
  if (storage::is_info_of(expected_, whole_)) {
    complete_ = true;
    parts_.clear();
    return Verdict::complete;
  }
  whole_ = {};
  if (!several) {
    std::erase_if(offers_, [&](const Offer& offer) { return offer.peer == last; });
    start();
    return Verdict::strike;
  }
  alone_ = true;
  start();
  return Verdict::mismatch;
}

void MetadataFetch::rejected(Instant now, PeerHandle peer, std::uint32_t part) {
  if (part >= parts_.size() || parts_[part].asked == never || parts_[part].from != peer) return;
  give_up(parts_[part]);
  Offer* offer = find(peer);
  if (offer == nullptr) return;
  ++offer->rejects;
  offer->not_before = now + after_reject;
  if (single_ == peer && offers_.size() > 1) start();
}

Bytes MetadataFetch::take() {
  SHOAL_CHECK(complete_);
  return std::move(whole_);
}

std::optional<ByteView> MetadataServe::part(ByteView info, std::uint32_t part) {
  const std::size_t begin = std::size_t{part} * limits::metadata_part_bytes;
  if (begin >= info.size()) return std::nullopt;
  if (served_bytes_ >= std::uint64_t{limits::metadata_serve_copies} * info.size()) return std::nullopt;
  const ByteView out =
      info.subspan(begin, std::min<std::size_t>(limits::metadata_part_bytes, info.size() - begin));
  served_bytes_ += out.size();
  return out;
}

}  // namespace shoal::swarm
