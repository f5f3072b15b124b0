// Inputs whose offsets 32 bits cannot tell: refused by their length, unread (A16, A18).
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "dht/base/bencode.hpp"
#include "dht/base/msgpack.hpp"

namespace shoal {
namespace {

// Addresses without memory behind them: whoever reads a byte of it dies.
class Unreadable {
 public:
  explicit Unreadable(std::size_t size)
      : size_(size),
        start_(::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {}
  ~Unreadable() { ::munmap(start_, size_); }
  Unreadable(const Unreadable&) = delete;
  Unreadable& operator=(const Unreadable&) = delete;
  [[nodiscard]] bool there() const { return start_ != MAP_FAILED; }
  [[nodiscard]] ByteView first(std::size_t size) const {
    return {static_cast<const std::uint8_t*>(start_), size};
  }

 private:
  std::size_t size_;
  void* start_;
};

constexpr std::size_t four_gib = std::size_t{1} << 32;

TEST(Oversized, FourGibibytesAreRefusedUnread) {
  const Unreadable room{four_gib};
  ASSERT_TRUE(room.there());
  for (const std::size_t size : {four_gib - 1, four_gib}) {
    const auto document = bencode::Document::parse(room.first(size), {});
    ASSERT_FALSE(document) << size;
    EXPECT_EQ(document.error().code, Code::too_large) << size;
  }
  const auto document = pack::Document::parse(room.first(four_gib), {});
  ASSERT_FALSE(document);
  EXPECT_EQ(document.error().code, Code::too_large);
}

}  // namespace
}  // namespace shoal
