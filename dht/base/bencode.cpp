// Bencoding (BEP 3), read into an index of offsets and written in order.
//
// Not here: the meaning of any message or metainfo.
//
// Invariants: what parse() accepts in strict mode re-encodes to the same bytes; nothing recurses; the index
// is reserved once, from the length of the input and never from a length that the input claims.
//
// Deviation from BEP 3: integers beyond 64 bits are refused, although the format knows no bound.
#include "dht/base/bencode.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "dht/base/check.hpp"

namespace shoal::bencode {
namespace {

constexpr std::uint32_t open_slots = 3;  // of a list or dict that is not empty

bool is_digit(std::uint8_t c) { return c >= '0' && c <= '9'; }

// Where the body of a string starts and its length, by the rules of both modes: a length without leading
// zeros that the input covers. An error otherwise.
struct StringSpan {
  std::uint32_t body = 0;
  std::uint32_t size = 0;
};
Result<StringSpan> scan_string(ByteView input, std::size_t at) {
  std::uint64_t size = 0;
  const std::size_t first = at;
  for (; at < input.size() && is_digit(input[at]); ++at) {
    if (at > first && size == 0) return fail(Code::non_canonical, "a string's length has no leading zero");
    size = size * 10 + (input[at] - '0');
    if (size > input.size()) return fail(Code::malformed, "a string is longer than the input");
  }
  if (at == input.size() || input[at] != ':')
    return fail(Code::malformed, "a string's length ends with a colon");
  ++at;
  if (size > input.size() - at) return fail(Code::malformed, "a string is longer than the input");
  return StringSpan{static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(size)};
}

// The integer whose 'i' is at `at`, and the offset behind its 'e'.
struct IntegerSpan {
  std::int64_t value = 0;
  std::size_t end = 0;
};
Result<IntegerSpan> scan_integer(ByteView input, std::size_t at) {
  const std::string_view text = as_text(input);
  const std::size_t first = at + 1;
  const bool minus = first < text.size() && text[first] == '-';
  const std::size_t digits = first + (minus ? 1 : 0);
  std::size_t end = digits;
  while (end < text.size() && is_digit(input[end])) ++end;
  if (end == digits) return fail(Code::malformed, "an integer has digits");
  if (end == text.size() || text[end] != 'e') return fail(Code::malformed, "an integer ends with e");
  if (text[digits] == '0' && (minus || end - digits > 1))
    return fail(Code::non_canonical, "an integer has no leading or negative zero");
  IntegerSpan out;
  if (std::from_chars(text.data() + first, text.data() + end, out.value).ec != std::errc{})
    return fail(Code::too_large, "an integer has 64 bits");
  out.end = end + 1;
  return out;
}

}  // namespace

// One pass over the input with a stack of its own.
class Document::Parser {
 public:
  Parser(Document& document, const Limits& limits)
      : input_(document.input_), limits_(limits), slots_(document.slots_) {}

  Result<void> run() {
    // At most one slot a byte, and two more for each list or dict that is still open.
    const std::size_t unfinished = static_cast<std::size_t>(std::max(limits_.depth, 0)) * (open_slots - 1);
    slots_.reserve(std::min(input_.size() + unfinished, std::size_t{limits_.tokens} * open_slots));
    do {
      if (auto done = step(); !done) return done;
    } while (!open_.empty());
    if (at_ != input_.size()) return fail(Code::malformed, "bytes after the value");
    return {};
  }

 private:
  struct Frame {
    std::uint32_t slot = 0;
    bool dict = false;
    bool wants_key = false;  // dicts: the next thing is a key or the end
    bool has_key = false;    // and `last` holds the latest one
    StringSpan last;
  };

  // Reads one thing: an end, a key, a leaf, or the start of a list or dict.
  Result<void> step() {
    if (at_ == input_.size()) return fail(Code::malformed, "ends before the value does");
    const std::uint8_t c = input_[at_];
    if (c == 'e' && !open_.empty()) return close();
    if (++tokens_ > limits_.tokens) return fail(Code::too_large, "too many values");
    if (!open_.empty() && open_.back().wants_key) return key();
    if (c == 'l' || c == 'd') return open(c == 'd');
    std::size_t end = 0;
    if (c == 'i') {
      const auto integer = scan_integer(input_, at_);
      if (!integer) return std::unexpected(integer.error());
      end = integer->end;
    } else if (is_digit(c)) {
      const auto string = scan_string(input_, at_);
      if (!string) return std::unexpected(string.error());
      end = std::size_t{string->body} + string->size;
    } else {
      return fail(Code::malformed, "a value starts with i, l, d or a digit");
    }
    slots_.push_back(static_cast<std::uint32_t>(at_));
    at_ = end;
    value_ends();
    return {};
  }

