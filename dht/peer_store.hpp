// PeerStore: the peers of mainline that were announced to this node (BEP 5), and its own.
//
// Bounded as shelf.hpp has it: 65,536 peers, 128 a key, 4 a network a key; an announcement lives 45 min. One
// peer a key and endpoint; the latest announcement counts. Tokens are the responder's business. Others' own
// claims are served, so nothing here is proven but that a packet came from that address.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "dht/address_filter.hpp"
#include "dht/message.hpp"
#include "dht/put_rate.hpp"
#include "dht/shelf.hpp"

namespace shoal::dht {

class PeerStore {
 public:
  static constexpr std::uint32_t capacity = 65'536;  // 11 MB
  // A sample for a swarm; its members find the rest by peer exchange.
  static constexpr std::uint32_t key_capacity = 128;
  static constexpr std::uint32_t network_share = 4;
  static constexpr std::size_t own_capacity = 32'768;  // two names each of 16,384 contents
  static constexpr Duration life = std::chrono::minutes{45};
  static constexpr Duration overdue = std::chrono::minutes{35};  // clients refresh every 15 to 30

  // `secret` is random, for hashing networks. `room`: 1..capacity.
  PeerStore(const ByteArray<32>& secret, const Key& position, std::uint32_t room = capacity);

  // `peer`: the source's address with the port that counts. `busy`: too often, or no room for it.
  [[nodiscard]] Result<void> put(Instant now, const Key& key, const Endpoint& peer,
                                 Completeness completeness);

  enum class Seeds : std::uint8_t { wanted, left_out };  // BEP 33: a seed does not look for seeds
  // Appends at most `most`, `own` first where this node announces the key itself, then a random sample in
  // which every network comes once before any comes twice.
  void get(Instant now, const Key& key, std::size_t most, Seeds seeds, const std::optional<Endpoint>& own,
           Random& random, std::vector<Endpoint>& out) const;
  // BEP 33: the addresses under a key. False: none is known.
  bool filters(Instant now, const Key& key, AddressFilter& seeds, AddressFilter& downloaders) const;
  // BEP 51: at most `most` keys that others announced to us, from a random place on. Our own are not told.
  void sample_keys(std::size_t most, Random& random, std::vector<Key>& out) const;

  // This node has the content itself and says so to whoever asks. `busy` at own_capacity.
  [[nodiscard]] Result<void> hold(const Key& key, Completeness completeness);
  void forget(const Key& key) { own_.erase(key); }

  void expire(Instant now);
  [[nodiscard]] Instant next_expiry() const { return shelf_.next_expiry(); }
  void set_position(const Key& position) { shelf_.set_position(position); }

  [[nodiscard]] std::size_t size() const { return shelf_.size(); }
  [[nodiscard]] std::size_t keys() const { return shelf_.keys(); }

 private:
  using Index = Shelf::Index;
  struct Peer {
    Endpoint endpoint;
    Completeness completeness = Completeness::downloader;
  };

  Shelf shelf_;
  std::vector<Peer> peers_;  // by place
  std::map<Key, Completeness> own_;
  PutRate rate_;
};

}  // namespace shoal::dht
