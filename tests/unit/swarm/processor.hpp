// The processor of these tests, which may be an older one. What stands in processor.cpp is linked in place of
// libsodium's.
#pragma once

namespace shoal::swarm::test {

// While it exists, no processor has instructions for AES.
class OldProcessor {
 public:
  OldProcessor();
  ~OldProcessor();
  OldProcessor(const OldProcessor&) = delete;
  OldProcessor& operator=(const OldProcessor&) = delete;
};

}  // namespace shoal::swarm::test
