// ContentReport: tells the life of one content, to people and as events. It follows what the session says and
// decides nothing.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "cli/report.hpp"
#include "swarm/session.hpp"

namespace shoal::cli {

// "BitTorrent v1", "BitTorrent v2" or "hybrid (BitTorrent v1 and v2)".
[[nodiscard]] std::string_view format_name(const storage::Content& content);
// Adds `id`, 64 digits (v1 alone: 40), and `v1`, 40 digits, where the content has that part.
[[nodiscard]] EventLine with_ids(EventLine line, const storage::Content& content);

class ContentReport {
 public:
  // `name`: raw, as known so far. `doing`: for the sentence of a failure.
  ContentReport(Report& report, Doing doing, std::string name, std::string folder);

  // `status`: of this content, after the event.
  void event(const swarm::ContentEvent& event, const swarm::ContentStatus& status);
  // Once a second: an event where something changed.
  void progress(const swarm::ContentStatus& status);
  [[nodiscard]] std::string line(const swarm::ContentStatus& status) const;
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::optional<Failure>& failure() const { return failure_; }

 private:
  void metadata(const swarm::ContentStatus& status);
  void complete(const swarm::ContentStatus& status);
  void sentence(const swarm::ContentEvent& event);

  Report& report_;
  Doing doing_;
  std::string name_, folder_;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::optional<EventLine> last_;
  std::optional<Failure> failure_;
  bool told_no_contact_ = false;
};

}  // namespace shoal::cli
