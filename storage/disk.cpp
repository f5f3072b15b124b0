// Disk: the hub. Which job goes where, slots and their locks, and the jobs that only talk to the catalog. The
// work is in disk_attach, disk_read, disk_write, disk_hash, disk_commit, disk_files.
#include "storage/disk.hpp"

#include <algorithm>

#include "dht/base/check.hpp"
#include "storage/disk_lease.hpp"
#include "storage/disk_slot.hpp"

namespace shoal::storage {

Disk::Disk(Vfs& vfs, Catalog& catalog, Gate& gate, const Options& options)
    : vfs_(vfs), catalog_(catalog), gate_(gate), options_(options), open_files_(options.open_files) {}

Disk::~Disk() = default;

Done Disk::run(Job job, Worker& worker) {
  Done done;
  run_batch({&job, 1}, {&done, 1}, worker);
  return done;
}

void Disk::run_batch(std::span<Job> jobs, std::span<Done> done, Worker& worker) {
  SHOAL_CHECK(jobs.size() == done.size());
  const auto run_of = [&]<class Kind>(std::size_t at, std::in_place_type_t<Kind>) {
    std::size_t count = 0;
    while (count < max_batch && at + count < jobs.size() && std::holds_alternative<Kind>(jobs[at + count]) &&
           together(jobs[at + count]))
      ++count;
    return count;
  };
  for (std::size_t at = 0; at < jobs.size();) {
    if (const std::size_t writes = run_of(at, std::in_place_type<WriteJob>); writes > 0) {
      write_blocks(jobs.subspan(at, writes), done.subspan(at, writes), worker);
      at += writes;
    } else if (const std::size_t reads = run_of(at, std::in_place_type<ReadJob>); reads > 0) {
      read_blocks(jobs.subspan(at, reads), done.subspan(at, reads), worker);
      at += reads;
    } else if (const std::size_t rows = run_of(at, std::in_place_type<HashJob>); rows > 0) {
      hash_rows(jobs.subspan(at, rows), done.subspan(at, rows), worker);
      at += rows;
    } else {
      done[at] = std::visit(
          [&](auto& job) -> Done {
            using Kind = std::remove_reference_t<decltype(job)>;
            if constexpr (std::is_same_v<Kind, WriteJob> || std::is_same_v<Kind, ReadJob>)
              return failed(detached);  // not reached: these went the other ways
            else
              return perform(job, worker);
          },
          jobs[at]);
      ++at;
    }
  }
}

Disk::SlotPtr Disk::slot_of(std::uint32_t slot) {
  GateHold hold{gate_};
  const auto found = slots_.find(slot);
  return found == slots_.end() ? nullptr : found->second;
}

bool Disk::attached(const ContentId& id) {
  GateHold hold{gate_};
  return std::any_of(slots_.begin(), slots_.end(),
                     [&](const auto& entry) { return entry.second->content->id == id; });
}

Disk::Outcome<void> Disk::hold_lock(const ContentId& id) {
  constexpr Error taken{Code::busy, "this content is open already"};
  if (attached(id)) return std::unexpected(Fault{taken, {}});
  {
    GateHold hold{gate_};
    if (options_.locks == nullptr || locks_.contains(id)) return {};
  }
  auto lock = options_.locks->acquire(content_lock(id));
  if (!lock && lock.error().code == Code::busy && lock.error().os_errno == 0)
    return fail_at({}, Code::busy, "this content is open in another command");
  if (!lock) return std::unexpected(Fault{lock.error(), {}});
  GateHold hold{gate_};
  locks_[id] = std::move(*lock);
  return {};
}

void Disk::release_lock(const ContentId& id) {
  std::unique_ptr<Lock> released;  // let go outside the gate
  GateHold hold{gate_};
  const auto found = locks_.find(id);
  if (found == locks_.end()) return;
  released = std::move(found->second);
  locks_.erase(found);
}

Done Disk::perform(LoadJob& job, Worker&) {
  const auto id = catalog_.kept_as(job.id);
  if (!id) return failed(id.error());
  if (auto held = hold_lock(*id); !held) return failed(held.error());
  auto stored = catalog_.load(*id);
  const auto sequence = stored ? catalog_.sequence(job.id) : std::unexpected(stored.error());
  if (!sequence) {
    release_lock(*id);
    return failed(sequence.error());
  }
  return Loaded{std::move(*stored), *sequence};
}

Done Disk::perform(SaveLayersJob& job, Worker&) {
  const SlotPtr slot = slot_of(job.slot);
  if (!slot) return failed(detached);
  if (auto saved = catalog_.save_layers(slot->content->id, job.layers); !saved) return failed(saved.error());
  return Plain{};
}

Done Disk::perform(DetachJob& job, Worker&) {
  SlotPtr slot;
  std::vector<FilePtr> closed;  // outside the gate
  {
    GateHold hold{gate_};
    if (const auto found = slots_.find(job.slot); found != slots_.end()) {
      slot = std::move(found->second);
      slots_.erase(found);
      closed = open_files_.remove_all_of(slot->serial);
    }
  }
  if (slot == nullptr) {
    if (const auto id = catalog_.kept_as(job.id); id && !attached(*id)) release_lock(*id);
    return failed(detached);
  }
  const auto saved = catalog_.save_totals(slot->content->id, job.uploaded, job.downloaded);
  closed.clear();
  release_lock(slot->content->id);
  if (!saved) return failed(saved.error());
  return Plain{};
}

Done Disk::perform(SaveContactsJob& job, Worker&) {
  if (auto saved = catalog_.save_contacts(job.overlay, job.contacts); !saved) return failed(saved.error());
  return Plain{};
}

Done Disk::perform(SaveSequencesJob& job, Worker&) {
  if (auto saved = catalog_.save_sequences(job.sequences); !saved) return failed(saved.error());
  return Plain{};
}

}  // namespace shoal::storage
