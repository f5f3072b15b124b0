// Bencoding (BEP 3): a strict, bounded, zero-copy reader and an appending writer. No recursion, no allocation
// by claimed length. The document keeps views into the input, which must outlive it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dht/base/bytes.hpp"
#include "dht/base/result.hpp"

namespace shoal::bencode {

// `strict`: what we sign, hash or store: keys sorted and unique, integers canonical, no trailing bytes.
// `lenient`: replies of other clients: unsorted keys pass (the first of equal keys counts); all else as
// strict.
enum class Mode : std::uint8_t { strict, lenient };

struct Limits {
  int depth = 32;              // lists and dicts inside each other; 1 takes a flat one
  std::uint32_t tokens = 512;  // values and dict keys
  Mode mode = Mode::strict;
};

enum class Type : std::uint8_t { none, integer, string, list, dict };

class Document;

// A node of a document; the default value and any failed look-up is Type::none, on which every question gives
// nothing. Cheap to copy; valid while the document and its input live.
class Value {
 public:
  Value() = default;
  [[nodiscard]] Type type() const;
  explicit operator bool() const { return type() != Type::none; }
  [[nodiscard]] std::optional<std::int64_t> integer() const;
  [[nodiscard]] std::optional<ByteView> string() const;
  [[nodiscard]] std::optional<std::string_view> text() const;
  [[nodiscard]] ByteView raw() const;        // the bytes of this value as received
  [[nodiscard]] std::uint32_t size() const;  // elements of a list, pairs of a dict; 0 otherwise. O(size)
  [[nodiscard]] Value find(std::string_view key) const;  // in a dict; O(size)

  // Walking a list or dict: for (auto item = v.first(); item; item = item.next()). In a dict the items are
  // the values, and key() tells the key of each.
  [[nodiscard]] Value first() const;
  [[nodiscard]] Value next() const;
  [[nodiscard]] ByteView key() const;

 private:
  friend class Document;
  static constexpr std::uint32_t no_key = ~std::uint32_t{0};
  Value(const Document* document, std::uint32_t slot, std::uint32_t key)
      : document_(document), slot_(slot), key_(key) {}
  const Document* document_ = nullptr;
  std::uint32_t slot_ = 0;
  std::uint32_t key_ = no_key;  // values of a dict: the slot of the key
};

// Values name the document by address: move it before asking, not between.
class Document {
 public:
  // Exactly one value. Errors: malformed, non_canonical (a number or the order of keys), too_large (beyond
  // `limits`, an integer beyond 64 bits, an input of 4 GiB).
  [[nodiscard]] static Result<Document> parse(ByteView input, const Limits& limits);
  Document(Document&&) noexcept = default;
  Document& operator=(Document&&) noexcept = default;
  [[nodiscard]] Value root() const { return {this, 0, Value::no_key}; }

 private:
  friend class Value;
  class Parser;
  Document() = default;

  [[nodiscard]] bool is_open(std::uint32_t slot) const;       // a list or dict with something in it
  [[nodiscard]] std::uint32_t end(std::uint32_t slot) const;  // in the input, behind the value
  [[nodiscard]] ByteView string_at(std::uint32_t slot) const;
  [[nodiscard]] Value item_at(std::uint32_t slot, bool in_dict) const;

  // The index over the input, never more slots than the input has bytes, so memory is at most 4 bytes a byte.
  // A value has one slot: where it begins. A list or dict that is not empty has two more, then its contents,
  // keys included: the slot behind the contents, and where the value ends in the input. All else is read from
  // the input again.
  ByteView input_;
  Mode mode_ = Mode::strict;
  std::vector<std::uint32_t> slots_;
};

// Appends to `out`. The caller gives dict keys in sorted order, each followed by one value; checked with
// SHOAL_CHECK.
class Writer {
 public:
  explicit Writer(Bytes& out) : out_(out) {}
  Writer& begin_dict();
  Writer& begin_list();
  Writer& end();
  Writer& key(std::string_view key);
  Writer& integer(std::int64_t value);
  Writer& string(ByteView value);
  Writer& string(std::string_view value) { return string(as_bytes(value)); }
  Writer& raw(ByteView encoded);  // one value, encoded before

 private:
  struct Frame {
    bool dict = false;
    bool has_key = false;      // a key was written in this dict: `last` holds the latest
    bool wants_value = false;  // and its value was not
    std::string last;
  };
  void value_begins();
  void append_string(ByteView value);
  Bytes& out_;
  std::vector<Frame> frames_;
};

}  // namespace shoal::bencode
