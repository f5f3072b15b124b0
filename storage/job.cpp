#include "storage/job.hpp"

#include <cstring>

namespace shoal::storage {

BlockMark mark_of(const Content& content, ByteView block) {
  if (content.v2) return sha256(block);
  BlockMark out{};
  const std::uint64_t sum = checksum(block);
  std::memcpy(out.data(), &sum, sizeof sum);
  return out;
}

bool together(const Job& job) {
  if (const auto* hash = std::get_if<HashJob>(&job)) return hash->what == HashJob::What::row;
  return std::holds_alternative<ReadJob>(job) || std::holds_alternative<WriteJob>(job);
}

}  // namespace shoal::storage
