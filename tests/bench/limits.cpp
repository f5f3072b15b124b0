// What this machine can do at most: the bounds that the bench holds shoal's figures against. Each call
// measures one thing and prints one JSON object.
//
//   limits primitives                      GB/s of hashes, AEADs and memcpy on one core
//   limits hash v1|v2|hybrid PATH          reading and hashing a file, or all files of a folder, on all
//   cores, with
//       nothing around it
//   limits transfer aes|chacha|plain FILE OUT
//       a bare sender and a bare receiver, two processes over loopback, with no protocol: read, seal, send a
//       block; receive and open it, hash it on a second thread, write it. MB/s and CPU seconds per GiB of
//       each side.
//   limits warm BYTES                      takes so much memory and gives it back (see sides.py)
//
// The primitives are those that shoal uses (dht/base), so that what remains between limit and figure is
// shoal's own.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dht/base/check.hpp"
#include "dht/base/crypto.hpp"
#include "dht/base/hash.hpp"
#include "dht/base/sha1_lanes.hpp"

namespace {

using shoal::ByteView;
using shoal::MutableBytes;
using Clock = std::chrono::steady_clock;

constexpr std::size_t block_bytes = 16384;
constexpr std::size_t at_once = 16;  // blocks
constexpr std::size_t frame_bytes = block_bytes + shoal::crypto::tag_bytes;

struct alignas(64) Block {
  std::array<std::uint8_t, frame_bytes + 48> bytes;
};

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// ---- primitives

double gigabytes_a_second(std::size_t bytes, const std::function<void()>& work) {
  double best = 0;
  for (int round = 0; round < 5; ++round) {
    const auto begin = Clock::now();
    int times = 0;
    while (seconds_since(begin) < 0.05) {
      work();
      ++times;
    }
    best = std::max(best, times * static_cast<double>(bytes) / seconds_since(begin) / 1e9);
  }
  return best;
}

void primitives() {
  std::vector<Block> blocks(at_once), others(at_once);
  std::array<ByteView, at_once> views;
  for (std::size_t i = 0; i < at_once; ++i) {
    blocks[i].bytes.fill(static_cast<std::uint8_t>(i + 1));
    views[i] = ByteView{blocks[i].bytes}.first(block_bytes);
  }
  constexpr std::size_t all = at_once * block_bytes;
  shoal::BlockHasher hasher;
  shoal::Sha1Lanes lanes;
  std::array<shoal::Sha256, at_once> digests;
  shoal::crypto::AesGcm aes{{}};
  const double sha1 = gigabytes_a_second(all, [&] {
    auto parts = views;
    lanes.advance(parts);
  });
  const double sha256 = gigabytes_a_second(all, [&] { hasher.sha256(views, digests); });
  const double gcm = gigabytes_a_second(all, [&] {
    for (Block& block : blocks) aes.seal(block.bytes.data(), ByteView{block.bytes}.first(block_bytes), {}, 1);
  });
  const double chacha = gigabytes_a_second(all, [&] {
    for (Block& block : blocks)
      shoal::crypto::seal_chacha(block.bytes.data(), ByteView{block.bytes}.first(block_bytes), {}, 1, {});
  });
  const double copy = gigabytes_a_second(all, [&] {
    for (std::size_t i = 0; i < at_once; ++i)
      std::memcpy(others[i].bytes.data(), blocks[i].bytes.data(), block_bytes);
  });
  std::printf(
      "{\"sha1\":%.2f,\"sha256\":%.2f,\"aes_gcm\":%.2f,\"chacha_poly\":%.2f,\"memcpy\":%.2f,"
      "\"sha1_by\":\"%s\",\"sha256_by\":\"%s\"}\n",
      sha1, sha256, gcm, chacha, copy, lanes.name(), hasher.name());
}

// ---- reading and hashing

// A run of bytes that one lane goes through: a file, or a part of a large one.
struct Stretch {
  std::string path;
  std::size_t begin = 0, size = 0;
};

std::vector<Stretch> stretches_of(const char* path) {
  constexpr std::size_t longest = std::size_t{1} << 20;
  std::vector<Stretch> out;
  const auto add = [&](const std::filesystem::path& file, std::size_t size) {
    for (std::size_t at = 0; at < size; at += longest)
      out.push_back({file.string(), at, std::min(longest, size - at)});
  };
  if (std::filesystem::is_regular_file(path)) {
    add(path, std::filesystem::file_size(path));
    return out;
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path))
    if (entry.is_regular_file()) add(entry.path(), entry.file_size());
  return out;
}

