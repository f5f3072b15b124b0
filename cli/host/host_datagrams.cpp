// UDP of the host: one socket a family on our port, and one a family in each multicast group: shoal's own and
// that of BitTorrent's local discovery (BEP 14).
//
// A call into the LAN leaves from our own port, so that its source says where we listen; interface and source
// address are named for each datagram (IP_PKTINFO, RFC 3542), once for every private interface. TTL 1 keeps
// it on the link.
//
// Group addresses: 239.192.83.76 (organisation-local, RFC 2365) and ff05::5348:1. Site scope, not link scope,
// since with the latter the system would choose a link-local source, which no peer dials; the hop limit
// confines it all the same.
#include <array>
#include <cerrno>
#include <utility>

#include <netinet/in.h>
#include <sys/socket.h>

#include "cli/host/host_sockets.hpp"
#include "cli/host/socket_address.hpp"
#include "dht/limits.hpp"
#include "swarm/lsd.hpp"

namespace shoal::cli::net {
namespace {

constexpr std::uint16_t lan_port = 47283;
constexpr std::size_t max_batch = 64;  // datagrams of one event: streams get their turn in between
constexpr int max_failures = 64;
constexpr int receive_buffer_bytes = 1 << 20;  // a burst of replies while a turn is running

using Via = swarm::DatagramIn::Via;

Endpoint group_of(Via via, Family family) {
  if (via == Via::lsd_group) return swarm::lsd::group(family);
  static constexpr ByteArray<4> v4{239, 192, 83, 76};
  static constexpr ByteArray<16> v6{0xff, 0x05, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53, 0x48, 0, 1};
  return {IpAddress::from_bytes(family == Family::v4 ? ByteView{v4} : ByteView{v6}), lan_port};
}

template <class T>
void set_option(int fd, int level, int name, const T& value) {
  // Best effort: without the option the socket still works, if less well.
  (void)::setsockopt(fd, level, name, &value, sizeof value);
}

// Room for one control message, aligned as the system wants it.
union Control {
  cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(in6_pktinfo))];
};

template <class T>
void put_control(msghdr& message, Control& control, int level, int type, const T& value) {
  message.msg_control = &control;
  message.msg_controllen = CMSG_SPACE(sizeof value);
  control.header.cmsg_level = level;
  control.header.cmsg_type = type;
  control.header.cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(&control.header), &value, sizeof value);
}

