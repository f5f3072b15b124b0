// TCP of the host.
//
// Reading: one buffer for all streams; a readable stream is read at most reads_per_event times before the
// others get their turn. Writing: what a batch of turns gave to a stream leaves in gathered calls at its end;
// what the socket does not take waits until it is writable. Closing: what waits is sent, then the end is
// shown and the other's awaited, one second in all, since closing a socket with unread bytes would destroy
// what it still sends (RFC 1122, 4.2.2.13).
#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "cli/host/host_sockets.hpp"
#include "cli/host/socket_address.hpp"
#include "swarm/limits.hpp"

namespace shoal::cli::net {
namespace {

constexpr std::size_t read_bytes = 64 * 1024;  // of one StreamReceived (io.hpp)
constexpr int reads_per_event = 4;
constexpr std::size_t gather_parts = 64;  // of one writev: a megabyte of blocks
constexpr int accepts_per_event = 32;
constexpr std::chrono::milliseconds accept_pause{500};  // while descriptors are short
constexpr std::chrono::seconds farewell{1};
constexpr std::size_t max_lingering = 256;  // beyond that a closed stream is cut
constexpr rlim_t wanted_descriptors = 8192;
// Files on the disk (128 at most), catalog, sockets that are no streams; contents that were woken.
constexpr rlim_t other_descriptors = 192 + 2 * swarm::limits::most_woken;

using boost::system::error_code;
using Why = swarm::StreamClosed::Why;

// How many streams there may be. The soft limit of descriptors is a default for select(2); raising it is
// expected.
std::size_t stream_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 256;
  if (limit.rlim_cur < wanted_descriptors) {
    rlimit more = limit;
    more.rlim_cur = std::min(limit.rlim_max, wanted_descriptors);
    if (::setrlimit(RLIMIT_NOFILE, &more) == 0) limit = more;
  }
  const rlim_t usable = std::min(limit.rlim_cur, wanted_descriptors);
  return usable > other_descriptors + 16 ? usable - other_descriptors : 16;
}

Why why_of(int os_errno) {
  switch (os_errno) {
    case ECONNREFUSED:
      return Why::refused;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ETIMEDOUT:
      return Why::unreachable;
    case ECONNRESET:
    case EPIPE:
      return Why::by_peer;
    default:
      return Why::failed;
  }
}

// A stranger may get one SYN alone: the least that this option takes is two, and the timer ends the dial
// before the second.
void set_syns(int fd, std::uint32_t syns) {
  const int repeats = static_cast<int>(std::max(syns, 2U)) - 1;
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &repeats, sizeof repeats);
}

// Small messages leave at once, and the kernel holds no more than it can soon send: whose turn it is can be
// changed only for what it was not given yet.
void set_prompt(int fd) {
  constexpr int on = 1, unsent_bytes = 16'384;
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_bytes, sizeof unsent_bytes);
}

}  // namespace

Streams::Streams(boost::asio::io_context& io, Sink& sink, BufferPool& pool)
    : io_(io),
      sink_(sink),
      pool_(pool),
      buffer_(read_bytes),
      accept_timer_(io),
      max_streams_(stream_limit()) {}

Streams::Stream* Streams::find(swarm::StreamId id) {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second.get();
}

// ---- accepting
// --------------------------------------------------------------------------------------------------

void Streams::start(std::vector<tcp::acceptor> acceptors) {
  accepting_ = true;
  for (tcp::acceptor& acceptor : acceptors) await_accept(acceptors_.emplace_back(std::move(acceptor)));
}

void Streams::stop_accepting() {
  accepting_ = false;
  error_code ignored;
  for (Acceptor& acceptor : acceptors_) acceptor.socket.close(ignored);
}

void Streams::await_accept(Acceptor& acceptor) {
  if (!accepting_ || acceptor.waiting) return;
  acceptor.waiting = true;
  acceptor.socket.async_wait(tcp::acceptor::wait_read,
                             [this, &acceptor, life = std::weak_ptr{life_}](const error_code& error) {
                               if (life.expired() || error == boost::asio::error::operation_aborted) return;
                               acceptor.waiting = false;
                               accept_some(acceptor);
                             });
}

// While descriptors are short, callers wait in the kernel's queue; they are taken when there is room again.
void Streams::accept_some(Acceptor& acceptor) {
  for (int count = 0; accepting_ && count < accepts_per_event; ++count) {
    if (streams_.size() >= max_streams_) return accept_later();
    SocketAddress from;
    from.size = sizeof from.storage;
    const int fd =
        ::accept4(acceptor.socket.native_handle(), from.get(), &from.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) return accept_later();
      continue;  // that caller is gone already
    }
    const auto endpoint = endpoint_of(from);
    auto stream = std::make_unique<Stream>(io_);
    error_code error;
    stream->socket.assign(from.storage.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), fd, error);
    if (error) ::close(fd);
    if (error || !endpoint) continue;
    set_prompt(fd);
    stream->socket.non_blocking(true, error);
    stream->stage = Stream::Stage::open;
    const swarm::StreamId id = swarm::accepted_stream | ++last_accepted_;
    Stream& placed = *streams_.emplace(id, std::move(stream)).first->second;
    await_read(id, placed);
    sink_.take(swarm::StreamAccepted{id, *endpoint});
  }
  sink_.settled();
  await_accept(acceptor);
}

