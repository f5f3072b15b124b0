// See oracle.hpp.
#include "cli/sim/oracle.hpp"

#include <algorithm>

#include "storage/catalog.hpp"
#include "storage/names.hpp"

namespace shoal::sim {
namespace {

constexpr std::size_t chunk = 1U << 20;

// Compares a stretch of a file on a virtual disk with what it must be; the disk is read behind the back of
// faults and counters, from its pages.
bool right(const DiskImage::Node& node, std::uint64_t seed, std::uint64_t offset, std::uint64_t length) {
  if (offset + length > node.size) return false;
  Bytes is(std::min<std::uint64_t>(length, chunk)), must(is.size());
  while (length > 0) {
    const std::size_t n = std::min<std::uint64_t>(length, chunk);
    node.bytes.read(offset, MutableBytes{is}.first(n));
    synthetic_bytes(seed, offset, MutableBytes{must}.first(n));
    if (std::memcmp(is.data(), must.data(), n) != 0) return false;
    offset += n;
    length -= n;
  }
  return true;
}

// Follows a path from the root; null where it leads nowhere.
DiskImage::NodeRef node_at(DiskImage& disk, std::string_view path) {
  DiskImage::NodeRef here = disk.root();
  while (here && !path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string name{path.substr(0, slash)};
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
    if (name.empty()) continue;
    const auto found = here->entries.find(name);
    here = found == here->entries.end() ? nullptr : found->second;
  }
  return here;
}

}  // namespace

void synthetic_bytes(std::uint64_t seed, std::uint64_t offset, MutableBytes out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::uint64_t word = mix(seed * 0x2545F4914F6CDD1DULL + (offset + done) / 8);
    ByteArray<8> raw;
    store_be(raw.data(), word);
    const std::size_t within = (offset + done) % 8;
    const std::size_t n = std::min<std::size_t>(8 - within, out.size() - done);
    std::memcpy(out.data() + done, raw.data() + within, n);
    done += n;
  }
}

std::string Oracle::path_of(const SyntheticFile& file) const {
  return file.path.empty() ? name_ : name_ + "/" + file.path;
}

// A new file and the names that lead to it, all synced.
Result<void> Oracle::write(storage::Folder& data, const std::string& path, const SyntheticFile& file) {
  const std::size_t slash = path.rfind('/');
  if (slash != std::string::npos)
    if (auto made = data.make_folders(path.substr(0, slash)); !made) return made;
  auto opened = data.open(path, storage::OpenMode::create);
  if (!opened) return std::unexpected(opened.error());
  Bytes bytes(chunk);
  for (std::uint64_t at = 0; at < file.bytes; at += chunk) {
    const std::size_t n = std::min<std::uint64_t>(chunk, file.bytes - at);
    synthetic_bytes(file.seed, at, MutableBytes{bytes}.first(n));
    if (auto ok = (*opened)->write_at(at, ByteView{bytes}.first(n)); !ok) return ok;
  }
  if (auto ok = (*opened)->sync(); !ok) return ok;
  for (std::size_t at = slash; at != std::string::npos && at > 0; at = path.rfind('/', at - 1))
    if (auto ok = data.sync_folder(path.substr(0, at)); !ok) return ok;
  return data.sync_folder("");
}

Result<std::string> Oracle::plant(Machine& machine) const {
  auto data = machine.vfs().open_folder(data_folder, storage::Vfs::Missing::create);
  if (!data) return std::unexpected(data.error());
  for (const SyntheticFile& file : files_)
    if (auto ok = write(**data, path_of(file), file); !ok) return std::unexpected(ok.error());
  return data_folder + "/" + name_;
}

Result<void> Oracle::mend(Machine& machine) const {
  auto data = machine.vfs().open_folder(data_folder, storage::Vfs::Missing::create);
  if (!data) return std::unexpected(data.error());
  for (const SyntheticFile& file : files_) {
    const std::string path = path_of(file);
    std::string whole_path = data_folder;
    whole_path.append("/").append(path);
    const DiskImage::NodeRef node = node_at(machine.disk(), whole_path);
    if (node && node->size == file.bytes && right(*node, file.seed, 0, file.bytes)) continue;
    if (node)
      if (auto ok = (*data)->remove(path); !ok) return ok;
    if (auto ok = write(**data, path, file); !ok) return ok;
  }
  return {};
}

