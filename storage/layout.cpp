// Layout, see the header.
//
// Why the file system is asked about each odd character and not about each name: a stranger's content may
// have a million odd names, but there are few odd characters; and a crash amid the question leaves no empty
// file under a name of the content, which would be in its way for good. What is refused for another reason (a
// reserved word, letters that a code page lacks) has no substitute and fails when it is made.
#include "storage/layout.hpp"

#include <algorithm>
#include <numeric>
#include <set>

namespace shoal::storage {
namespace {

// So many probes may lie there, left by crashes or belonging to commands at work in the same folder.
constexpr int probe_rounds = 100;

// Cuts the first component off a path.
std::string_view take_component(std::string_view& path) {
  const std::size_t slash = path.find('/');
  const std::string_view out = path.substr(0, slash);
  path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  return out;
}

// Calls visit(component) for every component of every path of the content.
template <class Visit>
void each_component(const Content& content, const Visit& visit) {
  const auto all_of = [&](std::string_view path) {
    while (!path.empty()) visit(take_component(path));
  };
  visit(std::string_view{content.name});
  if (!content.single_file)
    for (const ContentFile& file : content.files) all_of(file.path);
  for (const std::string& folder : content.empty_folders) all_of(folder);
}

std::string one_case(std::string_view name) {
  std::string out{name};
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string beneath(const std::string& root, std::string_view path) { return root + "/" + std::string{path}; }

// As part_paths, over the names of the disk: they stand in another order than the content's.
std::vector<std::string> laid_parts(const Content& content, const Substitutes& replaced) {
  Content laid;
  laid.name = with_substitutes(content.name, replaced);
  laid.single_file = content.single_file;
  for (const std::string& folder : content.empty_folders)
    laid.empty_folders.push_back(with_substitutes(folder, replaced));
  std::vector<std::string> paths;
  paths.reserve(content.files.size());
  for (const ContentFile& file : content.files) paths.push_back(with_substitutes(file.path, replaced));
  std::vector<std::size_t> order(paths.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto before = [](const std::string& a, const std::string& b) { return compare_paths(a, b) < 0; };
  std::ranges::sort(order, before, [&](std::size_t i) -> const std::string& { return paths[i]; });
  std::ranges::sort(laid.empty_folders, before);
  for (const std::size_t i : order) {
    ContentFile file;
    file.path = paths[i];
    file.kind = content.files[i].kind;
    laid.files.push_back(std::move(file));
  }
  std::vector<std::string> out(paths.size());
  std::vector<std::string> parts = part_paths(laid);
  for (std::size_t k = 0; k < order.size(); ++k) out[order[k]] = std::move(parts[k]);
  return out;
}

}  // namespace

Substitutes substitutes(const Content& content) {
  Substitutes out;
  each_component(content, [&](std::string_view name) {
    if (oddities(name).any()) out.try_emplace(std::string{name});
  });
  if (out.empty()) return out;
  // Every substitute holds one of these two, so only such names can be in its way.
  std::set<std::string> taken;
  each_component(content, [&](std::string_view name) {
    if (name.find_first_of("%~") != std::string_view::npos) taken.insert(one_case(name));
  });
  for (auto& [name, substitute] : out) {
    substitute = escaped_name(name, [&](std::string_view c) { return taken.contains(one_case(c)); });
    taken.insert(one_case(substitute));
  }
  return out;
}

std::string with_substitutes(std::string_view path, const Substitutes& replaced) {
  if (replaced.empty()) return std::string{path};
  std::string out;
  for (bool first = true; !path.empty(); first = false) {
    const std::string_view name = take_component(path);
    const auto found = replaced.find(name);
    if (!first) out += '/';
    out += found == replaced.end() ? name : std::string_view{found->second};
  }
  return out;
}

bool stands_for(std::string_view on_disk, std::string_view path, const Substitutes& odd) {
  while (!on_disk.empty() && !path.empty()) {
    const std::string_view shown = take_component(on_disk), name = take_component(path);
    if (shown == name) continue;
    const auto found = odd.find(name);
    if (found == odd.end() || found->second != shown) return false;
  }
  return on_disk.empty() && path.empty();
}

std::string find_path(Folder& folder, std::string_view path, const Substitutes& odd) {
  if (odd.empty()) return std::string{path};
  std::string out;
  for (bool first = true; !path.empty(); first = false) {
    const std::string_view name = take_component(path);
    if (!first) out += '/';
    const auto found = odd.find(name);
    const bool replaced = found != odd.end() && folder.stat(out + found->second).has_value();
    out += replaced ? std::string_view{found->second} : name;
  }
  return out;
}

Layout lay_out(const Content& content, const Substitutes& replaced) {
  Layout out;
  out.root_name = with_substitutes(content.name, replaced);
  for (const std::string& folder : content.empty_folders)
    out.empty_folders.push_back(beneath(out.root_name, with_substitutes(folder, replaced)));
  out.parts = replaced.empty() ? part_paths(content) : laid_parts(content, replaced);
  if (replaced.empty() || content.single_file) return out;
  bool any = false;
  out.disk_paths.resize(content.files.size());
  for (std::size_t i = 0; i < content.files.size(); ++i) {
    const std::string& path = content.files[i].path;
    std::string laid = with_substitutes(path, replaced);
    if (laid == path) continue;
    out.disk_paths[i] = beneath(out.root_name, laid);
    any = true;
  }
  if (!any) out.disk_paths.clear();
  return out;
}

std::optional<NamesTold> names_told(const Content& content, const Substitutes& odd,
                                    const std::string& root_name, std::span<const std::string> disk_paths) {
  NamesTold out{{}, odd};
  std::set<std::string_view> kept;
  const auto hear = [&](std::string_view on_disk, std::string_view path) {
    if (!stands_for(on_disk, path, odd)) return false;
    while (!path.empty()) {
      const std::string_view shown = take_component(on_disk), name = take_component(path);
      const auto found = odd.find(name);
      if (found == odd.end()) continue;
      if (const auto open = out.open.find(name); open != out.open.end()) out.open.erase(open);
      if (shown == name)
        kept.insert(found->first);
      else
        out.replaced.insert(*found);
    }
    return true;
  };
  if (!hear(root_name, content.name)) return std::nullopt;
  for (std::size_t i = 0; i < content.files.size(); ++i) {
    const bool own = i < disk_paths.size() && !disk_paths[i].empty();
    if (!own && (odd.empty() || content.single_file)) continue;
    const std::string on_disk = own ? disk_paths[i] : beneath(root_name, content.files[i].path);
    if (!hear(on_disk, content.disk_path(static_cast<std::uint32_t>(i)))) return std::nullopt;
  }
  const auto both = [&](std::string_view name) { return out.replaced.contains(name); };
  if (std::ranges::any_of(kept, both)) return std::nullopt;
  return out;
}

namespace {

struct Answer {
  enum class What : std::uint8_t { takes, refuses, occupied } what{};
  Error refusal{};
};

// `name` is to be made; where `bare` is not empty, it is what remains of it if its last character is dropped.
Result<Answer> ask(Folder& folder, const std::string& name, const std::string& bare) {
  const auto bare_is_there = [&]() -> Result<bool> {
    if (bare.empty()) return false;
    const auto entry = folder.stat(bare);
    if (!entry && entry.error().code != Code::not_found) return std::unexpected(entry.error());
    return entry.has_value();
  };
  const auto before = bare_is_there();
  if (!before) return std::unexpected(before.error());
  if (*before) return Answer{Answer::What::occupied};
  auto made = folder.open(name, OpenMode::create);
  if (!made) {
    const Error error = made.error();
    if (error.code == Code::exists) return Answer{Answer::What::occupied};
    // How drivers say it: "invalid", "not permitted", "not there".
    if (error.code == Code::unsupported || error.code == Code::denied || error.code == Code::not_found)
      return Answer{Answer::What::refuses, error};
    return std::unexpected(error);
  }
  made->reset();
  const auto dropped = bare_is_there();
  if (auto removed = folder.remove(name); !removed) return std::unexpected(removed.error());
  if (!dropped) return std::unexpected(dropped.error());
  return Answer{*dropped ? Answer::What::refuses : Answer::What::takes};
}

// `odd` at the end of a name, or within it.
PathResult<Answer> ask_about(Folder& folder, std::string_view odd, bool last, std::string& name) {
  for (int round = 1; round <= probe_rounds; ++round) {
    const std::string bare = ".shoal-probe-" + std::to_string(round);
    name = bare + std::string{odd} + (last ? "" : "x");
    const auto answer = ask(folder, name, last ? bare : std::string{});
    if (!answer) return std::unexpected(PathError{answer.error(), name});
    if (answer->what != Answer::What::occupied) return *answer;
  }
  return fail_at(name, Code::exists, "too many probes were left behind: they can be removed");
}

}  // namespace

PathResult<Oddities> refused_oddities(Folder& folder, const Oddities& asked) {
  Oddities out;
  if (asked.none()) return out;
  // An ordinary name first: if that is refused, it is not for the name.
  std::string name;
  const auto plain = ask_about(folder, "-", false, name);
  if (!plain) return std::unexpected(plain.error());
  if (plain->what == Answer::What::refuses) return std::unexpected(PathError{plain->refusal, name});
  for (std::size_t odd = 0; odd < asked.size(); ++odd) {
    if (!asked.test(odd)) continue;
    const char character = odd == odd_last_dot ? '.' : odd == odd_last_space ? ' ' : static_cast<char>(odd);
    const auto answer = ask_about(folder, {&character, 1}, odd >= odd_last_dot, name);
    if (!answer) return std::unexpected(answer.error());
    if (answer->what == Answer::What::refuses) out.set(odd);
  }
  return out;
}

}  // namespace shoal::storage
