// The seam to threads for bulk work (share, create, verify): storage says what may run at once, the host
// decides how. The disk pool gives a threaded one; here is the serial one, for tests and the simulator.
#pragma once

#include <cstddef>
#include <functional>

namespace shoal::storage {

struct Executor {
  virtual ~Executor() = default;
  // How many tasks it may run at the same instant, at least 1.
  [[nodiscard]] virtual std::size_t width() const = 0;
  // Calls task(0) .. task(tasks - 1), each once, in any order and on any thread; returns when all are done.
  virtual void parallel(std::size_t tasks, const std::function<void(std::size_t)>& task) = 0;
};

struct SerialExecutor final : Executor {
  [[nodiscard]] std::size_t width() const override { return 1; }
  void parallel(std::size_t tasks, const std::function<void(std::size_t)>& task) override {
    for (std::size_t i = 0; i < tasks; ++i) task(i);
  }
};

}  // namespace shoal::storage
