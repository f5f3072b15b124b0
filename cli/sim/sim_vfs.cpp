// See sim_vfs.hpp. Errors have the codes that posix_vfs gives for the same mistakes.
#include "cli/sim/sim_vfs.hpp"

#include <algorithm>

namespace shoal::sim {
namespace {

using storage::EntryKind;
using NodeRef = DiskImage::NodeRef;

constexpr std::size_t most_name_bytes = 255;  // NAME_MAX

class SimFile final : public storage::File {
 public:
  SimFile(DiskImage& image, NodeRef node) : image_(image), node_(std::move(node)) {}

  Result<std::size_t> read_at(std::uint64_t offset, MutableBytes out) override {
    if (auto ok = image_.enter(DiskCall::read); !ok) return std::unexpected(ok.error());
    if (offset >= node_->size) return std::size_t{0};
    const std::size_t n = std::min<std::uint64_t>(out.size(), node_->size - offset);
    node_->bytes.read(offset, out.first(n));
    return n;
  }
  Result<void> write_at(std::uint64_t offset, ByteView bytes) override {
    if (auto ok = image_.enter(DiskCall::write); !ok) {
      // A write that fails has written a part: the worst that a disk does.
      if (!image_.halted()) static_cast<void>(image_.write(*node_, offset, bytes.first(bytes.size() / 2)));
      return ok;
    }
    return image_.write(*node_, offset, bytes);
  }
  Result<void> resize(std::uint64_t size) override {
    if (auto ok = image_.enter(DiskCall::resize); !ok) return ok;
    image_.resize(*node_, size);
    return {};
  }
  Result<void> sync() override {
    if (auto ok = image_.enter(DiskCall::sync); !ok) {
      image_.fail_sync(*node_);
      return ok;
    }
    image_.sync_bytes(*node_);
    image_.leave_sync();
    return {};
  }
  Result<storage::FileStamp> stamp() override {
    if (auto ok = image_.enter(DiskCall::look); !ok) return std::unexpected(ok.error());
    return storage::FileStamp{node_->size, node_->mtime_ns, node_->inode};
  }
  Result<void> set_executable() override {
    if (auto ok = image_.enter(DiskCall::set_executable); !ok) return ok;
    node_->executable = true;
    return {};
  }

 private:
  DiskImage& image_;
  NodeRef node_;
};

// Cuts the first component off; false where it may not stand in a path beneath a root.
bool take_component(std::string_view& path, std::string& component) {
  const std::size_t slash = path.find('/');
  component = path.substr(0, slash);
  path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
  return !component.empty() && component != "." && component != ".." &&
         component.find('\0') == std::string::npos;
}

class SimFolder final : public storage::Folder {
 public:
  SimFolder(DiskImage& image, NodeRef root) : image_(image), root_(std::move(root)) {}

  Result<std::unique_ptr<storage::File>> open(std::string_view path, storage::OpenMode mode) override {
    if (auto ok = image_.enter(DiskCall::open); !ok) return std::unexpected(ok.error());
    auto at = find(path);
    if (!at) return std::unexpected(at.error());
    if (mode == storage::OpenMode::create) {
      if (at->node) return fail(Code::exists, "the file exists", 17);
      at->node = image_.make(EntryKind::file);
      image_.link(at->folder, at->name, at->node);
    }
    if (!at->node) return fail(Code::not_found, "no such file", 2);
    if (at->node->kind == EntryKind::symlink)
      return fail(Code::unsafe, "a symbolic link is not followed", 40);
    if (at->node->kind != EntryKind::file) return fail(Code::exists, "a folder is in the way", 21);
    return std::make_unique<SimFile>(image_, at->node);
  }

  Result<void> make_folders(std::string_view path) override {
    if (auto ok = image_.enter(DiskCall::make_folder); !ok) return ok;
    NodeRef here = root_;
    std::string name;
    while (!path.empty()) {
      if (!take_component(path, name)) return fail(Code::unsafe, "a path stays beneath its root");
      if (name.size() > most_name_bytes) return fail(Code::too_large, "a name fits the file system", 36);
      const auto found = here->entries.find(name);
      NodeRef next = found == here->entries.end() ? nullptr : found->second;
      if (!next) {
        next = image_.make(EntryKind::folder);
        image_.link(here, name, next);
      }
      if (next->kind == EntryKind::symlink) return fail(Code::unsafe, "a symbolic link is not followed", 40);
      if (next->kind != EntryKind::folder) return fail(Code::exists, "a file is in the way", 20);
      here = next;
    }
    return {};
  }

  Result<void> make_symlink(std::string_view path, std::string_view target) override {
    if (auto ok = image_.enter(DiskCall::make_symlink); !ok) return ok;
    auto at = find(path);
    if (!at) return std::unexpected(at.error());
    if (at->node) return fail(Code::exists, "the name is taken", 17);
    const NodeRef node = image_.make(EntryKind::symlink);
    node->target = target;
    image_.link(at->folder, at->name, node);
    return {};
  }

  Result<void> rename(std::string_view from, std::string_view to) override {
    if (auto ok = image_.enter(DiskCall::rename); !ok) return ok;
    auto source = find(from), target = find(to);
    if (!source) return std::unexpected(source.error());
    if (!target) return std::unexpected(target.error());
    if (!source->node) return fail(Code::not_found, "no such file", 2);
    if (target->node) return fail(Code::exists, "the name is taken", 17);
    image_.rename(source->folder, source->name, target->folder, target->name);
    return {};
  }

