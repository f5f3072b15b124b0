// The event loop (reactor.hpp), over Boost.Asio's io_context.
#include "cli/host/reactor.hpp"

#include <csignal>
#include <utility>

#include <boost/asio/post.hpp>

#include "cli/host/host_sockets.hpp"

namespace shoal::cli {

namespace asio = boost::asio;

Reactor::Reactor() : state_(std::make_unique<State>()) {}
Reactor::~Reactor() = default;

void Reactor::run() {
  const auto work = asio::make_work_guard(state_->io);
  state_->io.restart();
  state_->io.run();
}

bool Reactor::run_until(const std::function<bool()>& done, std::chrono::steady_clock::time_point deadline) {
  const auto work = asio::make_work_guard(state_->io);
  state_->io.restart();
  while (!done()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    state_->io.run_one_until(deadline);
  }
  return true;
}

void Reactor::stop() { state_->io.stop(); }

void Reactor::post(std::function<void()> task) { asio::post(state_->io, std::move(task)); }

namespace {

// The task lives as long as its timer, which lives as long as the reactor's state.
void rearm(asio::steady_timer& timer, std::chrono::milliseconds period,
           const std::shared_ptr<std::function<void()>>& task) {
  timer.expires_at(std::max(timer.expiry() + period, std::chrono::steady_clock::now()));
  timer.async_wait([&timer, period, task](const boost::system::error_code& error) {
    if (error) return;
    (*task)();
    rearm(timer, period, task);
  });
}

}  // namespace

void Reactor::every(std::chrono::milliseconds period, std::function<void()> task) {
  asio::steady_timer& timer = state_->periods.emplace_back(state_->io);
  timer.expires_after(std::chrono::milliseconds{0});
  rearm(timer, period, std::make_shared<std::function<void()>>(std::move(task)));
}

void Reactor::after(std::chrono::milliseconds delay, std::function<void()> task) {
  const auto timer = std::make_shared<asio::steady_timer>(state_->io, delay);
  timer->async_wait([timer, task = std::move(task)](const boost::system::error_code& error) {
    if (!error) task();
  });
}

void Reactor::on_signal(std::function<void(int)> task) {
  state_->on_signal = std::move(task);
  if (state_->signals) return;
  state_->signals.emplace(state_->io, SIGINT, SIGTERM, SIGHUP);
  state_->await_signal();
}

void Reactor::State::await_signal() {
  signals->async_wait([this](const boost::system::error_code& error, int) {
    if (error) return;
    await_signal();
    ++signals_seen;
    if (const auto task = on_signal) task(signals_seen);
  });
}

}  // namespace shoal::cli
