// See plan.hpp.
#include "tests/worlds/plan.hpp"

#include <cmath>

namespace shoal::sim {
namespace {

constexpr std::uint64_t block = storage::block_bytes;

Random::Seed seed_of(std::uint64_t seed) {
  Random::Seed out{};
  store_be(out.data(), seed);
  return out;
}

// Sizes at which something goes wrong where it does: nothing, a byte, around blocks and pieces.
std::uint64_t odd_size(Lots& lots, std::uint64_t most) {
  switch (lots.below(5)) {
    case 0:
      return lots.below(3);
    case 1:
      return lots.scale(1, most);
    default: {
      const std::uint64_t unit = block << lots.below(3);
      const std::uint64_t size = unit * lots.between(1, std::max<std::uint64_t>(1, most / unit));
      return size + lots.below(3) - 1;
    }
  }
}

ContentPlan draw_content(Lots& lots, std::size_t number) {
  ContentPlan out;
  out.name = "c" + std::to_string(number);
  std::uint64_t next = lots.below(1'000'000);
  const auto add = [&](std::string path, std::uint64_t bytes) {
    out.files.push_back({std::move(path), bytes, ++next});
  };
  switch (lots.below(6)) {
    case 0:
      add("", odd_size(lots, 4 * block));
      break;
    case 1:
      add("", odd_size(lots, 90 * block));
      break;
    case 2:
      add("", lots.scale(64 * kib, 3 * mib));
      break;
    case 3:
      for (std::uint64_t i = lots.between(2, 40); i > 0; --i)
        add("d" + std::to_string(i % 3) + "/f" + std::to_string(i), lots.scale(1, 40'000) - 1);
      break;
    default:
      for (std::uint64_t i = lots.between(1, 5); i > 0; --i)
        add((i % 2 == 0 ? "sub/deep/f" : "f") + std::to_string(i), odd_size(lots, 24 * block));
  }
  if (lots.chance(0.7)) out.piece_length = static_cast<std::uint32_t>(block << lots.below(4));
  return out;
}

MachineConfig draw_machine(Lots& lots) {
  MachineConfig out;
  out.crash_model = CrashModel::on;
  constexpr Unsynced fates[] = {Unsynced::applied, Unsynced::dropped, Unsynced::torn, Unsynced::torn};
  out.fate = lots.one_of(fates);
  if (lots.chance(0.6))
    out.host.rates = {lots.scale(48 * kib, 4 * mib), lots.chance(0.5) ? 0 : lots.scale(64 * kib, 8 * mib)};
  if (lots.chance(0.15)) out.up_limit = lots.scale(32 * kib, mib);
  if (lots.chance(0.15)) out.down_limit = lots.scale(32 * kib, mib);
  if (lots.chance(0.3))
    out.clock_skew = std::chrono::milliseconds{lots.between(0, 240'000)} - std::chrono::milliseconds{120'000};
  if (lots.chance(0.2)) out.timing = {lots.time(100us, 20ms), lots.time(1ms, 150ms), 8 << 20, 1};
  return out;
}

WorldConfig draw_world(Lots& lots) {
  WorldConfig out;
  if (lots.chance(0.3)) out.latency = {Latency::Law::log_normal, 5ms, 400ms, 40ms, 0.6};
  if (lots.chance(0.4)) out.streams.fragment = 0.3;
  if (lots.chance(0.4)) out.datagrams = {.loss = 0.2, .duplicate = 0.1, .late = 0.3};
  return out;
}

// Who shares, who gets, when, and how much of it.
void draw_wants(Lots& lots, Plan& plan) {
  for (std::size_t c = 0; c < plan.contents.size(); ++c) {
    ContentPlan& content = plan.contents[c];
    content.sharer = lots.below(plan.peers.size());
    plan.peers[content.sharer].wants.push_back({.content = c, .begins = lots.time(1ms, 3s), .shares = true});
    for (std::size_t p = 0; p < plan.peers.size(); ++p) {
      if (p == content.sharer || (plan.contents.size() > 1 && lots.chance(0.3))) continue;
      WantPlan want{.content = c, .begins = lots.time(1ms, 30s), .leaves = lots.chance(0.25)};
      if (content.files.size() > 1 && lots.chance(0.2))
        for (const SyntheticFile& file : content.files)
          if (want.only.empty() || lots.chance(0.4)) want.only.push_back(file.path);
      plan.peers[p].wants.push_back(std::move(want));
    }
  }
}

}  // namespace

Lots::Lots(std::uint64_t seed, std::string_view purpose) : random_(Random{seed_of(seed)}.fork(purpose)) {}

std::uint64_t Lots::scale(std::uint64_t low, std::uint64_t high) {
  const double from = std::log(static_cast<double>(low)), to = std::log(static_cast<double>(high));
  const auto drawn = static_cast<std::uint64_t>(std::exp(from + (to - from) * random_.unit()));
  return std::clamp(drawn, low, high);
}

Duration Lots::time(Duration low, Duration high) {
  return Duration{static_cast<std::int64_t>(
      scale(static_cast<std::uint64_t>(low.count()), static_cast<std::uint64_t>(high.count())))};
}

Plan Plan::draw(std::uint64_t seed) {
  Lots lots{seed, "plan"};
  Plan out;
  out.world = draw_world(lots);
  out.nodes = lots.below(4);
  out.sites = lots.chance(0.4) ? lots.between(1, 2) : 0;
  for (std::uint64_t i = lots.between(2, 8); i > 0; --i) {
    PeerPlan peer{.config = draw_machine(lots)};
    if (out.sites > 0 && lots.chance(0.5)) peer.site = lots.between(1, out.sites);
    peer.told_addresses = out.nodes == 0 || lots.chance(0.5);
    out.peers.push_back(std::move(peer));
  }
  const std::uint64_t contents = lots.chance(0.6) ? 1 : lots.between(2, 3);
  for (std::uint64_t c = 0; c < contents; ++c) out.contents.push_back(draw_content(lots, c));
  draw_wants(lots, out);
  if (lots.chance(0.25) && out.peers.size() > 2) {
    const std::size_t who = lots.below(out.peers.size());
    bool shares = false;
    for (const WantPlan& each : out.peers[who].wants) shares = shares || each.shares;
    if (!shares) out.corrupter = who;
    constexpr double parts[] = {0.1, 0.5, 1};
    out.corrupt_part = lots.one_of(parts);
  }
  out.faults = lots.below(12);
  Lots formats{seed, "formats"};
  for (ContentPlan& content : out.contents)
    if (formats.chance(0.5)) {
      content.format = formats.chance(0.5) ? storage::Format::v1 : storage::Format::hybrid;
      // Pieces of v1 may have any length.
      if (content.format == storage::Format::v1 && formats.chance(0.4))
        content.piece_length =
            static_cast<std::uint32_t>(formats.between(storage::min_v1_piece_length, 100'000));
    }
  return out;
}

const WantPlan* Plan::want(std::size_t peer, std::size_t content) const {
  for (const WantPlan& each : peers[peer].wants)
    if (each.content == content) return &each;
  return nullptr;
}

bool Plan::meet(std::size_t a, std::size_t b, std::size_t content) const {
  if (peers[a].site != 0 && peers[a].site == peers[b].site) return true;  // they hear each other
  if (peers[a].site != 0 && peers[b].site != 0) return false;
  if (nodes > 0) return true;
  // The getter asks the address in its link; the sharer must be where that leads.
  const std::size_t sharer = contents[content].sharer;
  return (a == sharer || b == sharer) && peers[sharer].site == 0;
}

bool Plan::reachable(std::size_t peer, std::size_t content) const {
  std::vector<std::size_t> reached{contents[content].sharer};
  std::vector<bool> seen(peers.size(), false);
  seen[reached.front()] = true;
  for (std::size_t i = 0; i < reached.size(); ++i)
    for (std::size_t next = 0; next < peers.size(); ++next) {
      const WantPlan* wants = want(next, content);
      if (seen[next] || wants == nullptr || !meet(reached[i], next, content)) continue;
      seen[next] = true;
      if (next != corrupter && !wants->leaves && wants->only.empty()) reached.push_back(next);
    }
  return seen[peer] && peer != corrupter;
}

}  // namespace shoal::sim
