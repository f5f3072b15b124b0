// Names that no file should have: what other clients fell for, and what chance makes of their parts.
//
// Length: the first table is one list, a line a name.
#pragma once

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "dht/base/random.hpp"

namespace shoal::storage::fixture {

// Two hundred names that have hurt some client, and some that look as if they could. None may lead out of its
// folder, all but the refused ones are kept as they are.
inline std::vector<std::string> hostile_names() {
  using std::string_literals::operator""s;
  std::vector<std::string> out{"",
                               ".",
                               "..",
                               "/",
                               "//",
                               "a/b",
                               "/etc/passwd",
                               "../x",
                               "a/..",
                               "./a",
                               "a/",
                               "/a",
                               "\0"s,
                               "a\0"s,
                               "\0a"s,
                               "a\0/../b"s,
                               "...",
                               "....",
                               ". ",
                               " .",
                               ".. ",
                               " ..",
                               "..\t",
                               "..\n",
                               ".\0."s,
                               "..\\x",
                               "\\",
                               "\\\\server\\share",
                               "C:",
                               "C:\\x",
                               "c:x",
                               "~",
                               "~root",
                               "-",
                               "--",
                               "-rf",
                               "--help",
                               "*",
                               "?",
                               "$HOME",
                               "$(id)",
                               "`id`",
                               "; rm -rf",
                               "| sh",
                               "&&",
                               ">x",
                               "<x",
                               "\"",
                               "'",
                               "%",
                               "%s",
                               "%n%n",
                               "%00",
                               "%2e%2e",
                               "%2F",
                               "..%2f",
                               "&#46;",
                               "{a,b}",
                               "[x]",
                               "#",
                               "!",
                               "a b",
                               " ",
                               "  ",
                               "\t",
                               "\n",
                               "\r",
                               "\r\n",
                               "\b",
                               "\x1b",
                               "\x1b[2J",
                               "\x1b]8;;http://x\x07",
                               "\x1b[31mred\x1b[0m",
                               "\x7f",
                               "\x01",
                               "\x9b"
                               "2J",
                               "\xc2\x9b"
                               "2J",
                               "\xc2\x80",
                               "\xc2\x85",
                               "\xc2\xa0",
                               "\xc2\xad",
                               "\xd8\x9c",
                               "\xe2\x80\x8b",
                               "\xe2\x80\x8c",
                               "\xe2\x80\x8d",
                               "\xe2\x80\x8e",
                               "\xe2\x80\x8f",
                               "\xe2\x80\xa8",
                               "\xe2\x80\xa9",
                               "\xe2\x80\xaa",
                               "\xe2\x80\xab",
                               "\xe2\x80\xac",
                               "\xe2\x80\xad",
                               "\xe2\x80\xae",
                               "gpj\xe2\x80\xae.exe",
                               "\xe2\x81\xa0",
                               "\xe2\x81\xa6",
                               "\xe2\x81\xa9",
                               "\xef\xbb\xbf",
                               "\xef\xbf\xb9",
                               "\xef\xbf\xbe",
                               "\xef\xbf\xbf",
                               "\xef\xbf\xbd",
                               "\xf3\xa0\x80\x81",
                               "\xf0\x9f\x98\x80",
                               "\xc0\xae",
                               "\xc0\xae\xc0\xae",
                               "\xc0\xaf",
                               "\xe0\x80\xaf",
                               "\xf0\x80\x80\xaf",
                               "\xf8\x80\x80\x80\xaf",
                               "\xed\xa0\x80",
                               "\xed\xbf\xbf",
                               "\xf4\x90\x80\x80",
                               "\xff",
                               "\xfe\xff",
                               "\x80",
                               "\xbf",
                               "\xc3",
                               "\xe2\x80",
                               "\xf0\x9f\x98",
                               "a\xc3z",
                               "\xef\xbc\x8f",
                               "\xe2\x88\x95",
                               "\xe2\x81\x84",
                               "\xef\xbc\x8e\xef\xbc\x8e",
                               "\xe2\x80\xa4\xe2\x80\xa4",
                               "\xe2\x80\xa6",
                               "con",
                               "CON",
                               "nul",
                               "NUL.txt",
                               "aux",
                               "com1",
                               "lpt9",
                               "prn",
                               "CLOCK$",
                               "desktop.ini",
                               "autorun.inf",
                               "Thumbs.db",
                               ".DS_Store",
                               ".bashrc",
                               ".ssh",
                               ".git",
                               "x.",
                               "x ",
                               "x.part",
                               ".part",
                               "x::$DATA",
                               "x:stream",
                               "<script>",
                               "<img src=x onerror=alert(1)>",
                               "';DROP TABLE files;--",
                               "a\"b",
                               "javascript:alert(1)",
                               "file:///etc/passwd",
                               "http://x",
                               "\xcc\x81",
                               "e\xcc\x81",
                               "\xc3\xa9",
                               "\xe1\xbb\x87",
                               "A",
                               "a",
                               "\xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7",
                               "\xe5\x90\x8d\xe5\x89\x8d",
                               "0",
                               "00",
                               "1e9",
                               "nan",
                               "null",
                               "undefined",
                               "true",
                               "-1",
                               "2147483648"};
  out.emplace_back(255, 'n');
  out.emplace_back(256, 'n');
  out.emplace_back(4096, 'n');
  out.emplace_back(70000, '.');
  out.push_back(std::string(254, 'x') + "\xc3");
  for (char c = 1; c < 0x20; ++c) out.push_back("c"s + c);
  return out;
}

// The rule, told independently: what the kernel would take for something else than one entry of this folder.
inline bool leaves_its_folder(std::string_view name) {
  return name.empty() || name == "." || name == ".." || std::ranges::count(name, '/') > 0 ||
         std::ranges::count(name, '\0') > 0;
}

// So many names, all different: those above, then strings of one to six of their kind of parts, then strings
// of any bytes and of lengths about the limit. The same in every run.
inline std::vector<std::string> many_hostile_names(std::size_t count) {
  using std::string_literals::operator""s;
  static const std::string parts[] = {"..",       ".",
                                      "/",        "\\",
                                      "\0"s,      "a",
                                      "%2e",      "%2f",
                                      "%",        ":",
                                      "~",        " ",
                                      "\t",       "\n",
                                      "\x1b[2J",  "con",
                                      ".part",    "\xc0\xae",
                                      "\xc0\xaf", "\xe2\x80\xae",
                                      "\xff",     "\xef\xbc\x8f",
                                      "C:",       "$(id)",
                                      "*",        "etc",
                                      "passwd",   "..\\",
                                      "-",        "\xe5\x90\x8d"};
  std::vector<std::string> out;
  std::set<std::string> seen;
  const auto add = [&](std::string name) {
    if (out.size() < count && seen.insert(name).second) out.push_back(std::move(name));
  };
  for (std::string& name : hostile_names()) add(std::move(name));
  Random random{ByteArray<32>{19}};
  while (out.size() < count) {
    std::string name;
    if (random.below(4) > 0) {
      for (std::uint64_t n = 1 + random.below(6); n > 0; --n) name += parts[random.below(std::size(parts))];
    } else {
      name.resize(random.below(2) > 0 ? 1 + random.below(40) : 250 + random.below(10));
      for (char& c : name) c = static_cast<char>(random.below(256));
    }
    add(std::move(name));
  }
  return out;
}

}  // namespace shoal::storage::fixture
