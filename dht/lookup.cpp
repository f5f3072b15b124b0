// One iterative search; see lookup.hpp. The list of candidates is kept sorted by distance as 16-bit numbers
// over a pool that never moves an element's number, so that a late answer finds its candidate.
#include "dht/lookup.hpp"

#include <algorithm>

#include "dht/base/check.hpp"
#include "dht/limits.hpp"
#include "dht/routing_table.hpp"

namespace shoal::dht {
namespace {

constexpr std::size_t per_network = 4;  // candidates of one /24 or /48; the first alone counts for the end
constexpr std::uint32_t sweeps = 6;     // questions for the rest of a region: with 6, 99 % of it is found
constexpr std::uint32_t sweeps_crowded = 32;
constexpr double crowded_at = 2.5;                // times the nodes that a region should have
constexpr std::uint8_t asked_again = 2;           // times, of who is slow and among the nearest
constexpr std::size_t few_silent = 1;             // of a search in which hardly anybody is dead
constexpr std::size_t waited_for = 4;             // ranks at which the slow hold up a search for mere nodes
constexpr std::uint8_t repeats_without_gain = 3;  // a sample with nothing new costs as much as three

}  // namespace

Lookup::Lookup(const Key& target, const LookupRules& rules, const Key& own, Instant now)
    : target_(target), rules_(rules), own_(own), started_(now) {
  SHOAL_CHECK(rules.paths >= 1 && rules.paths <= limits::paths);
  pool_.reserve(64);
  order_.reserve(64);
}

void Lookup::seed(std::span<const NodeInfo> nodes) {
  for (std::size_t i = 0; i < nodes.size(); ++i)
    add(nodes[i], 1, static_cast<std::uint8_t>(i % rules_.paths), std::nullopt);
}

void Lookup::add(const NodeInfo& node, std::uint8_t depth, std::uint8_t path,
                 std::optional<std::uint16_t> root) {
  if (node.id == own_) return;
  const bool limited = counted(node.endpoint.address);
  const IpAddress network = limited ? node.endpoint.address.network() : IpAddress{};
  std::size_t same_network = 0;
  for (const std::uint16_t index : order_) {
    const NodeInfo& other = pool_[index].node;
    if (other.id == node.id || other.endpoint == node.endpoint) return;
    if (!limited || !counted(other.endpoint.address)) continue;
    if (other.endpoint.address == node.endpoint.address) return;
    if (other.endpoint.address.network() == network && ++same_network >= per_network) return;
  }
  Candidate fresh;
  fresh.node = node;
  fresh.distance = distance(target_, node.id);
  fresh.depth = depth;
  fresh.path = path;
  fresh.counts = same_network == 0;
  if (order_.size() >= limits::candidates) {
    if (!(fresh.distance < pool_[order_.back()].distance)) return;
    drop_farthest();
    if (order_.size() >= limits::candidates) return;
  }
  if (pool_.size() >= 4 * limits::candidates)
    return;  // a flood of ever nearer names; the queries run out first
  const auto place =
      std::upper_bound(order_.begin(), order_.end(), fresh.distance,
                       [this](const Key& d, std::uint16_t index) { return d < pool_[index].distance; });
  const auto number = static_cast<std::uint16_t>(pool_.size());
  fresh.root = root.value_or(number);
  order_.insert(place, number);
  pool_.push_back(fresh);
}

// Only a candidate not yet asked may go: answers of the others are on their way or counted.
void Lookup::drop_farthest() {
  for (std::size_t i = order_.size(); i-- > 0;) {
    if (pool_[order_[i]].state != State::heard) continue;
    order_.erase(order_.begin() + static_cast<std::ptrdiff_t>(i));
    return;
  }
}

bool Lookup::in_region(const Candidate& candidate, const Region& region) const {
  return region.contains(candidate.distance);
}

bool Lookup::wants_whole_region() const {
  return rules_.goal == Goal::store || (rules_.goal == Goal::records && values_ == 0);
}

Ask::Form Lookup::form_for(const Candidate& candidate, const Region& region) const {
  if (rules_.goal == Goal::nodes) return Ask::Form::nodes;
  if (rules_.targets == Targets::truncated && !candidate.replied && !in_region(candidate, region))
    return Ask::Form::approach;
  return Ask::Form::records;
}

void Lookup::ask(std::uint16_t index, Ask::Form form, std::vector<Ask>& out) {
  Candidate& candidate = pool_[index];
  candidate.state = State::asked;
  candidate.form = form;
  ++candidate.outstanding;
  ++queries_;
  out.push_back({index, candidate.node.endpoint, form});
}

std::size_t Lookup::in_flight(std::uint8_t path) const {
  return static_cast<std::size_t>(std::count_if(order_.begin(), order_.end(), [&](std::uint16_t index) {
    return pool_[index].path == path && pool_[index].state == State::asked;
  }));
}

// Walks the window: the k nearest that may be alive, and the whole region where that is wanted.
std::size_t Lookup::next_on_path(std::uint8_t path, std::size_t slots, const Region& region,
                                 std::vector<Ask>& out) {
  std::size_t used = 0;
  std::size_t counted_nodes = 0;
  bool converged = true;
  FixedList<std::uint16_t, limits::candidates> again;  // answered, but not the full target
  for (const std::uint16_t index : order_) {
    if (used >= slots || queries_ >= limits::queries) return used;
    Candidate& candidate = pool_[index];
    if (candidate.path != path || candidate.state == State::failed || candidate.state == State::overdue)
      continue;
    if (counted_nodes >= limits::k &&
        !(wants_whole_region() && counted_nodes < region.most && in_region(candidate, region)))
      break;
    const bool slow = candidate.state == State::slow;
    if (candidate.state == State::heard) {
      ask(index, form_for(candidate, region), out);
      ++used;
      converged = false;
    } else if (candidate.state == State::answered) {
      if (rules_.goal != Goal::nodes && !candidate.full_target) again.push(index);
    } else if (candidate.state == State::asked) {
      converged = false;
    } else if (slow && values_ == 0 && rules_.slow == Slow::asked_again) {
      // Twice at once: of three datagrams one arrives, and nobody waits a third time.
      for (; candidate.again < asked_again && used < slots && queries_ < limits::queries; ++candidate.again) {
        ask(index, candidate.form, out);
        ++used;
        converged = false;
      }
    }
    // The window is widened past the slow at once, asked anew or not: should they prove dead, the next have
    // answered by then.
    const bool doubtful = slow || (candidate.state == State::asked && candidate.again > 0);
    if (candidate.counts && !doubtful) ++counted_nodes;
  }
  if (!converged) return used;
  for (const std::uint16_t index : again) {
    if (used >= slots || queries_ >= limits::queries) break;
    ask(index, Ask::Form::records, out);
    ++used;
  }
  return again.empty() ? sweep(path, slots, region, out) : used;
}

// Who may know of others in the region: those at hand outside of it, and its own nodes once they have
// answered.
bool Lookup::may_sweep(const Candidate& candidate, const Region& region) const {
  if (candidate.swept) return false;
  if (in_region(candidate, region)) return candidate.state == State::answered && candidate.full_target;
  return candidate.state == State::heard || candidate.state == State::answered;
}

// More where the region holds more names than it should: somebody crowds it (THREATS D6).
std::uint32_t Lookup::sweep_budget(const Region& region) const {
  if (!wants_whole_region() || order_.size() <= limits::k || queries_ >= limits::queries) return 0;
  const auto crowd = std::count_if(order_.begin(), order_.end(),
                                   [&](std::uint16_t index) { return in_region(pool_[index], region); });
  return static_cast<double>(crowd) > crowded_at * limits::region_nodes ? sweeps_crowded : sweeps;
}

// In turn the nearest outside the region, whom no crowd around the key has chosen for us, and the farthest
// inside, who know best who else stands at the edge. Not in a network that has shown itself whole.
std::size_t Lookup::sweep(std::uint8_t path, std::size_t slots, const Region& region, std::vector<Ask>& out) {
  std::size_t used = 0;
  const std::uint32_t budget = sweep_budget(region);
  const auto fits = [&](std::uint16_t index, bool inside) {
    const Candidate& candidate = pool_[index];
    return candidate.path == path && in_region(candidate, region) == inside && may_sweep(candidate, region);
  };
  while (used < slots && swept_ < budget) {
    const auto outside =
        std::find_if(order_.begin(), order_.end(), [&](auto index) { return fits(index, false); });
    const auto inside =
        std::find_if(order_.rbegin(), order_.rend(), [&](auto index) { return fits(index, true); });
    if (outside == order_.end() && inside == order_.rend()) break;
    const bool go_out = outside != order_.end() && (swept_ % 2 == 0 || inside == order_.rend());
    const std::uint16_t index = go_out ? *outside : *inside;
    pool_[index].swept = true;
    ++swept_;
    ask(index, Ask::Form::approach, out);
    ++used;
  }
  return used;
}

// More than it gave, and more than we have from all: of a small swarm every node of the region holds the
// same.
bool Lookup::may_hold_more(const Candidate& candidate) const {
  return candidate.state == State::answered && candidate.full_target && candidate.held > candidate.got &&
         candidate.held > values_ && candidate.repeats < limits::repeats_per_node;
}

// A large swarm: further samples from nodes that hold more than they gave.
void Lookup::ask_for_more(std::size_t slots, std::vector<Ask>& out) {
  if (rules_.goal != Goal::records || values_ == 0) return;
  for (const std::uint16_t index : order_) {
    if (slots == 0 || values_ >= limits::records_wanted || queries_ >= limits::queries) return;
    const Candidate& candidate = pool_[index];
    if (!may_hold_more(candidate)) continue;
    ask(index, Ask::Form::more, out);
    --slots;
  }
}

void Lookup::next(const Region& region, std::vector<Ask>& out) {
  const std::size_t alpha = std::min(limits::alpha + slow_seen_, limits::alpha_raised);
  const std::size_t a_path = std::max<std::size_t>(rules_.paths == 1 ? 1 : 3, alpha / rules_.paths);
  bool asked = false;
  for (std::uint8_t path = 0; path < rules_.paths; ++path) {
    const std::size_t busy = in_flight(path);
    if (busy >= a_path) {
      asked = true;
      continue;
    }
    if (next_on_path(path, a_path - busy, region, out) > 0 || busy > 0) asked = true;
  }
  if (!asked) ask_for_more(alpha, out);
}

bool Lookup::path_finished(std::uint8_t path, const Region& region) const {
  std::size_t counted_nodes = 0;
  for (const std::uint16_t index : order_) {
    const Candidate& candidate = pool_[index];
    if (candidate.path != path || candidate.state == State::failed || candidate.state == State::overdue)
      continue;
    if (counted_nodes >= limits::k &&
        !(wants_whole_region() && counted_nodes < region.most && in_region(candidate, region)))
      break;
    switch (candidate.state) {
      case State::heard:
        if (queries_ < limits::queries) return false;
        break;
      case State::asked:
        return false;
      case State::slow:  // with records in hand nobody waits for the slow
        if (rules_.goal == Goal::nodes && counted_nodes >= waited_for) continue;
        if (!(rules_.goal == Goal::records && values_ > 0)) return false;
        break;
      case State::answered:
        if (rules_.goal != Goal::nodes && !candidate.full_target && queries_ < limits::queries) return false;
        break;
      case State::overdue:
      case State::failed:
        break;
    }
    if (candidate.counts) ++counted_nodes;
  }
  const bool may_ask = swept_ < sweep_budget(region);
  return std::none_of(order_.begin(), order_.end(), [&](std::uint16_t index) {
    const Candidate& candidate = pool_[index];
    if (candidate.path != path) return false;
    const bool asked = candidate.state == State::asked || candidate.state == State::slow;
    if (candidate.swept && asked && wants_whole_region()) return true;
    return may_ask && may_sweep(candidate, region);
  });
}

bool Lookup::exhausted(const Region& region) const {
  for (std::uint8_t path = 0; path < rules_.paths; ++path)
    if (!path_finished(path, region)) return false;
  return true;
}

bool Lookup::finished(const Region& region) const {
  if (!exhausted(region)) return false;
  // Before the first answer nobody is given up who may still speak: it may be a slow link, or the only other
  // node.
  if (answers_ == 0 && std::any_of(order_.begin(), order_.end(), [this](std::uint16_t index) {
        return pool_[index].outstanding > 0 && pool_[index].state != State::failed;
      }))
    return false;
  if (rules_.goal != Goal::records || values_ == 0) return true;
  if (values_ >= limits::records_wanted) return true;
  // Samples that were asked for, or would be.
  return std::none_of(order_.begin(), order_.end(), [this](std::uint16_t index) {
    const Candidate& candidate = pool_[index];
    if (candidate.state == State::asked) return candidate.form == Ask::Form::more;
    return queries_ < limits::queries && may_hold_more(candidate);
  });
}

void Lookup::answered(const Answer& answer) {
  SHOAL_CHECK(answer.candidate < pool_.size());
  Candidate& candidate = pool_[answer.candidate];
  if (candidate.state == State::failed) return;
  if (candidate.outstanding > 0) --candidate.outstanding;
  ++answers_;
  candidate.state = State::answered;
  candidate.replied = true;
  candidate.late = false;
  candidate.standing = answer.standing;
  values_ += answer.fresh;
  if (answer.form == Ask::Form::more) {
    candidate.repeats =
        static_cast<std::uint8_t>(candidate.repeats + (answer.fresh == 0 ? repeats_without_gain : 1));
  }
  if (answer.form == Ask::Form::nodes || answer.form == Ask::Form::records) candidate.full_target = true;
  candidate.held = std::max(candidate.held, answer.held);
  // Of one that sends as many as it holds nothing is left to ask for, new to us or not.
  candidate.got = answer.got >= answer.held ? std::max(candidate.got + answer.fresh, answer.held)
                                            : candidate.got + answer.fresh;
  if (!answer.token.empty() && answer.token.size() <= candidate.token.size()) {
    candidate.token_size = static_cast<std::uint8_t>(answer.token.size());
    std::copy(answer.token.begin(), answer.token.end(), candidate.token.begin());
  }
  const auto depth = static_cast<std::uint8_t>(std::min(255, candidate.depth + 1));
  const std::uint8_t path = candidate.path;
  const std::uint16_t root = candidate.root;
  for (const NodeInfo& node : answer.heard) add(node, depth, path, root);  // `candidate` is stale from here
}

void Lookup::slow(std::uint16_t candidate) {
  Candidate& c = pool_[candidate];
  if (c.state != State::asked) return;
  c.state = State::slow;
  ++slow_seen_;
  if (c.late) give_up(c);
}

void Lookup::overdue(std::uint16_t candidate) {
  Candidate& c = pool_[candidate];
  ++c.overdue;
  const bool nearest = !order_.empty() && order_.front() == candidate;
  if (nearest && c.overdue < c.outstanding && silent_beside(candidate) <= few_silent) return;
  if (c.state == State::asked && c.again > 0)
    c.late = true;  // asked anew, which has its own soft timeout
  else if (c.state == State::asked || c.state == State::slow)
    give_up(c);
}

// Others that let their time pass, or answered falsely. Who answered late is far away, not dead.
std::size_t Lookup::silent_beside(std::uint16_t candidate) const {
  return static_cast<std::size_t>(std::ranges::count_if(order_, [&](std::uint16_t index) {
    const Candidate& c = pool_[index];
    const bool slow = c.state == State::slow || c.state == State::overdue || c.state == State::failed;
    return index != candidate && !c.replied && (slow || c.again > 0);
  }));
}

// Nobody waits for it any longer.
void Lookup::give_up(Candidate& c) {
  if (c.form == Ask::Form::more) {
    c.state = State::answered;
    c.repeats = limits::repeats_per_node;
  } else if (!c.retried && order_.size() <= limits::k && c.form != Ask::Form::approach) {
    c.retried = true;
    c.state = State::heard;
  } else {
    c.state = State::overdue;
  }
}

void Lookup::failed(std::uint16_t candidate) {
  Candidate& c = pool_[candidate];
  ++failures_;
  if (c.outstanding > 0) --c.outstanding;
  if (c.overdue > 0) --c.overdue;
  if (c.state == State::answered || c.state == State::failed || c.outstanding > 0) return;
  if (c.form == Ask::Form::more) {
    c.state = State::answered;
    c.repeats = limits::repeats_per_node;
  } else {
    c.state = State::failed;
  }
}

std::vector<NodeInfo> Lookup::closest(std::size_t count) const {
  std::vector<NodeInfo> out;
  for (const std::uint16_t index : order_) {
    if (out.size() == count) break;
    if (pool_[index].replied) out.push_back(pool_[index].node);
  }
  return out;
}

std::vector<Place> Lookup::places(const Region& region) const {
  std::vector<Place> out;
  const auto collect = [&](Standing standing) {
    std::vector<IpAddress> networks;
    for (const std::uint16_t index : order_) {
      const Candidate& candidate = pool_[index];
      if (candidate.token_size == 0 || candidate.standing != standing) continue;
      if (out.size() >= limits::k && !in_region(candidate, region)) break;
      if (out.size() >= limits::puts_per_record) break;
      const IpAddress& address = candidate.node.endpoint.address;
      if (counted(address)) {
        const IpAddress network = address.network();
        if (std::find(networks.begin(), networks.end(), network) != networks.end()) continue;
        networks.push_back(network);
      }
      out.push_back({candidate.node.id, candidate.node.endpoint, candidate.token, candidate.token_size,
                     candidate.standing});
    }
  };
  collect(Standing::full);
  if (out.empty()) collect(Standing::read_only);
  return out;
}

std::optional<double> Lookup::size_sample() const {
  std::vector<Key> ids;
  for (const NodeInfo& node : closest(limits::k)) ids.push_back(node.id);
  if (ids.empty()) return std::nullopt;
  return size_from(target_, ids);
}

std::uint8_t Lookup::depth() const {
  for (const std::uint16_t index : order_)
    if (pool_[index].replied) return pool_[index].depth;
  return 0;
}

}  // namespace shoal::dht
