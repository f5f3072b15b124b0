// Importing, the second half: from a survey to a content. The walk is in survey.cpp.
#include "storage/importer.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <string_view>

#include "dht/base/check.hpp"
#include "storage/merkle.hpp"
#include "storage/names.hpp"
#include "storage/piece_hasher.hpp"

namespace shoal::storage {
namespace {

std::string absolute(const Survey& survey, const SurveyedFile& file) {
  return (survey.folder == "/" ? "" : survey.folder) + "/" + file.disk_path;
}

Description describe(const Survey& survey, const ImportOptions& options, std::uint32_t piece_length) {
  Description out;
  out.name = survey.name;
  out.format = options.format;
  out.single_file = survey.single_file;
  out.piece_length = piece_length;
  out.salt = options.salt;
  out.empty_folders = survey.empty_folders;
  out.files.reserve(survey.files.size());
  std::uint64_t row = 0;
  for (const SurveyedFile& file : survey.files) {
    const bool link = file.kind == FileKind::symlink;
    out.files.push_back({file.path, link ? 0 : file.stamp.size, {}, file.kind, file.target});
    const std::uint64_t length = out.files.back().length;
    // Any root that is not zero, and another for each length; the true one follows.
    out.files.back().root.fill(1);
    store_be(out.files.back().root.data(), length);
    const bool aligned = options.format != Format::v1;
    row += aligned ? (length + piece_length - 1) / piece_length * piece_length : length;
  }
  if (options.format != Format::v2)  // as many as there will be, each to be written over
    out.v1_hashes.resize((row + piece_length - 1) / piece_length * Sha1{}.size());
  return out;
}

// Takes root and layer of a file that has not changed since it was imported last. False: it must be hashed.
bool reuse(const Earlier* earlier, const SurveyedFile& file, std::uint32_t piece_length, Sha256& root,
           Bytes& layer) {
  if (earlier == nullptr || !earlier->content->v2 || earlier->content->piece_length != piece_length)
    return false;
  const auto index = file_with(*earlier->content, file.path);
  if (!index || *index >= earlier->stamps.size() || *index >= earlier->layers.size()) return false;
  const ContentFile& before = earlier->content->files[*index];
  const Bytes& known = earlier->layers[*index];
  const bool same = before.kind != FileKind::symlink && before.length == file.stamp.size &&
                    earlier->stamps[*index] == file.stamp &&
                    known.size() == (before.pieces >= 2 ? std::size_t{before.pieces} * 32 : 0);
  if (!same) return false;
  root = before.root;
  layer = known;
  return true;
}

// What is to be hashed of each file; roots and layers of those that have not changed are taken over.
std::vector<LocalFile> plan_hashing(const Survey& survey, const ImportOptions& options,
                                    const Content& content, std::vector<Sha256>& roots,
                                    std::vector<Bytes>& layers) {
  std::vector<LocalFile> out;
  out.reserve(survey.files.size());
  for (std::size_t i = 0; i < survey.files.size(); ++i) {
    const SurveyedFile& file = survey.files[i];
    const bool link = file.kind == FileKind::symlink;
    out.push_back({link ? std::string_view{} : file.disk_path, link ? 0 : file.stamp.size, file.stamp,
                   content.v2 && !link && file.stamp.size > 0});
    if (out.back().wanted && reuse(options.earlier, file, content.piece_length, roots[i], layers[i]))
      out.back().wanted = false;
  }
  return out;
}

// Roots and layers of the files that were hashed, beside those that were taken over.
PathResult<void> collect(const Survey& survey, const Content& content, std::span<const LocalFile> files,
                         const PieceHashes& hashes, std::vector<Sha256>& file_roots,
                         std::vector<Bytes>& layers) {
  for (std::size_t f = 0; f < files.size(); ++f) {
    const SurveyedFile& file = survey.files[f];
    const HashOutcome& outcome = hashes.files[f];
    if (outcome.state == HashOutcome::State::failed)
      return std::unexpected(PathError{outcome.error, absolute(survey, file)});
    if (outcome.state == HashOutcome::State::changed)
      return fail_at(absolute(survey, file), Code::mismatch, "the file changed while it was hashed");
    if (!files[f].wanted) continue;
    const auto roots = std::span{hashes.roots}.subspan(content.files[f].first_piece, content.files[f].pieces);
    file_roots[f] = merkle::file_root(roots, merkle::shape_of(file.stamp.size, content.piece_length));
    if (roots.size() < 2) continue;
    layers[f].resize(roots.size_bytes());
    std::memcpy(layers[f].data(), roots.data(), roots.size_bytes());
  }
  return {};
}

}  // namespace

bool unchanged(const Survey& now, const Content& content, std::span<const FileStamp> stamps) {
  if (now.name != content.name || now.single_file != content.single_file ||
      now.files.size() != content.files.size() || stamps.size() != content.files.size())
    return false;
  // Contents that others made may have their files in any order (v1).
  std::map<std::string_view, const SurveyedFile*> surveyed;
  for (const SurveyedFile& file : now.files) surveyed.emplace(file.path, &file);
  for (std::size_t i = 0; i < content.files.size(); ++i) {
    const ContentFile& b = content.files[i];
    const auto found = surveyed.find(b.path);
    if (found == surveyed.end()) return false;
    const SurveyedFile& a = *found->second;
    if (a.kind != b.kind || a.target != b.target) return false;
    if (a.kind != FileKind::symlink && (a.stamp != stamps[i] || a.stamp.size != b.length)) return false;
  }
  return !content.sealed || now.empty_folders == content.empty_folders;
}

PathResult<Imported> import_content(Vfs& vfs, const Survey& survey, const ImportOptions& options,
                                    Executor& executor) {
  const std::uint32_t piece_length =
      options.piece_length != 0 ? options.piece_length
                                : choose_piece_length(survey.bytes, survey.largest_file, options.format);
  // Every bound is judged before anything is hashed, which may take hours.
  auto draft = draft_content(describe(survey, options, piece_length));
  if (!draft) return std::unexpected(PathError{draft.error(), survey.folder});
  auto folder = vfs.open_folder(survey.folder, Vfs::Missing::error);
  if (!folder) return std::unexpected(PathError{folder.error(), survey.folder});

  Imported out;
  out.layers.resize(survey.files.size());
  std::vector<Sha256> roots(survey.files.size());
  const auto files = plan_hashing(survey, options, *draft->content, roots, out.layers);
  if (options.progress != nullptr) {
    std::uint64_t total = draft->content->v1 ? survey.bytes : 0;
    for (const LocalFile& file : files) total += draft->content->v1 || !file.wanted ? 0 : file.present;
    options.progress->total_bytes.store(total, std::memory_order_relaxed);
  }
  const PieceHashes hashes = hash_pieces(**folder, *draft->content, files, executor, options.progress);
  if (options.progress != nullptr && options.progress->cancel.load())
    return fail_at(survey.folder, Code::cancelled, "the work was stopped");
  if (auto ok = collect(survey, *draft->content, files, hashes, roots, out.layers); !ok)
    return std::unexpected(ok.error());
  auto content = complete(std::move(*draft), roots, hashes.v1);
  if (!content) return std::unexpected(PathError{content.error(), survey.folder});
  out.content = *content;

  bool plain = true;
  for (std::size_t i = 0; i < survey.files.size(); ++i) {
    SHOAL_CHECK(out.content->files[i].path == survey.files[i].path);  // the survey is in tree order
    const bool link = survey.files[i].kind == FileKind::symlink;
    out.stamps.push_back(link ? FileStamp{} : survey.files[i].stamp);
    out.disk_paths.push_back(survey.files[i].disk_path);
    plain = plain && survey.files[i].disk_path == out.content->disk_path(static_cast<std::uint32_t>(i));
  }
  if (plain) out.disk_paths.clear();
  out.folder = survey.folder;
  out.root_name = survey.root_name;
  out.skipped_links = survey.skipped_links;
  out.skipped_special = survey.skipped_special;
  out.skipped_folders = options.salt ? 0 : static_cast<std::uint32_t>(survey.empty_folders.size());
  return out;
}

ContentRecord share_record(Imported imported) {
  ContentRecord out;
  out.content = std::move(imported.content);
  out.role = ContentRole::share;
  out.folder = std::move(imported.folder);
  out.root_name = std::move(imported.root_name);
  out.have = ContentRecord::Have::all;
  out.layers = std::move(imported.layers);
  out.stamps = std::move(imported.stamps);
  out.disk_paths = std::move(imported.disk_paths);
  return out;
}

}  // namespace shoal::storage
