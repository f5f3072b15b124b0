// The host over real sockets of the loopback: two of them on one reactor pass a content on; ports and their
// collisions; names. Everything waits for an event, with a deadline that only a broken host reaches.
#include "cli/host/host.hpp"

#include <fstream>
#include <iterator>
#include <set>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/host/resolve.hpp"
#include "dht/base/crypto.hpp"
#include "storage/disk_pool.hpp"
#include "storage/importer.hpp"
#include "storage/posix_state.hpp"
#include "storage/posix_vfs.hpp"
#include "tests/unit/cli/scratch.hpp"

namespace shoal::cli {
namespace {

using What = swarm::ContentEvent::What;
constexpr std::chrono::seconds patience{60};

std::chrono::steady_clock::time_point deadline() { return std::chrono::steady_clock::now() + patience; }

// A state, a disk and a host, as a command has them.
struct TestPeer {
  storage::MutexGate catalog_gate, disk_gate;
  storage::PosixVfs vfs;
  std::unique_ptr<storage::Catalog> catalog;
  std::unique_ptr<storage::Disk> disk;
  std::unique_ptr<Host> host;
  std::set<What> seen;
  bool stopped = false;
  std::uint64_t copies = 0;

  TestPeer(Reactor& reactor, const std::string& state, HostConfig config = {}) {
    auto path = storage::prepare_state(state);
    EXPECT_TRUE(path);
    catalog = std::move(*storage::Catalog::open({.path = *path, .vfs = {}, .gate = &catalog_gate}));
    disk = std::make_unique<storage::Disk>(vfs, *catalog, disk_gate, storage::Disk::Options{});
    config.address = *IpAddress::parse("127.0.0.1");
    crypto::system_random(config.session.identity);
    config.session.reach = swarm::Reach::local;
    config.session.lan_discovery = false;
    config.disk_workers = 2;
    auto opened = Host::open(reactor, std::move(config), *disk, [this](const swarm::Answer& answer) {
      if (const auto* event = std::get_if<swarm::ContentEvent>(&answer.what)) seen.insert(event->what);
      stopped = stopped || std::holds_alternative<swarm::Stopped>(answer.what);
    });
    if (opened) host = std::move(*opened);
  }
};

// This suite is run under the thread sanitizer.
class HostTest : public testing::Test {
 protected:
  HostTest() { crypto::initialise(); }

  storage::ContentPtr share(TestPeer& peer, const std::string& path) {
    storage::PosixVfs vfs;
    storage::SerialExecutor executor;
    const auto survey = storage::survey(vfs, {path});
    storage::ImportOptions options;
    options.salt.emplace();
    crypto::system_random(*options.salt);
    auto imported = storage::import_content(vfs, *survey, options, executor);
    const storage::ContentPtr content = imported->content;
    EXPECT_TRUE(peer.catalog->store(storage::share_record(std::move(*imported))));
    return content;
  }

  std::string write(const std::string& name, std::size_t bytes) {
    Bytes data(bytes);
    crypto::system_random(data);
    std::ofstream file{scratch_.path(name), std::ios::binary};
    file.write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(data.size()));
    return scratch_.path(name);
  }
  static std::string content_of(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
  }

