// MessagePack for the native dialect: canonical form only, behind limits. The packing and the walk are
// msgpack-c's; what this file adds is the bound on everything and the zero-copy document.
//
// Canonical: shortest integer and length forms, no float, ext or timestamp, map keys unsigned integers,
// strictly rising. What is accepted re-encodes to the same bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "dht/base/bytes.hpp"
#include "dht/base/result.hpp"

namespace shoal::pack {

struct Limits {
  int depth = 8;               // arrays and maps inside each other; 1 takes a flat one
  std::uint32_t tokens = 512;  // values (a map's keys are not counted), 32 bytes of memory each
};

enum class Type : std::uint8_t {
  none,
  nil,
  boolean,
  unsigned_integer,
  negative_integer,
  binary,
  text,
  array,
  map
};

class Document;

// As bencode::Value: a failed look-up is Type::none, on which every question gives nothing.
class Value {
 public:
  Value() = default;
  [[nodiscard]] Type type() const;
  explicit operator bool() const { return type() != Type::none; }
  [[nodiscard]] std::optional<std::uint64_t> number() const;  // an unsigned integer
  [[nodiscard]] std::optional<std::int64_t> integer() const;  // any that fits
  [[nodiscard]] std::optional<bool> boolean() const;
  [[nodiscard]] std::optional<ByteView> binary() const;
  [[nodiscard]] std::optional<std::string_view> text() const;
  template <std::size_t N>
  [[nodiscard]] std::optional<ByteArray<N>> fixed() const {  // binary of exactly N bytes
    const auto bytes = binary();
    if (!bytes || bytes->size() != N) return std::nullopt;
    return to_array<N>(*bytes);
  }
  [[nodiscard]] std::uint32_t size() const;           // elements or pairs
  [[nodiscard]] Value find(std::uint64_t key) const;  // in a map
  [[nodiscard]] Value at(std::uint32_t index) const;  // in an array; O(index)
  [[nodiscard]] Value first() const;                  // first element, or first value of a map
  [[nodiscard]] Value next() const;
  [[nodiscard]] std::optional<std::uint64_t> key() const;  // of a value in a map

 private:
  friend class Document;
  Value(const Document* document, std::uint32_t token) : document_(document), token_(token) {}
  const Document* document_ = nullptr;
  std::uint32_t token_ = 0;
};

// Keeps views into the input, which must outlive it. Values name the document by address: move it before
// asking, not between.
class Document {
 public:
  // One value at the start of `input`; `consumed` tells its length. With Tail::none, trailing bytes are an
  // error. Errors: malformed (truncated, or claiming more than is there), non_canonical, too_large (beyond
  // `limits`).
  enum class Tail : std::uint8_t { none, allowed };
  [[nodiscard]] static Result<Document> parse(ByteView input, const Limits& limits, Tail tail = Tail::none);
  Document(Document&&) noexcept = default;
  Document& operator=(Document&&) noexcept = default;
  [[nodiscard]] Value root() const { return {this, 0}; }
  [[nodiscard]] std::size_t consumed() const { return consumed_; }

 private:
  friend class Value;
  class Visitor;
  struct Token {
    Type type = Type::none;
    bool in_map = false;       // this token is the value of a pair: `key` holds its key
    std::uint32_t length = 0;  // bytes, elements or pairs
    std::uint32_t after = 0;   // index of the token behind this value
    std::uint32_t parent = 0;
    std::uint64_t key = 0;
    // The integer (two's complement), the boolean, or where the bytes start in the input.
    std::uint64_t number = 0;
  };
  Document() = default;
  ByteView input_;
  std::vector<Token> tokens_;
  std::size_t consumed_ = 0;
};

// Appends canonical MessagePack to `out`. The caller writes as many values as it announced, and map keys with
// number(), rising.
class Writer {
 public:
  explicit Writer(Bytes& out) : out_(out) {}
  Writer& array(std::uint32_t elements);
  Writer& map(std::uint32_t pairs);
  Writer& nil();
  Writer& boolean(bool value);
  Writer& number(std::uint64_t value);
  Writer& integer(std::int64_t value);
  Writer& binary(ByteView value);
  Writer& text(std::string_view value);

 private:
  Bytes& out_;
};

}  // namespace shoal::pack
