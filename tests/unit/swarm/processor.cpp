// See processor.hpp.
#include "tests/unit/swarm/processor.hpp"

#include <dlfcn.h>

namespace {
bool old = false;
}

namespace shoal::swarm::test {

OldProcessor::OldProcessor() { old = true; }
OldProcessor::~OldProcessor() { old = false; }

}  // namespace shoal::swarm::test

extern "C" int crypto_aead_aes256gcm_is_available() {
  static const auto real =
      reinterpret_cast<int (*)()>(::dlsym(RTLD_NEXT, "crypto_aead_aes256gcm_is_available"));
  return old ? 0 : real();
}
