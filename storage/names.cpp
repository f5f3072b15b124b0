// Names, see the header. The sets of characters: what an attacker uses to move a cursor, to reorder a line or
// to hide text (Unicode: Cc, bidi controls, line and paragraph separators, invisible format characters) is
// escaped; joiners (U+200C, U+200D) stay, since Persian and emoji need them.
#include "storage/names.hpp"

#include <algorithm>
#include <ranges>
#include <set>

#include "dht/base/bytes.hpp"
#include "dht/base/hash.hpp"

namespace shoal::storage {
namespace {

constexpr std::string_view part_suffix = ".part";
constexpr char hex_digits[] = "0123456789abcdef";

// A code point and its length in bytes; length 0 where the bytes are not UTF-8 (RFC 3629: no overlong forms,
// no surrogates, none above U+10FFFF).
struct CodePoint {
  std::uint32_t value = 0;
  std::size_t bytes = 0;
};

CodePoint decode_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i]));
  };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t bytes = lead >= 0xf0 && lead <= 0xf4  ? 4
                            : lead >= 0xe0 && lead < 0xf0 ? 3
                            : lead >= 0xc2 && lead < 0xe0 ? 2
                                                          : 0;
  if (bytes == 0 || text.size() < bytes) return {};
  std::uint32_t value = lead & (0x7fU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = (value << 6) | (byte(i) & 0x3f);
  }
  const bool overlong = (bytes == 3 && value < 0x800) || (bytes == 4 && value < 0x10000);
  if (overlong || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return {};
  return {value, bytes};
}

bool within(std::uint32_t c, std::uint32_t first, std::uint32_t last) { return c >= first && c <= last; }

bool shown_escaped(std::uint32_t c) {
  return c < 0x20 || c == '\\' || within(c, 0x7f, 0x9f) || c == 0xad || c == 0x61c || c == 0x180e ||
         c == 0x200b || within(c, 0x200e, 0x200f) || within(c, 0x2028, 0x202e) || within(c, 0x2060, 0x206f) ||
         within(c, 0xfdd0, 0xfdef) || c == 0xfeff || within(c, 0xfff0, 0xfffb) || (c & 0xfffe) == 0xfffe ||
         within(c, 0xe0000, 0xe0fff);
}

void append_hex(std::string& out, unsigned char byte) {
  out += hex_digits[byte >> 4];
  out += hex_digits[byte & 15];
}

std::string short_hash(std::string_view name) { return to_hex(sha256(as_bytes(name))).substr(0, 8); }

// The longest prefix of at most `bytes` that does not cut a UTF-8 sequence (or, in an escaped name, a %XX).
// Precondition: `bytes` is more than such a sequence has.
std::string_view cut(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  std::size_t end = bytes;
  for (std::size_t back = 0; back < 3 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80; ++back)
    --end;
  for (std::size_t back = 1; back <= 2; ++back)
    if (text[end - back] == '%') return text.substr(0, end - back);
  return text.substr(0, end);
}

// The first character of what remains of a name: its bytes, and which oddity it is.
struct Step {
  std::size_t bytes = 0;
  std::optional<std::size_t> odd;
};

Step first_step(std::string_view left) {
  constexpr std::string_view refused = "\"*:<>?\\|";
  const CodePoint c = decode_utf8(left);
  if (c.bytes > 1) return {c.bytes, std::nullopt};
  if (left == ".") return {1, odd_last_dot};
  if (left == " ") return {1, odd_last_space};
  const auto byte = static_cast<unsigned char>(left[0]);
  if (c.bytes == 0 || byte < 0x20 || byte == 0x7f || refused.contains(left[0])) return {1, byte};
  return {1, std::nullopt};
}

// A name that is not taken: the name's beginning, a hash of `hashed` and, where need be, a counter. There is
// room for "~", 8 digits, "-", a counter of 10 digits and the suffix. Names that hash differently try
// different candidates, so that nobody can make many names wait for one long row of taken ones.
std::string numbered(std::string_view name, std::string_view hashed, std::string_view suffix,
                     const std::function<bool(std::string_view)>& taken) {
  const std::string stem =
      std::string{cut(name, max_component_bytes - 20 - suffix.size())} + "~" + short_hash(hashed);
  std::string candidate = stem + std::string{suffix};
  for (std::uint32_t i = 2; taken(candidate); ++i)
    candidate = stem + "-" + std::to_string(i) + std::string{suffix};
  return candidate;
}

