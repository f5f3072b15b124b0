// DiskPool: the threads that run disk jobs, and the two crossings to them: a bounded queue of jobs in, a
// mailbox of completions out. The only file of storage with threads. It knows nothing of what a job does,
// but for three facts: reads, and writes, that wait together are done together; commits and other work that
// waits for the disk rather than for a processor has a thread of its own, so that an fsync holds up no
// transfer; and jobs of each of the two queues start in the order in which they came.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "storage/disk.hpp"
#include "storage/executor.hpp"
#include "storage/gate.hpp"
#include "storage/job.hpp"

namespace shoal::storage {

class MutexGate final : public Gate {
 public:
  void lock() override { mutex_.lock(); }
  [[nodiscard]] bool try_lock() override { return mutex_.try_lock(); }
  void unlock() override { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

// max(1, cores - 1), at most 4: the reactor has a core of its own, and more than four outrun every disk.
[[nodiscard]] unsigned default_workers();

class DiskPool {
 public:
  using Completion = std::pair<JobId, Done>;
  struct Options {
    unsigned workers = 0;      // 0: default_workers()
    std::size_t queue = 1024;  // jobs that wait; 16 MiB of blocks
  };
  // `notify` is called on a worker each time the mailbox becomes non-empty; it must not call the pool. The
  // disk must outlive the pool.
  DiskPool(Disk& disk, const Options& options, std::function<void()> notify);
  // Runs what is queued to its end, then joins. Completions that nobody took are dropped.
  ~DiskPool();
  DiskPool(const DiskPool&) = delete;
  DiskPool& operator=(const DiskPool&) = delete;

  struct Item {
    JobId id = 0;
    Job job;
  };
  // Takes from the front of `jobs` as many as there is room for.
  void submit(std::deque<Item>& jobs);
  // Moves all completions to the end of `out`, in the order in which they came.
  void drain(std::vector<Completion>& out);
  // Finishes what is queued; no submit afterwards. drain() still gives the rest.
  void shut_down();
  // Jobs submitted and not yet in the mailbox.
  [[nodiscard]] std::size_t outstanding() const { return outstanding_.load(std::memory_order_relaxed); }

 private:
  struct Lane {  // a queue and those who wait at it
    std::deque<Item> waiting;
    std::condition_variable changed;
  };
  void work(Lane& lane);
  void take(Lane& lane, std::vector<Item>& into) const;
  void deliver(std::vector<Completion>& finished);

  Disk& disk_;
  Options options_;
  std::function<void()> notify_;
  std::mutex mutex_;  // guards the lanes and closing_
  Lane quick_, slow_;
  bool closing_ = false;
  std::mutex mailbox_mutex_;
  std::vector<Completion> mailbox_;
  std::atomic<std::size_t> outstanding_{0};
  std::vector<std::thread> threads_;
};

// All cores, for bulk hashing. The caller's thread works too. One parallel() at a time.
class ThreadExecutor final : public Executor {
 public:
  explicit ThreadExecutor(unsigned threads = 0);  // 0: one a core
  ~ThreadExecutor() override;
  ThreadExecutor(const ThreadExecutor&) = delete;
  ThreadExecutor& operator=(const ThreadExecutor&) = delete;
  [[nodiscard]] std::size_t width() const override { return threads_.size() + 1; }
  void parallel(std::size_t tasks, const std::function<void(std::size_t)>& task) override;

 private:
  void work();
  std::mutex mutex_;
  std::condition_variable started_, finished_;
  const std::function<void(std::size_t)>* task_ = nullptr;
  std::size_t tasks_ = 0, next_ = 0, running_ = 0;
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace shoal::storage
