// What a session is told when it starts and what it tells of itself at any time, as values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dht/base/crypto.hpp"
#include "dht/base/endpoint.hpp"
#include "dht/base/key.hpp"
#include "dht/base/random.hpp"
#include "storage/job.hpp"
#include "swarm/reach.hpp"
#include "swarm/way.hpp"

namespace shoal::swarm {

enum class Role : std::uint8_t {
  member,
  bootstrap_node,  // `shoal node`: a full DHT node at once
  visitor          // `shoal dht`: asks and leaves, and is in nobody's table
};

// Message stream encryption of BitTorrent's dialect: never, where the other end takes it, or always.
enum class Obfuscation : std::uint8_t { off, prefer, require };

// Of the overlays, a dialect over an address family each, as in storage::SaveContactsJob.
inline constexpr const char* overlay_names[] = {"native4", "native6", "mainline4", "mainline6"};

struct OverlayContacts {
  std::string overlay;
  std::vector<storage::StoredContact> contacts;
};

struct SessionConfig {
  crypto::SecretKey identity{};  // seed of the node key; announcer keys of contents derive from it too
  Random::Seed seed{};           // of all randomness
  Reach reach = Reach::internet;
  Role role = Role::member;
  bool ipv4 = true, ipv6 = false;        // which sockets the host has
  bool native = true, mainline = false;  // which DHTs to be a node of, and which streams to speak
  Obfuscation mse = Obfuscation::prefer;
  std::uint16_t listen_port = 0;  // bound, for UDP and TCP alike
  bool lan_discovery = true;
  std::vector<Subnet> subnets;
  std::uint64_t up_rate = 0, down_rate = 0;  // bytes a second, all sockets; 0: unlimited
  std::vector<Endpoint> bootstrap;
  std::vector<OverlayContacts> saved;
};

// What a person or a program may want to see of a content, at any time.
struct ContentStatus {
  storage::ContentId id{};
  storage::ContentPtr content;  // null until the metadata is known
  std::string root_name;  // as it lies on the disk: the content's name, where the file system takes that
  enum class Phase : std::uint8_t {
    loading,
    metadata,
    attaching,
    checking,
    fetching,
    seeding,
    resting,  // whole, and nobody asks for it; of what follows nothing is told
    paused,
    failed
  } phase{};
  std::uint64_t bytes_wanted = 0, bytes_verified = 0, bytes_committed = 0;
  std::uint64_t received = 0, sent = 0;  // payload, this run
  std::uint64_t wasted = 0;              // payload received twice or failed
  double down_rate = 0, up_rate = 0;     // payload bytes a second, recent
  std::uint32_t peers = 0, seeds = 0, banned = 0, candidates = 0;
  std::uint32_t native_peers = 0;  // of peers: over the native channel
  std::uint32_t rarest = 0;        // connected peers that have the rarest piece
  // Peers that are no seeds and have what we lack; peers that we serve (unchoked, interested), that serve us;
  // and requests that wait: theirs with us, ours with them.
  std::uint32_t interesting = 0;
  std::uint32_t serving = 0, served_by = 0, waiting_here = 0, waiting_there = 0;
};

struct DhtStatus {
  Dialect dialect{};
  Family family{};
  Key position;
  std::uint32_t contacts = 0, records = 0;
  double estimated_nodes = 0;
  std::optional<Endpoint> external;
  bool reachable = false;
  std::uint64_t queries_in = 0, queries_out = 0, bytes_in = 0, bytes_out = 0;
};

}  // namespace shoal::swarm