void Streams::accept_later() {
  sink_.settled();
  accept_timer_.expires_after(accept_pause);
  accept_timer_.async_wait([this, life = std::weak_ptr{life_}](const error_code& error) {
    if (life.expired() || error) return;
    resume_accepting();
  });
}

void Streams::resume_accepting() {
  for (Acceptor& acceptor : acceptors_) await_accept(acceptor);
}

// ---- dialling
// ---------------------------------------------------------------------------------------------------

void Streams::dial(const swarm::Dial& dial) {
  auto stream = std::make_unique<Stream>(io_);
  error_code error;
  if (streams_.size() >= max_streams_) error = boost::asio::error::no_descriptors;
  if (!error) stream->socket.open(dial.to.address.family == Family::v4 ? tcp::v4() : tcp::v6(), error);
  if (!error) stream->socket.non_blocking(true, error);
  if (error) {
    inputs_.push_back(swarm::StreamClosed{dial.stream, Why::failed});
    return;
  }
  set_prompt(stream->socket.native_handle());
  set_syns(stream->socket.native_handle(), dial.syns);
  Stream& placed = *streams_.emplace(dial.stream, std::move(stream)).first->second;
  tcp::endpoint to;
  const SocketAddress address = socket_address(dial.to);
  std::memcpy(to.data(), &address.storage, address.size);
  placed.socket.async_connect(
      to, [this, id = dial.stream, life = std::weak_ptr{life_}](const error_code& failed) {
        if (!life.expired()) connected(id, failed);
      });
  placed.timer.expires_after(swarm::dial_patience(dial.syns));
  placed.timer.async_wait([this, id = dial.stream, life = std::weak_ptr{life_}](const error_code& failed) {
    if (life.expired() || failed) return;
    Stream* late = find(id);
    if (late == nullptr || late->stage != Stream::Stage::dialling) return;
    lost(id, Why::unreachable);
    sink_.settled();
  });
}

void Streams::connected(swarm::StreamId id, const error_code& error) {
  Stream* stream = find(id);
  if (stream == nullptr || stream->stage != Stream::Stage::dialling) return;
  if (error) {
    lost(id, why_of(error.value()));
  } else {
    stream->timer.cancel();
    stream->stage = Stream::Stage::open;
    await_read(id, *stream);
    sink_.take(swarm::StreamConnected{id});
  }
  sink_.settled();
}

// ---- reading
// ----------------------------------------------------------------------------------------------------

void Streams::await_read(swarm::StreamId id, Stream& stream) {
  if (stream.reading || stream.paused) return;
  stream.reading = true;
  stream.socket.async_wait(tcp::socket::wait_read,
                           [this, id, life = std::weak_ptr{life_}](const error_code& error) {
                             if (life.expired() || error == boost::asio::error::operation_aborted) return;
                             readable(id);
                           });
}

void Streams::readable(swarm::StreamId id) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  stream->reading = false;
  if (stream->stage == Stream::Stage::lingering) return discard(id, *stream);
  for (int count = 0; count < reads_per_event; ++count) {
    if (!read_once(id, *stream)) break;
    stream = find(id);  // the session may have closed it
    if (stream == nullptr || stream->paused || stream->stage != Stream::Stage::open) break;
  }
  stream = find(id);
  if (stream != nullptr) await_read(id, *stream);
  sink_.settled();
}

