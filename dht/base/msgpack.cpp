// The native dialect's MessagePack: msgpack-c's incremental parser walks the bytes and calls the visitor
// below, which checks canonical form and every bound and notes tokens; msgpack-c's packer writes.
//
// Not here: the meaning of any message.
//
// Invariants: what parse() accepts re-encodes to the same bytes; no allocation depends on a length that the
// input merely claims; the parser's own stack is no deeper than Limits::depth; text is not checked to be
// UTF-8.
//
// msgpack-c does not tell a visitor in which form a value was spelled. So the visitor keeps the offset at
// which the next value starts, and compares the byte there with the first byte of the shortest form. All
// before it was canonical, so that offset is right, and one comparison a value decides.
//
// Source: the MessagePack specification (github.com/msgpack/msgpack/blob/master/spec.md).
#include "dht/base/msgpack.hpp"

#include <algorithm>
#include <limits>

#include <msgpack/null_visitor.hpp>
#include <msgpack/pack.hpp>
#include <msgpack/parse.hpp>
#include <msgpack/unpack.hpp>  // parse.hpp is not whole without it

#include "dht/base/check.hpp"

namespace shoal::pack {
namespace {

constexpr std::uint64_t max_u8 = 0xff;
constexpr std::uint64_t max_u16 = 0xffff;
constexpr std::uint64_t max_u32 = 0xffffffff;

constexpr std::uint32_t first_reserve = 64;  // tokens; a datagram of ours seldom has more

// The shortest spelling of a value's head: its first byte, and the bytes of the head altogether.
struct Head {
  std::uint8_t tag;
  std::uint32_t size;
};

constexpr Head one_byte(std::uint64_t tag) { return {static_cast<std::uint8_t>(tag), 1}; }

constexpr Head number_head(std::uint64_t value) {
  if (value < 0x80) return one_byte(value);
  if (value <= max_u8) return {0xcc, 2};
  if (value <= max_u16) return {0xcd, 3};
  if (value <= max_u32) return {0xce, 5};
  return {0xcf, 9};
}

constexpr Head negative_head(std::int64_t value) {
  if (value >= -32) return one_byte(static_cast<std::uint64_t>(value) & 0xff);
  if (value >= std::numeric_limits<std::int8_t>::min()) return {0xd0, 2};
  if (value >= std::numeric_limits<std::int16_t>::min()) return {0xd1, 3};
  if (value >= std::numeric_limits<std::int32_t>::min()) return {0xd2, 5};
  return {0xd3, 9};
}

constexpr Head text_head(std::uint32_t size) {
  if (size < 32) return one_byte(0xa0U | size);
  if (size <= max_u8) return {0xd9, 2};
  if (size <= max_u16) return {0xda, 3};
  return {0xdb, 5};
}

constexpr Head binary_head(std::uint32_t size) {
  if (size <= max_u8) return {0xc4, 2};
  if (size <= max_u16) return {0xc5, 3};
  return {0xc6, 5};
}

constexpr Head array_head(std::uint32_t elements) {
  if (elements < 16) return one_byte(0x90U | elements);
  if (elements <= max_u16) return {0xdc, 3};
  return {0xdd, 5};
}

constexpr Head map_head(std::uint32_t pairs) {
  if (pairs < 16) return one_byte(0x80U | pairs);
  if (pairs <= max_u16) return {0xde, 3};
  return {0xdf, 5};
}

// What msgpack::packer writes to.
struct Sink {
  Bytes& out;
  void write(const char* data, std::size_t size) { append(out, as_bytes({data, size})); }
};

std::uint32_t packed_size(std::size_t size) {
  SHOAL_CHECK(size <= max_u32);
  return static_cast<std::uint32_t>(size);
}

}  // namespace

// The names and the meaning of the results (false: stop) are msgpack-c's.
class Document::Visitor : public msgpack::null_visitor {
 public:
  Visitor(Document& document, const Limits& limits)
      : document_(document), input_(document.input_), limits_(limits) {
    document_.tokens_.reserve(
        std::min({std::size_t{limits.tokens}, input_.size(), std::size_t{first_reserve}}));
  }

  [[nodiscard]] std::size_t position() const { return position_; }
  [[nodiscard]] Error error() const { return error_; }

