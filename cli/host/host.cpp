// The hub of the host: session, sockets, timer and disk pool, see host.hpp.
#include "cli/host/host.hpp"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <utility>

#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>

#include "cli/host/host_sockets.hpp"
#include "cli/host/socket_address.hpp"
#include "dht/base/check.hpp"
#include "dht/base/crypto.hpp"
#include "storage/disk_pool.hpp"

namespace shoal::cli {
namespace net {
namespace {

constexpr int bind_rounds = 64;  // for a port that is free for UDP and TCP of both families

using boost::system::error_code;

Error bind_error(const error_code& error) {
  switch (error.value()) {
    case EADDRINUSE:
      return {Code::busy, "the port is taken", error.value()};
    case EADDRNOTAVAIL:
      return {Code::not_found, "the address is none of this machine", error.value()};
    case EACCES:
      return {Code::denied, "this user may not listen there", error.value()};
    default:
      return {Code::io, "listening failed", error.value()};
  }
}

template <class Socket>
bool bind_one(Socket& socket, const IpAddress& address, std::uint16_t port, error_code& error) {
  const bool v6 = address.family == Family::v6;
  socket.open(v6 ? Socket::protocol_type::v6() : Socket::protocol_type::v4(), error);
  if (!error && v6) socket.set_option(boost::asio::ip::v6_only{true}, error);
  // So that a restart is not kept waiting by connections of the last run; it lets nobody share the port.
  if constexpr (std::is_same_v<Socket, tcp::acceptor>)
    if (!error) socket.set_option(tcp::acceptor::reuse_address{true}, error);
  if (!error) socket.non_blocking(true, error);
  if (error) return false;
  typename Socket::endpoint_type endpoint;
  const SocketAddress raw = socket_address({address, port});
  std::memcpy(endpoint.data(), &raw.storage, raw.size);
  socket.bind(endpoint, error);
  return !error;
}

// One family: UDP first, which chooses the port if it may be any; then TCP on the same.
bool bind_family(boost::asio::io_context& io, const IpAddress& address, Bound& bound, error_code& error) {
  udp::socket datagrams{io};
  if (!bind_one(datagrams, address, bound.port, error)) return false;
  if (bound.port == 0) bound.port = datagrams.local_endpoint(error).port();
  tcp::acceptor acceptor{io};
  if (error || !bind_one(acceptor, address, bound.port, error)) return false;
  acceptor.listen(boost::asio::socket_base::max_listen_connections, error);
  if (error) return false;
  bound.datagrams.push_back(std::move(datagrams));
  bound.acceptors.push_back(std::move(acceptor));
  return true;
}

}  // namespace

Result<Bound> bind_all(boost::asio::io_context& io, const std::optional<IpAddress>& address,
                       std::uint16_t port) {
  error_code error;
  for (int round = 0; round < (port == 0 ? bind_rounds : 1); ++round) {
    Bound bound;
    bound.port = port;
    if (address) {
      if (bind_family(io, *address, bound, error)) return bound;
    } else {
      const bool v4 = bind_family(io, IpAddress::v4(0), bound, error);
      IpAddress any;
      any.family = Family::v6;
      error_code error6;
      const bool v6 =
          (v4 || error != boost::asio::error::address_in_use) && bind_family(io, any, bound, error6);
      // A machine may lack one family; but a port must be ours in every family that there is.
      if ((v4 && v6) || ((v4 || v6) && error6 != boost::asio::error::address_in_use)) return bound;
      if (v4) error = error6;
    }
    if (error != boost::asio::error::address_in_use) break;
  }
  return std::unexpected(bind_error(error));
}

}  // namespace net

namespace {

// Beside the turn's clock: a session that wants to wake at once after a tick gets it after a moment, so that
// a mistake in a due time costs a little time and not all of the processor.
constexpr Duration least_nap{200};

using SteadyPoint = std::chrono::steady_clock::time_point;

Instant instant_of(SteadyPoint point) {
  return Instant{std::chrono::duration_cast<Duration>(point.time_since_epoch())};
}
SteadyPoint point_of(Instant instant) {
  return SteadyPoint{
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(instant.time_since_epoch())};
}

}  // namespace

struct Host::State {
  Reactor& reactor;
  boost::asio::io_context& io;
  HostConfig config;
  OnAnswer on_answer;
  std::vector<Interface> interfaces;
  std::uint16_t port = 0;
  BufferPool pool{512};  // 8 MiB: what is on its way to and from disk and sockets at full speed
  std::optional<swarm::Session> session;
  net::Datagrams datagrams;
  net::Streams streams;
  Sink sink;
  boost::asio::steady_timer timer;
  Instant armed = never;
  bool ticked = false;  // the last input was a tick
  bool in_turn = false;
  std::vector<swarm::Output> outputs;
  std::deque<swarm::Input> waiting;  // commands given, and jobs done, during a turn
  swarm::CommandId last_command = 0;
  std::function<void()> on_closed;
  SteadyPoint close_deadline;
  std::deque<storage::DiskPool::Item> jobs_waiting;  // until the end of the batch, or until the pool has room
  std::vector<storage::DiskPool::Completion> completions;
  std::shared_ptr<int> life = std::make_shared<int>();
  storage::Disk* files = nullptr;
  std::optional<storage::DiskPool> disk;  // last: its workers post to the others

