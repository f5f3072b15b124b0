// Oracle: knows what every byte of a synthetic content must be, by a rule that shares no code with the
// product, and judges machines by it: what their catalogs claim, what lies on their disks, what they serve.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "cli/sim/world.hpp"

namespace shoal::sim {

struct SyntheticFile {
  std::string path;  // beneath the content's name; empty: the content is this one file
  std::uint64_t bytes = 0;
  std::uint64_t seed = 0;
};

// The bytes of such a file from an offset on. Blocks differ from each other and from those of other seeds.
void synthetic_bytes(std::uint64_t seed, std::uint64_t offset, MutableBytes out);

class Oracle {
 public:
  // A content called `name` made of these files.
  Oracle(std::string name, std::vector<SyntheticFile> files)
      : name_(std::move(name)), files_(std::move(files)) {}
  // One file of so many bytes.
  static Oracle single(std::string name, std::uint64_t bytes, std::uint64_t seed) {
    return {std::move(name), {{"", bytes, seed}}};
  }

  [[nodiscard]] const std::string& name() const { return name_; }

  // Puts the files under /data of the machine, synced, and gives the absolute path to share.
  [[nodiscard]] Result<std::string> plant(Machine& machine) const;

  // Writes every file that is not there as it must be anew: the user puts things right.
  [[nodiscard]] Result<void> mend(Machine& machine) const;

  // What is wrong with the machine's idea of the content; empty: nothing. Every piece that its catalog or its
  // session holds must lie right on its disk, under the final name where the file is finished. The machine
  // runs. `spared`: files that are not looked at.
  [[nodiscard]] std::vector<std::string> false_bits(Machine& machine, const storage::Content& content,
                                                    const std::set<std::uint32_t>& spared = {}) const;
  // All files, or those wanted (a bool each), are there under their final names, byte for byte.
  [[nodiscard]] bool whole(Machine& machine, const storage::Content& content,
                           const std::vector<bool>& wanted = {}) const;
  // Whether these are the bytes of a piece from `begin` on.
  [[nodiscard]] bool true_bytes(const storage::Content& content, std::uint32_t piece, std::uint32_t begin,
                                ByteView bytes) const;
  // How many pieces the catalog of the machine holds.
  [[nodiscard]] std::uint32_t committed(Machine& machine, const storage::Content& content) const;

  // Watches every block that the machine reads for others; `wrong` counts those that are not as they should
  // be. Replaces the machine's after_job.
  struct Watch {
    std::uint64_t reads = 0, wrong = 0, writes = 0, commits = 0;
    std::map<std::uint32_t, storage::ContentPtr> slots;
  };
  void watch(Machine& machine, Watch& watch) const;

 private:
  [[nodiscard]] std::string path_of(const SyntheticFile& file) const;  // beneath /data
  [[nodiscard]] static Result<void> write(storage::Folder& data, const std::string& path,
                                          const SyntheticFile& file);
  [[nodiscard]] const SyntheticFile* file(const storage::Content& content, std::uint32_t index) const;

  std::string name_;
  std::vector<SyntheticFile> files_;
};

}  // namespace shoal::sim