  Result<void> key() {
    Frame& dict = open_.back();
    if (!is_digit(input_[at_])) return fail(Code::malformed, "a dict's key is a string");
    const auto string = scan_string(input_, at_);
    if (!string) return std::unexpected(string.error());
    if (limits_.mode == Mode::strict && dict.has_key && text_of(*string) <= text_of(dict.last))
      return fail(Code::non_canonical, "a dict's keys rise");
    dict.last = *string;
    dict.has_key = true;
    dict.wants_key = false;
    slots_.push_back(static_cast<std::uint32_t>(at_));
    at_ = std::size_t{string->body} + string->size;
    return {};
  }

  Result<void> open(bool dict) {
    if (open_.size() >= static_cast<std::size_t>(std::max(limits_.depth, 0)))
      return fail(Code::too_large, "nested too deep");
    const auto slot = static_cast<std::uint32_t>(slots_.size());
    slots_.push_back(static_cast<std::uint32_t>(at_));
    ++at_;
    if (at_ < input_.size() && input_[at_] == 'e') {  // empty: one slot, as a leaf
      ++at_;
      value_ends();
      return {};
    }
    slots_.resize(slots_.size() + open_slots - 1);
    open_.push_back({.slot = slot, .dict = dict, .wants_key = dict, .has_key = false, .last = {}});
    return {};
  }

  Result<void> close() {
    const Frame& frame = open_.back();
    if (frame.dict && !frame.wants_key) return fail(Code::malformed, "a dict's key has a value");
    ++at_;
    slots_[frame.slot + 1] = static_cast<std::uint32_t>(slots_.size());
    slots_[frame.slot + 2] = static_cast<std::uint32_t>(at_);
    open_.pop_back();
    value_ends();
    return {};
  }

  void value_ends() {
    if (!open_.empty() && open_.back().dict) open_.back().wants_key = true;
  }

  [[nodiscard]] std::string_view text_of(StringSpan span) const {
    return as_text(input_).substr(span.body, span.size);
  }

