// Names into addresses by getaddrinfo(3), each on a thread of its own that is never joined: a dead name
// server holds one for half a minute, and neither other names nor the end of the program wait for it.
#include "cli/host/resolve.hpp"

#include <algorithm>
#include <mutex>
#include <thread>
#include <utility>

#include <netdb.h>

#include "cli/host/socket_address.hpp"

namespace shoal::cli {

// The way back to the reactor, closed when the resolver goes.
struct Resolver::Mailbox {
  std::mutex mutex;
  Reactor* reactor = nullptr;
};

namespace {

constexpr std::size_t max_addresses = 4;

std::vector<Endpoint> look_up(const storage::HostPort& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* first = nullptr;
  if (::getaddrinfo(host.host.c_str(), nullptr, &hints, &first) != 0) return {};
  std::vector<Endpoint> out;
  for (const addrinfo* each = first; each != nullptr && out.size() < max_addresses; each = each->ai_next) {
    SocketAddress address;
    address.size = std::min<socklen_t>(each->ai_addrlen, sizeof address.storage);
    std::memcpy(&address.storage, each->ai_addr, address.size);
    auto endpoint = endpoint_of(address);
    if (!endpoint) continue;
    endpoint->port = host.port;
    if (std::find(out.begin(), out.end(), *endpoint) == out.end()) out.push_back(*endpoint);
  }
  ::freeaddrinfo(first);
  return out;
}

}  // namespace

Resolver::Resolver(Reactor& reactor) : mailbox_(std::make_shared<Mailbox>()) { mailbox_->reactor = &reactor; }

Resolver::~Resolver() {
  const std::lock_guard hold{mailbox_->mutex};
  mailbox_->reactor = nullptr;
}

void Resolver::resolve(const storage::HostPort& host, Done done) {
  if (const auto endpoint = host.endpoint()) {
    done(host, {*endpoint});
    return;
  }
  // Called on the reactor's thread alone; where the resolver is gone it is destroyed on the other, uncalled.
  auto owned = std::make_shared<Done>(std::move(done));
  std::thread{[mailbox = mailbox_, host, owned = std::move(owned)]() mutable {
    auto found = look_up(host);
    const std::lock_guard hold{mailbox->mutex};
    if (mailbox->reactor == nullptr) return;
    mailbox->reactor->post(
        [weak = std::weak_ptr{mailbox}, host, found = std::move(found), owned = std::move(owned)] {
          const auto still = weak.lock();
          if (still && still->reactor != nullptr) (*owned)(host, found);
        });
  }}.detach();
}

}  // namespace shoal::cli
