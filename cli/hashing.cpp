// Bulk work beside the reactor (hashing.hpp).
#include "cli/hashing.hpp"

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "cli/quantity.hpp"
#include "cli/state.hpp"

namespace shoal::cli {
namespace {

constexpr std::chrono::milliseconds redraw_every{250};

class Progress {
 public:
  Progress(Report& report, storage::HashProgress& counts) : report_(report), counts_(counts) {}
  void show() {
    const std::uint64_t done = counts_.done_bytes.load(), total = counts_.total_bytes.load();
    if (total == 0) return;
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
    report_.progress(hashing_line(std::min(done, total), total, took, report_.columns()));
    if (++calls_ % 4 != 0 || done == told_) return;
    told_ = done;
    report_.event(EventLine{"hashing"}.count("done", done).count("total", total));
  }

 private:
  Report& report_;
  storage::HashProgress& counts_;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::uint64_t told_ = 0;
  unsigned calls_ = 0;
};

}  // namespace

void run_bulk(Reactor& reactor, Report& report, storage::HashProgress& progress,
              const std::function<void()>& work) {
  reactor.on_signal([&](int) {
    if (progress.cancel.exchange(true)) std::_Exit(static_cast<int>(Exit::interrupted));
  });
  bool done = false;
  const auto shown = std::make_shared<Progress>(report, progress);
  // The reactor keeps a periodic task for good: this one ends with the work.
  const auto going = std::make_shared<bool>(true);
  reactor.every(redraw_every, [shown, going] {
    if (*going) shown->show();
  });
  std::thread worker{[&] {
    work();
    reactor.post([&] {
      done = true;
      reactor.stop();
    });
  }};
  while (!done) reactor.run();
  worker.join();
  *going = false;
  report.clear_progress();
  const std::uint64_t total = progress.total_bytes.load();
  if (total > 0)
    report.event(EventLine{"hashing"}.count("done", progress.done_bytes.load()).count("total", total));
  reactor.on_signal([](int) { std::_Exit(static_cast<int>(Exit::interrupted)); });
}

Outcome<std::vector<std::string>> absolute_paths(const std::vector<std::string>& paths) {
  const auto here = working_folder();
  if (!here) return std::unexpected(here.error());
  std::vector<std::string> out;
  for (const std::string& path : paths) {
    if (path.empty()) return give_up(Exit::usage, "a path is not empty; name a file or folder");
    out.push_back(absolute_path(path, *here));
  }
  return out;
}

std::string left_out(std::uint32_t links, std::uint32_t special, std::uint32_t folders) {
  std::string out;
  const auto add = [&](std::uint32_t count, std::string_view one, std::string_view many) {
    if (count > 0) out += (out.empty() ? "left out: " : ", ") + counted(count, one, many);
  };
  add(links, "symbolic link that leads outside", "symbolic links that lead outside");
  add(special, "pipe, socket or device", "pipes, sockets or devices");
  add(folders, "empty folder", "empty folders");
  return out;
}

}  // namespace shoal::cli