  bool visit_nil() { return leaf(one_byte(0xc0), Type::nil, 0); }
  bool visit_boolean(bool value) { return leaf(one_byte(value ? 0xc3 : 0xc2), Type::boolean, value ? 1 : 0); }
  bool visit_positive_integer(std::uint64_t value) {
    if (!at_key_) return leaf(number_head(value), Type::unsigned_integer, value);
    at_key_ = false;
    Frame& map = open_.back();
    if (map.has_key && value <= map.key) return refuse(Code::non_canonical, "map keys rise");
    map.has_key = true;
    map.key = value;
    return spelled(number_head(value));
  }
  bool visit_negative_integer(std::int64_t value) {
    if (value >= 0) return refuse(Code::non_canonical, "an integer has its shortest form");
    return leaf(negative_head(value), Type::negative_integer, static_cast<std::uint64_t>(value));
  }
  bool visit_float32(float) { return refuse(Code::non_canonical, "there are no floats"); }
  bool visit_float64(double) { return refuse(Code::non_canonical, "there are no floats"); }
  bool visit_ext(const char*, std::uint32_t) {
    return refuse(Code::non_canonical, "there are no extension types");
  }
  bool visit_str(const char*, std::uint32_t size) { return run(text_head(size), Type::text, size); }
  bool visit_bin(const char*, std::uint32_t size) { return run(binary_head(size), Type::binary, size); }

  bool start_array(std::uint32_t elements) {
    return open(array_head(elements), Type::array, elements, elements);
  }
  bool end_array() { return close(); }
  bool start_map(std::uint32_t pairs) {
    return open(map_head(pairs), Type::map, pairs, std::uint64_t{pairs} * 2);
  }
  bool start_map_key() { return at_key_ = true; }
  bool end_map() { return close(); }

 private:
  struct Frame {
    std::uint32_t token = 0;
    bool has_key = false;  // maps: one key was read, and `key` is the latest
    std::uint64_t key = 0;
  };

  bool refuse(Code code, const char* rule) {
    error_ = Error{code, rule};
    return false;
  }
  // The head at position_ is the shortest one; go behind it.
  bool spelled(Head head) {
    if (input_[position_] != head.tag) return refuse(Code::non_canonical, "a value has its shortest form");
    position_ += head.size;
    return true;
  }
  // A new token for the value whose head is at position_; false: refused.
  bool place(Head head, Type type, std::uint32_t length) {
    if (at_key_) return refuse(Code::non_canonical, "map keys are unsigned integers");
    if (!spelled(head)) return false;
    if (document_.tokens_.size() >= limits_.tokens) return refuse(Code::too_large, "too many values");
    Token token;
    token.type = type;
    token.length = length;
    token.after = static_cast<std::uint32_t>(document_.tokens_.size()) + 1;
    if (!open_.empty()) {
      const Frame& frame = open_.back();
      token.parent = frame.token;
      token.in_map = document_.tokens_[frame.token].type == Type::map;
      token.key = frame.key;
    }
    document_.tokens_.push_back(token);
    return true;
  }
  bool leaf(Head head, Type type, std::uint64_t number) {
    if (!place(head, type, 0)) return false;
    document_.tokens_.back().number = number;
    return true;
  }
  bool run(Head head, Type type, std::uint32_t size) {  // the parser has seen that the bytes are there
    if (!place(head, type, size)) return false;
    document_.tokens_.back().number = position_;
    position_ += size;
    return true;
  }
  bool open(Head head, Type type, std::uint32_t length, std::uint64_t values) {
    if (open_.size() >= static_cast<std::size_t>(std::max(limits_.depth, 0)))
      return refuse(Code::too_large, "nested too deep");
    if (!place(head, type, length)) return false;
    // Every value has a byte at least. The check keeps a claim from costing more than its own few bytes.
    if (values > input_.size() - position_)
      return refuse(Code::malformed, "more values claimed than bytes are there");
    Frame frame;
    frame.token = static_cast<std::uint32_t>(document_.tokens_.size()) - 1;
    open_.push_back(frame);
    return true;
  }
  bool close() {
    document_.tokens_[open_.back().token].after = static_cast<std::uint32_t>(document_.tokens_.size());
    open_.pop_back();
    return true;
  }