// One worker: a stretch in each lane, a block of each at a time.
class LimitHasher {
 public:
  LimitHasher(std::string_view form, const std::vector<Stretch>& all, std::atomic<std::size_t>& next)
      : by_sha1_(form != "v2"), by_sha256_(form != "v1"), all_(all), next_(next) {}

  void run() {
    std::array<ByteView, at_once> parts;
    std::array<ByteView, at_once> blocks;
    std::array<shoal::Sha256, at_once> digests;
    for (;;) {
      std::size_t count = 0;
      for (std::size_t i = 0; i < at_once; ++i) {
        if (parts[i].size() >= shoal::Sha1Lanes::block) continue;
        parts[i] = refill(i);
        if (!parts[i].empty()) blocks[count++] = parts[i];
      }
      if (by_sha256_) hasher_.sha256({blocks.data(), count}, {digests.data(), count});
      if (std::ranges::all_of(parts, [](ByteView part) { return part.empty(); })) return;
      if (by_sha1_)
        lanes_.advance(parts);
      else
        parts.fill({});
    }
  }

 private:
  struct Lane {
    int file = -1;
    std::size_t at = 0, left = 0;
  };
  // The lane's next block; of a stretch that has ended, the next one's first.
  ByteView refill(std::size_t i) {
    Lane& lane = of_[i];
    if (lane.left == 0) {
      if (lane.file >= 0) ::close(lane.file);
      lanes_.forget(i);
      lane.file = -1;
      const std::size_t mine = next_.fetch_add(1);
      if (mine >= all_.size()) return {};
      lane = {::open(all_[mine].path.c_str(), O_RDONLY | O_CLOEXEC), all_[mine].begin, all_[mine].size};
      SHOAL_CHECK(lane.file >= 0);
    }
    const MutableBytes into = MutableBytes{(*blocks_)[i].bytes}.first(std::min(lane.left, block_bytes));
    SHOAL_CHECK(::pread(lane.file, into.data(), into.size(), static_cast<off_t>(lane.at)) ==
                static_cast<ssize_t>(into.size()));
    lane.at += into.size();
    lane.left -= into.size();
    return into;
  }

  bool by_sha1_, by_sha256_;
  const std::vector<Stretch>& all_;
  std::atomic<std::size_t>& next_;
  shoal::BlockHasher hasher_;
  shoal::Sha1Lanes lanes_;
  std::unique_ptr<std::array<Block, at_once>> blocks_ = std::make_unique<std::array<Block, at_once>>();
  std::array<Lane, at_once> of_;
};

void hash_path(std::string_view form, const char* path) {
  const auto begin = Clock::now();
  const std::vector<Stretch> all = stretches_of(path);
  std::atomic<std::size_t> next{0};
  const auto work = [&] { LimitHasher{form, all, next}.run(); };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < std::max(1U, std::thread::hardware_concurrency()); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  const double took = seconds_since(begin);
  std::size_t size = 0;
  for (const Stretch& each : all) size += each.size;
  std::printf("{\"seconds\":%.4f,\"gb_s\":%.3f}\n", took, static_cast<double>(size) / took / 1e9);
}

// ---- sending and receiving

