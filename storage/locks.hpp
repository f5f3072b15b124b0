// Locks between processes that use one state: the seam. The real ones are files (posix_state.hpp); the
// simulator's machines share no state and need none.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "dht/base/bytes.hpp"
#include "dht/base/crypto.hpp"
#include "dht/base/result.hpp"
#include "storage/content.hpp"

namespace shoal::storage {

struct Lock {  // held until it is destroyed
  virtual ~Lock() = default;
};

struct Locks {
  virtual ~Locks() = default;
  // `name` is one safe component. Code::busy without an error number where it is held, by
  // this process or another.
  [[nodiscard]] virtual Result<std::unique_ptr<Lock>> acquire(std::string_view name) = 0;
};

// The process that holds it uses the saved identity and port; the others use ephemeral ones.
inline constexpr std::string_view identity_lock = "identity";

// A content's lock does not show its id, which is a capability.
[[nodiscard]] inline std::string content_lock(const ContentId& id) {
  return "content-" + to_hex(crypto::blake2b<20>(id, as_bytes("shoal content lock")));
}

}  // namespace shoal::storage
