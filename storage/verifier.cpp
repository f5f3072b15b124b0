// Verifier, see the header. First every path is looked at, then everything that can be is hashed at once,
// then the roots are compared.
#include "storage/verifier.hpp"

#include <algorithm>
#include <cstring>

#include "dht/base/check.hpp"
#include "storage/layout.hpp"
#include "storage/merkle.hpp"
#include "storage/piece_hasher.hpp"

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

// What became of a piece by one part of the content.
enum class Judgement : std::uint8_t { bad, good, unknown };

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

// The pieces of a file by the trees of v2.
void judge_by_tree(Work& work, std::uint32_t f, const PieceHashes& hashes) {
  const ContentFile& file = work.content.files[f];
  if (file.pieces == 0) return;
  const auto told = [](bool good) { return good ? Judgement::good : Judgement::bad; };
  const auto roots = std::span{hashes.roots}.subspan(file.first_piece, file.pieces);
  const ByteView layer = work.layers.empty() ? ByteView{} : ByteView{work.layers[f]};
  SHOAL_CHECK(layer.empty() || layer.size() == roots.size_bytes());
  bool whole = true;
  for (std::uint32_t p = 0; p < file.pieces; ++p) whole = whole && hashes.hashed.test(file.first_piece + p);
  whole = whole &&
          merkle::file_root(roots, merkle::shape_of(file.length, work.content.piece_length)) == file.root;
  for (std::uint32_t p = 0; p < file.pieces; ++p) {
    Judgement& judgement = work.by_trees[file.first_piece + p];
    if (!hashes.hashed.test(file.first_piece + p))
      judgement = Judgement::bad;
    else if (whole || file.pieces == 1)
      judgement = told(whole);
    else if (!layer.empty())
      judgement = told(std::memcmp(layer.data() + std::size_t{p} * 32, roots[p].data(), 32) == 0);
    else
      judgement = Judgement::unknown;  // nothing tells of a single piece: v1 may
  }
}

// The pieces by v1's hashes.
std::vector<Judgement> judge_by_row(const Content& content, const PieceHashes& hashes) {
  std::vector<Judgement> out(content.pieces, Judgement::bad);
  for (std::uint32_t p = 0; p < content.pieces; ++p) {
    constexpr std::size_t size = Sha1{}.size();
    const ByteView found = ByteView{hashes.v1}.subspan(p * size, size);
    if (hashes.hashed.test(p) && std::ranges::equal(found, content.v1_hash(p))) out[p] = Judgement::good;
  }
  return out;
}

// Who changes meanwhile, or cannot be read, tells nothing of the content.
void set_aside(Work& work, PieceHashes& hashes) {
  for (std::uint32_t f = 0; f < work.content.files.size(); ++f) {
    const ContentFile& file = work.content.files[f];
    const HashOutcome& outcome = hashes.files[f];
    if (outcome.state == HashOutcome::State::fine) continue;
    for (std::uint32_t p = 0; p < file.pieces; ++p) hashes.hashed.reset(file.first_piece + p);
    if (outcome.state == HashOutcome::State::failed)
      work.report.files[f] = {FileVerdict::unreadable, file.pieces, outcome.error};
  }
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
  std::vector<LocalFile> files;
  std::uint64_t total = 0;
  for (std::uint32_t f = 0; f < content.files.size(); ++f) {
    files.push_back({work.there[f] ? std::string_view{work.paths[f]} : std::string_view{}, work.present(f),
                     work.stamps[f]});
    total += files.back().present;
  }
  if (progress != nullptr) progress->total_bytes.store(total, std::memory_order_relaxed);
  PieceHashes hashes = hash_pieces(**folder, content, files, executor, progress);
  if (progress != nullptr && progress->cancel.load())
    return fail_at(folder_path, Code::cancelled, "the work was stopped");
  set_aside(work, hashes);
  for (std::uint32_t f = 0; content.v2 && f < content.files.size(); ++f) judge_by_tree(work, f, hashes);
  std::vector<Judgement> by_row;
  if (content.v1) by_row = judge_by_row(content, hashes);
  count_good(work, by_row, hashes.hashed);
  work.report.paths = std::move(work.paths);
  work.report.stamps = std::move(work.stamps);
  return std::move(work.report);
}

}  // namespace shoal::storage
