// Colluders: attackers in a DhtWorld, of one mind (THREATS A1, A2, A3, D5, D6). They answer at once and
// properly signed, stand in tables like everybody, name none but the nearest of their own, as many as a reply
// may hold, take every record and keep none.
#pragma once

#include <map>
#include <vector>

#include "cli/sim/dht_people.hpp"

namespace shoal::sim {

// A place to stand at: an address, and the low bits that the hash of the key must have for it (in mainline:
// of the id's last byte).
struct Ground {
  std::uint32_t address = 0;
  std::uint8_t r = 0;
  std::uint32_t off = ~0U;  // distance to the key in the bits that the address decides
};

class Colluders final : public Stranger {
 public:
  explicit Colluders(DhtWorld& world);

  NodeNumber add(const IpAddress& address);  // wherever that address leads
  // From `networks` networks (/24), all their addresses alike; somebody else may have one already.
  void add_from(std::size_t count, std::size_t networks);
  // Addresses and keys chosen so that the position, which BEP 42 binds to the address, lies next to `key`;
  // the best that some thousand networks offer, from `networks` of them or, where that is 0, one each.
  void crowd(const Key& key, std::size_t count, std::size_t networks);
  void enter_all(Census& census) const;  // as if they had been there for long

  [[nodiscard]] std::size_t size() const { return members_.size(); }
  [[nodiscard]] const std::vector<NodeNumber>& members() const { return members_; }
  // The member puts a question to somebody, and so offers itself for a table.
  void call(NodeNumber member, const Endpoint& whom);

  void handle(Now now, NodeNumber self, const Endpoint& from, ByteView datagram,
              std::vector<dht::Datagram>& out) override;

 private:
  NodeNumber enter(const IpAddress& address, const crypto::SigningKey& key, const Key& position);
  void stand_at(const Ground& ground, const Key& key);
  void name_own(const Key& target, dht::Reply& reply);

  DhtWorld& world_;
  Census own_;
  Random random_;
  std::unique_ptr<dht::Codec> codec_;
  std::vector<NodeNumber> members_;
  std::map<NodeNumber, crypto::SigningKey> keys_;  // empty in mainline, where nobody signs
  std::uint32_t next_network_ = 0;
};

}  // namespace shoal::sim
