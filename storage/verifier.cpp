// Verifier, see the header. First every path is looked at, then everything that can be is hashed at once,
// then the roots are compared.
#include "storage/verifier.hpp"

#include <algorithm>
#include <cstring>

#include "dht/base/check.hpp"
#include "storage/file_hasher.hpp"
#include "storage/layout.hpp"
#include "storage/merkle.hpp"
#include "storage/row_hasher.hpp"

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

// What became of a file's pieces by the trees of v2; `hashed` of its roots were computed.
enum class Judgement : std::uint8_t { bad, good, unknown };

std::vector<Judgement> judge(const Content& content, const ContentFile& file, ByteView layer,
                             std::span<const Sha256> roots, std::uint32_t hashed) {
  const auto told = [](bool good) { return good ? Judgement::good : Judgement::bad; };
  std::vector<Judgement> out(file.pieces, Judgement::bad);
  if (file.pieces == 1) {
    if (hashed == 1) out[0] = told(roots[0] == file.root);
  } else if (!layer.empty()) {
    SHOAL_CHECK(layer.size() == std::size_t{file.pieces} * 32);
    for (std::uint32_t p = 0; p < hashed; ++p)
      out[p] = told(std::memcmp(layer.data() + std::size_t{p} * 32, roots[p].data(), 32) == 0);
  } else {
    // Nothing tells of a single piece: v1 may.
    const bool whole =
        hashed == file.pieces &&
        merkle::file_root(roots, merkle::shape_of(file.length, content.piece_length)) == file.root;
    for (std::uint32_t p = 0; p < hashed; ++p) out[p] = whole ? Judgement::good : Judgement::unknown;
  }
  return out;
}

// What is found out of a content's files, and then of its pieces.
struct Work {
  Folder& folder;
  const Content& content;
  std::span<const Bytes> layers;
  std::vector<std::string> paths{};   // per file
  std::vector<FileStamp> stamps{};    // per file; only where it is there to be hashed
  std::vector<bool> there{};          // per file
  std::vector<Judgement> by_trees{};  // per piece
  VerifyReport report{};

  [[nodiscard]] std::uint64_t present(std::uint32_t file) const {
    return there[file] ? std::min(stamps[file].size, content.files[file].length) : 0;
  }
};

void look_at_all(Work& work) {
  const auto count = static_cast<std::uint32_t>(work.content.files.size());
  const Substitutes odd = substitutes(work.content);
  work.paths.resize(count);
  work.stamps.resize(count);
  work.there.resize(count);
  for (std::uint32_t f = 0; f < count; ++f) {
    const ContentFile& file = work.content.files[f];
    work.paths[f] = find_path(work.folder, work.content.disk_path(f), odd);
    const FileReport seen = look_at(work.folder, work.paths[f], file, odd, work.stamps[f]);
    work.there[f] = file.pieces > 0 && seen.verdict != FileVerdict::missing &&
                    seen.verdict != FileVerdict::wrong_kind && seen.verdict != FileVerdict::unreadable;
    work.report.files.push_back(seen);
  }
  for (const std::string& path : work.content.empty_folders) {
    const auto entry = work.folder.stat(find_path(work.folder, work.content.name + "/" + path, odd));
    if (!entry || entry->kind != EntryKind::folder) ++work.report.missing_folders;
  }
}

std::vector<HashTask> tree_tasks(const Work& work, std::vector<Sha256>& roots,
                                 std::vector<std::uint32_t>& task_files) {
  std::vector<HashTask> tasks;
  roots.resize(work.content.pieces);
  for (std::uint32_t f = 0; f < work.content.files.size(); ++f) {
    const ContentFile& file = work.content.files[f];
    if (!work.there[f]) continue;
    tasks.push_back({work.paths[f], file.length, work.present(f), work.stamps[f],
                     std::span{roots}.subspan(file.first_piece, file.pieces)});
    task_files.push_back(f);
  }
  return tasks;
}

void judge_by_trees(Work& work, std::span<const HashTask> tasks, std::span<const std::uint32_t> task_files,
                    std::span<const HashOutcome> outcomes) {
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const ContentFile& file = work.content.files[task_files[t]];
    if (outcomes[t].state == HashOutcome::State::failed) {
      work.report.files[task_files[t]] = {FileVerdict::unreadable, file.pieces, outcomes[t].error};
      continue;
    }
    const bool all = tasks[t].present == file.length;
    std::uint32_t hashed =
        all ? file.pieces : static_cast<std::uint32_t>(tasks[t].present / work.content.piece_length);
    if (outcomes[t].state == HashOutcome::State::changed) hashed = 0;
    const ByteView layer = work.layers.empty() ? ByteView{} : ByteView{work.layers[task_files[t]]};
    const auto judged = judge(work.content, file, layer, tasks[t].roots, hashed);
    std::ranges::copy(judged, work.by_trees.begin() + file.first_piece);
  }
}