std::string_view folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash + 1);
}

bool inside(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

// The place, in the order of the tree, of the first file whose path is not before this one. O(log n).
std::size_t place_of(const Content& content, std::string_view path) {
  const auto before = [&](std::uint32_t file) { return compare_paths(content.files[file].path, path) < 0; };
  if (!content.tree_order.empty())
    return static_cast<std::size_t>(std::ranges::partition_point(content.tree_order, before) -
                                    content.tree_order.begin());
  const auto all = std::views::iota(std::uint32_t{0}, static_cast<std::uint32_t>(content.files.size()));
  return static_cast<std::size_t>(std::ranges::partition_point(all, before) - all.begin());
}

std::uint32_t file_at_place(const Content& content, std::size_t place) {
  return content.tree_order.empty() ? static_cast<std::uint32_t>(place) : content.tree_order[place];
}

// Whether the content has a file, link or folder at that path. O(log n).
bool names_something(const Content& content, std::string_view path) {
  const std::size_t place = place_of(content, path);
  if (place < content.files.size()) {
    const std::string& found = content.files[file_at_place(content, place)].path;
    if (found == path || inside(found, path)) return true;
  }
  const auto folder =
      std::lower_bound(content.empty_folders.begin(), content.empty_folders.end(), path,
                       [](const std::string& f, std::string_view p) { return compare_paths(f, p) < 0; });
  return folder != content.empty_folders.end() && (*folder == path || inside(*folder, path));
}

}  // namespace

std::optional<std::uint32_t> file_with(const Content& content, std::string_view path) {
  const std::size_t place = place_of(content, path);
  if (place == content.files.size()) return std::nullopt;
  const std::uint32_t file = file_at_place(content, place);
  return content.files[file].path == path ? std::optional{file} : std::nullopt;
}

Result<void> check_component(std::string_view name) {
  if (name.empty() || name == "." || name == "..")
    return fail(Code::unsafe, "a name is neither empty nor . nor ..");
  if (name.find('/') != std::string_view::npos || name.find('\0') != std::string_view::npos)
    return fail(Code::unsafe, "a name holds neither a slash nor a zero byte");
  if (name.size() > max_component_bytes) return fail(Code::too_large, "a name has at most 255 bytes");
  return {};
}

Result<void> check_path(std::string_view path) {
  std::size_t depth = 0;
  for (;;) {
    if (++depth > max_path_depth) return fail(Code::too_large, "folders are at most 100 deep");
    const std::size_t slash = path.find('/');
    if (auto ok = check_component(path.substr(0, slash)); !ok) return ok;
    if (slash == std::string_view::npos) return {};
    path.remove_prefix(slash + 1);
  }
}

std::strong_ordering compare_paths(std::string_view a, std::string_view b) {
  const std::size_t shared = std::min(a.size(), b.size());
  for (std::size_t i = 0; i < shared; ++i) {
    if (a[i] == b[i]) continue;
    if (a[i] == '/') return std::strong_ordering::less;  // a's component ends first
    if (b[i] == '/') return std::strong_ordering::greater;
    return static_cast<unsigned char>(a[i]) <=> static_cast<unsigned char>(b[i]);
  }
  return a.size() <=> b.size();
}

std::string escape_for_display(std::string_view raw) {
  std::string out;
  out.reserve(raw.size());
  while (!raw.empty()) {
    const CodePoint c = decode_utf8(raw);
    const std::size_t bytes = c.bytes == 0 ? 1 : c.bytes;
    if (c.bytes != 0 && !shown_escaped(c.value)) {
      out.append(raw.substr(0, bytes));
    } else {
      for (std::size_t i = 0; i < bytes; ++i) {
        out += "\\x";
        append_hex(out, static_cast<unsigned char>(raw[i]));
      }
    }
    raw.remove_prefix(bytes);
  }
  return out;
}

std::optional<std::string> unescape_display(std::string_view shown) {
  std::string out;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    if (shown[i] != '\\') {
      out += shown[i];
      continue;
    }
    if (shown.size() - i < 4 || shown[i + 1] != 'x') return std::nullopt;
    const auto byte = from_hex(shown.substr(i + 2, 2));
    if (!byte) return std::nullopt;
    out += static_cast<char>(byte->front());
    i += 3;
  }
  if (escape_for_display(out) != shown) return std::nullopt;
  return out;
}