// While a stream begins, others' small messages wait for our acknowledgement of the one before (Nagle), and
// ours would wait for 40 ms for something to go with.
void Streams::acknowledge_early(Stream& stream) {
  if (stream.early_reads == 0) return;
  --stream.early_reads;
  constexpr int on = 1;
  (void)::setsockopt(stream.socket.native_handle(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

// True: there may be more to read.
bool Streams::read_once(swarm::StreamId id, Stream& stream) {
  if (stream.paused) return false;
  const ssize_t got = ::recv(stream.socket.native_handle(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
  if (got > 0) {
    acknowledge_early(stream);
    sink_.take(swarm::StreamReceived{id, {buffer_.data(), static_cast<std::size_t>(got)}});
    return static_cast<std::size_t>(got) == buffer_.size();
  }
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return false;
  lost(id, got == 0 ? Why::by_peer : why_of(errno));
  return false;
}

void Streams::pause(const swarm::PauseRead& pause) {
  Stream* stream = find(pause.stream);
  if (stream == nullptr || stream->paused == pause.paused) return;
  stream->paused = pause.paused;
  if (!pause.paused && stream->stage == Stream::Stage::open) await_read(pause.stream, *stream);
}

// ---- writing
// ----------------------------------------------------------------------------------------------------

void Streams::write(swarm::Write&& write) {
  Stream* stream = find(write.stream);
  if (stream == nullptr || stream->stage == Stream::Stage::lingering || stream->broken) {
    pool_.give(std::move(write.bytes));
    return;
  }
  if (write.bytes.empty()) return;
  stream->unsent += write.bytes.size();
  stream->above = stream->above || stream->unsent >= swarm::stream_low_water;
  stream->owed = stream->wrote = true;
  stream->queue.push_back(std::move(write.bytes));
  if (!stream->dirty) {
    stream->dirty = true;
    dirty_.push_back(write.stream);
  }
}

void Streams::flush() {
  for (std::size_t i = 0; i < dirty_.size(); ++i) {
    Stream* stream = find(dirty_[i]);
    if (stream == nullptr) continue;
    stream->dirty = false;
    if (!stream->writing && stream->stage == Stream::Stage::open) (void)send_queued(dirty_[i], *stream);
  }
  dirty_.clear();
}

// False: the stream is gone.
bool Streams::send_queued(swarm::StreamId id, Stream& stream) {
  while (!stream.queue.empty() && !stream.broken) {
    std::array<iovec, gather_parts> parts;
    const std::size_t count = std::min(stream.queue.size(), parts.size());
    for (std::size_t i = 0; i < count; ++i)
      parts[i] = {const_cast<std::uint8_t*>(stream.queue[i].view().data()), stream.queue[i].size()};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = count;
    const ssize_t put = ::sendmsg(stream.socket.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)) {
      await_write(id, stream);
      break;
    }
    if (put < 0) {
      if (stream.paused) {
        lost(id, why_of(errno));
        return false;
      }
      // The reader finds the end, after what the other sent before it went, and reports it.
      stream.broken = true;
      stream.unsent = 0;
      for (Buffer& buffer : stream.queue) pool_.give(std::move(buffer));
      stream.queue.clear();
      break;
    }
    auto left = static_cast<std::size_t>(put);
    stream.unsent -= left;
    while (left > 0) {
      Buffer& front = stream.queue.front();
      const std::size_t step = std::min(left, front.size());
      left -= step;
      front.drop_front(step);
      if (!front.empty()) break;
      pool_.give(std::move(front));
      stream.queue.pop_front();
    }
  }
  report_unsent(id, stream);
  return true;
}

void Streams::report_unsent(swarm::StreamId id, Stream& stream) {
  const bool fell = stream.above && stream.unsent < swarm::stream_low_water;
  const bool emptied = stream.owed && stream.unsent == 0;
  if (fell) stream.above = false;
  if (emptied) stream.owed = false;
  if ((fell || emptied) && stream.stage == Stream::Stage::open && !stream.broken)
    inputs_.push_back(swarm::StreamWritable{id, stream.unsent});
}

void Streams::await_write(swarm::StreamId id, Stream& stream) {
  stream.writing = true;
  stream.socket.async_wait(
      tcp::socket::wait_write, [this, id, life = std::weak_ptr{life_}](const error_code& error) {
        if (life.expired() || error == boost::asio::error::operation_aborted) return;
        Stream* ready = find(id);
        if (ready == nullptr) return;
        ready->writing = false;
        if (send_queued(id, *ready) && ready->stage == Stream::Stage::lingering && !ready->writing)
          say_farewell(id, *ready);
        sink_.settled();
      });
}

// ---- closing
// ----------------------------------------------------------------------------------------------------

// The world closed it.
void Streams::lost(swarm::StreamId id, Why why) {
  erase(id);
  inputs_.push_back(swarm::StreamClosed{id, why});
}

void Streams::erase(swarm::StreamId id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  if (found->second->stage == Stream::Stage::lingering) --lingering_;
  for (Buffer& buffer : found->second->queue) pool_.give(std::move(buffer));
  streams_.erase(found);
}

// The session closes it.
void Streams::close(swarm::StreamId id) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  if (stream->stage != Stream::Stage::open || !stream->wrote || stream->broken ||
      lingering_ >= max_lingering) {
    erase(id);
    return;
  }
  stream->paused = false;
  if (!stream->writing && !send_queued(id, *stream)) return;
  stream->stage = Stream::Stage::lingering;
  ++lingering_;
  stream->timer.expires_after(farewell);
  stream->timer.async_wait([this, id, life = std::weak_ptr{life_}](const error_code& error) {
    if (!life.expired() && !error) erase(id);
  });
  if (!stream->writing) say_farewell(id, *stream);
}

void Streams::say_farewell(swarm::StreamId id, Stream& stream) {
  if (stream.broken) return erase(id);
  error_code ignored;
  stream.socket.shutdown(tcp::socket::shutdown_send, ignored);
  await_read(id, stream);
}

// What comes after the session closed is read to its end and thrown away.
void Streams::discard(swarm::StreamId id, Stream& stream) {
  for (int count = 0; count < reads_per_event; ++count) {
    const ssize_t got = ::recv(stream.socket.native_handle(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
      erase(id);
      sink_.settled();
      return;
    }
    if (got < 0) break;
  }
  await_read(id, stream);
}

}  // namespace shoal::cli::net