  Document& document_;
  ByteView input_;
  const Limits& limits_;
  std::size_t position_ = 0;  // where the next head starts
  bool at_key_ = false;       // the next value is a key
  std::vector<Frame> open_;
  Error error_{Code::malformed, "not one whole value"};
};

Result<Document> Document::parse(ByteView input, const Limits& limits, Tail tail) {
  if (input.size() > max_u32) return fail(Code::too_large, "longer than 4 GiB");
  Document out;
  out.input_ = input;
  Visitor visitor{out, limits};
  std::size_t consumed = 0;
  try {
    const std::string_view text = as_text(input);
    if (!msgpack::parse(text.data(), text.size(), consumed, visitor)) return std::unexpected(visitor.error());
  } catch (const msgpack::unpack_error&) {  // a size that a 32-bit machine cannot hold
    return fail(Code::too_large, "a length beyond this machine");
  }
  SHOAL_CHECK(visitor.position() == consumed);
  if (consumed < input.size() && tail == Tail::none) return fail(Code::malformed, "bytes after the value");
  out.consumed_ = consumed;
  return out;
}

Type Value::type() const { return document_ == nullptr ? Type::none : document_->tokens_[token_].type; }

std::optional<std::uint64_t> Value::number() const {
  if (type() != Type::unsigned_integer) return std::nullopt;
  return document_->tokens_[token_].number;
}

std::optional<std::int64_t> Value::integer() const {
  const Type kind = type();
  if (kind != Type::unsigned_integer && kind != Type::negative_integer) return std::nullopt;
  const auto value = static_cast<std::int64_t>(document_->tokens_[token_].number);
  if (kind == Type::unsigned_integer && value < 0) return std::nullopt;  // above the signed range
  return value;
}

std::optional<bool> Value::boolean() const {
  if (type() != Type::boolean) return std::nullopt;
  return document_->tokens_[token_].number != 0;
}

std::optional<ByteView> Value::binary() const {
  if (type() != Type::binary) return std::nullopt;
  const auto& token = document_->tokens_[token_];
  return document_->input_.subspan(static_cast<std::size_t>(token.number), token.length);
}

std::optional<std::string_view> Value::text() const {
  if (type() != Type::text) return std::nullopt;
  const auto& token = document_->tokens_[token_];
  return as_text(document_->input_.subspan(static_cast<std::size_t>(token.number), token.length));
}

std::uint32_t Value::size() const {
  const Type kind = type();
  return kind == Type::array || kind == Type::map ? document_->tokens_[token_].length : 0;
}

Value Value::first() const { return size() == 0 ? Value{} : Value{document_, token_ + 1}; }

Value Value::next() const {
  if (document_ == nullptr || token_ == 0) return {};
  const auto& token = document_->tokens_[token_];
  if (token.after >= document_->tokens_[token.parent].after) return {};
  return {document_, token.after};
}

std::optional<std::uint64_t> Value::key() const {
  if (document_ == nullptr || !document_->tokens_[token_].in_map) return std::nullopt;
  return document_->tokens_[token_].key;
}

Value Value::find(std::uint64_t key) const {
  if (type() != Type::map) return {};
  for (Value item = first(); item; item = item.next()) {
    const std::uint64_t found = document_->tokens_[item.token_].key;
    if (found == key) return item;
    if (found > key) break;  // keys rise
  }
  return {};
}

Value Value::at(std::uint32_t index) const {
  if (type() != Type::array || index >= size()) return {};
  Value item = first();
  for (; index > 0; --index) item = item.next();
  return item;
}

Writer& Writer::array(std::uint32_t elements) {
  Sink sink{out_};
  msgpack::packer<Sink>{sink}.pack_array(elements);
  return *this;
}

Writer& Writer::map(std::uint32_t pairs) {
  Sink sink{out_};
  msgpack::packer<Sink>{sink}.pack_map(pairs);
  return *this;
}

Writer& Writer::nil() {
  Sink sink{out_};
  msgpack::packer<Sink>{sink}.pack_nil();
  return *this;
}

Writer& Writer::boolean(bool value) {
  Sink sink{out_};
  msgpack::packer<Sink> packer{sink};
  value ? packer.pack_true() : packer.pack_false();
  return *this;
}

Writer& Writer::number(std::uint64_t value) {
  Sink sink{out_};
  msgpack::packer<Sink>{sink}.pack_uint64(value);
  return *this;
}

Writer& Writer::integer(std::int64_t value) {
  if (value >= 0) return number(static_cast<std::uint64_t>(value));
  Sink sink{out_};
  msgpack::packer<Sink>{sink}.pack_int64(value);
  return *this;
}

Writer& Writer::binary(ByteView value) {
  Sink sink{out_};
  msgpack::packer<Sink>{sink}.pack_bin(packed_size(value.size()));
  append(out_, value);
  return *this;
}

Writer& Writer::text(std::string_view value) {
  Sink sink{out_};
  msgpack::packer<Sink>{sink}.pack_str(packed_size(value.size()));
  append(out_, as_bytes(value));
  return *this;
}

}  // namespace shoal::pack
