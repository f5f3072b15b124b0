// What the programs that flood have in common: many source addresses on one machine, a pace, and a yardstick.
//
// The sources must be local where the program runs; one route makes a whole network so ("AnyIP"):
// ip route add local 21.0.0.0/8 dev lo.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstring>
#include <ctime>

#include <netinet/in.h>
#include <sys/socket.h>

#include "dht/base/check.hpp"
#include "dht/base/crypto.hpp"
#include "dht/base/endpoint.hpp"

namespace shoal::attack {

// Addresses, each in a network of its own (IPv4 /24, IPv6 /48): a limit of a network is no help against them.
class Sources {
 public:
  Sources(const IpAddress& first, std::uint32_t count) : first_(first), count_(count) {}
  [[nodiscard]] IpAddress at(std::uint64_t number) const {
    const std::uint64_t place = number % count_;
    IpAddress out = first_;
    const int shift = first_.family == Family::v4 ? 40 : 16;  // of the first eight bytes
    store_be(out.bytes.data(), load_be<std::uint64_t>(out.bytes.data()) + (place << shift));
    return out;
  }
  [[nodiscard]] Family family() const { return first_.family; }

 private:
  IpAddress first_;
  std::uint32_t count_;
};

struct SocketName {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

inline SocketName socket_name(const Endpoint& endpoint) {
  SocketName out;
  if (endpoint.address.family == Family::v4) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(endpoint.port);
    std::memcpy(&v4->sin_addr, endpoint.address.bytes.data(), 4);
    out.size = sizeof *v4;
  } else {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(endpoint.port);
    std::memcpy(&v6->sin6_addr, endpoint.address.bytes.data(), 16);
    out.size = sizeof *v6;
  }
  return out;
}

// How many of something are due: so many a second since the start.
class Pace {
 public:
  explicit Pace(double a_second) : a_second_(a_second) {}
  [[nodiscard]] double passed() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }
  [[nodiscard]] std::uint64_t due() const { return static_cast<std::uint64_t>(passed() * a_second_); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point begin_ = Clock::now();
  double a_second_;
};

// How fast this machine computes while it floods: what an attack costs its victim is judged by it, for
// machines differ, and one that serves others too differs from hour to hour.
class Yardstick {
 public:
  // Call it in each turn: now and then it makes a key agreement (X25519) and takes its time.
  void take() {
    if (const auto now = Clock::now(); now < next_)
      return;
    else
      next_ = now + std::chrono::milliseconds{20};
    const double begun = processor_time();
    const auto shared = crypto::exchange(key_.secret, key_.public_key);
    took_ += processor_time() - begun;
    SHOAL_CHECK(shared.has_value());
    ++count_;
  }
  // Microseconds of a core that a key agreement takes, on average.
  [[nodiscard]] double agreement() const { return count_ == 0 ? 0 : 1e6 * took_ / count_; }

 private:
  using Clock = std::chrono::steady_clock;
  static double processor_time() {
    timespec now{};
    SHOAL_CHECK(::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
  }

  crypto::ExchangeKey key_ = crypto::ExchangeKey::from_secret(crypto::SecretKey{1});
  Clock::time_point next_;
  double took_ = 0;  // seconds
  int count_ = 0;
};

}  // namespace shoal::attack
