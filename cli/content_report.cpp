// The life of a content, told (content_report.hpp).
#include "cli/content_report.hpp"

#include <fmt/format.h>

#include "cli/quantity.hpp"
#include "storage/names.hpp"

namespace shoal::cli {
namespace {

using What = swarm::ContentEvent::What;

constexpr std::chrono::seconds patience{8};  // before people hear that nobody answers: two rounds of look-ups

// Every event of a content names it: one command may serve several.
EventLine of_content(const char* event, const swarm::ContentStatus& status) {
  return EventLine{event}.text("id", to_hex(status.id));
}

EventLine progress_event(const swarm::ContentStatus& status) {
  return of_content("progress", status)
      .text("phase", phase_name(status.phase))
      .count("bytes_done", status.bytes_verified)
      .count("bytes_committed", status.bytes_committed)
      .count("bytes_wanted", status.bytes_wanted)
      .count("received", status.received)
      .count("sent", status.sent)
      .count("wasted", status.wasted)
      .count("down_rate", static_cast<std::uint64_t>(status.down_rate))
      .count("up_rate", static_cast<std::uint64_t>(status.up_rate))
      .count("peers", status.peers)
      .count("seeds", status.seeds)
      .count("candidates", status.candidates);
}

}  // namespace

std::string_view format_name(const storage::Content& content) {
  if (!content.v1) return "BitTorrent v2";
  return content.v2 ? "hybrid (BitTorrent v1 and v2)" : "BitTorrent v1";
}

EventLine with_ids(EventLine line, const storage::Content& content) {
  line.text("id", content.v2 ? to_hex(content.id) : to_hex(*content.v1));
  if (content.v1) line.text("v1", to_hex(*content.v1));
  return line;
}

ContentReport::ContentReport(Report& report, Doing doing, std::string name, std::string folder)
    : report_(report), doing_(doing), name_(std::move(name)), folder_(std::move(folder)) {}

void ContentReport::event(const swarm::ContentEvent& event, const swarm::ContentStatus& status) {
  switch (event.what) {
    case What::announced:
    case What::seeded:
    case What::closed:
      break;  // the command's own concern
    case What::published:
      report_.event(of_content("published", status).count("nodes", event.count));
      break;
    case What::metadata:
      metadata(status);
      break;
    case What::attached:
      report_.event(of_content("attached", status).count("have_bytes", status.bytes_verified));
      progress(status);
      break;
    case What::receiving:
      report_.event(of_content("receiving", status));
      break;
    case What::paused_no_space:
      report_.event(of_content("paused", status).text("reason", "no_space"));
      break;
    case What::resumed:
      report_.event(of_content("resumed", status));
      break;
    case What::file_changed:
      report_.event(of_content("file_changed", status)
                        .text("path", storage::escape_for_display(event.path))
                        .text("reason", what_was_wrong(event.error, {})));
      break;
    case What::complete:
      complete(status);
      break;
    case What::copy_out:
      report_.event(of_content("copy_out", status));
      break;
    case What::failed:
      failure_ = failure_of(doing_, event.error, event.path);
      report_.failure(*failure_);
      break;
    case What::no_contact:
      report_.event(of_content("no_contact", status));
      break;
    case What::peer_banned:
      report_.event(of_content("peer_banned", status).count("blocks", event.count));
      break;
  }
  sentence(event);
}

void ContentReport::sentence(const swarm::ContentEvent& event) {
  switch (event.what) {
    case What::paused_no_space:
      report_.say(
          event.count > 0
              ? fmt::format(
                    "the disk of '{}' has too little room: {} more are needed; waiting until there is",
                    storage::escape_for_display(folder_), show_size(event.count))
              : fmt::format("'{}': {}; waiting until there is room", storage::escape_for_display(folder_),
                            event.error.rule));
      break;
    case What::resumed:
      report_.say("there is room again: going on");
      break;
    case What::file_changed:
      report_.say(event.error.code == Code::mismatch
                      ? fmt::format("'{}' is no longer what was verified; hashing it again",
                                    storage::escape_for_display(event.path))
                      : fmt::format("{}; reading it again", what_was_wrong(event.error, event.path)));
      break;
    case What::peer_banned:
      report_.say("a peer sent corrupt data and is ignored from now on");
      break;
    case What::no_contact:
      // A sharer may well be the first of its network. A getter has somebody to ask, and gives them a moment.
      if (!told_no_contact_ && doing_ == Doing::fetching &&
          std::chrono::steady_clock::now() - begun_ >= patience) {
        report_.say("nobody answers yet; a node to start from can be given with --bootstrap HOST:PORT");
        told_no_contact_ = true;
      }
      break;
    default:
      break;
  }
}

void ContentReport::metadata(const swarm::ContentStatus& status) {
  if (!status.content) return;
  const storage::Content& content = *status.content;
  name_ = content.name;
  report_.event(of_content("metadata", status)
                    .text("name", storage::escape_for_display(content.name))
                    .count("bytes", content.bytes)
                    .count("files", content.files.size())
                    .count("pieces", content.pieces));
  if (doing_ == Doing::fetching)
    report_.say(fmt::format("'{}': {}, {}", storage::escape_for_display(content.name),
                            counted(content.files.size(), "file", "files"), show_size(content.bytes)));
}

void ContentReport::complete(const swarm::ContentStatus& status) {
  progress(status);
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
  report_.event(of_content("complete", status)
                    .count("bytes", status.bytes_wanted)
                    .count("received", status.received)
                    .number("seconds", took));
  if (doing_ != Doing::fetching) return;
  const std::string lies = storage::escape_for_display(status.root_name.empty() ? name_ : status.root_name);
  if (status.received == 0) {
    report_.say(fmt::format("whole already: '{}' in '{}'", lies, storage::escape_for_display(folder_)));
    return;
  }
  const double rate = took > 0 ? static_cast<double>(status.received) / took : 0;
  report_.say(fmt::format("whole and verified: '{}' in '{}', {} received in {} ({})", lies,
                          storage::escape_for_display(folder_), show_size(status.received),
                          show_duration(took), show_rate(rate)));
}

void ContentReport::progress(const swarm::ContentStatus& status) {
  EventLine now = progress_event(status);
  if (last_ == now) return;
  report_.event(now);
  last_ = std::move(now);
}

std::string ContentReport::line(const swarm::ContentStatus& status) const {
  return progress_line(status, name_, report_.columns(), report_.colour());
}

}  // namespace shoal::cli
