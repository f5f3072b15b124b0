// The threads that run disk jobs (disk_pool.hpp). Every mutex is held for a few lines and never while another
// is: queue, mailbox and the disk's gate are taken one after the other.
#include "storage/disk_pool.hpp"

#include <algorithm>
#include <iterator>

#include "dht/base/check.hpp"

namespace shoal::storage {
namespace {

// Work that waits for the disk and the catalog, and hardly needs a processor.
bool is_slow(const Job& job) {
  return !std::holds_alternative<ReadJob>(job) && !std::holds_alternative<WriteJob>(job) &&
         !std::holds_alternative<HashJob>(job);
}

}  // namespace

unsigned default_workers() {
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  return std::clamp(cores - 1, 1U, 4U);
}

DiskPool::DiskPool(Disk& disk, const Options& options, std::function<void()> notify)
    : disk_(disk), options_(options), notify_(std::move(notify)) {
  const unsigned workers = options_.workers != 0 ? options_.workers : default_workers();
  for (unsigned i = 0; i < workers; ++i) threads_.emplace_back([this] { work(quick_); });
  threads_.emplace_back([this] { work(slow_); });
}

DiskPool::~DiskPool() { shut_down(); }

void DiskPool::shut_down() {
  {
    const std::lock_guard hold{mutex_};
    closing_ = true;
  }
  quick_.changed.notify_all();
  slow_.changed.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void DiskPool::submit(std::deque<Item>& jobs) {
  std::size_t quick = 0, slow = 0;
  {
    const std::lock_guard hold{mutex_};
    SHOAL_CHECK(!closing_);
    while (!jobs.empty()) {
      const bool waits = is_slow(jobs.front().job);
      Lane& lane = waits ? slow_ : quick_;
      if (lane.waiting.size() >= options_.queue) break;
      lane.waiting.push_back(std::move(jobs.front()));
      jobs.pop_front();
      ++(waits ? slow : quick);
    }
    outstanding_.fetch_add(quick + slow, std::memory_order_relaxed);
  }
  if (quick > 1) quick_.changed.notify_all();
  if (quick == 1) quick_.changed.notify_one();
  if (slow > 0) slow_.changed.notify_one();
}

void DiskPool::drain(std::vector<Completion>& out) {
  const std::lock_guard hold{mailbox_mutex_};
  if (out.empty()) {
    out.swap(mailbox_);
    return;
  }
  out.insert(out.end(), std::make_move_iterator(mailbox_.begin()), std::make_move_iterator(mailbox_.end()));
  mailbox_.clear();
}

void DiskPool::deliver(std::vector<Completion>& finished) {
  outstanding_.fetch_sub(finished.size(), std::memory_order_relaxed);
  bool first = false;
  {
    const std::lock_guard hold{mailbox_mutex_};
    first = mailbox_.empty();
    mailbox_.insert(mailbox_.end(), std::make_move_iterator(finished.begin()),
                    std::make_move_iterator(finished.end()));
  }
  finished.clear();
  if (first) notify_();
}

// The job that waits longest and, if it is a read or a write, its share of those of its kind that follow it
// at once: the other workers are to have some, too.
void DiskPool::take(Lane& lane, std::vector<Item>& into) const {
  const std::size_t workers = threads_.size() > 1 ? threads_.size() - 1 : 1;
  const std::size_t share = std::min(Disk::max_batch, (lane.waiting.size() + workers - 1) / workers);
  const std::size_t kind = lane.waiting.front().job.index();
  const bool many = together(lane.waiting.front().job);
  do {
    into.push_back(std::move(lane.waiting.front()));
    lane.waiting.pop_front();
  } while (many && into.size() < share && !lane.waiting.empty() && lane.waiting.front().job.index() == kind &&
           together(lane.waiting.front().job));
}

void DiskPool::work(Lane& lane) {
  Disk::Worker worker;
  std::vector<Item> taken;
  std::vector<Job> jobs;
  std::vector<Done> done;
  std::vector<Completion> finished;
  for (;;) {
    taken.clear();
    {
      std::unique_lock hold{mutex_};
      lane.changed.wait(hold, [&] { return closing_ || !lane.waiting.empty(); });
      if (lane.waiting.empty()) return;  // closing, and nothing is left
      take(lane, taken);
    }
    jobs.clear();
    for (Item& item : taken) jobs.push_back(std::move(item.job));
    done.clear();
    done.resize(jobs.size());
    disk_.run_batch(jobs, done, worker);
    for (std::size_t i = 0; i < done.size(); ++i) finished.emplace_back(taken[i].id, std::move(done[i]));
    deliver(finished);
  }
}

// ---- bulk work

ThreadExecutor::ThreadExecutor(unsigned threads) {
  const unsigned wanted = threads != 0 ? threads : std::max(1U, std::thread::hardware_concurrency());
  for (unsigned i = 1; i < wanted; ++i) threads_.emplace_back([this] { work(); });
}

ThreadExecutor::~ThreadExecutor() {
  {
    const std::lock_guard hold{mutex_};
    closing_ = true;
  }
  started_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadExecutor::parallel(std::size_t tasks, const std::function<void(std::size_t)>& task) {
  std::unique_lock hold{mutex_};
  SHOAL_CHECK(task_ == nullptr);  // one at a time
  task_ = &task;
  tasks_ = tasks;
  next_ = 0;
  started_.notify_all();
  while (next_ < tasks_) {
    const std::size_t mine = next_++;
    hold.unlock();
    task(mine);
    hold.lock();
  }
  finished_.wait(hold, [&] { return running_ == 0; });
  task_ = nullptr;
}

void ThreadExecutor::work() {
  std::unique_lock hold{mutex_};
  for (;;) {
    started_.wait(hold, [&] { return closing_ || (task_ != nullptr && next_ < tasks_); });
    if (closing_) return;
    const std::function<void(std::size_t)>& task = *task_;
    const std::size_t mine = next_++;
    ++running_;
    hold.unlock();
    task(mine);
    hold.lock();
    if (--running_ == 0) finished_.notify_one();
  }
}

}  // namespace shoal::storage
