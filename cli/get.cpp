// `get`: opens what a link or torrent names, waits until it is whole, serves as long as asked for.
#include <filesystem>

#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/content_report.hpp"
#include "cli/hashing.hpp"
#include "cli/peer_process.hpp"
#include "cli/quantity.hpp"
#include "cli/source.hpp"
#include "storage/names.hpp"

namespace shoal::cli {
namespace {

class Getting final : public Duty {
 public:
  Getting(CommandRoom& room, PeerProcess& peer, swarm::OpenContent&& open, std::string name)
      : room_(room),
        peer_(peer),
        open_(std::move(open)),
        id_(open_.id),
        report_(room.report, Doing::fetching, std::move(name), open_.folder) {}

  void begin(const std::vector<Endpoint>& hints) override {
    open_.hints = hints;
    begun_ = std::chrono::steady_clock::now();
    command_ = peer_.host().command(std::move(open_));
  }

  void answered(const swarm::Answer& answer) override {
    const auto* event = std::get_if<swarm::ContentEvent>(&answer.what);
    if (event == nullptr || answer.command != command_) return;
    id_ = event->id;  // its own, once the metadata is here
    using What = swarm::ContentEvent::What;
    if (const auto status = look()) report_.event(*event, *status);
    switch (event->what) {
      case What::paused_no_space:
        paused_ = true;
        break;
      case What::resumed:
        paused_ = false;
        break;
      case What::complete:
        complete_ = true;
        break;
      case What::seeded:
        peer_.finish(Exit::done);
        break;
      case What::failed:
        peer_.finish(report_.failure() ? report_.failure()->exit : Exit::internal);
        break;
      default:
        break;
    }
  }

  void second() override {
    const auto status = look();
    if (!status) return;
    report_.progress(*status);
    room_.report.progress(report_.line(*status));
    met_ = met_ || status->peers > 0 || status->received > 0;
    if (met_ || complete_ || paused_ || room_.options.wait.count() == 0) return;
    if (std::chrono::steady_clock::now() - begun_ < room_.options.wait) return;
    const Failure failure = nobody();
    room_.report.failure(failure);
    peer_.finish(failure.exit);
  }

  Farewell interrupted() override {
    if (const auto status = look()) report_.progress(*status);  // the totals of this run
    if (complete_) return {Exit::done, "stopping"};
    if (paused_)
      return {Exit::disk_full, "stopped for want of room; free some and run the same command again to go on"};
    return {Exit::interrupted, "stopped; run the same command again to go on"};
  }

 private:
  // The last known one where the session has let go of the content already.
  std::optional<swarm::ContentStatus> look() {
    if (auto now = peer_.host().session().content(peer_.host().now(), id_)) seen_ = std::move(*now);
    return seen_;
  }

  [[nodiscard]] Failure nobody() const {
    const std::string time = show_duration(static_cast<double>(room_.options.wait.count()));
    if (!peer_.anybody_answered())
      return {Exit::no_contact,
              fmt::format(
                  "nobody answered within {}; check the network, or give a node with --bootstrap HOST:PORT",
                  time),
              {}};
    return {
        Exit::no_peer,
        fmt::format(
            "no peer of this content was found within {}; see that whoever shares it is online, then run the "
            "same command again",
            time),
        {}};
  }

  CommandRoom& room_;
  PeerProcess& peer_;
  swarm::OpenContent open_;
  storage::ContentId id_;
  ContentReport report_;
  std::chrono::steady_clock::time_point begun_{};
  swarm::CommandId command_ = 0;
  std::optional<swarm::ContentStatus> seen_ = swarm::ContentStatus{};
  bool met_ = false, complete_ = false, paused_ = false;
};

// What lies in one folder (a share, or a download) and is asked for in another is fetched there: the catalog
// keeps one place of a content, and the files of the other stay what they are. One that another process runs
// is in use, which the session says.
Outcome<void> fetch_anew(OpenState& state, Report& report, const swarm::OpenContent& open) {
  const auto broken = [&](const Error& error) {
    return std::unexpected(catalog_failure(error, state.catalog_path));
  };
  const auto kept = state.catalog->kept_as(open.id);
  if (!kept) return broken(kept.error());
  const auto lock = state.locks->acquire(storage::content_lock(*kept));
  if (!lock) return {};
  const auto found = state.catalog->find(*kept);
  if (!found) return broken(found.error());
  if (!*found || (*found)->folder == open.folder) return {};
  const bool download = (*found)->role == storage::ContentRole::download;
  std::error_code error;  // none of a folder that is gone, too
  if (download && std::filesystem::equivalent((*found)->folder, open.folder, error)) return {};
  if (const auto removed = state.catalog->remove(*kept); !removed) return broken(removed.error());
  if (download)
    report.warn(
        fmt::format("what was fetched of this before, into '{}', stays there; it is fetched anew into '{}'",
                    (*found)->folder, open.folder));
  return {};
}

}  // namespace

Outcome<Exit> get_command(CommandRoom& room) {
  auto source = read_source(room.options.source);
  if (!source) return std::unexpected(source.error());
  const auto folder = absolute_paths({room.options.output.empty() ? std::string{"."} : room.options.output});
  if (!folder) return std::unexpected(folder.error());
  swarm::OpenContent open;
  open.folder = folder->front();
  open.only = room.options.only;
  open.seed = room.options.seed;
  std::vector<storage::HostPort> hosts;
  std::string name;
  if (auto* link = std::get_if<storage::Link>(&*source)) {
    open.id = link->id;
    open.v1 = link->v1;
    open.is_public = link->is_public;
    open.only_places = link->only;
    name = link->name;
    hosts = link->at;
  } else {
    auto& torrent = std::get<storage::Torrent>(*source);
    open.id = torrent.content->id;
    open.info = torrent.content->info;
    open.layers = std::move(torrent.layers);
    open.is_public = !torrent.content->sealed;
    name = torrent.content->name;
  }
  if (!open.is_public && !room.options.native)
    return give_up(Exit::usage,
                   "--no-native: a sealed share speaks shoal's own dialect alone; leave it away");
  auto state = open_state(room.options.state, Use::with_identity, room.environment);
  if (!state) return std::unexpected(state.error());
  if (const auto ok = fetch_anew(**state, room.report, open); !ok) return std::unexpected(ok.error());
  PeerProcess peer{room.options, room.report, room.reactor, **state};
  // The folder is made now, so that the confined process may write in it alone. Why it cannot be made is told
  // when the content is opened.
  (void)storage::PosixVfs{}.open_folder(open.folder, storage::Vfs::Missing::create);
  const Territory territory{.read = {}, .list = {}, .write = {open.folder}};
  if (auto opened = peer.open(swarm::Role::member, territory); !opened)
    return std::unexpected(opened.error());
  Getting duty{room, peer, std::move(open), std::move(name)};
  return peer.run(duty, hosts);
}

}  // namespace shoal::cli
