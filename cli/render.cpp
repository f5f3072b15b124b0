// Lines of progress (render.hpp).
#include "cli/render.hpp"

#include <algorithm>
#include <array>
#include <span>

#include <fmt/format.h>

#include "cli/quantity.hpp"
#include "storage/names.hpp"

namespace shoal::cli {
namespace {

using Phase = swarm::ContentStatus::Phase;

struct Range {
  char32_t first, last;
};

bool within(char32_t c, std::span<const Range> ranges) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const Range& r) { return c >= r.first && c <= r.last; });
}

// Unicode Standard Annex 11 in broad strokes: what a terminal shows two columns wide, or none.
unsigned width_of(char32_t c) {
  static constexpr std::array<Range, 13> wide{{{0x1100, 0x115f},
                                               {0x2e80, 0x303e},
                                               {0x3041, 0x33ff},
                                               {0x3400, 0x4dbf},
                                               {0x4e00, 0x9fff},
                                               {0xa000, 0xa4cf},
                                               {0xac00, 0xd7a3},
                                               {0xf900, 0xfaff},
                                               {0xfe30, 0xfe6f},
                                               {0xff00, 0xff60},
                                               {0xffe0, 0xffe6},
                                               {0x1f300, 0x1faff},
                                               {0x20000, 0x3fffd}}};
  static constexpr std::array<Range, 5> none{
      {{0x300, 0x36f}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}}};
  if (within(c, none)) return 0;
  return within(c, wide) ? 2 : 1;
}

// The character at `at`, and how many bytes it has; a byte that begins none counts as one.
std::pair<char32_t, std::size_t> character(std::string_view text, std::size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  const std::size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (size == 1 || lead < 0xc0 || at + size > text.size()) return {lead, 1};
  char32_t c = lead & (0x7fU >> size);
  for (std::size_t i = 1; i < size; ++i) c = (c << 6) | (static_cast<unsigned char>(text[at + i]) & 0x3fU);
  return {c, size};
}

double percent(std::uint64_t done, std::uint64_t total) {
  if (total == 0) return 100;
  // Never 100.0 before the last byte.
  return std::min(done == total ? 100.0 : 99.9, static_cast<double>(done) * 100 / static_cast<double>(total));
}

std::string what_happens(const swarm::ContentStatus& status) {
  const std::string peers = counted(status.peers, "peer", "peers");
  switch (status.phase) {
    case Phase::loading:
    case Phase::attaching:
      return "opening";
    case Phase::metadata:
      return status.peers > 0 ? "asking for the list of files, " + peers
                              : fmt::format("looking for peers, {} known",
                                            counted(status.candidates, "address", "addresses"));
    case Phase::failed:
      return "closing";
    case Phase::resting:
      return "at rest";
    case Phase::seeding:
      return fmt::format("serving {}, {} up, {} sent, {}", show_size(status.bytes_wanted),
                         show_rate(status.up_rate), show_size(status.sent), peers);
    case Phase::checking:
    case Phase::paused:
    case Phase::fetching:
      break;
  }
  std::string out = fmt::format("{:.1f} % of {}", percent(status.bytes_verified, status.bytes_wanted),
                                show_size(status.bytes_wanted));
  if (status.phase == Phase::paused) return out + ", waiting for room on the disk";
  if (status.phase == Phase::checking) out += ", checking what is there";
  out += fmt::format(", {} down, {} up, {}", show_rate(status.down_rate), show_rate(status.up_rate), peers);
  if (status.down_rate >= 1 && status.phase == Phase::fetching)
    out += fmt::format(
        ", {} left",
        show_duration(static_cast<double>(status.bytes_wanted - status.bytes_verified) / status.down_rate));
  return out;
}

}  // namespace

unsigned display_width(std::string_view text) {
  unsigned width = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto [c, size] = character(text, at);
    width += width_of(c);
    at += size;
  }
  return width;
}

std::string clip(std::string_view text, unsigned columns) {
  if (display_width(text) <= columns) return std::string{text};
  const std::string_view mark = columns >= 8 ? "..." : "";
  const auto room = columns - static_cast<unsigned>(mark.size());
  unsigned width = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto [c, size] = character(text, at);
    if (width + width_of(c) > room) break;
    width += width_of(c);
    at += size;
  }
  return std::string{text.substr(0, at)}.append(mark);
}

std::vector<std::string> wrap(std::string_view text, unsigned columns) {
  std::vector<std::string> lines{std::string{}};
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (word.empty()) continue;
    std::string& line = lines.back();
    if (line.empty())
      line = word;
    else if (display_width(line) + 1 + display_width(word) <= columns)
      line.append(" ").append(word);
    else
      lines.emplace_back(word);
  }
  return lines;
}

std::string simulation_line(std::string_view scenario, double part, std::string_view what, double seconds,
                            unsigned columns) {
  constexpr double least_part = 0.01;  // below it a forecast means nothing
  const double done = part > 0 && part <= 1 ? part : part > 1 ? 1 : 0;
  std::string out = fmt::format("{}: {:.1f} %", scenario, std::min(done * 100, 99.9));
  if (!what.empty()) out.append(", ").append(storage::escape_for_display(what));
  if (done >= least_part) out += fmt::format(", {} left", show_duration(seconds * (1 - done) / done));
  return clip(out, columns);
}

std::string progress_line(const swarm::ContentStatus& status, std::string_view name, unsigned columns,
                          Colour colour) {
  constexpr unsigned least_name = 12;
  const std::string facts = what_happens(status);
  const unsigned used = display_width(facts) + 2;
  const std::string shown = storage::escape_for_display(name);
  const unsigned room = columns > used + least_name ? columns - used : std::min(least_name, columns / 3);
  if (shown.empty() || room < 4) return clip(facts, columns);
  const std::string head = clip(shown, room);
  const std::string tail = clip(facts, columns - std::min(columns, display_width(head) + 2));
  if (colour == Colour::none) return head + ": " + tail;
  return "\x1b[1m" + head + "\x1b[0m: " + tail;
}

std::string hashing_line(std::uint64_t done, std::uint64_t total, double seconds, unsigned columns) {
  std::string out = fmt::format("hashing: {:.1f} % of {}", percent(done, total), show_size(total));
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  if (rate >= 1)
    out += fmt::format(", {}, {} left", show_rate(rate),
                       show_duration(static_cast<double>(total - done) / rate));
  return clip(out, columns);
}

const char* phase_name(Phase phase) {
  switch (phase) {
    case Phase::loading:
      return "loading";
    case Phase::metadata:
      return "metadata";
    case Phase::attaching:
      return "attaching";
    case Phase::checking:
      return "checking";
    case Phase::fetching:
      return "fetching";
    case Phase::seeding:
      return "seeding";
    case Phase::resting:
      return "resting";
    case Phase::paused:
      return "paused";
    case Phase::failed:
      return "failed";
  }
  return "failed";
}

}  // namespace shoal::cli
