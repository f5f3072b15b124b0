// Verifier, see the header. First every path is looked at, then everything that can be is hashed at once,
// then the roots are compared.
#include "storage/verifier.hpp"

#include <algorithm>
#include <cstring>

#include "dht/base/check.hpp"
#include "storage/file_hasher.hpp"
#include "storage/layout.hpp"
#include "storage/merkle.hpp"

namespace shoal::storage {
namespace {

FileReport look_at_link(Folder& folder, const std::string& path, const ContentFile& file, EntryKind kind,
                        const Substitutes& odd) {
  if (kind != EntryKind::symlink) return {FileVerdict::wrong_kind, 0, {}};
  const auto target = folder.read_symlink(path);
  if (!target) return {FileVerdict::unreadable, 0, target.error()};
  return {stands_for(*target, file.target, odd) ? FileVerdict::whole : FileVerdict::wrong_kind, 0, {}};
}

// The verdict as far as the size tells it; the stamp that goes with it, where there is a file.
FileReport look_at(Folder& folder, const std::string& path, const ContentFile& file, const Substitutes& odd,
                   FileStamp& stamp) {
  const auto entry = folder.stat(path);
  const bool missing =
      !entry && (entry.error().code == Code::not_found || entry.error().code == Code::unsupported);
  if (missing) return {FileVerdict::missing, file.pieces, {}};
  if (!entry) return {FileVerdict::unreadable, file.pieces, entry.error()};
  if (file.kind == FileKind::symlink) return look_at_link(folder, path, file, entry->kind, odd);
  if (entry->kind != EntryKind::file) return {FileVerdict::wrong_kind, file.pieces, {}};
  stamp = entry->stamp;
  if (entry->stamp.size < file.length) return {FileVerdict::too_short, 0, {}};
  return {entry->stamp.size > file.length ? FileVerdict::too_long : FileVerdict::whole, 0, {}};
}

// Which pieces of a file are good; `hashed` of its roots were computed.
std::vector<bool> judge(const Content& content, const ContentFile& file, ByteView layer,
                        std::span<const Sha256> roots, std::uint32_t hashed) {
  std::vector<bool> good(file.pieces, false);
  if (file.pieces == 1) {
    good[0] = hashed == 1 && roots[0] == file.root;
  } else if (!layer.empty()) {
    SHOAL_CHECK(layer.size() == std::size_t{file.pieces} * 32);
    for (std::uint32_t p = 0; p < hashed; ++p)
      good[p] = std::memcmp(layer.data() + std::size_t{p} * 32, roots[p].data(), 32) == 0;
  } else if (hashed == file.pieces) {
    const auto shape = merkle::shape_of(file.length, content.piece_length);
    good.assign(file.pieces, merkle::file_root(roots, shape) == file.root);
  }
  return good;
}

}  // namespace

PathResult<VerifyReport> verify_content(Vfs& vfs, const std::string& folder_path, const Content& content,
                                        std::span<const Bytes> layers, Executor& executor,
                                        HashProgress* progress) {
  SHOAL_CHECK(layers.empty() || layers.size() == content.files.size());
  auto folder = vfs.open_folder(folder_path, Vfs::Missing::error);
  if (!folder) return std::unexpected(PathError{folder.error(), folder_path});
  const auto count = static_cast<std::uint32_t>(content.files.size());
  const Substitutes odd = substitutes(content);
  VerifyReport report;
  report.good = Bitfield{content.pieces};
  report.files.reserve(count);
  std::vector<std::string> paths(count);
  std::vector<Sha256> roots(content.pieces);
  std::vector<HashTask> tasks;
  std::vector<std::uint32_t> task_files;
  for (std::uint32_t f = 0; f < count; ++f) {
    const ContentFile& file = content.files[f];
    paths[f] = find_path(**folder, content.disk_path(f), odd);
    FileStamp stamp;
    report.files.push_back(look_at(**folder, paths[f], file, odd, stamp));
    if (file.pieces == 0 || report.files[f].verdict == FileVerdict::missing ||
        report.files[f].verdict == FileVerdict::wrong_kind ||
        report.files[f].verdict == FileVerdict::unreadable)
      continue;
    tasks.push_back({paths[f], file.length, std::min(stamp.size, file.length), stamp,
                     std::span{roots}.subspan(file.first_piece, file.pieces)});
    task_files.push_back(f);
  }
  const auto outcomes = hash_files(**folder, tasks, content.piece_length, executor, progress);
  if (progress != nullptr && progress->cancel.load())
    return fail_at(folder_path, Code::cancelled, "the work was stopped");
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const ContentFile& file = content.files[task_files[t]];
    FileReport& verdict = report.files[task_files[t]];
    if (outcomes[t].state == HashOutcome::State::failed) {
      verdict = {FileVerdict::unreadable, file.pieces, outcomes[t].error};
      continue;
    }
    const bool all = tasks[t].present == file.length;
    std::uint32_t hashed =
        all ? file.pieces : static_cast<std::uint32_t>(tasks[t].present / content.piece_length);
    if (outcomes[t].state == HashOutcome::State::changed) hashed = 0;
    const ByteView layer = layers.empty() ? ByteView{} : ByteView{layers[task_files[t]]};
    const auto good = judge(content, file, layer, tasks[t].roots, hashed);
    for (std::uint32_t p = 0; p < file.pieces; ++p) {
      if (!good[p]) continue;
      report.good.set(file.first_piece + p);
      report.good_bytes += content.piece_bytes(file.first_piece + p);
    }
    verdict.bad_pieces = file.pieces - static_cast<std::uint32_t>(std::ranges::count(good, true));
    if (verdict.bad_pieces > 0 && verdict.verdict != FileVerdict::too_short)
      verdict.verdict = FileVerdict::bad_pieces;
  }
  for (const FileReport& file : report.files)
    report.whole_files += file.verdict == FileVerdict::whole ? 1 : 0;
  for (const std::string& path : content.empty_folders) {
    const auto entry = (*folder)->stat(find_path(**folder, content.name + "/" + path, odd));
    if (!entry || entry->kind != EntryKind::folder) ++report.missing_folders;
  }
  return report;
}

}  // namespace shoal::storage