// Per piece, and what is wrong with a file.
std::vector<Judgement> judge_by_row(Work& work, RowHashes& row) {
  const Content& content = work.content;
  std::vector<Judgement> out(content.pieces, Judgement::bad);
  for (std::uint32_t p = 0; p < content.pieces; ++p) {
    constexpr std::size_t size = Sha1{}.size();
    const ByteView found = ByteView{row.hashes}.subspan(p * size, size);
    if (row.hashed.test(p) && std::ranges::equal(found, content.v1_hash(p))) out[p] = Judgement::good;
  }
  for (std::uint32_t f = 0; f < content.files.size(); ++f) {
    const HashOutcome& outcome = row.files[f];
    if (outcome.state == HashOutcome::State::untouched) continue;
    const ContentFile& file = content.files[f];
    for (std::uint32_t p = file.first_piece; p < file.first_piece + file.pieces; ++p) {
      out[p] = Judgement::bad;
      row.hashed.reset(p);  // who changes meanwhile tells nothing of the content
    }
    if (outcome.state == HashOutcome::State::failed)
      work.report.files[f] = {FileVerdict::unreadable, file.pieces, outcome.error};
  }
  return out;
}

void count_good(Work& work, std::span<const Judgement> by_row, const Bitfield& in_row) {
  const Content& content = work.content;
  VerifyReport& report = work.report;
  for (std::uint32_t p = 0; p < content.pieces; ++p) {
    bool good = true;
    if (content.v2) good = work.by_trees[p] == Judgement::good;
    if (content.v1 && content.v2 && in_row.test(p)) {
      if (work.by_trees[p] == Judgement::unknown)
        good = by_row[p] == Judgement::good;
      else if (by_row[p] != work.by_trees[p])
        ++report.inconsistent_pieces;
    }
    if (content.v1) good = good && by_row[p] == Judgement::good;
    if (!good) continue;
    report.good.set(p);
    content.visit_extents(p, [&](const Extent& extent) { report.good_bytes += extent.length; });
  }
  for (std::uint32_t f = 0; f < content.files.size(); ++f) {
    const ContentFile& file = content.files[f];
    FileReport& verdict = report.files[f];
    if (work.there[f] && verdict.verdict != FileVerdict::unreadable) {
      for (std::uint32_t p = file.first_piece; p < file.first_piece + file.pieces; ++p)
        verdict.bad_pieces += report.good.test(p) ? 0 : 1;
      if (verdict.bad_pieces > 0 && verdict.verdict != FileVerdict::too_short)
        verdict.verdict = FileVerdict::bad_pieces;
    }
    report.whole_files += verdict.verdict == FileVerdict::whole ? 1 : 0;
  }
}

}  // namespace

PathResult<VerifyReport> verify_content(Vfs& vfs, const std::string& folder_path, const Content& content,
                                        std::span<const Bytes> layers, Executor& executor,
                                        HashProgress* progress) {
  SHOAL_CHECK(layers.empty() || layers.size() == content.files.size());
  auto folder = vfs.open_folder(folder_path, Vfs::Missing::error);
  if (!folder) return std::unexpected(PathError{folder.error(), folder_path});
  Work work{**folder, content, layers};
  look_at_all(work);
  work.report.good = Bitfield{content.pieces};
  work.by_trees.assign(content.pieces, Judgement::bad);
  std::vector<Sha256> roots;
  std::vector<std::uint32_t> task_files;
  std::vector<HashTask> tasks;
  if (content.v2) tasks = tree_tasks(work, roots, task_files);
  std::vector<RowFile> row_files;
  std::uint64_t total = 0;
  for (const HashTask& task : tasks) total += task.to_hash(content.piece_length);
  for (std::uint32_t f = 0; content.v1 && f < content.files.size(); ++f) {
    row_files.push_back({work.there[f] ? std::string_view{work.paths[f]} : std::string_view{},
                         work.present(f), work.stamps[f]});
    total += work.present(f);
  }
  if (progress != nullptr) progress->total_bytes.store(total, std::memory_order_relaxed);
  const auto outcomes = hash_files(**folder, tasks, content.piece_length, executor, progress);
  RowHashes row;
  if (content.v1) row = hash_row(**folder, content, row_files, executor, progress);
  if (progress != nullptr && progress->cancel.load())
    return fail_at(folder_path, Code::cancelled, "the work was stopped");
  judge_by_trees(work, tasks, task_files, outcomes);
  std::vector<Judgement> by_row;
  if (content.v1) by_row = judge_by_row(work, row);
  count_good(work, by_row, row.hashed);
  work.report.paths = std::move(work.paths);
  work.report.stamps = std::move(work.stamps);
  return std::move(work.report);
}

}  // namespace shoal::storage