  Scratch scratch_;
  Reactor reactor_;
};

TEST_F(HostTest, TwoHostsPassAContentOn) {
  const std::string path = write("data.bin", (5U << 20) + 12345);
  TestPeer giver{reactor_, scratch_.path("s1")}, taker{reactor_, scratch_.path("s2")};
  const storage::ContentPtr content = share(giver, path);
  swarm::OpenContent open;
  open.id = content->id;
  open.folder = scratch_.path("");
  giver.host->command(open);
  ASSERT_TRUE(reactor_.run_until([&] { return giver.seen.contains(What::announced); }, deadline()));

  open.folder = scratch_.path("out");
  open.hints = {Endpoint{*IpAddress::parse("127.0.0.1"), giver.host->port()}};
  taker.host->command(open);
  ASSERT_TRUE(reactor_.run_until([&] { return taker.seen.contains(What::complete); }, deadline()));
  ASSERT_TRUE(reactor_.run_until([&] { return giver.seen.contains(What::copy_out); }, deadline()));
  EXPECT_FALSE(taker.seen.contains(What::failed));
  EXPECT_EQ(content_of(scratch_.path("out/data.bin")), content_of(path));

  // The orderly end: everything is answered, and both ends are quiet.
  taker.host->command(swarm::Stop{});
  giver.host->command(swarm::Stop{});
  ASSERT_TRUE(reactor_.run_until([&] { return taker.stopped && giver.stopped; }, deadline()));
  int closed = 0;
  taker.host->close([&] { ++closed; });
  giver.host->close([&] { ++closed; });
  EXPECT_TRUE(reactor_.run_until([&] { return closed == 2; }, deadline()));
}

TEST_F(HostTest, RateLimitsHoldOverRealSockets) {
  constexpr std::uint64_t rate = 2U << 20;
  const std::string path = write("data.bin", 3U << 20);
  HostConfig limited;
  limited.session.up_rate = rate;
  TestPeer giver{reactor_, scratch_.path("s1"), std::move(limited)}, taker{reactor_, scratch_.path("s2")};
  const storage::ContentPtr content = share(giver, path);
  swarm::OpenContent open;
  open.id = content->id;
  open.folder = scratch_.path("");
  giver.host->command(open);
  open.folder = scratch_.path("out");
  open.hints = {Endpoint{*IpAddress::parse("127.0.0.1"), giver.host->port()}};
  const auto begun = std::chrono::steady_clock::now();
  taker.host->command(open);
  ASSERT_TRUE(reactor_.run_until([&] { return taker.seen.contains(What::complete); }, deadline()));
  // 3 MiB at 2 MiB/s, with half a second's burst: never faster, whatever the machine.
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds{950});
}

TEST_F(HostTest, ManyCallersComeAndGo) {
  TestPeer peer{reactor_, scratch_.path("s")};
  std::vector<int> callers;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(peer.host->port());
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int i = 0; i < 200; ++i) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    ASSERT_GE(fd, 0);
    (void)::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    callers.push_back(fd);
  }
  // Without a content nobody is wanted: each is shown the door, without a byte.
  std::size_t gone = 0;
  const auto all_gone = [&] {
    for (int& fd : callers) {
      char byte = 0;
      if (fd < 0) continue;
      const ssize_t got = ::recv(fd, &byte, 1, MSG_DONTWAIT);
      EXPECT_LE(got, 0);
      if (got == 0 || (errno != EAGAIN && errno != ENOTCONN)) {
        ::close(fd);
        fd = -1;
        ++gone;
      }
    }
    return gone == callers.size();
  };
  bool ticking = true;
  reactor_.every(std::chrono::milliseconds{5}, [&] { ticking = true; });
  EXPECT_TRUE(reactor_.run_until(all_gone, deadline()));
  for (const int fd : callers)
    if (fd >= 0) ::close(fd);
  EXPECT_TRUE(ticking);
}

