// What goes wrong in a SessionWorld, and how each thing is put right again.
#include <algorithm>
#include <array>

#include "tests/worlds/session_world.hpp"

namespace shoal::sim {
void SessionWorld::later(Duration from, Duration to, std::function<void()> what) {
  healings_.push_back({world_.now() + lots_.time(from, to), std::move(what)});
}

// One fault to one peer. Where it cannot be, another is drawn.
void SessionWorld::disturb() {
  using Act = bool (SessionWorld::*)(Peer&);
  static constexpr std::array<Act, 13> faults{
      &SessionWorld::kill,      &SessionWorld::trap,        &SessionWorld::stop,
      &SessionWorld::close,     &SessionWorld::cut_lines,   &SessionWorld::unplug,
      &SessionWorld::fill_disk, &SessionWorld::fail_calls,  &SessionWorld::stall_disk,
      &SessionWorld::alter,     &SessionWorld::shift_clock, &SessionWorld::spoil_datagrams,
      &SessionWorld::ask};
  for (int tries = 0; tries < 20; ++tries)
    if (Peer& peer = lots_.one_of(peers_); (this->*lots_.one_of(faults))(peer)) return;
}

// Everything that a fault did is over at once, and what it left behind is what the product must cope with.
void SessionWorld::heal_all() {
  note("all is well again");
  for (const Healing& each : std::exchange(healings_, {})) each.what();
  world_.network().heal();
  world_.network().datagrams() = plan_.world.datagrams;
  for (Peer& peer : peers_) {
    peer.back = std::min(peer.back, world_.now() + 5s);
    Machine& machine = world_.machine(peer.id);
    machine.disk().clear_faults();
    if (!machine.disk().halted()) machine.disk().release();  // a trap that has not sprung
    for (Want& want : peer.wants) {
      const auto& content = contents_[want.plan.content].content;
      if (!content) continue;
      // A share that could not be read is looked at again when it is opened again.
      const bool unreadable = want.plan.shares && !auditor_.whole(peer.id, content->id);
      if (!unreadable && !auditor_.is_altered(peer.id, content->id)) continue;
      // A sharer puts the bytes back; a getter gives its command again, and gets what is lost once more.
      if (want.plan.shares)
        if (auto mended = contents_[want.plan.content].oracle.mend(machine); !mended)
          findings_.push_back(std::string{"the user cannot mend: "} + mended.error().rule);
      if (machine.running() && auditor_.open(peer.id, content->id))
        world_.command(peer.id, swarm::CloseContent{content->id});
      want.left = false;
    }
  }
}

// ---- of the machine

bool SessionWorld::kill(Peer& peer) {
  if (!world_.machine(peer.id).running()) return false;
  const bool power = lots_.chance(0.5);
  world_.kill(peer.id, power ? Machine::Death::power : Machine::Death::process);
  peer.back = world_.now() + lots_.time(10ms, 60s);
  note("peer " + std::to_string(peer.id) + (power ? " loses its power" : " is killed"));
  return true;
}

bool SessionWorld::trap(Peer& peer) {
  Machine& machine = world_.machine(peer.id);
  if (!machine.running()) return false;
  const std::uint64_t nth = lots_.between(1, 12);
  machine.disk().trap_sync(nth, lots_.chance(0.5) ? DiskImage::Moment::before : DiskImage::Moment::after);
  note("peer " + std::to_string(peer.id) + " will lose its power at sync " + std::to_string(nth) +
       " from now");
  return true;
}

bool SessionWorld::stop(Peer& peer) {
  if (!world_.machine(peer.id).running()) return false;
  note("peer " + std::to_string(peer.id) + " is stopped");
  if (!world_.stop(peer.id, 10min)) findings_.push_back("peer " + std::to_string(peer.id) + " does not stop");
  settle(peer);
  peer.back = world_.now() + lots_.time(10ms, 60s);
  return true;
}

// Its user closes a content for a while.
bool SessionWorld::close(Peer& peer) {
  if (peer.wants.empty()) return false;
  Want& want = lots_.one_of(peer.wants);
  const auto& content = contents_[want.plan.content].content;
  if (want.held_back || want.left || !content || !world_.machine(peer.id).running()) return false;
  if (!auditor_.open(peer.id, content->id)) return false;
  world_.command(peer.id, swarm::CloseContent{content->id});
  want.held_back = true;
  later(10ms, 40s, [&want] { want.held_back = false; });
  note("peer " + std::to_string(peer.id) + " closes content " + std::to_string(want.plan.content));
  return true;
}

// A question of the user in between: it is answered once, whatever else happens.
bool SessionWorld::ask(Peer& peer) {
  if (!world_.machine(peer.id).running()) return false;
  if (lots_.chance(0.5))
    world_.command(peer.id, swarm::DhtPing{world_.endpoint(lots_.one_of(peers_).id)});
  else
    world_.command(peer.id, swarm::DhtFind{Key{world_.random().bytes<32>()}});
  note("peer " + std::to_string(peer.id) + " asks the DHT");
  return true;
}

bool SessionWorld::shift_clock(Peer& peer) {
  std::chrono::milliseconds& skew = world_.machine(peer.id).config().clock_skew;
  if (skew != peer.plan.config.clock_skew) return false;
  const std::chrono::milliseconds by{lots_.scale(1'000, 40'000'000)};
  skew += lots_.chance(0.5) ? by : -by;
  later(1s, 90s,
        [this, &peer] { world_.machine(peer.id).config().clock_skew = peer.plan.config.clock_skew; });
  note("peer " + std::to_string(peer.id) + ": its clock is " + std::to_string(skew.count() / 1000) +
       " s off");
  return true;
}

// ---- of the network

bool SessionWorld::cut_lines(Peer&) {
  for (MachineId id = 0; id < world_.size(); ++id)
    world_.network().set_group(id, static_cast<std::uint32_t>(lots_.below(2)));
  later(100ms, 150s, [this] {
    for (MachineId id = 0; id < world_.size(); ++id) world_.network().set_group(id, 0);
  });
  note("the network falls in two");
  return true;
}

bool SessionWorld::unplug(Peer& peer) {
  world_.network().set_plugged(peer.id, false);
  later(100ms, 150s, [this, &peer] { world_.network().set_plugged(peer.id, true); });
  note("peer " + std::to_string(peer.id) + " is unplugged");
  return true;
}

bool SessionWorld::spoil_datagrams(Peer&) {
  world_.network().datagrams() = {.loss = 0.6, .duplicate = 0.2, .late = 0.5, .late_by = 2s};
  later(1s, 60s, [this] { world_.network().datagrams() = plan_.world.datagrams; });
  note("datagrams are lost");
  return true;
}

// ---- of the disk

bool SessionWorld::fill_disk(Peer& peer) {
  DiskImage& disk = world_.machine(peer.id).disk();
  disk.set_capacity(disk.used() + lots_.scale(1, 512 * kib));
  auditor_.troubled(peer.id);
  later(100ms, 60s,
        [this, &peer] { world_.machine(peer.id).disk().set_capacity(peer.plan.config.capacity); });
  note("peer " + std::to_string(peer.id) + ": its disk is nearly full");
  return true;
}

bool SessionWorld::fail_calls(Peer& peer) {
  DiskImage& disk = world_.machine(peer.id).disk();
  Fault fault;
  fault.call = static_cast<DiskCall>(lots_.below(disk_calls + 1));
  fault.nth = lots_.scale(1, 40);
  if (lots_.chance(0.3)) fault.error = {Code::no_space, "ordered fault", 28};
  if (lots_.chance(0.2)) fault.lasting = Fault::Lasting::for_good;
  disk.order(fault);
  auditor_.troubled(peer.id);
  later(100ms, 40s, [this, &peer] { world_.machine(peer.id).disk().clear_faults(); });
  note("peer " + std::to_string(peer.id) + ": call " + std::to_string(static_cast<int>(fault.call)) +
       " number " + std::to_string(fault.nth) + " fails");
  return true;
}

// It stays connected and says nothing.
bool SessionWorld::stall_disk(Peer& peer) {
  Duration& access = world_.machine(peer.id).config().timing.access;
  if (access != peer.plan.config.timing.access) return false;
  access = lots_.time(200ms, 20s);
  later(1s, 60s, [&access, &peer] { access = peer.plan.config.timing.access; });
  note("peer " + std::to_string(peer.id) + ": its disk is slow");
  return true;
}

// The user writes to a finished file, cuts it, or removes it.
bool SessionWorld::alter(Peer& peer) {
  Machine& machine = world_.machine(peer.id);
  if (peer.wants.empty()) return false;
  Want& want = lots_.one_of(peer.wants);
  const auto& content = contents_[want.plan.content].content;
  if (!content || content->files.empty()) return false;
  const auto index = static_cast<std::uint32_t>(lots_.below(content->files.size()));
  const std::string path = content->disk_path(index);
  auto data = machine.vfs().open_folder(data_folder, storage::Vfs::Missing::error);
  if (!data || content->files[index].length == 0) return false;
  machine.disk().set_wall(unix_ms(machine.wall(world_.wall())) * 1'000'000 + 1);
  auto file = (*data)->open(path, storage::OpenMode::write);
  if (!file) return false;
  const std::uint64_t at = lots_.below(content->files[index].length);
  const std::uint64_t how = lots_.below(4);
  const auto done = how == 0   ? (*data)->remove(path)
                    : how == 1 ? (*file)->resize(at)
                               : (*file)->write_at(at, Bytes(lots_.between(1, 20'000), 0xab));
  auditor_.altered(peer.id, content->id, index);
  note("peer " + std::to_string(peer.id) + ": its user alters " + path + (done ? "" : ", in vain"));
  return true;
}

}  // namespace shoal::sim
