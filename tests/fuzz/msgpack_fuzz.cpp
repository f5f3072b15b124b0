// libFuzzer target of the MessagePack reader: no input breaks it, and what it accepts has one spelling.
#include "dht/base/check.hpp"
#include "dht/base/msgpack.hpp"
#include "tests/fuzz/watch.hpp"
#include "tests/unit/base/reencode.hpp"

namespace {

using namespace shoal;

constexpr std::uint32_t looked_up = 32;  // of a map or array; each look-up walks what stands before

// Asks every question of every value; the answers must hang together.
std::uint64_t walk(pack::Value value) {
  std::uint64_t values = 1;
  SHOAL_CHECK(value);
  const bool is_map = value.type() == pack::Type::map;
  std::uint32_t items = 0;
  for (auto item = value.first(); item; item = item.next(), ++items) {
    SHOAL_CHECK(item.key().has_value() == is_map);
    if (items < looked_up)
      SHOAL_CHECK((is_map ? value.find(*item.key()) : value.at(items)).type() == item.type());
    values += walk(item);
  }
  SHOAL_CHECK(items == value.size());
  return values;
}

}  // namespace

const shoal::fuzz::Bounds shoal::fuzz::bounds = decoder;

void shoal::fuzz::one(ByteView input) {
  const pack::Limits limits;
  const auto whole = pack::Document::parse(input, limits);
  const auto first = pack::Document::parse(input, limits, pack::Document::Tail::allowed);
  SHOAL_CHECK(first || !whole);
  const Aside aside;
  if (!first) return;
  SHOAL_CHECK(whole.has_value() == (first->consumed() == input.size()));
  SHOAL_CHECK(equal(test::reencode(*first), input.first(first->consumed())));
  SHOAL_CHECK(walk(first->root()) <= limits.tokens);
}
