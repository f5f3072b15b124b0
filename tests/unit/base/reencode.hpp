// Writes a decoded document out again, by walking it as any reader would. For the promise of both decoders:
// what is accepted has one spelling.
#pragma once

#include "dht/base/bencode.hpp"
#include "dht/base/msgpack.hpp"

namespace shoal::test {

// Recursion is bounded by the depth that the decoder was given.
inline void write_again(bencode::Value value, bencode::Writer& out) {
  switch (value.type()) {
    case bencode::Type::integer:
      out.integer(value.integer().value());
      break;
    case bencode::Type::string:
      out.string(value.string().value());
      break;
    case bencode::Type::list:
      out.begin_list();
      for (auto item = value.first(); item; item = item.next()) write_again(item, out);
      out.end();
      break;
    case bencode::Type::dict:
      out.begin_dict();
      for (auto item = value.first(); item; item = item.next()) {
        out.key(as_text(item.key()));
        write_again(item, out);
      }
      out.end();
      break;
    case bencode::Type::none:
      out.raw(as_bytes("none!"));
      break;
  }
}

[[nodiscard]] inline Bytes reencode(const bencode::Document& document) {
  Bytes out;
  bencode::Writer writer{out};
  write_again(document.root(), writer);
  return out;
}

inline void write_again(pack::Value value, pack::Writer& out) {
  switch (value.type()) {
    case pack::Type::nil:
      out.nil();
      break;
    case pack::Type::boolean:
      out.boolean(value.boolean().value());
      break;
    case pack::Type::unsigned_integer:
      out.number(value.number().value());
      break;
    case pack::Type::negative_integer:
      out.integer(value.integer().value());
      break;
    case pack::Type::binary:
      out.binary(value.binary().value());
      break;
    case pack::Type::text:
      out.text(value.text().value());
      break;
    case pack::Type::array:
      out.array(value.size());
      for (auto item = value.first(); item; item = item.next()) write_again(item, out);
      break;
    case pack::Type::map:
      out.map(value.size());
      for (auto item = value.first(); item; item = item.next()) {
        out.number(item.key().value());
        write_again(item, out);
      }
      break;
    case pack::Type::none:
      out.text("none!");
      break;
  }
}

[[nodiscard]] inline Bytes reencode(const pack::Document& document) {
  Bytes out;
  pack::Writer writer{out};
  write_again(document.root(), writer);
  return out;
}

}  // namespace shoal::test