void send_call(int fd, const Interface& interface, Via via, ByteView bytes) {
  SocketAddress to = socket_address(group_of(via, interface.address.family));
  iovec part{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_name = to.get();
  message.msg_namelen = to.size;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  Control control{};
  if (interface.address.family == Family::v4) {
    in_pktinfo info{};
    info.ipi_ifindex = static_cast<int>(interface.index);
    std::memcpy(&info.ipi_spec_dst, interface.address.bytes.data(), 4);
    put_control(message, control, IPPROTO_IP, IP_PKTINFO, info);
  } else {
    in6_pktinfo info{};
    info.ipi6_ifindex = interface.index;
    std::memcpy(&info.ipi6_addr, interface.address.bytes.data(), 16);
    put_control(message, control, IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
  (void)::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);  // a lost call is made again in minutes
}

void join_group(int fd, const Interface& interface, Via via) {
  const IpAddress group = group_of(via, interface.address.family).address;
  if (interface.address.family == Family::v4) {
    ip_mreqn request{};
    std::memcpy(&request.imr_multiaddr, group.bytes.data(), 4);
    request.imr_ifindex = static_cast<int>(interface.index);
    set_option(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, request);
  } else {
    ipv6_mreq request{};
    std::memcpy(&request.ipv6mr_multiaddr, group.bytes.data(), 16);
    request.ipv6mr_interface = interface.index;
    set_option(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, request);
  }
}

}  // namespace

// One call for many datagrams: in a flood the call costs as much as all that we do with the datagram.
struct Datagrams::Batch {
  static constexpr std::size_t room = 32;
  static constexpr std::size_t most = dht::limits::datagram_read;  // longer ones are dropped

  mmsghdr* prepared() {
    for (std::size_t i = 0; i < room; ++i) {
      parts[i] = {buffers[i].data(), buffers[i].size()};
      messages[i] = {};
      messages[i].msg_hdr.msg_name = sources[i].get();
      messages[i].msg_hdr.msg_namelen = sizeof sources[i].storage;
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    return messages.data();
  }
  // nullopt: nobody's, or too long.
  [[nodiscard]] std::optional<Endpoint> source(std::size_t i) {
    if ((messages[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) return std::nullopt;
    sources[i].size = messages[i].msg_hdr.msg_namelen;
    return endpoint_of(sources[i]);
  }
  [[nodiscard]] ByteView bytes(std::size_t i) const { return {buffers[i].data(), messages[i].msg_len}; }

  std::array<std::array<std::uint8_t, most>, room> buffers;
  std::array<SocketAddress, room> sources;
  std::array<iovec, room> parts;
  std::array<mmsghdr, room> messages;
};

Datagrams::Datagrams(boost::asio::io_context& io, Sink& sink)
    : io_(io), sink_(sink), batch_(std::make_unique<Batch>()) {}
Datagrams::~Datagrams() = default;

void Datagrams::start(std::vector<udp::socket> sockets, std::vector<Interface> lan) {
  lan_ = std::move(lan);
  for (udp::socket& socket : sockets) {
    const int fd = socket.native_handle();
    set_option(fd, SOL_SOCKET, SO_RCVBUF, receive_buffer_bytes);
    set_option(fd, IPPROTO_IP, IP_MULTICAST_TTL, 1);
    if (socket.local_endpoint().address().is_v6()) set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1);
    await(sockets_.emplace_back(Socket{std::move(socket), Via::own_port}));
  }
  for (const Family family : {Family::v4, Family::v6})
    if (own_socket(family) >= 0)
      for (const Via via : {Via::lan_group, Via::lsd_group}) join(family, via);
}

// A machine without multicast has no LAN discovery, and that is all.
void Datagrams::join(Family family, Via via) {
  bool any = false;
  for (const Interface& interface : lan_) any = any || interface.address.family == family;
  if (!any) return;
  boost::system::error_code error;
  udp::socket socket{io_};
  if (socket.open(family == Family::v4 ? udp::v4() : udp::v6(), error)) return;
  const int fd = socket.native_handle();
  set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);  // every peer of this machine listens to the group
  if (family == Family::v6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  const SocketAddress address = socket_address(group_of(via, family));
  if (::bind(fd, address.get(), address.size) != 0 || socket.non_blocking(true, error)) return;
  set_option(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
  for (const Interface& interface : lan_)
    if (interface.address.family == family) join_group(fd, interface, via);
  await(sockets_.emplace_back(Socket{std::move(socket), via}));
}

int Datagrams::own_socket(Family family) const {
  for (const Socket& each : sockets_) {
    if (each.via != Via::own_port) continue;
    boost::system::error_code error;
    const bool v6 = each.socket.local_endpoint(error).address().is_v6();
    if (!error && v6 == (family == Family::v6)) return const_cast<udp::socket&>(each.socket).native_handle();
  }
  return -1;
}

void Datagrams::await(Socket& socket) {
  socket.socket.async_wait(udp::socket::wait_read,
                           [this, &socket, life = std::weak_ptr{life_}](const auto& error) {
                             if (life.expired() || error == boost::asio::error::operation_aborted) return;
                             receive(socket);
                             await(socket);
                           });
}

// Errors of a UDP socket are news about datagrams sent before (ECONNREFUSED, EHOSTUNREACH): the next read
// goes on.
void Datagrams::receive(Socket& socket) {
  int failures = 0;
  for (std::size_t count = 0; count < max_batch && failures < max_failures;) {
    const int got =
        ::recvmmsg(socket.socket.native_handle(), batch_->prepared(), Batch::room, MSG_DONTWAIT, nullptr);
    if (got < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      ++failures;
      continue;
    }
    const auto taken = static_cast<std::size_t>(got);
    for (std::size_t i = 0; i < taken; ++i)
      if (const auto from = batch_->source(i); from && from->port != 0)
        sink_.take(swarm::DatagramIn{*from, batch_->bytes(i), socket.via});
    count += taken;
    if (taken < Batch::room) break;  // whatever came since is another event
  }
  sink_.settled();
}

void Datagrams::send(const swarm::DatagramOut& out) {
  const int fd = own_socket(out.to.address.family);
  if (fd < 0) return;
  if (out.via != swarm::DatagramOut::Via::own_port) {
    const Via via = out.via == swarm::DatagramOut::Via::lan_group ? Via::lan_group : Via::lsd_group;
    for (const Interface& interface : lan_)
      if (interface.address.family == out.to.address.family) send_call(fd, interface, via, out.bytes);
    return;
  }
  const SocketAddress to = socket_address(out.to);
  // An error queued on the socket by an earlier datagram (ECONNREFUSED) fails this call once: try again then.
  for (int attempt = 0; attempt < 2; ++attempt)
    if (::sendto(fd, out.bytes.data(), out.bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL, to.get(), to.size) >=
            0 ||
        errno != ECONNREFUSED)
      return;
}

}  // namespace shoal::cli::net
