// A pipe whose content is read once its writer is done: stands for stdout or stderr.
#pragma once

#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

namespace shoal::cli {

class Pipe {
 public:
  Pipe() { EXPECT_EQ(::pipe(ends_), 0); }
  ~Pipe() {
    close_writer();
    ::close(ends_[0]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  [[nodiscard]] int writer() const { return ends_[1]; }
  void close_writer() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }
  // Up to 64 KiB were written: a pipe holds no more, and nobody reads meanwhile.
  [[nodiscard]] std::string text() {
    close_writer();
    std::string out;
    char part[512];
    for (ssize_t got; (got = ::read(ends_[0], part, sizeof part)) > 0;)
      out.append(part, static_cast<std::size_t>(got));
    return out;
  }

 private:
  int ends_[2] = {-1, -1};
};

}  // namespace shoal::cli
