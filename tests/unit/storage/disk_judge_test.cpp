// The table of cases at attach, one line a case.
#include <gtest/gtest.h>

#include "storage/disk_slot.hpp"

namespace shoal::storage {
namespace {

using Progress = FileRecord::Progress;
using Verdict = FileVerdictAtAttach;

constexpr FileStamp good{100, 7, 1};
constexpr FileStamp edited{100, 8, 1};
constexpr FileStamp other{100, 7, 2};

std::optional<Entry> file(const FileStamp& stamp) { return Entry{"", EntryKind::file, false, stamp}; }
std::optional<Entry> thing(EntryKind kind) { return Entry{"", kind, false, {}}; }
const std::optional<Entry> none;

FileKnown known(Progress progress, HaveBits have, const FileStamp& stamp = good) {
  FileKnown out;
  out.ownership = Ownership::ours;
  out.record = {progress, stamp, {}};
  out.have = have;
  out.length = 100;
  out.needed_size = have == HaveBits::none ? 0 : have == HaveBits::some ? 50 : 100;
  return out;
}
FileKnown foreign() {
  FileKnown out;
  out.length = 100;
  return out;
}

TEST(DiskJudge, Downloads) {
  struct Case {
    const char* what;
    FileKnown known;
    std::optional<Entry> final, part;
    Verdict verdict;
  };
  const auto fresh = known(Progress::open, HaveBits::none);
  const auto half = known(Progress::open, HaveBits::some);
  const auto done = known(Progress::finished, HaveBits::all);
  const auto recheck = known(Progress::changed, HaveBits::some);
  const std::vector<Case> cases{
      {"nothing there, nothing known", foreign(), none, none, Verdict::absent},
      {"somebody's file", foreign(), file(good), none, Verdict::taken},
      {"somebody's part file", foreign(), none, file(good), Verdict::taken},
      {"somebody's folder", foreign(), thing(EntryKind::folder), none, Verdict::taken},
      {"a link", foreign(), thing(EntryKind::symlink), none, Verdict::blocked},
      {"a device", done, thing(EntryKind::other), none, Verdict::blocked},
      {"a link named .part", half, none, thing(EntryKind::symlink), Verdict::blocked},
      {"a folder named .part", half, none, thing(EntryKind::folder), Verdict::taken},
      {"begun, nothing written", fresh, none, none, Verdict::absent},
      {"begun", fresh, none, file(good), Verdict::partial},
      {"a file came in the way of ours", half, file(other), file(good), Verdict::taken},
      {"half", half, none, file({60, 0, 1}), Verdict::partial},
      {"half, but cut short", half, none, file({40, 0, 1}), Verdict::partial_short},
      {"half, but removed", half, none, none, Verdict::gone},
      {"killed before the rename", done, none, file(good), Verdict::complete},
      {"killed before the rename, then a power cut set the time back", done, none, file(edited),
       Verdict::complete},
      {"killed before the rename, then cut short", done, none, file({99, 7, 1}), Verdict::partial_short},
      {"killed before the rename, then the name was taken", done, file(other), file(good), Verdict::taken},
      {"whole", done, file(good), none, Verdict::whole},
      {"whole, and a stray part file", done, file(good), file(other), Verdict::whole},
      {"edited", done, file(edited), none, Verdict::altered},
      {"replaced", done, file(other), none, Verdict::altered},
      {"replaced, and a stray part file", done, file(edited), file(other), Verdict::altered},
      {"removed", done, none, none, Verdict::gone},
      {"removed, with its have-bits", known(Progress::finished, HaveBits::none), none, none, Verdict::gone},
      {"removed while it was verified again", known(Progress::changed, HaveBits::none), none, none,
       Verdict::gone},
      {"being verified again", recheck, file(good), none, Verdict::altered},
      {"being repaired", recheck, none, file(good), Verdict::partial},
      {"stamp right, bits missing", known(Progress::finished, HaveBits::some), file(good), none,
       Verdict::altered},
  };
  for (const Case& c : cases) EXPECT_EQ(judge_download(c.known, c.final, c.part), c.verdict) << c.what;
}

TEST(DiskJudge, Shares) {
  const auto done = known(Progress::finished, HaveBits::all);
  EXPECT_EQ(judge_share(done, file(good)), Verdict::whole);
  EXPECT_EQ(judge_share(done, file(edited)), Verdict::altered);
  EXPECT_EQ(judge_share(done, file(other)), Verdict::altered);
  EXPECT_EQ(judge_share(done, none), Verdict::absent);
  EXPECT_EQ(judge_share(done, thing(EntryKind::symlink)), Verdict::absent);
  EXPECT_EQ(judge_share(foreign(), file(good)), Verdict::altered);
  EXPECT_EQ(judge_share(known(Progress::finished, HaveBits::some), file(good)), Verdict::altered);
  EXPECT_EQ(judge_share(known(Progress::changed, HaveBits::all), file(good)), Verdict::altered);
}

}  // namespace
}  // namespace shoal::storage
