// Asks a DHT node on loopback as many questions as it answers.
//   dht_load PORT SECONDS native|mainline
// Prints one JSON object: answers a second. 256 questions are under way at any time, from 64 addresses of
// 127.0.0.0/8 with a socket each; one that stays without an answer for 100 ms is asked again.
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "dht/base/check.hpp"
#include "dht/base/random.hpp"
#include "dht/krpc_codec.hpp"
#include "dht/native_codec.hpp"

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t sockets = 64, at_once = 4, questions = 1024;

std::vector<shoal::Bytes> make_questions(std::string_view dialect) {
  std::unique_ptr<shoal::dht::Codec> codec;
  if (dialect == "native")
    codec = std::make_unique<shoal::dht::NativeCodec>();
  else
    codec = std::make_unique<shoal::dht::KrpcCodec>();
  shoal::Random random{{}};
  std::vector<shoal::Bytes> out(questions);
  for (std::size_t i = 0; i < questions; ++i) {
    shoal::dht::Query query;
    query.transaction = shoal::dht::TransactionId::from(i);
    query.sender = shoal::Key{random.bytes<32>()};
    query.role = shoal::dht::SenderRole::read_only;
    query.body = shoal::dht::FindQuery{shoal::Key{random.bytes<32>()}};
    codec->encode(query, out[i]);
  }
  return out;
}

int socket_to(std::uint16_t port, std::uint32_t from) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in own{}, node{};
  own.sin_family = node.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl((127U << 24) + (1U << 16) + from);
  node.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  node.sin_port = htons(port);
  const auto as_address = [](sockaddr_in& address) { return reinterpret_cast<sockaddr*>(&address); };
  SHOAL_CHECK(fd >= 0 && ::bind(fd, as_address(own), sizeof own) == 0 &&
              ::connect(fd, as_address(node), sizeof node) == 0);
  return fd;
}

class Asker {
 public:
  Asker(std::uint16_t port, std::uint32_t number, std::vector<shoal::Bytes>& asked)
      : fd_(socket_to(port, number)), next_(number * 17), questions_(asked) {}
  [[nodiscard]] int descriptor() const { return fd_; }

  // Takes what came and asks as much again. Gives how many came.
  std::size_t turn() {
    std::array<std::array<std::uint8_t, 2048>, at_once> room;
    std::array<iovec, at_once> parts;
    std::array<mmsghdr, at_once> messages{};
    for (std::size_t i = 0; i < at_once; ++i) {
      parts[i] = {room[i].data(), room[i].size()};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int got = ::recvmmsg(fd_, messages.data(), at_once, MSG_DONTWAIT, nullptr);
    if (got <= 0) return 0;
    ask(static_cast<std::size_t>(got));
    return static_cast<std::size_t>(got);
  }

  void ask(std::size_t count) {
    std::array<iovec, at_once> parts;
    std::array<mmsghdr, at_once> messages{};
    for (std::size_t i = 0; i < count; ++i) {
      shoal::Bytes& question = questions_[next_++ % questions_.size()];
      parts[i] = {question.data(), question.size()};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    (void)::sendmmsg(fd_, messages.data(), static_cast<unsigned>(count), 0);
  }

 private:
  int fd_;
  std::size_t next_;
  std::vector<shoal::Bytes>& questions_;
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) {
    std::fputs("usage: dht_load PORT SECONDS native|mainline\n", stderr);
    return 2;
  }
  std::vector<shoal::Bytes> questions_to_ask = make_questions(arguments[3]);
  std::vector<Asker> askers;
  std::vector<pollfd> waits;
  for (std::uint32_t i = 0; i < sockets; ++i) {
    askers.emplace_back(static_cast<std::uint16_t>(std::atoi(arguments[1])), i + 1, questions_to_ask);
    waits.push_back({askers.back().descriptor(), POLLIN, 0});
  }
  const auto begin = Clock::now();
  const auto passed = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  const double most = std::atof(arguments[2]);
  std::size_t answers = 0;
  for (Asker& asker : askers) asker.ask(at_once);
  while (passed() < most) {
    const int ready = ::poll(waits.data(), waits.size(), 100);
    if (ready == 0)
      for (Asker& asker : askers) asker.ask(at_once);
    for (std::size_t i = 0; i < askers.size(); ++i)
      if ((waits[i].revents & POLLIN) != 0) answers += askers[i].turn();
  }
  std::printf("{\"answers_per_s\":%.0f}\n", static_cast<double>(answers) / passed());
  return 0;
}