Oddities oddities(std::string_view name) {
  Oddities out;
  while (!name.empty()) {
    const Step step = first_step(name);
    if (step.odd) out.set(*step.odd);
    name.remove_prefix(step.bytes);
  }
  return out;
}

std::string percent_escape(std::string_view name) {
  std::string out;
  for (std::string_view left = name; !left.empty();) {
    const Step step = first_step(left);
    if (step.odd || left[0] == '%') {
      out += '%';
      append_hex(out, static_cast<unsigned char>(left[0]));
    } else {
      out.append(left.substr(0, step.bytes));
    }
    left.remove_prefix(step.bytes);
  }
  if (out.size() <= max_component_bytes) return out;
  return std::string{cut(out, max_component_bytes - 9)} + "~" + short_hash(name);
}

std::string escaped_name(std::string_view name, const std::function<bool(std::string_view)>& taken) {
  std::string plain = percent_escape(name);
  return taken(plain) ? numbered(plain, name, {}, taken) : plain;
}

std::string part_name(std::string_view name, const std::function<bool(std::string_view)>& taken) {
  if (name.size() + part_suffix.size() <= max_component_bytes) {
    std::string plain = std::string{name} + std::string{part_suffix};
    if (!taken(plain)) return plain;
  }
  return numbered(name, name, part_suffix, taken);
}

std::vector<std::string> part_paths(const Content& content) {
  std::vector<std::string> out;
  out.reserve(content.files.size());
  std::set<std::string> unusual;  // the part paths that are not NAME.part: few in an honest content
  for (const ContentFile& file : content.files) {
    if (file.kind == FileKind::symlink) {
      out.emplace_back();
      continue;
    }
    const std::string folder{folder_of(file.path)};
    const std::string_view name = std::string_view{file.path}.substr(folder.size());
    const auto taken = [&](std::string_view candidate) {
      const std::string path = folder + std::string{candidate};
      if (names_something(content, path) || unusual.contains(path)) return true;
      // An unusual candidate X.part must also leave room for a sibling X, whose part file it would be.
      const std::string_view owner = candidate.substr(0, candidate.size() - part_suffix.size());
      return owner != name && names_something(content, folder + std::string{owner});
    };
    const std::string part = part_name(name, taken);
    const std::string path = folder + part;
    if (part.size() != name.size() + part_suffix.size() || !part.starts_with(name)) unusual.insert(path);
    out.push_back(content.single_file ? path : content.name + "/" + path);
  }
  return out;
}

std::optional<std::string> resolve_link(std::string_view link_path, std::string_view text) {
  if (text.empty() || text.front() == '/' || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::string at{folder_of(link_path)};  // ends in '/', or is empty
  bool went_down = false;
  while (!text.empty()) {
    const std::size_t slash = text.find('/');
    const std::string_view step = text.substr(0, slash);
    text.remove_prefix(slash == std::string_view::npos ? text.size() : slash + 1);
    if (step.empty() || step == ".") continue;
    if (step == "..") {
      if (went_down || at.empty()) return std::nullopt;
      at.resize(folder_of(std::string_view{at}.substr(0, at.size() - 1)).size());
      continue;
    }
    if (!check_component(step)) return std::nullopt;
    went_down = true;
    at.append(step);
    at += '/';
  }
  if (!at.empty()) at.pop_back();
  return at;
}

std::string link_text(std::string_view link_path, std::string_view target_from_root) {
  // Leave out the folders that both share.
  std::string_view from = folder_of(link_path);
  std::string_view to = target_from_root;
  for (;;) {
    const std::size_t step = from.find('/');
    if (step == std::string_view::npos) break;
    const bool same = to.starts_with(from.substr(0, step)) && (to.size() == step || to[step] == '/');
    if (!same) break;
    to.remove_prefix(std::min(step + 1, to.size()));
    from.remove_prefix(step + 1);
  }
  std::string out;
  for (std::size_t i = 0; i < static_cast<std::size_t>(std::count(from.begin(), from.end(), '/')); ++i)
    out += out.empty() ? ".." : "/..";
  if (!to.empty()) {
    if (!out.empty()) out += '/';
    out.append(to);
  }
  return out.empty() ? "." : out;
}

}  // namespace shoal::storage