class Cipher {
 public:
  explicit Cipher(std::string_view kind) : kind_(kind), aes_({}) {}
  [[nodiscard]] std::size_t overhead() const { return kind_ == "plain" ? 0 : shoal::crypto::tag_bytes; }
  void seal(std::uint8_t* bytes, std::size_t size) {
    if (kind_ == "aes") aes_.seal(bytes, {bytes, size}, {}, nonce_++);
    if (kind_ == "chacha") shoal::crypto::seal_chacha(bytes, {bytes, size}, {}, nonce_++, key_);
  }
  void open(std::uint8_t* bytes, std::size_t size) {
    if (kind_ == "aes") SHOAL_CHECK(aes_.open(bytes, {bytes, size}, {}, nonce_++));
    if (kind_ == "chacha") SHOAL_CHECK(shoal::crypto::open_chacha(bytes, {bytes, size}, {}, nonce_++, key_));
  }

 private:
  std::string_view kind_;
  shoal::crypto::AesGcm aes_;
  shoal::crypto::SymmetricKey key_{};
  std::uint64_t nonce_ = 0;
};

void send_all(int socket, const std::uint8_t* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t put = ::send(socket, bytes, size, MSG_NOSIGNAL);
    SHOAL_CHECK(put > 0);
    bytes += put;
    size -= static_cast<std::size_t>(put);
  }
}

// Sixteen blocks to a call.
void sender(int socket, std::string_view kind, int file, std::size_t size) {
  Cipher cipher{kind};
  const std::size_t step = block_bytes + cipher.overhead();
  std::vector<std::uint8_t> frames(at_once * step + 64);
  for (std::size_t at = 0; at < size;) {
    std::size_t used = 0;
    for (std::size_t i = 0; i < at_once && at < size; ++i) {
      const std::size_t want = std::min(block_bytes, size - at);
      std::uint8_t* const frame = frames.data() + 64 + used;
      SHOAL_CHECK(::pread(file, frame, want, static_cast<off_t>(at)) == static_cast<ssize_t>(want));
      cipher.seal(frame, want);
      used += want + cipher.overhead();
      at += want;
    }
    send_all(socket, frames.data() + 64, used);
  }
}

// Opened blocks on their way to the thread that hashes and writes.
struct Batch {
  std::vector<std::uint8_t> bytes;
  std::size_t used = 0;
  std::size_t offset = 0;  // in the file
};

class Writer {
 public:
  Writer(int file, std::size_t overhead) : file_(file), overhead_(overhead), thread_([this] { run(); }) {}
  ~Writer() {
    give({});
    thread_.join();
  }
  void give(Batch&& batch) {
    std::unique_lock hold{mutex_};
    changed_.wait(hold, [&] { return waiting_.size() < 8; });
    waiting_.push_back(std::move(batch));
    changed_.notify_all();
  }
  Batch spare() {
    const std::lock_guard hold{mutex_};
    if (spare_.empty()) return {std::vector<std::uint8_t>(at_once * frame_bytes), 0, 0};
    Batch out = std::move(spare_.back());
    spare_.pop_back();
    return out;
  }

 private:
  void run() {
    shoal::BlockHasher hasher;
    std::array<shoal::Sha256, at_once> digests;
    for (;;) {
      Batch batch;
      {
        std::unique_lock hold{mutex_};
        changed_.wait(hold, [&] { return !waiting_.empty(); });
        batch = std::move(waiting_.front());
        waiting_.erase(waiting_.begin());
        changed_.notify_all();
      }
      if (batch.bytes.empty()) return;
      std::array<ByteView, at_once> views;
      std::size_t count = 0;
      for (std::size_t at = 0; at < batch.used;) {
        const std::size_t plain = std::min(block_bytes, batch.used - at - overhead_);
        views[count++] = ByteView{batch.bytes}.subspan(at, plain);
        at += plain + overhead_;
      }
      hasher.sha256({views.data(), count}, {digests.data(), count});
      for (std::size_t i = 0; i < count; ++i) {
        SHOAL_CHECK(::pwrite(file_, views[i].data(), views[i].size(), static_cast<off_t>(batch.offset)) ==
                    static_cast<ssize_t>(views[i].size()));
        batch.offset += views[i].size();
      }
      const std::lock_guard hold{mutex_};
      spare_.push_back(std::move(batch));
    }
  }
  int file_;
  std::size_t overhead_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Batch> waiting_, spare_;
  std::thread thread_;
};

