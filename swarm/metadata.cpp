// See metadata.hpp. Invariants: of an attempt a part is here, asked of somebody, asked in vain, or fresh;
// bytes are allocated for parts that came alone, and so is their place: a claim costs nothing.
#include "swarm/metadata.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "dht/base/check.hpp"
#include "storage/metainfo.hpp"

namespace shoal::swarm {
namespace {

constexpr std::uint32_t most_offers = 256;  // a swarm has fewer peers
constexpr Duration first_rest = std::chrono::seconds{5};
constexpr std::uint32_t most_doublings = 4;  // of a rest: it is not over a minute and a half
constexpr std::size_t most_remembered = 2 * std::size_t{limits::metadata_parts_in_flight};  // questions
constexpr std::uint64_t most_held = 2 * std::uint64_t{limits::max_metadata_bytes};

std::uint32_t parts_of(std::uint32_t total_bytes) {
  return (total_bytes + limits::metadata_part_bytes - 1) / limits::metadata_part_bytes;
}

std::uint32_t part_bytes(std::uint32_t total_bytes, std::uint32_t part) {
  return std::min(limits::metadata_part_bytes, total_bytes - part * limits::metadata_part_bytes);
}

}  // namespace

std::size_t MetadataFetch::Offer::in_flight() const {
  return static_cast<std::size_t>(std::ranges::count(asked, false, &Question::late));
}

MetadataFetch::Offer* MetadataFetch::find(PeerHandle peer) {
  const auto found = std::ranges::find(offers_, peer, &Offer::peer);
  return found == offers_.end() ? nullptr : &*found;
}

bool MetadataFetch::offer(PeerHandle peer, std::uint32_t total_bytes) {
  if (total_bytes > limits::max_metadata_bytes) return false;
  if (total_bytes == 0 || complete_ || offers_.size() >= most_offers || find(peer) != nullptr) return true;
  offers_.push_back({.peer = peer, .total_bytes = total_bytes, .asked = {}});
  attempts_[total_bytes].parts = parts_of(total_bytes);
  return true;
}

void MetadataFetch::remove_peer(PeerHandle peer) {
  const auto found = std::ranges::find(offers_, peer, &Offer::peer);
  if (found == offers_.end()) return;
  const std::uint32_t total_bytes = found->total_bytes;
  const auto attempt = attempts_.find(total_bytes);
  for (Question& question : found->asked) give_up(attempt->second, question);
  offers_.erase(found);
  if (std::ranges::find(offers_, total_bytes, &Offer::total_bytes) != offers_.end()) return;
  restart(total_bytes, attempt->second);
  attempts_.erase(attempt);
}

// ---- asking

// The questions of one round fail together.
void MetadataFetch::failed(Instant now, Offer& offer) {
  if (offer.rests_until > now) return;
  offer.rests_until = now + first_rest * (1U << std::min(offer.failures, most_doublings));
  ++offer.failures;
}

void MetadataFetch::give_up(Attempt& attempt, Question& question) {
  if (std::exchange(question.late, true) || attempt.here.contains(question.part)) return;
  attempt.again.insert(question.part);
}

void MetadataFetch::give_up_overdue(Instant now) {
  for (Offer& offer : offers_) {
    for (Question& question : offer.asked) {
      if (question.late || question.when + limits::metadata_timeout > now) continue;
      give_up(attempts_.at(offer.total_bytes), question);
      failed(now, offer);
    }
  }
}

// Who gives nothing is left for the next; nobody is, as long as all others rest.
void MetadataFetch::choose_single(Instant now, std::uint32_t total_bytes, Attempt& attempt) {
  if (const Offer* single = find(attempt.single); single != nullptr && single->rests_until <= now) return;
  Offer* best = nullptr;
  for (Offer& offer : offers_) {
    if (offer.total_bytes != total_bytes || offer.rests_until > now) continue;
    if (best == nullptr || std::tie(offer.tried, offer.failures) < std::tie(best->tried, best->failures))
      best = &offer;
  }
  if (best == nullptr) return;
  restart(total_bytes, attempt);
  attempt.single = best->peer;
  ++best->tried;
}

void MetadataFetch::restart(std::uint32_t total_bytes, Attempt& attempt) {
  for (const auto& [part, here] : attempt.here) held_ -= here.data.size();
  attempt.here.clear();
  attempt.again.clear();
  attempt.fresh = 0;
  for (Offer& offer : offers_)
    if (offer.total_bytes == total_bytes) offer.asked.clear();
}

std::optional<std::uint32_t> MetadataFetch::ask(Instant now, Offer& offer) {
  Attempt& attempt = attempts_.at(offer.total_bytes);
  if (attempt.alone && offer.peer != attempt.single) return std::nullopt;
  if (offer.rests_until > now || offer.in_flight() >= limits::metadata_parts_in_flight) return std::nullopt;
  std::uint32_t part = attempt.fresh;
  if (!attempt.again.empty())
    part = attempt.again.extract(attempt.again.begin()).value();
  else if (part == attempt.parts)
    return std::nullopt;
  else
    ++attempt.fresh;
  if (offer.asked.size() >= most_remembered)
    offer.asked.erase(std::ranges::find(offer.asked, true, &Question::late));
  offer.asked.push_back({.part = part, .when = now});
  return part;
}

void MetadataFetch::next(Instant now, std::vector<Ask>& out) {
  if (complete_) return;
  give_up_overdue(now);
  for (auto& [total_bytes, attempt] : attempts_)
    if (attempt.alone) choose_single(now, total_bytes, attempt);
  for (bool any = true; any;) {  // one each in turn, so that all peers share the work
    any = false;
    for (Offer& offer : offers_) {
      const auto part = ask(now, offer);
      if (!part) continue;
      out.push_back({.peer = offer.peer, .part = *part});
      any = true;
    }
  }
}

// ---- what comes back

MetadataFetch::Verdict MetadataFetch::part(Instant now, PeerHandle peer, std::uint32_t part,
                                           std::uint32_t total_bytes, ByteView data) {
  Offer* offer = find(peer);
  if (offer == nullptr || complete_) return Verdict::discarded;
  if (total_bytes != offer->total_bytes) return Verdict::strike;
  if (std::ranges::find(offer->asked, part, &Question::part) == offer->asked.end()) return Verdict::discarded;
  if (data.size() != part_bytes(total_bytes, part)) return Verdict::strike;
  std::erase_if(offer->asked, [&](const Question& question) { return question.part == part; });
  offer->failures = 0;
  offer->rests_until = {};
  Attempt& attempt = attempts_.at(total_bytes);
  if (!attempt.here.try_emplace(part, Part{to_vector(data), peer}).second) return Verdict::discarded;
  attempt.again.erase(part);
  held_ += data.size();
  if (attempt.here.size() == attempt.parts) return finish(now, *offer, attempt);
  make_room(now);
  return Verdict::taken;
}

MetadataFetch::Verdict MetadataFetch::finish(Instant now, Offer& last, Attempt& attempt) {
  const std::uint32_t total_bytes = last.total_bytes;
  whole_.clear();
  whole_.reserve(total_bytes);
  bool several = false;
  for (const auto& [part, here] : attempt.here) {
    append(whole_, here.data);
    several = several || here.from != last.peer;
  }
  if (storage::is_info_of(expected_, whole_)) {
    complete_ = true;
    attempts_.clear();
    offers_.clear();
    return Verdict::complete;
  }
  whole_ = {};
  restart(total_bytes, attempt);
  if (!several) {
    remove_peer(last.peer);
    return Verdict::strike;
  }
  attempt.alone = true;
  attempt.single = {};
  choose_single(now, total_bytes, attempt);
  return Verdict::mismatch;
}

// Of more than two of the largest the attempt of the fewest peers begins anew; of those, what lacks most.
void MetadataFetch::make_room(Instant now) {
  if (held_ <= most_held) return;
  const auto rank = [&](const auto& each) {
    const auto& [total_bytes, attempt] = each;
    return std::tuple{attempt.here.empty(), std::ranges::count(offers_, total_bytes, &Offer::total_bytes),
                      static_cast<double>(attempt.here.size()) / attempt.parts};
  };
  const auto victim = std::ranges::min_element(attempts_, {}, rank);
  restart(victim->first, victim->second);
  for (Offer& offer : offers_)
    if (offer.total_bytes == victim->first) failed(now, offer);
}

void MetadataFetch::rejected(Instant now, PeerHandle peer, std::uint32_t part) {
  Offer* offer = find(peer);
  if (offer == nullptr) return;
  const auto asked = std::ranges::find(offer->asked, part, &Question::part);
  if (asked == offer->asked.end()) return;
  give_up(attempts_.at(offer->total_bytes), *asked);
  offer->asked.erase(asked);
  failed(now, *offer);
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
