// Arguments: the command line and the SHOAL_* variables, as a value. Names of hosts are not looked up here,
// and no file is opened.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/exit_code.hpp"
#include "cli/sim/scenario.hpp"
#include "dht/base/endpoint.hpp"
#include "dht/base/key.hpp"
#include "storage/link.hpp"
#include "storage/metainfo.hpp"
#include "swarm/config.hpp"
#include "swarm/io.hpp"
#include "swarm/way.hpp"

namespace shoal::cli {

enum class Verb : std::uint8_t {
  share,
  get,
  node,
  create,
  info,
  verify,
  dht_ping,
  dht_find,
  dht_peers,
  dht_get,
  dht_put,
  dht_stats,
  simulate
};

// --listen: what was asked for. Without an address: every address of both families. Port 0: any, preferably
// the one of the last run.
struct Listen {
  std::optional<IpAddress> address;
  std::uint16_t port = 0;
  bool operator==(const Listen&) const = default;
};
[[nodiscard]] Result<Listen> parse_listen(std::string_view text);  // ADDR:PORT, [ADDR]:PORT, :PORT or PORT
[[nodiscard]] Result<swarm::SeedPolicy> parse_seed(std::string_view text);  // none, forever, ratio=R

// simulate: which experiment, with which numbers.
struct Simulation {
  const sim::Scenario* run = nullptr;   // none: tell what there is
  std::span<const sim::Scenario> list;  // with --list
  std::uint64_t seed = 1;
  std::map<std::string, double, std::less<>> parameters;  // all of the scenario's, within their ranges
  std::string svg;                                        // where to put the plot; empty: nowhere
};

enum class Lan : std::uint8_t { discover, ignore };
enum class Form : std::uint8_t { text, json };
enum class Talk : std::uint8_t { usual, quiet };
enum class Sharing : std::uint8_t { together, each };
enum class Permanence : std::uint8_t { immutable, changeable };
enum class Serving : std::uint8_t { until_stopped, one_copy };

struct Options {
  Verb verb{};
  // everywhere
  std::string state;  // empty: the default folder
  Listen listen;
  std::vector<storage::HostPort> bootstrap, peers;
  std::uint64_t up_rate = 0, down_rate = 0;  // bytes a second; 0: unlimited
  Form form = Form::text;
  Talk talk = Talk::usual;
  Lan lan = Lan::discover;
  bool native = true, mainline = true;  // dialects to speak, in the DHT and with peers
  swarm::Obfuscation mse = swarm::Obfuscation::prefer;
  bool local = false;
  bool confined = true;  // a running peer: to its own folders and system calls
  // share, create
  std::vector<std::string> paths;  // as given
  std::string name;                // empty: the path's own
  swarm::Visibility visibility = swarm::Visibility::sealed;
  Sharing sharing = Sharing::together;
  Serving serving = Serving::until_stopped;
  std::uint32_t piece_length = 0;  // 0: chosen
  storage::Format format = storage::Format::hybrid;
  // get, info, verify
  std::string source;  // a link, the path of a torrent, or "-"
  std::string output;  // get: a folder; create: a file; verify: the folder to look in
  std::vector<std::string> only;
  swarm::SeedPolicy seed;
  std::chrono::seconds wait{60};  // 0: without end
  // dht
  std::optional<storage::HostPort> node;
  std::optional<Key> target;                      // find: none is one at random; get: of an immutable item
  std::vector<std::string> contents;              // peers: links, torrents or names of 40 hexadecimal digits
  std::optional<crypto::PublicKey> author;        // get: of a mutable item
  Permanence permanence = Permanence::immutable;  // put, of the item whose value `source` is ("-": stdin)
  std::string salt;                               // get, put
  Simulation simulation;
};

// Either options, or what to print and with which code to end.
struct Parsed {
  std::optional<Options> options;
  Exit exit = Exit::done;
  std::string to_stdout, to_stderr;
};
// `scenarios` must live as long as the options.
[[nodiscard]] Parsed parse_args(int argc, const char* const* argv, std::span<const sim::Scenario> scenarios);

}  // namespace shoal::cli