void receiver(int socket, std::string_view kind, int file, std::size_t size) {
  Cipher cipher{kind};
  Writer writer{file, cipher.overhead()};
  const std::size_t step = block_bytes + cipher.overhead();
  for (std::size_t at = 0; at < size;) {
    Batch batch = writer.spare();
    batch.used = 0;
    batch.offset = at;
    std::size_t opened = 0, plain = 0;
    const std::size_t blocks = std::min(at_once, (size - at + block_bytes - 1) / block_bytes);
    const std::size_t want = std::min(blocks * block_bytes, size - at) + blocks * cipher.overhead();
    while (batch.used < want) {
      const ssize_t got = ::recv(socket, batch.bytes.data() + batch.used, want - batch.used, 0);
      SHOAL_CHECK(got > 0);
      batch.used += static_cast<std::size_t>(got);
      while (opened < batch.used) {
        const std::size_t frame = std::min(step, want - opened);
        if (batch.used - opened < frame) break;
        cipher.open(batch.bytes.data() + opened, frame);
        opened += frame;
        plain += frame - cipher.overhead();
      }
    }
    at += plain;
    writer.give(std::move(batch));
  }
}

double cpu_of(const rusage& usage) {
  const auto of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

void transfer(std::string_view kind, const char* from, const char* to) {
  const int source = ::open(from, O_RDONLY | O_CLOEXEC);
  struct stat seen{};
  SHOAL_CHECK(source >= 0 && ::fstat(source, &seen) == 0);
  const auto size = static_cast<std::size_t>(seen.st_size);
  const int target = ::open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  SHOAL_CHECK(target >= 0 && ::ftruncate(target, seen.st_size) == 0);
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  SHOAL_CHECK(::bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
              ::listen(listener, 1) == 0 &&
              ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  const auto begin = Clock::now();
  const auto start = [](const std::function<void()>& work) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    work();
    std::_Exit(0);
  };
  const pid_t sending = start([&] { sender(::accept(listener, nullptr, nullptr), kind, source, size); });
  const pid_t receiving = start([&] {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SHOAL_CHECK(::connect(socket, reinterpret_cast<sockaddr*>(&address), length) == 0);
    receiver(socket, kind, target, size);
  });
  rusage of_sender{}, of_receiver{};
  int sent = 1, received = 1;
  SHOAL_CHECK(::wait4(receiving, &received, 0, &of_receiver) == receiving &&
              ::wait4(sending, &sent, 0, &of_sender) == sending && sent == 0 && received == 0);
  const double took = seconds_since(begin), gib = static_cast<double>(size) / (1 << 30);
  std::printf("{\"seconds\":%.4f,\"mb_s\":%.1f,\"cpu_seed\":%.3f,\"cpu_leech\":%.3f}\n", took,
              static_cast<double>(size) / took / 1e6, cpu_of(of_sender) / gib, cpu_of(of_receiver) / gib);
}

// ---- memory

void warm(std::size_t bytes) {
  void* const at =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  SHOAL_CHECK(at != MAP_FAILED);
}

}  // namespace

int main(int count, char** arguments) {
  const std::string_view what = count > 1 ? arguments[1] : "";
  shoal::crypto::initialise();
  if (what == "primitives" && count == 2) {
    primitives();
  } else if (what == "hash" && count == 4) {
    hash_path(arguments[2], arguments[3]);
  } else if (what == "transfer" && count == 5) {
    transfer(arguments[2], arguments[3], arguments[4]);
  } else if (what == "warm" && count == 3) {
    warm(std::strtoull(arguments[2], nullptr, 10));
  } else {
    std::fputs(
        "usage: limits primitives | hash v1|v2|hybrid PATH | transfer aes|chacha|plain FILE OUT | warm "
        "BYTES\n",
        stderr);
    return 2;
  }
  return 0;
}