  Result<void> remove(std::string_view path) override {
    if (auto ok = image_.enter(DiskCall::remove); !ok) return ok;
    auto at = find(path);
    if (!at) return std::unexpected(at.error());
    if (!at->node) return fail(Code::not_found, "no such file", 2);
    if (at->node->kind == EntryKind::folder) return fail(Code::exists, "a folder is in the way", 21);
    image_.unlink(at->folder, at->name);
    return {};
  }

  Result<void> sync_folder(std::string_view path) override {
    if (auto ok = image_.enter(DiskCall::sync_folder); !ok) return ok;
    auto folder = folder_at(path);
    if (!folder) return std::unexpected(folder.error());
    image_.sync_names(*folder);
    image_.leave_sync();
    return {};
  }

  Result<bool> sync_everything() override {
    if (auto ok = image_.enter(DiskCall::sync); !ok) return std::unexpected(ok.error());
    image_.sync_tree(root_);
    image_.leave_sync();
    return true;
  }

  Result<storage::Entry> stat(std::string_view path) override {
    if (auto ok = image_.enter(DiskCall::look); !ok) return std::unexpected(ok.error());
    if (path.empty()) return entry_of("", *root_);
    auto at = find(path);
    if (!at) return std::unexpected(at.error());
    if (!at->node) return fail(Code::not_found, "no such file", 2);
    return entry_of("", *at->node);
  }

  Result<std::string> read_symlink(std::string_view path) override {
    if (auto ok = image_.enter(DiskCall::look); !ok) return std::unexpected(ok.error());
    auto at = find(path);
    if (!at) return std::unexpected(at.error());
    if (!at->node) return fail(Code::not_found, "no such file", 2);
    if (at->node->kind != EntryKind::symlink) return fail(Code::malformed, "this is no symbolic link", 22);
    return at->node->target;
  }

  Result<std::vector<storage::Entry>> list(std::string_view path) override {
    if (auto ok = image_.enter(DiskCall::look); !ok) return std::unexpected(ok.error());
    auto folder = folder_at(path);
    if (!folder) return std::unexpected(folder.error());
    std::vector<storage::Entry> out;
    for (const auto& [name, node] : (*folder)->entries) out.push_back(entry_of(name, *node));
    return out;
  }

  Result<std::uint64_t> free_bytes() override {
    if (auto ok = image_.enter(DiskCall::look); !ok) return std::unexpected(ok.error());
    return image_.capacity() - std::min(image_.capacity(), image_.used());
  }

 private:
  struct Found {
    NodeRef folder;
    std::string name;
    NodeRef node;  // null: absent
  };

  static storage::Entry entry_of(const std::string& name, const DiskImage::Node& node) {
    return {name, node.kind, node.executable, {node.size, node.mtime_ns, node.inode}};
  }

  Result<NodeRef> folder_at(std::string_view path) const {
    NodeRef here = root_;
    std::string name;
    while (!path.empty()) {
      if (!take_component(path, name)) return fail(Code::unsafe, "a path stays beneath its root");
      const auto next = here->entries.find(name);
      if (next == here->entries.end()) return fail(Code::not_found, "no such folder", 2);
      if (next->second->kind == EntryKind::symlink)
        return fail(Code::unsafe, "a symbolic link is not followed", 40);
      if (next->second->kind != EntryKind::folder) return fail(Code::exists, "a file is in the way", 20);
      here = next->second;
    }
    return here;
  }

  Result<Found> find(std::string_view path) const {
    const std::size_t slash = path.rfind('/');
    auto folder = folder_at(slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash));
    if (!folder) return std::unexpected(folder.error());
    std::string_view last = slash == std::string_view::npos ? path : path.substr(slash + 1);
    Found out{*folder, {}, nullptr};
    if (!take_component(last, out.name)) return fail(Code::unsafe, "a path stays beneath its root");
    if (out.name.size() > most_name_bytes) return fail(Code::too_large, "a name fits the file system", 36);
    if (const auto node = out.folder->entries.find(out.name); node != out.folder->entries.end())
      out.node = node->second;
    return out;
  }

  DiskImage& image_;
  NodeRef root_;
};

}  // namespace

Result<std::unique_ptr<storage::Folder>> SimVfs::open_folder(const std::string& path, Missing missing) {
  if (auto ok = image_.enter(DiskCall::look); !ok) return std::unexpected(ok.error());
  NodeRef here = image_.root();
  std::string rest = path, name;
  std::string_view left = rest;
  int links = 0;
  while (!left.empty()) {
    if (left.front() == '/') {
      left.remove_prefix(1);
      continue;
    }
    if (!take_component(left, name)) return fail(Code::unsafe, "a virtual path has no dots");
    auto found = here->entries.find(name);
    if (found == here->entries.end()) {
      if (missing == Missing::error) return fail(Code::not_found, "no such folder", 2);
      image_.link(here, name, image_.make(EntryKind::folder));
      found = here->entries.find(name);
    }
    if (found->second->kind == EntryKind::symlink) {
      if (++links > 40 || !found->second->target.starts_with('/'))
        return fail(Code::not_found, "too many links, or a relative one", 40);
      rest = found->second->target + "/" + std::string{left};
      left = rest;
      here = image_.root();
      continue;
    }
    if (found->second->kind != EntryKind::folder) return fail(Code::exists, "a file is in the way", 20);
    here = found->second;
  }
  return std::make_unique<SimFolder>(image_, here);
}

}  // namespace shoal::sim
