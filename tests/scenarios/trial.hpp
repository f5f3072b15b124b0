// What scenarios of failing disks share: one machine that does one thing, and can be told to do it again
// whatever has become of it.
#pragma once

#include <cstdlib>

#include "tests/scenarios/scenario.hpp"

namespace shoal::sim {

// How many of a kind are drawn: what the variable says, so that there is a long form; else `usual`.
inline std::uint64_t ordered(const char* variable, std::uint64_t usual) {
  const char* text = std::getenv(variable);
  return text == nullptr || *text == '\0' ? usual : std::strtoull(text, nullptr, 10);
}

enum class Duty : std::uint8_t {
  get,     // from another
  share,   // hash, store, give it to a getter
  seed,    // give it to a getter
  rest,    // the same by a content at rest
  verify,  // hash what lies there, know it from now on
};
inline constexpr Duty duties[] = {Duty::get, Duty::share, Duty::seed, Duty::rest, Duty::verify};
[[nodiscard]] const char* name_of(Duty duty);
[[nodiscard]] const char* name_of(storage::Format format);

struct TrialPlan {
  std::uint64_t number = 1;  // of the world
  Duty duty = Duty::get;
  Oracle oracle{"set", {}};
  storage::Format format = storage::Format::v2;
  Unsynced fate = Unsynced::torn;
  DiskTiming timing{};
};

class Trial {
 public:
  // Until command() nothing is under way.
  explicit Trial(TrialPlan plan);

  // Does it, or does it again. False: it could not be begun; told_why() knows more.
  bool command();
  // As far as can be told. A machine that has lost its power does nothing.
  [[nodiscard]] bool done();
  bool finish(Duration limit);
  // Where it did not come to an end: the user was told why. `since`: the number of answers before.
  [[nodiscard]] bool told_why(std::size_t since);

  // What is wrong with what the machine holds, and with all that its catalog claims, whichever contents these
  // are.
  [[nodiscard]] std::vector<std::string> false_bits();
  void expect_right() { sim::expect_right(world, tested, *content, plan_.oracle); }
  // From now on `bytes` counts what it hashes of pieces that it has not just fetched.
  void count_hashed(std::uint64_t& bytes);
  [[nodiscard]] std::string standing();
  [[nodiscard]] Machine& machine() { return world.machine(tested); }
  [[nodiscard]] DiskImage& disk() { return machine().disk(); }

  World world;
  MachineId tested = 0;
  storage::ContentPtr content;

 private:
  [[nodiscard]] MachineConfig config(CrashModel model) const;
  [[nodiscard]] storage::ContentPtr import(MachineId id);
  void open(MachineId id, std::vector<Endpoint> hints);
  void fetch();
  bool verify();

  TrialPlan plan_;
  MachineId helper_ = 0;  // who gives it, or gets it
  std::optional<Error> error_;
  bool verified_ = false, begun_ = false;
};

}  // namespace shoal::sim
