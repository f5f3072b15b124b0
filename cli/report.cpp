// Report (report.hpp), over write(2): no buffer of stdio holds a line back.
#include "cli/report.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>

#include <sys/ioctl.h>
#include <unistd.h>

#include "storage/names.hpp"

namespace shoal::cli {
namespace {

constexpr std::chrono::seconds plain_every{10};
constexpr unsigned usual_columns = 80, least_columns = 20, most_columns = 1000;

}  // namespace

unsigned Terminal::columns() const {
  if (fixed_columns != 0) return fixed_columns;
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return usual_columns;
  // The last column stays free: some terminals wrap as soon as it is written.
  return std::clamp(size.ws_col - 1U, least_columns, most_columns);
}

Terminal terminal_of(int fd, const Environment& environment) {
  Terminal out;
  out.fd = fd;
  const char* term = environment("TERM");
  out.live = ::isatty(fd) == 1 && term != nullptr && std::string_view{term} != "dumb";
  const char* no_colour = environment("NO_COLOR");
  out.colour = out.live && (no_colour == nullptr || *no_colour == '\0') ? Colour::some : Colour::none;
  if (const char* columns = environment("COLUMNS")) {
    unsigned value = 0;
    const char* end = columns + std::strlen(columns);
    if (const auto [at, error] = std::from_chars(columns, end, value);
        error == std::errc{} && at == end && value > 0)
      out.fixed_columns = std::clamp(value, least_columns, most_columns);
  }
  return out;
}

Report::Report(Form form, Talk talk, Terminal terminal, int out_fd, int err_fd)
    : form_(form), talk_(talk), terminal_(terminal), out_fd_(out_fd), err_fd_(err_fd) {}

Report::~Report() { clear_progress(); }

// Whoever reads us may be gone; then nobody misses the line.
void Report::write(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(put));
  }
}

void Report::event(const EventLine& line) {
  if (form_ != Form::json) return;
  const WallTime now = virtual_time_.value_or(
      std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now()));
  write(out_fd_, line.line(now) + "\n");
}

void Report::data(std::string_view line) {
  if (form_ == Form::json) return;
  clear_progress();
  write(out_fd_, std::string{line} + "\n");
}

void Report::warn(std::string_view sentence) {
  clear_progress();
  write(err_fd_, std::string{sentence} + "\n");
}

void Report::say(std::string_view sentence) {
  if (talk_ == Talk::usual) warn(sentence);
}

void Report::failure(const Failure& failure) {
  warn("shoal: " + failure.sentence + ".");
  EventLine line{"error"};
  line.count("exit", static_cast<std::uint64_t>(failure.exit)).text("message", failure.sentence);
  if (!failure.path.empty()) line.text("path", storage::escape_for_display(failure.path));
  event(line);
}

void Report::progress(std::string_view line) {
  if (talk_ == Talk::quiet) return;
  if (terminal_.live) {
    write(err_fd_, "\r" + std::string{line} + "\x1b[K");
    drawn_ = true;
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (last_plain_ && now - *last_plain_ < plain_every) return;
  if (last_plain_) write(err_fd_, std::string{line} + "\n");
  last_plain_ = last_plain_ ? *last_plain_ + plain_every : now;  // the first comes after 10 s
}

void Report::clear_progress() {
  if (drawn_) write(err_fd_, "\r\x1b[K");
  drawn_ = false;
}

}  // namespace shoal::cli
