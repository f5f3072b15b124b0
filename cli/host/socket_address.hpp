// Endpoints as the system's socket addresses, and back. Inline and small: every datagram passes here.
#pragma once

#include <cstring>
#include <optional>

#include <netinet/in.h>
#include <sys/socket.h>

#include "dht/base/endpoint.hpp"

namespace shoal::cli {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

[[nodiscard]] inline SocketAddress socket_address(const Endpoint& endpoint) {
  SocketAddress out;
  if (endpoint.address.family == Family::v4) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    std::memcpy(&v4.sin_addr, endpoint.address.bytes.data(), 4);
    std::memcpy(&out.storage, &v4, sizeof v4);
    out.size = sizeof v4;
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    std::memcpy(&v6.sin6_addr, endpoint.address.bytes.data(), 16);
    std::memcpy(&out.storage, &v6, sizeof v6);
    out.size = sizeof v6;
  }
  return out;
}

// A v4-mapped address becomes the v4 one that it is.
[[nodiscard]] inline std::optional<Endpoint> endpoint_of(const SocketAddress& address) {
  if (address.storage.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address.storage, sizeof v4);
    return Endpoint{IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(&v4.sin_addr), 4}),
                    ntohs(v4.sin_port)};
  }
  if (address.storage.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address.storage, sizeof v6);
    return Endpoint{IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(&v6.sin6_addr), 16}),
                    ntohs(v6.sin6_port)};
  }
  return std::nullopt;
}

}  // namespace shoal::cli