TEST_F(HostTest, DatagramsOfAnyKindAreSurvived) {
  TestPeer peer{reactor_, scratch_.path("s")};
  const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(peer.host->port());
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  Bytes bytes(60'000);
  crypto::system_random(bytes);
  for (const std::size_t size : {0U, 1U, 1232U, 2048U, 2049U, 60'000U}) {
    bytes[0] = 0xC1;
    EXPECT_GE(::sendto(fd, bytes.data(), size, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  }
  ::close(fd);  // whatever is answered comes back as an error of the socket
  TestPeer other{reactor_, scratch_.path("s2")};
  other.host->command(swarm::Bootstrap{{Endpoint{*IpAddress::parse("127.0.0.1"), peer.host->port()}}});
  EXPECT_TRUE(reactor_.run_until(
      [&] {
        for (const swarm::DhtStatus& dht : other.host->session().dht())
          if (dht.contacts > 0) return true;
        return false;
      },
      deadline()));
}

TEST_F(HostTest, ADemandedPortThatIsTakenIsAnErrorAndAWishIsNot) {
  TestPeer first{reactor_, scratch_.path("s1")};
  ASSERT_TRUE(first.host);
  TestPeer second{
      reactor_, scratch_.path("s2"), {.session = {}, .address = {}, .demanded_port = first.host->port()}};
  EXPECT_FALSE(second.host);
  TestPeer third{reactor_,
                 scratch_.path("s3"),
                 {.session = {}, .address = {}, .demanded_port = 0, .wished_port = first.host->port()}};
  ASSERT_TRUE(third.host);
  EXPECT_NE(third.host->port(), first.host->port());
  const std::uint16_t port = first.host->port();
  first.host.reset();
  TestPeer fourth{
      reactor_, scratch_.path("s4"), {.session = {}, .address = {}, .demanded_port = 0, .wished_port = port}};
  ASSERT_TRUE(fourth.host);
  EXPECT_EQ(fourth.host->port(), port);
}

TEST_F(HostTest, APortOfWhichTcpAloneIsTakenIsTaken) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&at), size), 0);
  ASSERT_EQ(::listen(fd, 1), 0);
  ASSERT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size), 0);
  TestPeer peer{
      reactor_, scratch_.path("s"), {.session = {}, .address = {}, .demanded_port = ntohs(at.sin_port)}};
  EXPECT_FALSE(peer.host);
  ::close(fd);
}

TEST_F(HostTest, AHostMayGoInTheMiddleOfEverything) {
  const std::string path = write("data.bin", 2U << 20);
  auto giver = std::make_unique<TestPeer>(reactor_, scratch_.path("s1"));
  auto taker = std::make_unique<TestPeer>(reactor_, scratch_.path("s2"));
  const storage::ContentPtr content = share(*giver, path);
  swarm::OpenContent open;
  open.id = content->id;
  open.folder = scratch_.path("");
  giver->host->command(open);
  open.folder = scratch_.path("out");
  open.hints = {Endpoint{*IpAddress::parse("127.0.0.1"), giver->host->port()}};
  taker->host->command(open);
  ASSERT_TRUE(reactor_.run_until([&] { return taker->seen.contains(What::attached); }, deadline()));
  giver.reset();
  taker.reset();
  // Handlers that were under way find nobody, and do nothing.
  bool later = false;
  reactor_.after(std::chrono::milliseconds{50}, [&] { later = true; });
  EXPECT_TRUE(reactor_.run_until([&] { return later; }, deadline()));
}

TEST_F(HostTest, NamesAreLookedUpBesideTheReactor) {
  Resolver resolver{reactor_};
  int answers = 0;
  std::vector<Endpoint> numeric, named, unknown{{}};
  resolver.resolve({"192.0.2.1", 7}, [&](const auto&, const auto& found) { numeric = found, ++answers; });
  EXPECT_EQ(answers, 1);  // at once
  resolver.resolve({"localhost", 8}, [&](const auto&, const auto& found) { named = found, ++answers; });
  resolver.resolve({"no-such-host.invalid", 9},
                   [&](const auto&, const auto& found) { unknown = found, ++answers; });
  ASSERT_TRUE(reactor_.run_until([&] { return answers == 3; }, deadline()));
  ASSERT_EQ(numeric.size(), 1U);
  EXPECT_EQ(numeric[0].to_string(), "192.0.2.1:7");
  ASSERT_FALSE(named.empty());
  EXPECT_EQ(named[0].port, 8);
  EXPECT_EQ(named[0].address.classify(), AddressClass::loopback);
  EXPECT_TRUE(unknown.empty());
}

TEST_F(HostTest, TheReactorKeepsTime) {
  int ticks = 0;
  bool late = false;
  reactor_.every(std::chrono::milliseconds{2}, [&] { ++ticks; });
  reactor_.after(std::chrono::milliseconds{20}, [&] { late = true; });
  ASSERT_TRUE(reactor_.run_until([&] { return late && ticks >= 3; }, deadline()));
  EXPECT_FALSE(reactor_.run_until([] { return false; }, std::chrono::steady_clock::now()));
}

}  // namespace
}  // namespace shoal::cli
