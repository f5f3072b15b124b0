#include "swarm/announcer.hpp"

#include <algorithm>
#include <utility>

namespace shoal::swarm {
namespace {

// DESIGN 5: refreshed every 25 +- 5 min, so that a record of 60 min survives one missed refresh and the
// announcers of a swarm do not march in step.
constexpr std::chrono::minutes refresh_least{20};
constexpr std::chrono::minutes refresh_spread{10};
constexpr std::chrono::milliseconds gather{250};
constexpr Duration again_first = std::chrono::seconds{5}, again_last = std::chrono::minutes{5};

}  // namespace

Announcer::Announcer(const dht::ContentId& content, const crypto::SecretKey& node_seed,
                     std::uint64_t last_sequence, Random random)
    : keys_(content),
      node_seed_(node_seed),
      exchange_(dht::exchange_key(node_seed, content)),
      sequence_(last_sequence),
      random_(std::move(random)),
      again_(again_first) {}

void Announcer::restore_sequence(std::uint64_t last) { sequence_ = std::max(sequence_, last); }

std::vector<Publication> Announcer::build(Now now, dht::RecordInputs facts) {
  std::vector<Publication> out;
  std::vector<Key> live;
  for (const dht::Epoch epoch : keys_.epochs_at(now.wall)) {
    const dht::AnnouncerKeys announcer = dht::announcer_keys(node_seed_, keys_.content(), epoch);
    sequence_ = dht::next_sequence(announcer, now.wall, sequence_);
    facts.sequence = sequence_;
    facts.expiry = dht::draw_expiry(now.wall, random_);
    const dht::EpochKeys& epoch_keys = keys_.of(epoch);
    out.push_back({epoch_keys.key, dht::build_record(epoch_keys, announcer, facts, random_), epoch_keys,
                   announcer.signing.public_key});
    live.push_back(epoch_keys.key);
  }
  for (const Key& key : live_keys_)
    if (std::find(live.begin(), live.end(), key) == live.end()) stale_keys_.push_back(key);
  live_keys_ = std::move(live);

  const auto spread = static_cast<std::uint64_t>(Duration{refresh_spread}.count());
  const Instant refresh =
      now.mono + refresh_least + Duration{static_cast<std::int64_t>(random_.below(spread))};
  const Instant change = now.mono + (keys_.next_change(now.wall) - now.wall);
  due_ = std::min(refresh, change);
  again_ = std::exchange(missed_, false) ? std::min(2 * again_, again_last) : again_first;
  return out;
}

std::vector<Key> Announcer::take_stale_keys() { return std::exchange(stale_keys_, {}); }

void Announcer::published(Now now, std::uint32_t nodes) {
  if (nodes > 0) return;
  missed_ = true;
  due_ = std::min(due_, now.mono + again_);
}

void Announcer::soon(Now now) { due_ = std::min(due_, now.mono + gather); }

}  // namespace shoal::swarm
