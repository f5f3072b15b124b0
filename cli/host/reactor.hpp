// Reactor: the one thread's event loop, for the host and for commands. All engine state lives on the thread
// that runs it; other threads reach it by post() alone. Asio stays behind this header.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace shoal::cli {

class Reactor {
 public:
  Reactor();
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // Runs handlers until stop(). May be run again afterwards.
  void run();
  // The same, until `done` holds or the time is over; false then.
  bool run_until(const std::function<bool()>& done, std::chrono::steady_clock::time_point deadline);
  void stop();

  void post(std::function<void()> task);  // any thread, also a signal-free worker's
  // Calls `task` every period, from one period from now on, as long as the reactor lives.
  void every(std::chrono::milliseconds period, std::function<void()> task);
  void after(std::chrono::milliseconds delay, std::function<void()> task);
  // SIGINT, SIGTERM and SIGHUP are caught from the first call on; the newest task is called with how many
  // came so far.
  void on_signal(std::function<void(int)> task);

  struct State;  // host_sockets.hpp
  [[nodiscard]] State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

}  // namespace shoal::cli
