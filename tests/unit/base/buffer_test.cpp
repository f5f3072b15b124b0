// Tests of dht/base/buffer.hpp: one owner, bounds, and the pool.
#include "dht/base/buffer.hpp"

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(Buffer, AppendsDropsAndShrinks) {
  Buffer buffer{16};
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.room(), 16U);
  buffer.append(as_bytes("hello world"));
  EXPECT_EQ(as_text(buffer.view()), "hello world");
  EXPECT_EQ(buffer.room(), 5U);
  buffer.drop_front(6);
  EXPECT_EQ(as_text(buffer.view()), "world");
  EXPECT_EQ(buffer.room(), 5U);  // the front is not room
  buffer.shrink(3);
  EXPECT_EQ(as_text(buffer.view()), "wor");
  buffer.append({});
  buffer.append(as_bytes("1234567"));
  EXPECT_EQ(as_text(buffer.view()), "wor1234567");
  EXPECT_EQ(buffer.room(), 0U);
  buffer.clear();
  EXPECT_EQ(buffer.room(), 16U);
  buffer.extend(4);
  buffer.span()[3] = 'x';
  EXPECT_EQ(buffer.view()[3], 'x');
  EXPECT_EQ(buffer.data(), buffer.view().data());
}

TEST(Buffer, MovesLeaveNothingBehind) {
  Buffer a{8};
  a.append(as_bytes("abc"));
  Buffer b{std::move(a)};
  EXPECT_EQ(a.capacity(), 0U);  // NOLINT(bugprone-use-after-move): that is the test
  EXPECT_TRUE(a.view().empty());
  a = Buffer{4};
  a.append(as_bytes("x"));
  a = std::move(b);
  EXPECT_EQ(as_text(a.view()), "abc");
  EXPECT_EQ(b.capacity(), 0U);  // NOLINT(bugprone-use-after-move): what a held was freed, not handed over
}

TEST(BufferDeathTest, OverrunsAreOurBug) {
  Buffer buffer{4};
  buffer.append(as_bytes("ab"));
  EXPECT_DEATH(buffer.append(as_bytes("cde")), "room");
  EXPECT_DEATH(buffer.extend(3), "room");
  EXPECT_DEATH(buffer.drop_front(3), "size");
  EXPECT_DEATH(buffer.shrink(3), "size");
}

TEST(BufferPool, GivesBackWhatItWasGiven) {
  BufferPool pool{2};
  Buffer one = pool.take();
  EXPECT_EQ(one.capacity(), BufferPool::standard);
  one.append(as_bytes("secret"));
  const std::uint8_t* where = one.data();
  pool.give(std::move(one));
  Buffer again = pool.take(100);
  EXPECT_EQ(again.data(), where);
  EXPECT_TRUE(again.empty());
  EXPECT_EQ(again.room(), BufferPool::standard);
}

TEST(BufferPool, KeepsNoMoreThanItMayAndNoOddSizes) {
  BufferPool pool{1};
  Buffer large = pool.take(BufferPool::standard + 1);
  EXPECT_EQ(large.capacity(), BufferPool::standard + 1);
  Buffer a = pool.take();
  Buffer b = pool.take();
  const std::uint8_t* first = a.data();
  pool.give(std::move(large));
  pool.give(std::move(a));
  pool.give(std::move(b));  // one too many: freed
  Buffer c = pool.take();
  EXPECT_EQ(c.data(), first);
  Buffer d = pool.take();
  EXPECT_EQ(d.capacity(), BufferPool::standard);
}

}  // namespace
}  // namespace shoal
