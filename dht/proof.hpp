// What a signed reply signs, and its check: that the answerer holds the key its position comes from, that it
// answers this very query, which address it saw us at, and what its clock shows. Domain separated from every
// other signature of a node's key. Not here: where a proof is asked for and remembered (node, acquaintances).
#pragma once

#include "dht/base/crypto.hpp"
#include "dht/base/endpoint.hpp"
#include "dht/base/key.hpp"
#include "dht/message.hpp"

namespace shoal::dht {

struct ProofSubject {
  TransactionId transaction;  // the asker's nonce
  Key asker;                  // all zero where the query carried no position
  Key answerer;
  Endpoint observed;  // the asker's endpoint as the answerer saw it
};

[[nodiscard]] Proof prove(const crypto::SigningKey& key, const ProofSubject& subject, std::int64_t unix_ms,
                          const crypto::SignatureScheme& scheme = crypto::ed25519);
// The signature alone; whether the position belongs to key and address is position_valid's business.
[[nodiscard]] bool proof_holds(const Proof& proof, const ProofSubject& subject,
                               const crypto::SignatureScheme& scheme = crypto::ed25519);

}  // namespace shoal::dht
