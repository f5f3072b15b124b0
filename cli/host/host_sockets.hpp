// The sockets of the host, behind its own header: the reactor's inside, datagrams and streams. The only
// header that shows asio. Each class turns events of sockets into inputs of the session and performs its
// outputs; none decides.
//
// A handler may run after its owner is gone: each holds a weak pointer to the owner's `life_` and looks
// first.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "cli/host/interfaces.hpp"
#include "cli/host/reactor.hpp"
#include "dht/base/buffer.hpp"
#include "swarm/io.hpp"

namespace shoal::cli {

struct Reactor::State {
  boost::asio::io_context io{1};
  std::optional<boost::asio::signal_set> signals;
  std::function<void(int)> on_signal;
  int signals_seen = 0;
  std::list<boost::asio::steady_timer> periods;  // stable addresses: their handlers rearm them
  void await_signal();
};

// What sockets need of the host. `take` hands an input to the session at once (never from inside a turn);
// `settled` is called after a batch of them.
struct Sink {
  std::function<void(swarm::Input&&)> take;
  std::function<void()> settled;
};

namespace net {

using boost::asio::ip::tcp;
using boost::asio::ip::udp;

// Binds UDP and TCP on one port. Error codes: busy, not_found (no address of ours), denied, io.
struct Bound {
  std::vector<udp::socket> datagrams;  // one a family
  std::vector<tcp::acceptor> acceptors;
  std::uint16_t port = 0;
};
[[nodiscard]] Result<Bound> bind_all(boost::asio::io_context& io, const std::optional<IpAddress>& address,
                                     std::uint16_t port);

// The UDP sockets: own port and LAN groups. A datagram that cannot be sent now is dropped, as the network
// would.
class Datagrams {
 public:
  Datagrams(boost::asio::io_context& io, Sink& sink);
  ~Datagrams();
  Datagrams(const Datagrams&) = delete;
  Datagrams& operator=(const Datagrams&) = delete;
  // `lan`: the interfaces on which to join the groups and call; empty: none.
  void start(std::vector<udp::socket> sockets, std::vector<Interface> lan);
  void send(const swarm::DatagramOut& out);

 private:
  struct Socket {
    udp::socket socket;
    swarm::DatagramIn::Via via;
  };
  void await(Socket& socket);
  void receive(Socket& socket);
  void join(Family family, swarm::DatagramIn::Via via);
  [[nodiscard]] int own_socket(Family family) const;

  boost::asio::io_context& io_;
  Sink& sink_;
  std::list<Socket> sockets_;
  std::vector<Interface> lan_;
  struct Batch;  // what one call of the system brings, for all sockets: it is consumed before the next
  std::unique_ptr<Batch> batch_;
  std::shared_ptr<int> life_ = std::make_shared<int>();
};

// The TCP streams, accepted and dialled.
class Streams {
 public:
  Streams(boost::asio::io_context& io, Sink& sink, BufferPool& pool);
  void start(std::vector<tcp::acceptor> acceptors);

  void dial(const swarm::Dial& dial);
  void write(swarm::Write&& write);
  void pause(const swarm::PauseRead& pause);
  void close(swarm::StreamId stream);
  // Sends what was given since the last call, in as few calls as there can be. Called at the end of a batch;
  // inputs that come of it are left in `inputs()`.
  void flush();
  // What must be told to the session: the host takes it after each turn.
  [[nodiscard]] std::deque<swarm::Input>& inputs() { return inputs_; }

  void stop_accepting();
  [[nodiscard]] std::size_t lingering() const { return lingering_; }

 private:
  struct Stream {
    explicit Stream(boost::asio::io_context& io) : socket(io), timer(io) {}
    tcp::socket socket;
    boost::asio::steady_timer timer;  // of the dial, then of the farewell
    std::deque<Buffer> queue;
    std::uint64_t unsent = 0;
    std::uint32_t early_reads = 32;  // see acknowledge_early
    enum class Stage : std::uint8_t { dialling, open, lingering } stage = Stage::dialling;
    bool above = false;  // unsent was at or above the low-water mark
    bool owed = false;   // bytes were given and the session has not yet heard that none are left
    bool dirty = false, paused = false, reading = false, writing = false, wrote = false, broken = false;
  };
  using StreamPtr = std::unique_ptr<Stream>;
  struct Acceptor {
    explicit Acceptor(tcp::acceptor&& a) : socket(std::move(a)) {}
    tcp::acceptor socket;
    bool waiting = false;
  };

  [[nodiscard]] Stream* find(swarm::StreamId id);
  void await_accept(Acceptor& acceptor);
  void accept_some(Acceptor& acceptor);
  void accept_later();
  void resume_accepting();
  void connected(swarm::StreamId id, const boost::system::error_code& error);
  void await_read(swarm::StreamId id, Stream& stream);
  void readable(swarm::StreamId id);
  static void acknowledge_early(Stream& stream);
  [[nodiscard]] bool read_once(swarm::StreamId id, Stream& stream);
  void await_write(swarm::StreamId id, Stream& stream);
  [[nodiscard]] bool send_queued(swarm::StreamId id, Stream& stream);
  void report_unsent(swarm::StreamId id, Stream& stream);
  void lost(swarm::StreamId id, swarm::StreamClosed::Why why);
  void say_farewell(swarm::StreamId id, Stream& stream);
  void discard(swarm::StreamId id, Stream& stream);
  void erase(swarm::StreamId id);

  boost::asio::io_context& io_;
  Sink& sink_;
  BufferPool& pool_;
  std::unordered_map<swarm::StreamId, StreamPtr> streams_;  // looked up, never walked
  std::list<Acceptor> acceptors_;
  std::deque<swarm::Input> inputs_;
  std::vector<swarm::StreamId> dirty_;
  std::vector<std::uint8_t> buffer_;  // one for all reads: what is read is consumed before the next
  boost::asio::steady_timer accept_timer_;
  swarm::StreamId last_accepted_ = 0;
  std::size_t max_streams_ = 0, lingering_ = 0;
  bool accepting_ = false;
  std::shared_ptr<int> life_ = std::make_shared<int>();
};

}  // namespace net
}  // namespace shoal::cli
