// Gate: the seam to a lock, so that storage code can be entered by several threads at once and knows none.
// The disk pool has the one made of a mutex; where everything runs on one thread there is nothing to lock.
#pragma once

namespace shoal::storage {

struct Gate {
  virtual ~Gate() = default;
  virtual void lock() = 0;  // not recursive
  [[nodiscard]] virtual bool try_lock() = 0;
  virtual void unlock() = 0;
};

struct OpenGate final : Gate {
  void lock() override {}
  [[nodiscard]] bool try_lock() override { return true; }
  void unlock() override {}
};

// Holds a gate for the time of a scope. Never held while payload is read, written, synced or hashed.
class GateHold {
 public:
  explicit GateHold(Gate& gate) : gate_(gate) { gate_.lock(); }
  ~GateHold() { gate_.unlock(); }
  GateHold(const GateHold&) = delete;
  GateHold& operator=(const GateHold&) = delete;

 private:
  Gate& gate_;
};

}  // namespace shoal::storage
