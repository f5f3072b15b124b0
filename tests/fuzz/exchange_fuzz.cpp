// Peer exchange as it comes from one peer, message after message, in either dialect: what is taken of it is
// bounded, whatever is said and however often; and what we would pass on of it is as BEP 11 has it.
//
// The input is a series of: time since the last (1 byte, 8 s), length (2), a message's body.
#include <algorithm>
#include <set>
#include <vector>

#include "dht/base/check.hpp"
#include "swarm/bt_message.hpp"
#include "swarm/exchange.hpp"
#include "swarm/native_message.hpp"
#include "tests/fuzz/script.hpp"
#include "tests/fuzz/watch.hpp"

namespace {

using namespace shoal;
using namespace shoal::swarm;

// The extended message that we name `exchange` (BEP 10).
constexpr std::uint8_t extended_kind = 20;

void check_taken(const wire::PeerExchange& message) {
  std::set<Endpoint> seen;
  SHOAL_CHECK(message.added.size() <= limits::exchange_taken);
  SHOAL_CHECK(message.dropped.size() <= limits::exchange_taken);
  for (const wire::ExchangeEntry& entry : message.added)
    SHOAL_CHECK(entry.endpoint.port != 0 && seen.insert(entry.endpoint).second);
}

// Told on to another peer: in the order of endpoints, so much a minute, nothing twice.
void check_told(Exchange& to, Instant now, const std::set<Endpoint>& known) {
  std::vector<wire::ExchangeEntry> connected;
  for (const Endpoint& endpoint : known) connected.push_back({endpoint, std::nullopt, false});
  const Instant due = to.next();
  const auto update = to.update(now, connected, std::nullopt);
  if (!update) return;
  SHOAL_CHECK(due <= now && to.next() > now);
  SHOAL_CHECK(update->added.size() <= limits::exchange_added);
  SHOAL_CHECK(update->dropped.size() <= limits::exchange_dropped);
  for (const wire::ExchangeEntry& entry : update->added) SHOAL_CHECK(known.contains(entry.endpoint));
  for (const Endpoint& gone : update->dropped) SHOAL_CHECK(!known.contains(gone));
}

}  // namespace

// The shortest message takes two bytes and is a value of many, in a vector that doubles.
const shoal::fuzz::Bounds shoal::fuzz::bounds{.heap_per_byte = decoder.heap_per_byte +
                                                               3 * sizeof(swarm::wire::Message) / 2};

void shoal::fuzz::one(ByteView input) {
  Script script{input};
  const bool native = script.flag();
  MessageReader native_reader;
  BtReader bt_reader;
  Exchange from, to;
  std::uint32_t strikes = 0, taken = 0;
  std::set<Endpoint> known;
  Instant now{};
  while (!script.empty()) {
    now += std::chrono::seconds{script.byte() % 8 * 16};
    Bytes body;
    {
      const Aside aside;  // a stream's bytes are there before they are read
      if (!native) body = {extended_kind, 2};
      append(body, script.take(script.below(4096)));
    }
    std::vector<wire::Message> messages;
    const bool read =
        native ? native_reader.read(body, messages).has_value() : bt_reader.read(body, messages).has_value();
    for (wire::Message& message : messages) {
      auto* exchange = std::get_if<wire::PeerExchange>(&message);
      if (exchange == nullptr) continue;
      const Exchange::Verdict verdict = from.take(now, *exchange);
      strikes += verdict == Exchange::Verdict::strike ? 1 : 0;
      taken += verdict == Exchange::Verdict::taken ? 1 : 0;
      SHOAL_CHECK(verdict == Exchange::Verdict::taken || exchange->added.empty());
      const Aside aside;
      check_taken(*exchange);
      for (const wire::ExchangeEntry& entry : exchange->added)
        if (known.size() < limits::max_peers) known.insert(entry.endpoint);
      for (const Endpoint& endpoint : exchange->dropped) known.erase(endpoint);
      check_told(to, now, known);
    }
    const Aside aside;
    body = {};
    if (!read) break;
  }
  SHOAL_CHECK(strikes == 0 ||
              taken <= limits::exchange_strikes + now.time_since_epoch() / limits::exchange_least);
  const Aside aside;  // what it made there ends here
  known.clear();
  to = {};
}
