// SessionWorld: one whole peer (swarm::Session) with a content of known bytes, and up to six others who speak
// the dialect correctly and say what a script wants: messages of every kind, mostly in form, true blocks and
// false ones, at any time; besides raw bytes, broken connections, slow readers, failing disks.
//
// After each step is held what cli/sim/auditor.hpp holds worlds to, and more: streams and jobs are named once
// and used while they are open; nobody is sent what his codec refuses, nor a wrong byte, nor a block of a
// piece that is not held; pieces held and committed are right; counts of the status stay within limits.hpp;
// only what may be dialled is; the session sleeps at last.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "dht/swarm_keys.hpp"
#include "swarm/session.hpp"
#include "swarm/wire_codec.hpp"
#include "tests/fuzz/script.hpp"
#include "tests/fuzz/session_disk.hpp"

namespace shoal::fuzz {

enum class Speak : std::uint8_t { bittorrent, native };

class SessionWorld {
 public:
  SessionWorld(Script& script, Speak dialect, const KnownContent& known);
  void step();
  void end();  // stops it: it answers, and leaves nothing under way

 private:
  struct Other {
    swarm::StreamId stream = 0;
    Endpoint from;
    std::uint32_t number = 0;  // whose keys it has
    std::unique_ptr<swarm::WireCodec> codec;
    bool open = true;   // for the session
    bool gone = false;  // by itself
    bool reads = true;
    std::vector<swarm::wire::Request> wanted;  // of it, the latest last
    std::vector<swarm::wire::HashRequest> hashes_wanted;
  };

  void begin();
  void accept();
  void dialled(const swarm::Dial& dial);
  void say(Other& other);
  [[nodiscard]] std::optional<swarm::wire::Message> message(Other& other);
  [[nodiscard]] swarm::wire::Message about_blocks(Other& other);
  [[nodiscard]] swarm::wire::Message about_itself();
  [[nodiscard]] swarm::wire::Message about_hashes(Other& other);
  [[nodiscard]] swarm::wire::Message exchange();
  [[nodiscard]] swarm::wire::Request request();
  void raw(Other& other);
  void close(Other& other);
  void pass(Duration ahead);

  void feed(swarm::Input&& input);
  void perform(swarm::Output& output);
  void flush(Other& other);
  void written(swarm::Write& write);
  void heard(Other& other, swarm::wire::Message& message);
  void run_disk();
  void check();

  [[nodiscard]] Other* someone();
  [[nodiscard]] Other* with(swarm::StreamId stream);
  [[nodiscard]] Now now() const;
  [[nodiscard]] std::unique_ptr<swarm::WireCodec> dialler(std::uint32_t number);
  [[nodiscard]] std::unique_ptr<swarm::WireCodec> answerer(std::uint32_t number);

  Script& script_;
  Speak dialect_;
  const KnownContent& known_;
  const storage::Content& content_;
  BufferPool pool_{64 * 1024};
  SessionDisk disk_;
  bool slow_disk_ = false, refuses_dials_ = true;
  dht::SwarmKeys keys_;
  Random random_{{}};
  Instant mono_;
  swarm::Session session_;
  std::vector<std::unique_ptr<Other>> others_;
  std::vector<swarm::Dial> dials_;             // not yet answered
  std::map<swarm::StreamId, bool> streams_;    // true: the other end has not closed it
  std::map<swarm::CommandId, bool> commands_;  // true: has ended
  swarm::CommandId last_command_ = 0;
  bool stopped_ = false;
};

}  // namespace shoal::fuzz