  State(Reactor& r, HostConfig&& c, OnAnswer&& answer)
      : reactor(r),
        io(r.state().io),
        config(std::move(c)),
        on_answer(std::move(answer)),
        datagrams(io, sink),
        streams(io, sink, pool),
        timer(io) {
    sink.take = [this](swarm::Input&& input) { turn(std::move(input)); };
    sink.settled = [this] { settle(); };
  }

  [[nodiscard]] Now now() const {
    return {instant_of(std::chrono::steady_clock::now()),
            std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now())};
  }

  void start(net::Bound&& bound, storage::Disk& target);
  void turn(swarm::Input&& input);
  void settle();
  void arm();
  void drain_disk();
  void check_closed();

  void perform(swarm::DatagramOut& out) { datagrams.send(out); }
  void perform(swarm::Dial& out) { streams.dial(out); }
  void perform(swarm::Write& out) { streams.write(std::move(out)); }
  void perform(swarm::PauseRead& out) { streams.pause(out); }
  void perform(swarm::Close& out) { streams.close(out.stream); }
  void perform(swarm::DiskJob& out);
  void perform(swarm::Answer& out) { on_answer(out); }
};

void Host::State::start(net::Bound&& bound, storage::Disk& target) {
  swarm::SessionConfig& wanted = config.session;
  port = bound.port;
  wanted.listen_port = port;
  wanted.ipv4 = wanted.ipv6 = false;
  for (const auto& socket : bound.datagrams)
    (socket.local_endpoint().address().is_v6() ? wanted.ipv6 : wanted.ipv4) = true;
  // An IPv6 socket without an address of that family reaches nobody and would only waste dials.
  const auto usable6 = [&](const Interface& interface) {
    const AddressClass kind = interface.address.classify();
    return interface.address.family == Family::v6 &&
           (kind == AddressClass::global || kind == AddressClass::local_net ||
            (kind == AddressClass::loopback && wanted.reach == swarm::Reach::local));
  };
  wanted.ipv6 = wanted.ipv6 && (config.address || std::any_of(interfaces.begin(), interfaces.end(), usable6));
  wanted.subnets = own_subnets(interfaces, config.address, wanted.reach);
  crypto::system_random(wanted.seed);
  std::vector<Interface> lan;
  if (wanted.lan_discovery) lan = lan_interfaces(interfaces, config.address);
  wanted.lan_discovery = !lan.empty();
  files = &target;
  disk.emplace(target, storage::DiskPool::Options{.workers = config.disk_workers, .queue = 1024},
               [this, gone = std::weak_ptr{life}] {
                 boost::asio::post(io, [this, gone] {
                   if (!gone.expired()) drain_disk();
                 });
               });
  session.emplace(wanted, pool);
  datagrams.start(std::move(bound.datagrams), std::move(lan));
  streams.start(std::move(bound.acceptors));
  boost::asio::post(io, [this, gone = std::weak_ptr{life}] {
    if (gone.expired()) return;
    turn(swarm::Tick{});
    settle();
  });
}

void Host::State::turn(swarm::Input&& input) {
  SHOAL_CHECK(!in_turn);
  in_turn = true;
  ticked = std::holds_alternative<swarm::Tick>(input);
  outputs.clear();
  session->handle(now(), std::move(input), outputs);
  // By index: an answer's receiver gives commands, which wait, so nothing is added here.
  for (swarm::Output& output : outputs) std::visit([this](auto& what) { perform(what); }, output);
  outputs.clear();
  in_turn = false;
}

