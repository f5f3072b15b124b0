// Surveying, the first half of importing: which files there are, in the order of the content. No byte of a
// file is read, and no symbolic link is followed below what the user named.
#include <algorithm>
#include <deque>

#include "storage/importer.hpp"
#include "storage/names.hpp"

namespace shoal::storage {
namespace {

constexpr int max_links_followed = 40;      // as Linux does
constexpr std::size_t listed_at_once = 64;  // folders; their entries are in memory together

using Steps = std::vector<std::string>;

Steps split(std::string_view path) {
  Steps out;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    if (slash > 0 && path.substr(0, slash) != ".") out.emplace_back(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return out;
}

std::string join(std::span<const std::string> steps) {
  std::string out;
  for (const std::string& step : steps) {
    if (!out.empty()) out += '/';
    out += step;
  }
  return out;
}

std::string joined(std::string_view folder, std::string_view name) {
  std::string out{folder};
  if (!out.empty() && out.back() != '/') out += '/';
  return out.append(name);
}

// One of the user's paths, found: `parent` is absolute, `base` lies in it and is no link.
struct Start {
  std::string parent;
  std::string base;
  std::string name;  // as the user spelled it: the last component, before links were followed
  Entry entry;
};

PathResult<Entry> stat_in(Folder& folder, const std::string& folder_path, const std::string& path) {
  auto entry = folder.stat(path);
  if (!entry) return std::unexpected(PathError{entry.error(), joined(folder_path, path)});
  return *entry;
}

// Follows every link in an absolute path, component by component.
PathResult<Start> canonical(Vfs& vfs, const std::string& path) {
  auto root = vfs.open_folder("/", Vfs::Missing::error);
  if (!root) return std::unexpected(PathError{root.error(), "/"});
  Steps left = split(path), at;
  Start out;
  std::reverse(left.begin(), left.end());  // the next step is at the back
  for (int links = 0; !left.empty();) {
    const std::string step = std::move(left.back());
    left.pop_back();
    if (step == "..") {
      if (!at.empty()) at.pop_back();
      continue;
    }
    at.push_back(step);
    auto entry = stat_in(**root, "/", join(at));
    if (!entry) return std::unexpected(entry.error());
    if (entry->kind == EntryKind::symlink) {
      if (++links > max_links_followed)
        return fail_at(path, Code::unsafe, "symbolic links do not lead in circles");
      const auto target = (*root)->read_symlink(join(at));
      if (!target) return std::unexpected(PathError{target.error(), path});
      at.pop_back();
      if (target->starts_with('/')) at.clear();
      Steps further = split(*target);
      left.insert(left.end(), std::make_move_iterator(further.rbegin()),
                  std::make_move_iterator(further.rend()));
    } else {
      out.entry = *entry;
    }
  }
  if (at.empty()) return fail_at(path, Code::unsafe, "the root of the file system is not shared");
  if (out.entry.kind != EntryKind::folder) {  // the last component may have been reached by ".."
    auto entry = stat_in(**root, "/", join(at));
    if (!entry) return std::unexpected(entry.error());
    out.entry = *entry;
  }
  out.base = at.back();
  at.pop_back();
  out.parent = "/" + join(at);
  return out;
}

PathResult<Start> find_start(Vfs& vfs, const std::string& path) {
  if (!path.starts_with('/')) return fail_at(path, Code::malformed, "a path to be shared is absolute");
  Steps steps = split(path);
  const bool climbs = std::ranges::find(steps, "..") != steps.end();
  PathResult<Start> out;
  if (!climbs && !steps.empty()) {
    out->name = out->base = std::move(steps.back());
    steps.pop_back();
    out->parent = "/" + join(steps);
    const auto parent = vfs.open_folder(out->parent, Vfs::Missing::error);
    if (!parent) return std::unexpected(PathError{parent.error(), path});
    auto entry = stat_in(**parent, out->parent, out->base);
    if (!entry) return std::unexpected(entry.error());
    out->entry = *entry;
  }
  if (climbs || steps.size() + out->base.size() == 0 || out->entry.kind == EntryKind::symlink) {
    const std::string name = out->name;
    out = canonical(vfs, path);
    if (!out) return out;
    out->name = name.empty() ? out->base : name;
  }
  if (out->entry.kind != EntryKind::file && out->entry.kind != EntryKind::folder)
    return fail_at(path, Code::unsupported, "what is shared is a file or a folder");
  return out;
}

// Walks one start into the survey.
class Walk {
 public:
  Walk(Folder& folder, Survey& survey, std::size_t& names_bytes, Executor& executor)
      : folder_(folder), survey_(survey), names_bytes_(names_bytes), executor_(executor) {}

  PathResult<void> take_file(const Entry& entry, const std::string& disk_path, const std::string& path) {
    if (auto ok = count(path, disk_path); !ok) return ok;
    survey_.files.push_back(
        {path, disk_path, entry.executable ? FileKind::executable : FileKind::regular, {}, entry.stamp});
    if (entry.stamp.size > max_content_bytes || survey_.bytes > max_content_bytes - entry.stamp.size)
      return fail_at(absolute(disk_path), Code::too_large, "a content has at most 2^53 bytes");
    survey_.bytes += entry.stamp.size;
    survey_.largest_file = std::max(survey_.largest_file, entry.stamp.size);
    return {};
  }

  // `prefix`: the folder's path in the content, "" where it is the content itself.
  PathResult<void> take_folder(const std::string& disk_path, const std::string& prefix) {
    prefix_ = prefix;
    std::vector<Level> levels;
    if (auto ok = enter(levels, disk_path, prefix, folder_.list(disk_path)); !ok) return ok;
    while (!levels.empty()) {
      Level& level = levels.back();
      if (level.next == level.entries.size()) {
        const bool empty = level.kept == 0 && !level.path.empty();
        if (empty) {
          if (auto ok = count(level.path, level.disk_path); !ok) return ok;
          survey_.empty_folders.push_back(level.path);
        }
        levels.pop_back();
        continue;
      }
      const Entry entry = std::move(level.entries[level.next++]);
      const std::string path = joined(level.path, entry.name), disk = joined(level.disk_path, entry.name);
      if (entry.kind == EntryKind::folder) {
        ++level.kept;
        if (level.ahead.empty()) list_ahead(level, disk);
        Listing listing = std::move(level.ahead.front());
        level.ahead.pop_front();
        if (auto ok = enter(levels, disk, path, std::move(listing)); !ok) return ok;
      } else if (entry.kind == EntryKind::file) {
        ++level.kept;
        if (auto ok = take_file(entry, disk, path); !ok) return ok;
      } else if (entry.kind == EntryKind::symlink) {
        auto kept = take_link(disk, path);
        if (!kept) return std::unexpected(kept.error());
        level.kept += *kept ? 1 : 0;
      } else {
        ++survey_.skipped_special;
      }
    }
    return {};
  }

 private:
  using Listing = Result<std::vector<Entry>>;
  struct Level {
    std::vector<Entry> entries;
    std::size_t next = 0, kept = 0;
    std::string disk_path, path;
    std::deque<Listing> ahead{};  // of the next folders in it
  };

  std::string absolute(const std::string& disk_path) const { return joined(survey_.folder, disk_path); }

  PathResult<void> count(const std::string& path, const std::string& disk_path) {
    names_bytes_ += path.size();
    if (names_bytes_ > max_names_bytes)
      return fail_at(absolute(disk_path), Code::too_large, "all paths together have at most 64 MiB");
    if (survey_.files.size() + survey_.empty_folders.size() >= max_files)
      return fail_at(absolute(disk_path), Code::too_large, "a content has at most 1000000 files");
    return {};
  }

  // Lists `folder`, whose entry was the last one taken, and some that follow it in the level, at once.
  void list_ahead(Level& level, const std::string& folder) {
    std::vector<std::string> paths{folder};
    const std::size_t most = executor_.width() > 1 ? listed_at_once : 1;
    for (std::size_t i = level.next; i < level.entries.size() && paths.size() < most; ++i)
      if (level.entries[i].kind == EntryKind::folder)
        paths.push_back(joined(level.disk_path, level.entries[i].name));
    level.ahead.resize(paths.size());
    executor_.parallel(paths.size(), [&](std::size_t i) { level.ahead[i] = folder_.list(paths[i]); });
  }

  PathResult<void> enter(std::vector<Level>& levels, const std::string& disk_path, const std::string& path,
                         Listing entries) {
    if (levels.size() >= max_path_depth)
      return fail_at(absolute(disk_path), Code::too_large, "folders are at most 100 deep");
    if (!entries) return std::unexpected(PathError{entries.error(), absolute(disk_path)});
    levels.push_back({std::move(*entries), 0, 0, disk_path, path, {}});
    return {};
  }

  // A link is kept where it stays in what the user named, so that it means the same in the content.
  PathResult<bool> take_link(const std::string& disk_path, const std::string& path) {
    const auto text = folder_.read_symlink(disk_path);
    if (!text) return std::unexpected(PathError{text.error(), absolute(disk_path)});
    const std::size_t inner = prefix_.empty() ? 0 : prefix_.size() + 1;
    const auto target = resolve_link(std::string_view{path}.substr(inner), *text);
    if (!target) {
      ++survey_.skipped_links;
      return false;
    }
    if (auto ok = count(path, disk_path); !ok) return std::unexpected(ok.error());
    const std::string from_root = target->empty() ? prefix_ : joined(prefix_, *target);
    survey_.files.push_back({path, disk_path, FileKind::symlink, link_text(path, from_root), {}});
    return true;
  }

  Folder& folder_;
  Survey& survey_;
  std::size_t& names_bytes_;
  Executor& executor_;
  std::string prefix_;
};

// The folder beneath which all starts lie, and each start's path beneath it.
std::string common_folder(std::span<const Start> starts) {
  Steps common = split(starts.front().parent);
  for (const Start& start : starts) {
    const Steps steps = split(start.parent);
    const auto [end, other] = std::ranges::mismatch(common, steps);
    common.erase(end, common.end());
  }
  return "/" + join(common);
}

std::string beneath(const std::string& folder, const Start& start) {
  const std::size_t skip = folder == "/" ? 1 : std::min(folder.size() + 1, start.parent.size());
  return joined(start.parent.substr(skip), start.base);
}

PathResult<std::vector<Start>> find_starts(Vfs& vfs, const std::vector<std::string>& paths) {
  std::vector<Start> starts;
  for (const std::string& path : paths) {
    auto start = find_start(vfs, path);
    if (!start) return std::unexpected(start.error());
    starts.push_back(std::move(*start));
  }
  const bool together =
      std::ranges::all_of(starts, [&](const Start& s) { return s.parent == starts.front().parent; });
  if (!together) {  // one folder above all can be opened without following links only by their true paths
    for (Start& start : starts) {
      auto found = canonical(vfs, joined(start.parent, start.base));
      if (!found) return std::unexpected(found.error());
      found->name = std::move(start.name);
      start = std::move(*found);
    }
  }
  std::ranges::sort(starts, {}, &Start::name);
  for (std::size_t i = 1; i < starts.size(); ++i)
    if (starts[i - 1].name == starts[i].name)
      return fail_at(joined(starts[i].parent, starts[i].base), Code::exists,
                     "paths shared together have different names");
  return starts;
}

}  // namespace

PathResult<Survey> survey(Vfs& vfs, const std::vector<std::string>& paths, std::string_view name,
                          Executor& executor) {
  if (paths.empty()) return fail_at("", Code::malformed, "there is a path to share");
  const auto starts = find_starts(vfs, paths);
  if (!starts) return std::unexpected(starts.error());
  Survey out;
  out.folder = common_folder(*starts);
  const bool one = starts->size() == 1;
  const Start& first = starts->front();
  if (one) out.root_name = first.base;
  out.single_file = one && first.entry.kind == EntryKind::file;
  out.name = !name.empty() ? std::string{name}
             : one         ? first.name
                           : out.folder.substr(out.folder.rfind('/') + 1);
  if (const auto ok = check_component(out.name); !ok) return std::unexpected(PathError{ok.error(), out.name});
  auto folder = vfs.open_folder(out.folder, Vfs::Missing::error);
  if (!folder) return std::unexpected(PathError{folder.error(), out.folder});
  std::size_t names_bytes = 0;
  Walk walk{**folder, out, names_bytes, executor};
  for (const Start& start : *starts) {
    const std::string disk_path = beneath(out.folder, start);
    const std::string path = !one ? start.name : out.single_file ? out.name : std::string{};
    const auto ok = start.entry.kind == EntryKind::file ? walk.take_file(start.entry, disk_path, path)
                                                        : walk.take_folder(disk_path, path);
    if (!ok) return std::unexpected(ok.error());
  }
  return out;
}

}  // namespace shoal::storage
