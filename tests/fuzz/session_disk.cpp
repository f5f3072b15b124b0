// See session_disk.hpp.
#include "tests/fuzz/session_disk.hpp"

#include <algorithm>

#include "cli/sim/sim_vfs.hpp"
#include "dht/base/check.hpp"
#include "dht/base/hash.hpp"

namespace shoal::fuzz {

using namespace storage;

namespace {

constexpr std::size_t first_bytes = 100'000, second_bytes = 20'000;
constexpr std::uint32_t piece_length = 2 * block_bytes;

Bytes file_bytes(std::size_t size, std::uint8_t seed) {
  Random random{ByteArray<32>{seed}};
  Bytes out(size);
  random.fill(out);
  return out;
}

}  // namespace

KnownContent make_known(Format format) {
  sim::PageStore pages;
  sim::DiskImage image{pages, sim::CrashModel::off, std::uint64_t{1} << 30};
  sim::SimVfs vfs{image};
  const std::vector<Bytes> files{file_bytes(first_bytes, 1), file_bytes(second_bytes, 2)};
  auto folder = vfs.open_folder("/data/film", Vfs::Missing::create);
  SHOAL_CHECK(folder.has_value());
  for (std::size_t i = 0; i < files.size(); ++i) {
    auto file = (*folder)->open(i == 0 ? "a" : "b", OpenMode::create);
    SHOAL_CHECK(file && (*file)->write_at(0, files[i]));
  }
  const auto survey = storage::survey(vfs, {"/data/film"});
  SHOAL_CHECK(survey.has_value());
  ImportOptions options;
  options.format = format;
  options.piece_length = piece_length;
  if (format == Format::v2) options.salt = Salt{1};
  SerialExecutor serial;
  auto imported = import_content(vfs, *survey, options, serial);
  SHOAL_CHECK(imported.has_value());
  KnownContent out{imported->content, std::move(imported->layers), {}};
  for (std::uint32_t piece = 0; piece < out.content->pieces; ++piece) {
    Bytes& bytes = out.pieces.emplace_back(out.content->piece_bytes(piece), std::uint8_t{0});
    out.content->visit_extents(piece, [&](const Extent& in) {
      std::copy_n(files[in.file].begin() + static_cast<std::ptrdiff_t>(in.offset), in.length,
                  bytes.begin() + in.begin);
    });
  }
  return out;
}

SessionDisk::SessionDisk(const KnownContent& known, Start start)
    : known_(known), start_(start), pieces_(known.pieces) {
  if (start == Start::empty)
    for (Bytes& piece : pieces_) std::ranges::fill(piece, 0);
}

void SessionDisk::take(swarm::DiskJob&& job) {
  SHOAL_CHECK(names_.insert(job.job).second);  // a job's name is given once
  waiting_.push_back(std::move(job));
}

swarm::DiskDone SessionDisk::run_one() {
  swarm::DiskJob next = std::move(waiting_.front());
  waiting_.pop_front();
  return {next.job, perform(next.what)};
}

bool SessionDisk::true_bytes(std::uint32_t piece, std::uint32_t begin, ByteView bytes) const {
  if (piece >= known_.pieces.size()) return false;
  Bytes whole = known_.pieces[piece];
  whole.resize(std::max<std::size_t>(whole.size(), known_.content->readable_bytes(piece)));  // zeros behind
  return begin + bytes.size() <= whole.size() && equal(ByteView{whole}.subspan(begin, bytes.size()), bytes);
}

Done SessionDisk::perform(Job& job) {
  const bool fails = failures_ > 0 && !std::holds_alternative<DetachJob>(job);
  if (fails) --failures_;
  if (auto* read = std::get_if<ReadJob>(&job)) {
    if (fails) return std::unexpected(JobFailure{{code_, "the script says so"}, "a", std::move(read->into)});
    Bytes whole = pieces_[read->piece];
    whole.resize(std::max<std::size_t>(whole.size(), read->begin + read->length));
    read->into.clear();
    read->into.extend(read->lead);
    read->into.append(ByteView{whole}.subspan(read->begin, read->length));
    return ReadDone{std::move(read->into)};
  }
  if (auto* write = std::get_if<WriteJob>(&job)) {
    if (fails)
      return std::unexpected(JobFailure{{code_, "the script says so"}, "a", std::move(write->bytes)});
    Bytes& piece = pieces_[write->block.piece];
    const std::size_t begin = std::size_t{write->block.block} * block_bytes;
    SHOAL_CHECK(begin + write->bytes.size() <= piece.size());
    std::ranges::copy(write->bytes.view(), piece.begin() + static_cast<std::ptrdiff_t>(begin));
    const BlockMark mark = mark_of(*known_.content, write->bytes.view());
    return WriteDone{write->block, mark, std::move(write->bytes)};
  }
  if (fails) return std::unexpected(JobFailure{{code_, "the script says so"}, "a", {}});
  if (std::holds_alternative<LoadJob>(job)) return loaded();
  if (const auto* hash = std::get_if<HashJob>(&job)) return hashed(*hash);
  if (const auto* commit = std::get_if<CommitJob>(&job)) return committed(*commit);
  if (std::holds_alternative<AttachJob>(job)) {
    Attached out;
    out.files.assign(known_.content->files.size(),
                     start_ == Start::whole ? Attached::FileState::whole : Attached::FileState::absent);
    out.free_bytes = std::uint64_t{1} << 40;
    out.root_name = known_.content->name;
    return out;
  }
  return Plain{};
}

Success SessionDisk::loaded() const {
  Loaded out;
  if (start_ == Start::empty) return out;
  StoredContent& stored = out.stored.emplace();
  stored.role = ContentRole::share;
  stored.info = known_.content->info;
  stored.layers = known_.layers;
  stored.folder = "/data";
  stored.root_name = known_.content->name;
  stored.have = Bitfield{known_.content->pieces};
  stored.have.set_all();
  return out;
}

Success SessionDisk::hashed(const HashJob& job) const {
  const Content& content = *known_.content;
  HashDone out{.piece = job.piece, .what = job.what};
  const ByteView bytes = pieces_[job.piece];
  if (job.what == HashJob::What::all && content.v2)
    for (std::size_t at = 0; at < bytes.size(); at += block_bytes)
      out.leaves.push_back(sha256(bytes.subspan(at, std::min<std::size_t>(block_bytes, bytes.size() - at))));
  if (content.v1) {
    Bytes row = to_vector(bytes);
    row.resize(content.v1_piece_bytes(job.piece));
    out.v1 = sha1(row);
  }
  return out;
}

Success SessionDisk::committed(const CommitJob& job) {
  Committed out{job.pieces, {}};
  for (const std::uint32_t piece : job.pieces) {
    SHOAL_CHECK(right(piece));  // no false have
    committed_.insert(piece);
  }
  const auto& files = known_.content->files;
  for (std::uint32_t f = 0; f < files.size(); ++f) {
    bool whole = true;
    for (std::uint32_t i = 0; i < files[f].pieces; ++i)
      whole = whole && committed_.contains(files[f].first_piece + i);
    if (whole) out.finished_files.push_back(f);
  }
  return out;
}

}  // namespace shoal::fuzz
