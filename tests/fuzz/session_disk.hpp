// What a session under the fuzzer is given for a disk: one content of known bytes, whole or yet to be
// fetched, in memory, and the jobs of storage/job.hpp done on it, or failed where the script says so. It
// judges what it is told to make durable: no piece may be committed whose bytes are not the content's.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "storage/importer.hpp"
#include "swarm/io.hpp"

namespace shoal::fuzz {

// A content of five pieces in two files, with its bytes. Made once a process.
struct KnownContent {
  storage::ContentPtr content;
  std::vector<Bytes> layers;
  std::vector<Bytes> pieces;  // as they must be
};
[[nodiscard]] KnownContent make_known(storage::Format format);

class SessionDisk {
 public:
  enum class Start : std::uint8_t { whole, empty };
  SessionDisk(const KnownContent& known, Start start);

  void take(swarm::DiskJob&& job);  // its name is new
  [[nodiscard]] bool idle() const { return waiting_.empty(); }
  [[nodiscard]] swarm::DiskDone run_one();  // the oldest; precondition: !idle()
  // The next jobs of that many fail so.
  void fail_next(std::uint32_t count, Code code) { failures_ = count, code_ = code; }

  [[nodiscard]] bool right(std::uint32_t piece) const { return pieces_[piece] == known_.pieces[piece]; }
  [[nodiscard]] bool true_bytes(std::uint32_t piece, std::uint32_t begin, ByteView bytes) const;

 private:
  [[nodiscard]] storage::Done perform(storage::Job& job);
  [[nodiscard]] storage::Success loaded() const;
  [[nodiscard]] storage::Success hashed(const storage::HashJob& job) const;
  [[nodiscard]] storage::Success committed(const storage::CommitJob& job);

  const KnownContent& known_;
  Start start_;
  std::vector<Bytes> pieces_;
  std::set<std::uint32_t> committed_;
  std::deque<swarm::DiskJob> waiting_;
  std::set<storage::JobId> names_;
  std::uint32_t failures_ = 0;
  Code code_ = Code::io;
};

}  // namespace shoal::fuzz