// The end of a batch: what the turns brought about is handled, what they wrote is sent, the timer is set.
void Host::State::settle() {
  for (;;) {
    std::deque<swarm::Input>& from = waiting.empty() ? streams.inputs() : waiting;
    if (!from.empty()) {
      swarm::Input input = std::move(from.front());
      from.pop_front();
      turn(std::move(input));
      continue;
    }
    streams.flush();
    if (streams.inputs().empty()) break;
  }
  if (!jobs_waiting.empty()) disk->submit(jobs_waiting);
  arm();
  check_closed();
}

void Host::State::arm() {
  Instant wake = session->next_wake();
  if (wake == never) return;
  if (ticked) wake = std::max(wake, now().mono + least_nap);
  if (wake >= armed) return;  // the timer fires before that and looks again
  armed = wake;
  timer.expires_at(point_of(wake));
  timer.async_wait([this, gone = std::weak_ptr{life}](const boost::system::error_code& error) {
    if (gone.expired() || error) return;
    armed = never;
    if (session->next_wake() <= now().mono) turn(swarm::Tick{});
    settle();
  });
}

// What needs no waiting is done at once: the block goes on its way while it is in this processor's cache, and
// nobody is woken for it. Other jobs go to the pool together, so that it can do them together; but a worker
// is not kept waiting for more than it takes at once. The pool's queue is bounded: the session bounds what it
// asks for by bytes, and what goes beyond the queue waits here.
void Host::State::perform(swarm::DiskJob& out) {
  if (auto done = files->run_now(out.what)) {
    waiting.push_back(swarm::DiskDone{out.job, std::move(*done)});
    return;
  }
  jobs_waiting.push_back({out.job, std::move(out.what)});
  if (jobs_waiting.size() == storage::Disk::max_batch) disk->submit(jobs_waiting);
}

void Host::State::drain_disk() {
  completions.clear();
  disk->drain(completions);
  for (auto& [job, done] : completions) turn(swarm::DiskDone{job, std::move(done)});
  settle();
}

void Host::State::check_closed() {
  if (!on_closed || (streams.lingering() > 0 && std::chrono::steady_clock::now() < close_deadline)) return;
  boost::asio::post(io, std::exchange(on_closed, nullptr));
}

Host::Host(std::unique_ptr<State> state) : state_(std::move(state)) {}

// The workers end first, since they post to what follows.
Host::~Host() {
  if (state_->disk) state_->disk->shut_down();
}

Result<std::unique_ptr<Host>> Host::open(Reactor& reactor, HostConfig config, storage::Disk& disk,
                                         OnAnswer on_answer) {
  boost::asio::io_context& io = reactor.state().io;
  Result<net::Bound> bound = fail(Code::busy, "");
  if (config.demanded_port == 0 && config.wished_port != 0)
    bound = net::bind_all(io, config.address, config.wished_port);
  if (!bound) bound = net::bind_all(io, config.address, config.demanded_port);
  if (!bound) return std::unexpected(bound.error());
  auto state = std::make_unique<State>(reactor, std::move(config), std::move(on_answer));
  state->interfaces = list_interfaces();
  state->start(std::move(*bound), disk);
  return std::unique_ptr<Host>{new Host{std::move(state)}};
}

swarm::CommandId Host::command(swarm::Command what) {
  const swarm::CommandId id = ++state_->last_command;
  state_->waiting.push_back(swarm::CommandIn{id, std::move(what)});
  boost::asio::post(state_->io, [state = state_.get(), gone = std::weak_ptr{state_->life}] {
    if (!gone.expired()) state->settle();
  });
  return id;
}

void Host::close(std::function<void()> done) {
  state_->streams.stop_accepting();
  state_->on_closed = std::move(done);
  state_->close_deadline = std::chrono::steady_clock::now() + std::chrono::seconds{1};
  state_->reactor.after(std::chrono::milliseconds{1050},
                        [state = state_.get(), gone = std::weak_ptr{state_->life}] {
                          if (!gone.expired()) state->check_closed();
                        });
  boost::asio::post(state_->io, [state = state_.get(), gone = std::weak_ptr{state_->life}] {
    if (!gone.expired()) state->check_closed();
  });
}

Now Host::now() const { return state_->now(); }
std::uint16_t Host::port() const { return state_->port; }
std::vector<Endpoint> Host::endpoints() const {
  return own_endpoints(state_->interfaces, state_->config.address, state_->port,
                       state_->config.session.reach);
}
const swarm::Session& Host::session() const { return *state_->session; }

}  // namespace shoal::cli
