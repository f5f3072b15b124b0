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
constexpr Duration again_last = std::chrono::minutes{5};

}  // namespace

void Announcer::Past::published(Now now, std::uint32_t nodes) {
  if (nodes > 0) return;
  missed = true;
  due = std::min(due, now.mono + again);
}

void Announcer::Past::soon(Now now) { due = std::min(due, now.mono + gather); }

Announcer::Announcer(const dht::ContentId& content, const crypto::SecretKey& node_seed, Past past,
                     Random random)
    : keys_(content),
      node_seed_(node_seed),
      exchange_(dht::exchange_key(node_seed, content)),
      past_(std::move(past)),
      random_(std::move(random)) {}

void Announcer::restore_sequence(std::uint64_t last) { past_.sequence = std::max(past_.sequence, last); }

std::vector<Publication> Announcer::build(Now now, dht::RecordInputs facts) {
  std::vector<Publication> out;
  std::vector<Key> live;
  for (const dht::Epoch epoch : keys_.epochs_at(now.wall)) {
    const dht::AnnouncerKeys announcer = dht::announcer_keys(node_seed_, keys_.content(), epoch, exchange_);
    past_.sequence = dht::next_sequence(announcer, now.wall, past_.sequence);
    facts.sequence = past_.sequence;
    facts.expiry = dht::draw_expiry(now.wall, random_);
    const dht::EpochKeys& epoch_keys = keys_.of(epoch);
    out.push_back({epoch_keys.key, dht::build_record(epoch_keys, announcer, facts, random_), epoch_keys,
                   announcer.signing.public_key});
    live.push_back(epoch_keys.key);
  }
  for (const Key& key : past_.live_keys)
    if (std::find(live.begin(), live.end(), key) == live.end()) stale_keys_.push_back(key);
  past_.live_keys = std::move(live);

  const auto spread = static_cast<std::uint64_t>(Duration{refresh_spread}.count());
  const Instant refresh =
      now.mono + refresh_least + Duration{static_cast<std::int64_t>(random_.below(spread))};
  const Instant change = now.mono + (keys_.next_change(now.wall) - now.wall);
  past_.due = std::min(refresh, change);
  const bool failed = std::exchange(past_.missed, false);
  past_.again = failed ? std::min(2 * past_.again, again_last) : Past{}.again;
  return out;
}

std::vector<Key> Announcer::take_stale_keys() { return std::exchange(stale_keys_, {}); }

}  // namespace shoal::swarm
