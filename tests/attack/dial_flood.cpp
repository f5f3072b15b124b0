// Opens streams to a peer from many addresses and begins each with noise (THREATS A31).
//   dial_flood PEER:PORT FIRST-SOURCE SOURCES BYTES RATE SECONDS
// RATE streams a second or as many as this machine can; each says BYTES bytes of noise and waits until it is
// closed, for a second at most. Prints one JSON object: streams that spoke, bytes that came back, and what a
// key agreement takes meanwhile.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <sys/epoll.h>
#include <unistd.h>

#include "dht/base/check.hpp"
#include "dht/base/random.hpp"
#include "tests/attack/flood.hpp"

namespace shoal::attack {
namespace {

constexpr std::size_t at_once = 4096;
constexpr double patience = 1;  // seconds

class Dialler {
 public:
  Dialler(const Endpoint& peer, const Sources& sources, std::size_t bytes)
      : peer_(socket_name(peer)), sources_(sources), noise_(bytes + 4096), bytes_(bytes), streams_(at_once) {
    Random{{}}.fill(noise_);
    for (std::size_t i = 0; i < at_once; ++i) free_.push_back(i);
  }

  void run(double rate, double most) {
    const Pace pace{rate};
    std::uint64_t last_swept = 0;
    while (pace.passed() < most) {
      yardstick_.take();
      for (int i = 0; i < 64 && dialled_ < pace.due() && !free_.empty(); ++i) dial(pace.passed());
      std::array<epoll_event, 256> ready;
      const int count = ::epoll_wait(epoll_, ready.data(), ready.size(), dialled_ < pace.due() ? 0 : 1);
      for (int i = 0; i < count; ++i) handle(ready[static_cast<std::size_t>(i)]);
      if (const auto tenths = static_cast<std::uint64_t>(pace.passed() * 10); tenths != last_swept) {
        last_swept = tenths;
        for (std::size_t i = 0; i < at_once; ++i)
          if (streams_[i].fd >= 0 && streams_[i].since + patience < pace.passed()) close_one(i);
      }
    }
    std::printf(
        "{\"dialled\":%llu,\"spoke\":%llu,\"heard_bytes\":%llu,\"seconds\":%.2f,\"agreement_us\":%.1f}\n",
        static_cast<unsigned long long>(dialled_), static_cast<unsigned long long>(spoke_),
        static_cast<unsigned long long>(heard_), pace.passed(), yardstick_.agreement());
  }

 private:
  struct Stream {
    int fd = -1;
    double since = 0;
    bool spoke = false;
  };

  void dial(double now) {
    Endpoint from;
    from.address = sources_.at(dialled_++);
    SocketName own = socket_name(from);
    constexpr int on = 1;
    constexpr linger at_once_gone{1, 0};  // by RST: leaves no port waiting
    const int fd = ::socket(own.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    SHOAL_CHECK(fd >= 0);
    (void)::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once_gone, sizeof at_once_gone);
    (void)::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    SHOAL_CHECK(::bind(fd, own.get(), own.size) == 0);
    if (::connect(fd, peer_.get(), peer_.size) != 0 && errno != EINPROGRESS) {
      ::close(fd);
      return;
    }
    const std::size_t place = free_.back();
    free_.pop_back();
    streams_[place] = {fd, now, false};
    epoll_event wanted{EPOLLOUT, {.u64 = place}};
    SHOAL_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &wanted) == 0);
  }

  void handle(const epoll_event& event) {
    const std::size_t place = event.data.u64;
    Stream& stream = streams_[place];
    if (stream.fd < 0) return;
    if (!stream.spoke && (event.events & EPOLLOUT) != 0) {
      const ssize_t put = ::send(stream.fd, noise_.data() + dialled_ % 4096, bytes_, MSG_NOSIGNAL);
      if (put < 0) return close_one(place);
      stream.spoke = true;
      ++spoke_;
      epoll_event wanted{EPOLLIN, {.u64 = place}};
      SHOAL_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_MOD, stream.fd, &wanted) == 0);
      return;
    }
    std::array<std::uint8_t, 2048> room;
    const ssize_t got = ::recv(stream.fd, room.data(), room.size(), 0);
    if (got > 0)
      heard_ += static_cast<std::uint64_t>(got);
    else if (got == 0 || errno != EAGAIN)
      close_one(place);
  }

  void close_one(std::size_t place) {
    ::close(streams_[place].fd);
    streams_[place] = {};
    free_.push_back(place);
  }

  SocketName peer_;
  Sources sources_;
  Yardstick yardstick_;
  Bytes noise_;
  std::size_t bytes_;
  std::vector<Stream> streams_;
  std::vector<std::size_t> free_;
  int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  std::uint64_t dialled_ = 0, spoke_ = 0, heard_ = 0;
};

}  // namespace
}  // namespace shoal::attack

int main(int count, char** arguments) {
  using namespace shoal;
  const auto peer = count == 7 ? Endpoint::parse(arguments[1]) : Result<Endpoint>{std::unexpected(Error{})};
  const auto first = peer ? IpAddress::parse(arguments[2]) : Result<IpAddress>{std::unexpected(Error{})};
  if (!peer || !first || std::atoi(arguments[3]) < 1 || std::atoi(arguments[4]) < 1) {
    std::fputs("usage: dial_flood PEER:PORT FIRST-SOURCE SOURCES BYTES RATE SECONDS\n", stderr);
    return 2;
  }
  attack::Dialler{*peer,
                  {*first, static_cast<std::uint32_t>(std::atoi(arguments[3]))},
                  static_cast<std::size_t>(std::atoi(arguments[4]))}
      .run(std::atof(arguments[5]), std::atof(arguments[6]));
  return 0;
}
