// libFuzzer target of the bencode reader: no input breaks it, and what strict mode accepts has one spelling.
#include "dht/base/bencode.hpp"
#include "dht/base/check.hpp"
#include "tests/fuzz/watch.hpp"
#include "tests/unit/base/reencode.hpp"

namespace {

using namespace shoal;

constexpr std::uint32_t looked_up = 32;  // keys of a dict; each look-up walks all of it

// Asks every question of every value; the answers must hang together.
std::uint64_t walk(bencode::Value value, bencode::Mode mode) {
  std::uint64_t values = 1;
  SHOAL_CHECK(value && !value.raw().empty());
  const bool is_dict = value.type() == bencode::Type::dict;
  std::uint32_t items = 0;
  for (auto item = value.first(); item; item = item.next(), ++items) {
    if (is_dict && items < looked_up) {
      const auto found = value.find(as_text(item.key()));
      SHOAL_CHECK(found);
      SHOAL_CHECK(mode == bencode::Mode::lenient || found.raw().data() == item.raw().data());
    } else if (!is_dict) {
      SHOAL_CHECK(item.key().empty());
    }
    values += walk(item, mode);
  }
  SHOAL_CHECK(items == value.size());
  SHOAL_CHECK(value.string().has_value() == (value.type() == bencode::Type::string));
  SHOAL_CHECK(value.integer().has_value() == (value.type() == bencode::Type::integer));
  return values;
}

}  // namespace

const shoal::fuzz::Bounds shoal::fuzz::bounds = decoder;

void shoal::fuzz::one(ByteView input) {
  bencode::Limits limits;
  const auto strict = bencode::Document::parse(input, limits);
  limits.mode = bencode::Mode::lenient;
  const auto lenient = bencode::Document::parse(input, limits);
  const Aside aside;
  if (strict) {
    SHOAL_CHECK(lenient);
    SHOAL_CHECK(equal(test::reencode(*strict), input));
    SHOAL_CHECK(equal(strict->root().raw(), input));
    SHOAL_CHECK(walk(strict->root(), bencode::Mode::strict) <= limits.tokens);
  }
  if (lenient) {
    SHOAL_CHECK(equal(lenient->root().raw(), input));
    SHOAL_CHECK(walk(lenient->root(), bencode::Mode::lenient) <= limits.tokens);
  }
}
