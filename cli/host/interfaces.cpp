// This machine's addresses (interfaces.hpp), by getifaddrs(3).
#include "cli/host/interfaces.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

namespace shoal::cli {
namespace {

constexpr std::size_t max_own_endpoints = 8;  // of a link: it stays short, and no one needs more

std::optional<IpAddress> address_of(const sockaddr* socket_address) {
  if (socket_address == nullptr) return std::nullopt;
  if (socket_address->sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, socket_address, sizeof v4);
    return IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(&v4.sin_addr), 4});
  }
  if (socket_address->sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, socket_address, sizeof v6);
    IpAddress out;
    out.family = Family::v6;
    std::memcpy(out.bytes.data(), &v6.sin6_addr, 16);
    return out;
  }
  return std::nullopt;
}

bool listened_on(const Interface& interface, const std::optional<IpAddress>& listen) {
  return !listen || listen->unspecified() ? !listen || listen->family == interface.address.family
                                          : *listen == interface.address;
}

}  // namespace

std::vector<Interface> list_interfaces() {
  std::vector<Interface> out;
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return out;
  for (const ifaddrs* each = first; each != nullptr; each = each->ifa_next) {
    const auto address = address_of(each->ifa_addr);
    if (!address || (each->ifa_flags & IFF_UP) == 0) continue;
    Interface interface;
    interface.name = each->ifa_name;
    interface.index = ::if_nametoindex(each->ifa_name);
    interface.address = *address;
    interface.multicast = (each->ifa_flags & IFF_MULTICAST) != 0 && (each->ifa_flags & IFF_LOOPBACK) == 0;
    if (const auto mask = address_of(each->ifa_netmask))
      for (const std::uint8_t byte : mask->view()) interface.prefix_bits += std::popcount(byte);
    out.push_back(std::move(interface));
  }
  ::freeifaddrs(first);
  return out;
}

std::vector<swarm::Subnet> own_subnets(const std::vector<Interface>& all,
                                       const std::optional<IpAddress>& listen, swarm::Reach reach) {
  std::vector<swarm::Subnet> out;
  for (const Interface& interface : all) {
    const AddressClass kind = interface.address.classify();
    const bool fits = kind == AddressClass::global || kind == AddressClass::local_net ||
                      (kind == AddressClass::loopback && reach == swarm::Reach::local);
    if (fits && listened_on(interface, listen)) out.push_back({interface.address, interface.prefix_bits});
  }
  return out;
}

std::vector<Endpoint> own_endpoints(const std::vector<Interface>& all, const std::optional<IpAddress>& listen,
                                    std::uint16_t port, swarm::Reach reach) {
  if (listen && !listen->unspecified()) return {{*listen, port}};
  std::vector<Endpoint> out;
  for (const AddressClass wanted : {AddressClass::global, AddressClass::local_net, AddressClass::loopback}) {
    if (wanted == AddressClass::loopback && reach != swarm::Reach::local) continue;
    for (const Family family : {Family::v4, Family::v6})
      for (const Interface& interface : all) {
        const Endpoint endpoint{interface.address, port};
        if (interface.address.family == family && interface.address.classify() == wanted &&
            listened_on(interface, listen) && std::find(out.begin(), out.end(), endpoint) == out.end())
          out.push_back(endpoint);
      }
  }
  if (out.size() > max_own_endpoints) out.resize(max_own_endpoints);
  return out;
}

std::vector<Interface> lan_interfaces(const std::vector<Interface>& all,
                                      const std::optional<IpAddress>& listen) {
  std::vector<Interface> out;
  for (const Interface& interface : all)
    if (interface.multicast && interface.address.classify() == AddressClass::local_net &&
        listened_on(interface, listen))
      out.push_back(interface);
  return out;
}

}  // namespace shoal::cli
