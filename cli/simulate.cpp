// `simulate`: runs a scenario and shows what it gives: rows as a table or as JSON, a plot as SVG. What stands
// on stdout and in the plot is a function of the scenario, its parameters and the seed; the clock is read for
// the line of progress alone.
//
// A scenario runs on the program's only thread: without a second one the C library and shared pointers need
// no locks. So signals are not awaited by the reactor but noted, and the scenario's own reports of progress
// look.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <optional>

#include <fmt/format.h>

#include "cli/args_simulate.hpp"
#include "cli/commands.hpp"
#include "cli/new_file.hpp"
#include "cli/plot.hpp"
#include "cli/table.hpp"
#include "storage/names.hpp"

namespace shoal::cli {
namespace {

volatile std::sig_atomic_t stop_asked = 0;  // the only thing a handler may touch

// The second signal ends the program: a scenario may be long in coming to its next report.
extern "C" void note_stop(int) {
  if (stop_asked != 0) std::_Exit(static_cast<int>(Exit::interrupted));
  stop_asked = 1;
}

// Catches what ends a program from a keyboard, a script or a closed terminal, as long as it lives.
class StopSignals {
 public:
  StopSignals() {
    stop_asked = 0;
    struct sigaction action{};
    action.sa_handler = note_stop;
    action.sa_flags = SA_RESTART;
    for (std::size_t i = 0; i < caught.size(); ++i) ::sigaction(caught[i], &action, &before_[i]);
  }
  ~StopSignals() {
    for (std::size_t i = 0; i < caught.size(); ++i) ::sigaction(caught[i], &before_[i], nullptr);
  }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  [[nodiscard]] static bool asked() { return stop_asked != 0; }

 private:
  static constexpr std::array caught{SIGINT, SIGTERM, SIGHUP};
  std::array<struct sigaction, caught.size()> before_{};
};

// Shows how far a scenario is, and tells it when to end.
class Watch {
 public:
  Watch(Report& report, const char* name) : report_(report), name_(name) {}

  bool report(double part, std::string_view what) {
    if (StopSignals::asked()) {
      stopped_ = true;
      return false;
    }
    const auto now = std::chrono::steady_clock::now();
    if (last_ && now - *last_ < redraw_every) return true;
    last_ = now;
    const double took = std::chrono::duration<double>(now - begun_).count();
    report_.progress(simulation_line(name_, part, what, took, report_.columns()));
    return true;
  }
  [[nodiscard]] bool stopped() const { return stopped_; }

 private:
  static constexpr std::chrono::milliseconds redraw_every{200};
  Report& report_;
  const char* name_;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::optional<std::chrono::steady_clock::time_point> last_;
  bool stopped_ = false;
};

// The command that gives the same result again.
std::string command_line(const Simulation& what) {
  std::string out = fmt::format("shoal simulate {} --seed {}", what.run->name, what.seed);
  for (const sim::Parameter& each : what.run->parameters) {
    const double value = what.parameters.find(each.name)->second;
    if (value != each.usual) out += fmt::format(" --{} {}", each.name, value);
  }
  return out;
}

void tell_scenarios(Report& report, std::span<const sim::Scenario> list) {
  for (const sim::Scenario& scenario : list) {
    report.data(fmt::format("{}: {}", scenario.name, scenario.about));
    report.event(EventLine{"scenario"}.text("name", scenario.name).text("about", scenario.about));
    std::size_t longest = 0;
    for (const sim::Parameter& each : scenario.parameters)
      longest = std::max(longest, std::string_view{each.name}.size());
    for (const sim::Parameter& each : scenario.parameters) {
      report.data(fmt::format("    --{:<{}}  {} ({}; {})", each.name, longest, each.about, each.usual,
                              range_of(each)));
      report.event(EventLine{"parameter"}
                       .text("scenario", scenario.name)
                       .text("name", each.name)
                       .text("about", each.about)
                       .number("usual", each.usual)
                       .number("least", each.least)
                       .number("most", each.most));
    }
  }
}

EventLine row_event(const char* scenario, const sim::Report& found, const sim::Row& row) {
  EventLine line{scenario};
  for (std::size_t i = 0; i < std::min(row.cells.size(), found.columns.size()); ++i) {
    const char* key = found.columns[i].key;
    if (const auto* whole = std::get_if<std::int64_t>(&row.cells[i])) line.integer(key, *whole);
    if (const auto* number = std::get_if<double>(&row.cells[i]); number && std::isfinite(*number))
      line.number(key, *number);
    if (const auto* text = std::get_if<std::string>(&row.cells[i]))
      line.text(key, storage::escape_for_display(*text));
  }
  return line;
}

void tell(Report& report, const Simulation& what, const sim::Report& found) {
  report.clear_progress();
  if (!found.rows.empty())
    for (const std::string& line : render_table(found.columns, found.rows)) report.data(line);
  for (const sim::Row& row : found.rows) {
    report.stamp(row.at);
    report.event(row_event(what.run->name, found, row));
  }
  const std::string command = command_line(what);
  report.event(EventLine{"notes"}.text("command", command).list("notes", found.notes));
  report.say(command);
  for (const std::string& note : found.notes) report.say(note);
}

}  // namespace

Outcome<Exit> simulate_command(CommandRoom& room) {
  const Simulation& what = room.options.simulation;
  room.report.stamp(WallTime{});  // until a row says what time it is in its world
  if (what.run == nullptr) {
    tell_scenarios(room.report, what.list);
    return Exit::done;
  }
  constexpr const char* flag = "--svg";
  if (!what.svg.empty())  // before a run that may take hours
    if (auto free = expect_free(what.svg, flag); !free) return std::unexpected(std::move(free.error()));
  const StopSignals signals;
  Watch watch{room.report, what.run->name};
  sim::Order order{what.seed, what.parameters, {}};
  order.progress = [&watch](double part, std::string_view at) { return watch.report(part, at); };
  const sim::Report found = what.run->run(order);
  tell(room.report, what, found);
  if (watch.stopped()) {
    room.report.say("stopped before its end: these are the rows known by then, and no plot is drawn");
    return Exit::interrupted;
  }
  if (what.svg.empty()) return Exit::done;
  if (!found.plot)
    return give_up(Exit::usage,
                   fmt::format("{} has nothing to draw; run it without {}", what.run->name, flag));
  const std::string svg = draw_plot(*found.plot, command_line(what));
  if (auto written = write_new_file(what.svg, as_bytes(svg), flag); !written)
    return std::unexpected(std::move(written.error()));
  room.report.event(EventLine{"drawn"}.text("path", storage::escape_for_display(what.svg)));
  room.report.say(fmt::format("drew '{}'", storage::escape_for_display(what.svg)));
  return Exit::done;
}

}  // namespace shoal::cli
