// Report: what a command tells. stdout takes data alone (a link, JSON); stderr is for people: sentences, and
// one line of progress that is redrawn on a terminal and repeated every 10 s elsewhere. Every line is written
// at once.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "cli/args.hpp"
#include "cli/exit_code.hpp"
#include "cli/render.hpp"
#include "cli/render_json.hpp"

namespace shoal::cli {

// What stderr is. `live`: a terminal on which a line can be redrawn.
struct Terminal {
  bool live = false;
  Colour colour = Colour::none;
  unsigned fixed_columns = 0;  // from COLUMNS; 0: ask the terminal each time
  int fd = 2;
  [[nodiscard]] unsigned columns() const;
};
using Environment = std::function<const char*(const char*)>;                 // getenv, or a table
[[nodiscard]] Terminal terminal_of(int fd, const Environment& environment);  // COLUMNS, NO_COLOR, TERM

class Report {
 public:
  Report(Form form, Talk talk, Terminal terminal, int out_fd = 1, int err_fd = 2);
  ~Report();
  Report(const Report&) = delete;
  Report& operator=(const Report&) = delete;

  [[nodiscard]] bool json() const { return form_ == Form::json; }
  [[nodiscard]] unsigned columns() const { return terminal_.live ? terminal_.columns() : 1000; }
  [[nodiscard]] Colour colour() const { return terminal_.live ? terminal_.colour : Colour::none; }

  // From now on events bear this time in place of the clock's: that of a virtual world.
  void stamp(WallTime time) { virtual_time_ = time; }
  void event(const EventLine& line);     // with --json alone
  void data(std::string_view line);      // to stdout, without --json alone
  void say(std::string_view sentence);   // to people, unless --quiet
  void warn(std::string_view sentence);  // to people, always
  void failure(const Failure& failure);  // to people, always, and as an event
  // The progress at this time: redrawn on a terminal; elsewhere shown when the last one is 10 s old.
  void progress(std::string_view line);
  void clear_progress();

 private:
  void write(int fd, std::string_view text);
  Form form_;
  Talk talk_;
  Terminal terminal_;
  int out_fd_, err_fd_;
  std::optional<WallTime> virtual_time_;
  bool drawn_ = false;  // a progress line stands on the terminal
  std::optional<std::chrono::steady_clock::time_point> last_plain_;
};

}  // namespace shoal::cli
