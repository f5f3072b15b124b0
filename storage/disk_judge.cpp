// What a file found at attach is (disk_slot.hpp). Pure: a table of cases, tested as one.
//
// The rule behind it: nothing that the catalog does not know to be ours is written to or renamed; have-bits
// are trusted for a part file that is long enough (nobody but us writes to those), and for a finished file
// only with its stamp.
#include "storage/disk_slot.hpp"

namespace shoal::storage {
namespace {

using Verdict = FileVerdictAtAttach;

Verdict judge_finished(const FileKnown& known, const Entry& final, const std::optional<Entry>& part) {
  const bool finished = known.record.progress == FileRecord::Progress::finished;
  if (finished && known.have == HaveBits::all && final.stamp == known.record.stamp) return Verdict::whole;
  // We crashed before the rename, and then somebody else took the name.
  if (finished && part && part->stamp.inode == known.record.stamp.inode) return Verdict::taken;
  return Verdict::altered;
}

Verdict judge_part(const FileKnown& known, const Entry& part) {
  if (part.kind == EntryKind::folder) return Verdict::taken;
  if (part.kind != EntryKind::file) return Verdict::blocked;
  if (known.ownership == Ownership::foreign) return Verdict::taken;
  if (known.have == HaveBits::all)
    return part.stamp.size == known.length ? Verdict::complete : Verdict::partial_short;
  return part.stamp.size < known.needed_size ? Verdict::partial_short : Verdict::partial;
}

}  // namespace

Verdict judge_download(const FileKnown& known, const std::optional<Entry>& final,
                       const std::optional<Entry>& part) {
  if (final) {
    if (final->kind == EntryKind::folder) return Verdict::taken;
    if (final->kind != EntryKind::file) return Verdict::blocked;
    if (known.ownership == Ownership::foreign || known.record.progress == FileRecord::Progress::open)
      return Verdict::taken;
    return judge_finished(known, *final, part);
  }
  if (part) return judge_part(known, *part);
  return known.have == HaveBits::none && known.record.progress == FileRecord::Progress::open ? Verdict::absent
                                                                                             : Verdict::gone;
}

Verdict judge_share(const FileKnown& known, const std::optional<Entry>& final) {
  if (!final || final->kind != EntryKind::file) return Verdict::absent;
  const bool whole = known.ownership == Ownership::ours && known.have == HaveBits::all &&
                     known.record.progress == FileRecord::Progress::finished &&
                     final->stamp == known.record.stamp;
  return whole ? Verdict::whole : Verdict::altered;
}

}  // namespace shoal::storage