const SyntheticFile* Oracle::file(const storage::Content& content, std::uint32_t index) const {
  const std::string& path = content.files[index].path;
  for (const SyntheticFile& file : files_)
    if (content.single_file ? file.path.empty() : file.path == path) return &file;
  return nullptr;
}

std::vector<std::string> Oracle::false_bits(Machine& machine, const storage::Content& content,
                                            const std::set<std::uint32_t>& spared) const {
  std::vector<std::string> out;
  const std::vector<std::string> parts = storage::part_paths(content);
  const auto look = [&](const Bitfield& bits, const std::string& folder, std::string_view claimed) {
    for (std::uint32_t piece = 0; piece < bits.size(); ++piece) {
      if (!bits.test(piece)) continue;
      const std::string what = "piece " + std::to_string(piece) + " is " + std::string{claimed};
      content.visit_extents(piece, [&](const storage::Extent& in) {
        if (spared.contains(in.file)) return;
        const SyntheticFile* reference = file(content, in.file);
        if (reference == nullptr) {
          out.push_back(what + " and of a file that the oracle does not know");
          return;
        }
        DiskImage::NodeRef node = node_at(machine.disk(), folder + "/" + content.disk_path(in.file));
        if (!node) node = node_at(machine.disk(), folder + "/" + parts[in.file]);
        if (!node)
          out.push_back(what + ", its file is absent");
        else if (!right(*node, reference->seed, in.offset, in.length))
          out.push_back(what + " and wrong on the disk");
      });
    }
  };
  auto found = machine.catalog().find(content.id);
  if (!found) return {std::string{"the catalog cannot be read: "} + found.error().rule};
  if (*found) look((**found).have, (**found).folder, "claimed by the catalog");
  look(machine.session().held(content.id), *found ? (**found).folder : data_folder, "held by the session");
  return out;
}

bool Oracle::whole(Machine& machine, const storage::Content& content, const std::vector<bool>& wanted) const {
  for (std::uint32_t i = 0; i < content.files.size(); ++i) {
    if (!wanted.empty() && !wanted[i]) continue;
    const SyntheticFile* reference = file(content, i);
    if (reference == nullptr) return false;
    const DiskImage::NodeRef node = node_at(machine.disk(), data_folder + "/" + content.disk_path(i));
    if (!node || node->size != reference->bytes || !right(*node, reference->seed, 0, reference->bytes))
      return false;
  }
  return true;
}

bool Oracle::true_bytes(const storage::Content& content, std::uint32_t piece, std::uint32_t begin,
                        ByteView bytes) const {
  Bytes must(bytes.size(), 0);
  bool known = true;
  content.visit_extents(piece, begin, static_cast<std::uint32_t>(bytes.size()),
                        [&](const storage::Extent& in) {
                          const SyntheticFile* reference = file(content, in.file);
                          known = known && reference != nullptr;
                          if (known)
                            synthetic_bytes(reference->seed, in.offset,
                                            MutableBytes{must}.subspan(in.begin - begin, in.length));
                        });
  return known && equal(bytes, must);
}

std::uint32_t Oracle::committed(Machine& machine, const storage::Content& content) const {
  auto found = machine.catalog().find(content.id);
  return found && *found ? (**found).have.count() : 0;
}

void Oracle::watch(Machine& machine, Watch& watch) const {
  machine.after_job = [this, &watch](const JobNote& note, storage::Done& done) {
    if (!done) return;
    switch (note.kind) {
      case JobNote::Kind::attach:
        watch.slots[note.slot] = note.content;
        break;
      case JobNote::Kind::write:
        ++watch.writes;
        break;
      case JobNote::Kind::commit:
        ++watch.commits;
        break;
      case JobNote::Kind::read: {
        ++watch.reads;
        const storage::ContentPtr content = watch.slots[note.slot];
        const auto* read = std::get_if<storage::ReadDone>(&*done);
        if (!content || read == nullptr) break;
        if (!true_bytes(*content, note.piece, note.begin, read->data.view().subspan(note.lead)))
          ++watch.wrong;
        break;
      }
      default:
        break;
    }
  };
}

}  // namespace shoal::sim