  ByteView input_;
  const Limits& limits_;
  std::vector<std::uint32_t>& slots_;
  std::vector<Frame> open_;
  std::size_t at_ = 0;
  std::uint64_t tokens_ = 0;
};

Result<Document> Document::parse(ByteView input, const Limits& limits) {
  if (input.size() >= std::numeric_limits<std::uint32_t>::max())
    return fail(Code::too_large, "longer than 4 GiB");
  Document out;
  out.input_ = input;
  out.mode_ = limits.mode;
  if (auto parsed = Parser{out, limits}.run(); !parsed) return std::unexpected(parsed.error());
  return out;
}

bool Document::is_open(std::uint32_t slot) const {
  const std::uint32_t begin = slots_[slot];
  return (input_[begin] == 'l' || input_[begin] == 'd') && input_[begin + 1] != 'e';
}

std::uint32_t Document::end(std::uint32_t slot) const {
  const std::uint32_t begin = slots_[slot];
  if (is_open(slot)) return slots_[slot + 2];
  if (is_digit(input_[begin])) {
    const ByteView body = string_at(slot);
    return static_cast<std::uint32_t>(body.data() - input_.data() + static_cast<std::ptrdiff_t>(body.size()));
  }
  std::uint32_t at = begin + 1;  // an integer, or an empty list or dict
  while (input_[at] != 'e') ++at;
  return at + 1;
}

ByteView Document::string_at(std::uint32_t slot) const {
  const auto span = scan_string(input_, slots_[slot]);
  SHOAL_CHECK(span.has_value());
  return input_.subspan(span->body, span->size);
}

// The list element at `slot`, or the pair of a dict whose key is there.
Value Document::item_at(std::uint32_t slot, bool in_dict) const {
  return in_dict ? Value{this, slot + 1, slot} : Value{this, slot, Value::no_key};
}

Type Value::type() const {
  if (document_ == nullptr) return Type::none;
  switch (document_->input_[document_->slots_[slot_]]) {
    case 'i':
      return Type::integer;
    case 'l':
      return Type::list;
    case 'd':
      return Type::dict;
    default:
      return Type::string;
  }
}

std::optional<std::int64_t> Value::integer() const {
  if (type() != Type::integer) return std::nullopt;
  const auto span = scan_integer(document_->input_, document_->slots_[slot_]);
  SHOAL_CHECK(span.has_value());
  return span->value;
}

std::optional<ByteView> Value::string() const {
  if (type() != Type::string) return std::nullopt;
  return document_->string_at(slot_);
}

std::optional<std::string_view> Value::text() const {
  if (type() != Type::string) return std::nullopt;
  return as_text(document_->string_at(slot_));
}

ByteView Value::raw() const {
  if (document_ == nullptr) return {};
  const std::uint32_t begin = document_->slots_[slot_];
  return document_->input_.subspan(begin, document_->end(slot_) - begin);
}

std::uint32_t Value::size() const {
  std::uint32_t count = 0;
  for (Value item = first(); item; item = item.next()) ++count;
  return count;
}

Value Value::find(std::string_view key) const {
  if (type() != Type::dict) return {};
  for (Value item = first(); item; item = item.next()) {
    const std::string_view found = as_text(item.key());
    if (found == key) return item;
    if (found > key && document_->mode_ == Mode::strict) break;  // keys rise
  }
  return {};
}

Value Value::first() const {
  if (document_ == nullptr || !document_->is_open(slot_)) return {};
  return document_->item_at(slot_ + open_slots, type() == Type::dict);
}

Value Value::next() const {
  if (document_ == nullptr) return {};
  const std::uint32_t end = document_->end(slot_);
  // The root ends with the input; of its parent's items the last is followed by the parent's e.
  if (end == document_->input_.size() || document_->input_[end] == 'e') return {};
  const std::uint32_t after = document_->is_open(slot_) ? document_->slots_[slot_ + 1] : slot_ + 1;
  return document_->item_at(after, key_ != no_key);
}

ByteView Value::key() const {
  return document_ == nullptr || key_ == no_key ? ByteView{} : document_->string_at(key_);
}

void Writer::value_begins() {
  if (frames_.empty() || !frames_.back().dict) return;
  SHOAL_CHECK(frames_.back().wants_value);
  frames_.back().wants_value = false;
}

Writer& Writer::begin_dict() {
  value_begins();
  out_.push_back('d');
  frames_.push_back({.dict = true, .has_key = false, .wants_value = false, .last = {}});
  return *this;
}

Writer& Writer::begin_list() {
  value_begins();
  out_.push_back('l');
  frames_.push_back({});
  return *this;
}

Writer& Writer::end() {
  SHOAL_CHECK(!frames_.empty() && !frames_.back().wants_value);
  frames_.pop_back();
  out_.push_back('e');
  return *this;
}

Writer& Writer::key(std::string_view key) {
  SHOAL_CHECK(!frames_.empty() && frames_.back().dict && !frames_.back().wants_value);
  Frame& dict = frames_.back();
  SHOAL_CHECK(!dict.has_key || dict.last < key);
  dict.last.assign(key);
  dict.has_key = true;
  append_string(as_bytes(key));
  dict.wants_value = true;
  return *this;
}

Writer& Writer::integer(std::int64_t value) {
  value_begins();
  std::array<char, 24> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  SHOAL_CHECK(error == std::errc{});
  out_.push_back('i');
  append(out_, as_bytes({text.data(), end}));
  out_.push_back('e');
  return *this;
}

Writer& Writer::string(ByteView value) {
  value_begins();
  append_string(value);
  return *this;
}

Writer& Writer::raw(ByteView encoded) {
  value_begins();
  append(out_, encoded);
  return *this;
}

void Writer::append_string(ByteView value) {
  std::array<char, 24> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value.size());
  SHOAL_CHECK(error == std::errc{});
  append(out_, as_bytes({text.data(), end}));
  out_.push_back(':');
  append(out_, value);
}

}  // namespace shoal::bencode
