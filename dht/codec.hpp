// The seam of the dialects: typed messages to datagrams and back. A codec is stateless and knows no node.
#pragma once

#include <cstddef>

#include "dht/base/bytes.hpp"
#include "dht/base/result.hpp"
#include "dht/message.hpp"

namespace shoal::dht {

// What the engine must know of a dialect, as data.
enum class Proofs : std::uint8_t {
  required,
  absent
};  // is a signed reply needed before a contact is admitted
enum class Targets : std::uint8_t {
  truncated,
  full
};  // do nodes outside the region see the whole record key
enum class Askers : std::uint8_t { anonymous, named };  // does a query about values carry its sender's id
struct DialectTraits {
  Proofs proofs = Proofs::required;
  Targets targets = Targets::truncated;
  Askers askers = Askers::anonymous;
  std::size_t max_datagram = 1232;
  std::size_t ping_bytes = 0;  // what a ping of ours weighs: it may follow a stranger's query
};

class Codec {
 public:
  virtual ~Codec() = default;
  [[nodiscard]] virtual DialectTraits traits() const = 0;
  // The message's views point into `datagram`. Errors: malformed, non_canonical, too_large, unsupported,
  // mismatch (another network).
  [[nodiscard]] virtual Result<Message> decode(ByteView datagram) const = 0;
  // Replaces `out`. The result may exceed max_datagram where a reply lists too much; the caller cuts it.
  virtual void encode(const Message& message, Bytes& out) const = 0;
  // Bytes that a reply of these contents takes, so that the responder can fill a datagram: an upper bound.
  struct ReplyCost {
    std::size_t fixed = 0;  // everything but nodes and records, a proof and a token included
    std::size_t per_node = 0;
    std::size_t per_record = 0;  // besides its bytes
  };
  [[nodiscard]] virtual ReplyCost reply_cost(Family family) const = 0;
};

}  // namespace shoal::dht
