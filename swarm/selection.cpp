#include "swarm/selection.hpp"

#include <algorithm>

namespace shoal::swarm {
namespace {

// One element of a pattern and where the next one starts.
struct Element {
  enum class Kind : std::uint8_t { literal, one, star, star_star, set } kind{};
  std::size_t next = 0;
  std::size_t begin = 0, end = 0;  // of a set, between the brackets
};

Element element_at(std::string_view pattern, std::size_t at) {
  switch (pattern[at]) {
    case '?':
      return {Element::Kind::one, at + 1};
    case '*':
      if (pattern.substr(at).starts_with("**")) return {Element::Kind::star_star, at + 2};
      return {Element::Kind::star, at + 1};
    case '[':
      if (const std::size_t close = pattern.find(']', at + 2); close != std::string_view::npos)
        return {Element::Kind::set, close + 1, at + 1, close};
      break;
    default:
      break;
  }
  return {Element::Kind::literal, at + 1};
}

bool in_set(std::string_view set, char c) {
  const bool negated = set.front() == '!';
  if (negated) set.remove_prefix(1);
  bool found = false;
  for (std::size_t i = 0; i < set.size(); ++i) {
    const bool range = i + 2 < set.size() && set[i + 1] == '-';
    found = found || (range ? set[i] <= c && c <= set[i + 2] : set[i] == c);
    if (range) i += 2;
  }
  return found != negated && c != '/';
}

bool matches_one(std::string_view pattern, std::size_t at, const Element& element, char c) {
  switch (element.kind) {
    case Element::Kind::literal:
      return pattern[at] == c;
    case Element::Kind::one:
      return c != '/';
    case Element::Kind::set:
      return in_set(pattern.substr(element.begin, element.end - element.begin), c);
    case Element::Kind::star:
      return c != '/';
    case Element::Kind::star_star:
      return true;
  }
  return false;
}

}  // namespace

// The set of positions of the pattern that the path read so far can stand at.
bool glob_match(std::string_view pattern, std::string_view path) {
  while (pattern.ends_with('/')) pattern.remove_suffix(1);
  std::vector<bool> now(pattern.size() + 1), next(pattern.size() + 1);
  const auto add = [&](std::vector<bool>& set, std::size_t at) {
    while (!set[at]) {
      set[at] = true;
      if (at == pattern.size()) return;
      const Element element = element_at(pattern, at);
      if (element.kind != Element::Kind::star && element.kind != Element::Kind::star_star) return;
      at = element.next;  // a star may match nothing
    }
  };
  add(now, 0);
  for (const char c : path) {
    if (now[pattern.size()] && c == '/') return true;  // the pattern named a folder above
    std::fill(next.begin(), next.end(), false);
    for (std::size_t at = 0; at < pattern.size(); ++at) {
      if (!now[at]) continue;
      const Element element = element_at(pattern, at);
      if (!matches_one(pattern, at, element, c)) continue;
      const bool star = element.kind == Element::Kind::star || element.kind == Element::Kind::star_star;
      add(next, star ? at : element.next);
    }
    now.swap(next);
  }
  return now[pattern.size()];
}

std::vector<bool> wanted_files(const storage::Content& content, const std::vector<std::string>& globs,
                               const FilePlaces& places) {
  std::vector<bool> out(content.files.size(), globs.empty());
  for (std::size_t i = 0; i < content.files.size() && !globs.empty(); ++i)
    out[i] = std::any_of(globs.begin(), globs.end(),
                         [&](const std::string& glob) { return glob_match(glob, content.files[i].path); });
  if (places.empty()) return out;
  FilePlaces ranges = places;  // of a link, so many and in any order; swept once
  std::ranges::sort(ranges);
  auto range = ranges.begin();
  std::uint64_t reach = 0;  // behind the last place of all ranges that have begun
  std::uint32_t place = 0;
  std::uint64_t end = 0;  // of the file before
  for (std::size_t i = 0; i < content.files.size(); ++i) {
    const storage::ContentFile& file = content.files[i];
    if (content.v1 && file.start > end) ++place;  // padding is a file there
    for (; range != ranges.end() && range->first <= place; ++range)
      reach = std::max(reach, range->second + std::uint64_t{1});
    out[i] = out[i] && place < reach;
    ++place;
    end = file.start + file.length;
  }
  return out;
}

}  // namespace shoal::swarm
