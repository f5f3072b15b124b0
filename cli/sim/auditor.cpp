// The rules, in the order of the functions below:
//  - A job is answered once, a stream is used between its opening and its end, a name is used once.
//  - A command gets answers only while it runs: a content ends once, a ping, a search and a stop are answered
//    once. After Stopped nothing is dialled, written or asked of the disk, and no job is under way.
//  - `complete` is said of a content whose wanted files lie whole under their final names.
//  - What is read for others is right, whatever happens to the disk.
//  - Every piece held, by the catalog or in memory, lies right on the disk.
//  - Counters fit together: committed <= verified <= wanted; what was of use is no more than the content,
//    what completed was received, what all received somebody sent.
//  - Nobody is banned but who falsifies.
//  - Every table is within its bound (swarm/limits.hpp).
#include "cli/sim/auditor.hpp"

#include <algorithm>

#include "swarm/limits.hpp"

namespace shoal::sim {
namespace {

using What = swarm::ContentEvent::What;
namespace limits = swarm::limits;

const storage::ContentId* opened(const swarm::Command& command) {
  const auto* open = std::get_if<swarm::OpenContent>(&command);
  return open == nullptr ? nullptr : &open->id;
}

}  // namespace

Auditor::~Auditor() {
  for (const auto& [id, of] : machines_) {
    Machine& machine = world_.machine(id);
    machine.after_job = nullptr;
    machine.before_input = nullptr;
    machine.before_output = nullptr;
    machine.before_end = nullptr;
  }
}

void Auditor::find(MachineId id, std::string what) {
  findings_.push_back("machine " + std::to_string(id) + ": " + std::move(what));
}

// ---- what the scenario tells, and asks

void Auditor::watch(MachineId id) {
  machines_.try_emplace(id);
  Machine& machine = world_.machine(id);
  machine.after_job = [this, id](const JobNote& note, storage::Done& done) { ran(id, note, done); };
  machine.before_input = [this, id](const swarm::Input& input) { fed(id, input); };
  machine.before_output = [this, id](const swarm::Output& output) { put_out(id, output); };
  machine.before_end = [this, id] { ended(id); };
}

void Auditor::know(const storage::ContentPtr& content, const Oracle& oracle) {
  contents_[content->id] = {content, &oracle};
}

void Auditor::wants(MachineId id, const storage::ContentId& content, std::vector<bool> files) {
  machines_[id].wanted[content] = std::move(files);
}

void Auditor::corrupt(MachineId id, double part) {
  machines_[id].corrupt = part;
  ++corrupters_;
}

void Auditor::altered(MachineId id, const storage::ContentId& content, std::uint32_t file) {
  machines_[id].altered[content].insert(file);
  machines_[id].life.troubled = true;
}

void Auditor::troubled(MachineId id) { machines_[id].life.troubled = true; }

bool Auditor::open(MachineId id, const storage::ContentId& content) const {
  const auto& asked = machines_.at(id).life.asked;
  return std::any_of(asked.begin(), asked.end(), [&](const auto& entry) {
    const storage::ContentId* of = opened(entry.second.what);
    return of != nullptr && *of == content && !entry.second.ended;
  });
}

bool Auditor::complete(MachineId id, const storage::ContentId& content) const {
  const auto& asked = machines_.at(id).life.asked;
  return std::any_of(asked.begin(), asked.end(), [&](const auto& entry) {
    const storage::ContentId* of = opened(entry.second.what);
    return of != nullptr && *of == content && entry.second.complete && !entry.second.ended &&
           !entry.second.closing;
  });
}

bool Auditor::whole(MachineId id, const storage::ContentId& content) const {
  const auto status = world_.status(id, content);
  return status && status->content && status->bytes_verified == status->bytes_wanted;
}

bool Auditor::is_altered(MachineId id, const storage::ContentId& content) const {
  const auto& altered = machines_.at(id).altered;
  const auto found = altered.find(content);
  return found != altered.end() && !found->second.empty();
}

// ---- what passes

void Auditor::fed(MachineId id, const swarm::Input& input) {
  Life& life = machines_[id].life;
  if (const auto* done = std::get_if<swarm::DiskDone>(&input)) {
    if (life.jobs.erase(done->job) == 0) find(id, "a job is done that was not under way");
  } else if (const auto* accepted = std::get_if<swarm::StreamAccepted>(&input)) {
    if (!life.streams.emplace(accepted->stream, true).second) find(id, "a stream's name is given twice");
  } else if (const auto* closed = std::get_if<swarm::StreamClosed>(&input)) {
    if (const auto found = life.streams.find(closed->stream); found != life.streams.end())
      found->second = false;
  } else if (const auto* command = std::get_if<swarm::CommandIn>(&input)) {
    life.asked.emplace(command->command, Asked{command->what});
    if (const auto* close = std::get_if<swarm::CloseContent>(&command->what)) {
      count(id, &close->id);
      for (auto& [other, asked] : life.asked)
        if (const storage::ContentId* of = opened(asked.what); of != nullptr && *of == close->id)
          asked.closing = true;
    }
    if (std::holds_alternative<swarm::Stop>(command->what)) count(id, nullptr);
  }
}

void Auditor::used(MachineId id, swarm::StreamId stream, std::string_view how) {
  const auto& open = machines_[id].life.streams;
  const auto found = open.find(stream);
  if (found == open.end() || !found->second)
    find(id, std::string{how} + " of a stream that is " + (found == open.end() ? "unknown" : "closed"));
}

void Auditor::put_out(MachineId id, const swarm::Output& output) {
  Life& life = machines_[id].life;
  // Until its process ends, a peer that has stopped answers its fellow nodes, and what it was asked about
  // them, and refuses who dials it.
  if (life.stopped && !std::holds_alternative<swarm::DatagramOut>(output) &&
      !std::holds_alternative<swarm::Close>(output) && !std::holds_alternative<swarm::Answer>(output))
    find(id, "output " + std::to_string(output.index()) + " after it had stopped");
  if (const auto* job = std::get_if<swarm::DiskJob>(&output)) {
    if (!life.jobs.insert(job->job).second) find(id, "a job's name is given twice");
  } else if (const auto* dial = std::get_if<swarm::Dial>(&output)) {
    if (!life.streams.emplace(dial->stream, true).second) find(id, "a stream's name is given twice");
  } else if (const auto* write = std::get_if<swarm::Write>(&output)) {
    used(id, write->stream, "a write");
  } else if (const auto* pause = std::get_if<swarm::PauseRead>(&output)) {
    used(id, pause->stream, "a pause");
  } else if (const auto* close = std::get_if<swarm::Close>(&output)) {
    // Also of one that the other end has closed; but once.
    if (life.streams.erase(close->stream) == 0) find(id, "a close of a stream that is unknown or closed");
  } else if (const auto* answer = std::get_if<swarm::Answer>(&output)) {
    answered(id, *answer);
  }
}

void Auditor::answered(MachineId id, const swarm::Answer& answer) {
  Life& life = machines_[id].life;
  const bool unasked = std::holds_alternative<swarm::ReachAnswer>(answer.what) ||
                       std::holds_alternative<swarm::ClockAnswer>(answer.what) ||
                       std::holds_alternative<swarm::SizeAnswer>(answer.what);
  if (unasked) return;
  const auto asked = life.asked.find(answer.command);
  if (asked == life.asked.end()) return find(id, "an answer to nothing");
  if (asked->second.ended) return find(id, "an answer to a command that had ended");
  if (const auto* event = std::get_if<swarm::ContentEvent>(&answer.what))
    return told(id, asked->second, *event);
  asked->second.ended = true;  // of what else there is, each has one answer
  if (!std::holds_alternative<swarm::Stopped>(answer.what)) return;
  life.stopped = true;
  if (!life.jobs.empty()) find(id, "a job is under way after it had stopped");
  for (const auto& [command, each] : life.asked)
    if (opened(each.what) != nullptr && !each.ended) find(id, "a content is open after it had stopped");
}

void Auditor::told(MachineId id, Asked& asked, const swarm::ContentEvent& event) {
  Of& of = machines_[id];
  const storage::ContentId* content = opened(asked.what);
  if (content == nullptr || *content != event.id) return find(id, "an event of a content not asked for");
  if (event.what == What::closed) asked.ended = true;
  if (event.what == What::failed) {  // refused at once where it is open already; else `closed` follows
    const auto others = std::count_if(of.life.asked.begin(), of.life.asked.end(), [&](const auto& entry) {
      const storage::ContentId* other = opened(entry.second.what);
      return other != nullptr && *other == *content && !entry.second.ended;
    });
    asked.ended = others > 1;
    if (!asked.ended) count(id, content);
  }
  if (event.what != What::complete) return;
  asked.complete = true;
  of.totals[event.id].completed = true;
  const auto known = contents_.find(event.id);
  if (known == contents_.end()) return;
  const auto wanted = of.wanted.find(event.id);
  if (known->second.oracle->whole(world_.machine(id), *known->second.content,
                                  wanted == of.wanted.end() ? std::vector<bool>{} : wanted->second))
    of.altered.erase(event.id);
  else if (!is_altered(id, event.id))
    find(id, "a content that is not whole is called complete");
}

void Auditor::ran(MachineId id, const JobNote& note, storage::Done& done) {
  Of& of = machines_[id];
  if (!done) return;
  if (note.kind == JobNote::Kind::attach) of.life.slots[note.slot] = note.content;
  auto* read = std::get_if<storage::ReadDone>(&*done);
  if (read == nullptr) return;
  const storage::ContentPtr& content = of.life.slots[note.slot];
  const auto known = content ? contents_.find(content->id) : contents_.end();
  if (known == contents_.end()) return;
  const ByteView bytes = read->data.view().subspan(note.lead);
  if (!known->second.oracle->true_bytes(*content, note.piece, note.begin, bytes))
    find(id, "wrong bytes are read for others: piece " + std::to_string(note.piece));
  if (of.corrupt <= 0 || note.length == 0) return;
  dice_ = mix(dice_);
  if (static_cast<double>(dice_ >> 11) * 0x1p-53 < of.corrupt)
    read->data.span()[note.lead + note.length / 2] ^= 1;
}

// ---- what can be seen between turns

void Auditor::look_at(MachineId id, const Known& known) {
  Of& of = machines_[id];
  Machine& machine = world_.machine(id);
  const storage::Content& content = *known.content;
  for (const std::string& wrong : known.oracle->false_bits(machine, content, of.altered[content.id]))
    if (!of.life.troubled || !wrong.starts_with("the catalog")) find(id, wrong);
  const auto status = world_.status(id, content.id);
  if (!status) return;
  const auto must = [&](bool holds, std::string_view rule) {
    if (!holds) find(id, std::string{rule} + " does not hold");
  };
  must(status->bytes_committed <= status->bytes_verified, "committed <= verified");
  must(status->bytes_verified <= status->bytes_wanted, "verified <= wanted");
  must(status->bytes_wanted <= content.bytes, "wanted <= bytes of the content");
  must(status->wasted <= status->received, "wasted <= received");
  if (!of.life.troubled && corrupters_ == 0)
    must(status->received - status->wasted <= content.bytes, "received and of use <= bytes of the content");
  must(status->banned <= corrupters_ && (of.corrupt <= 0 || status->banned == 0), "bans <= corrupters");
  must(status->peers <= limits::max_peers, "peers <= max_peers");
  must(status->candidates <= limits::max_candidates, "candidates <= max_candidates");
  must(status->waiting_here <= status->peers * (limits::max_queue + limits::max_window),
       "the upload queue's bound");
  must(status->waiting_there <= status->peers * limits::max_window, "the pipelines' bound");
}

void Auditor::look() {
  for (const auto& [id, of] : machines_)
    if (world_.machine(id).running())
      for (const auto& [content, known] : contents_) look_at(id, known);
}

// Adds up what a content that ends now (null: every one) has counted.
void Auditor::count(MachineId id, const storage::ContentId* content) {
  Of& of = machines_[id];
  for (auto& [command, asked] : of.life.asked) {
    const storage::ContentId* each = opened(asked.what);
    if (each == nullptr || asked.ended || asked.counted || (content != nullptr && *each != *content))
      continue;
    asked.counted = true;
    const auto status = world_.status(id, *each);
    if (!status) continue;
    of.totals[*each].received += status->received;
    of.totals[*each].sent += status->sent;
  }
}

// A life is over: its names mean nothing any more.
void Auditor::ended(MachineId id) {
  count(id, nullptr);
  machines_[id].life = {};
}

void Auditor::close() {
  for (const auto& [content, known] : contents_) {
    std::uint64_t received = 0, sent = 0;
    for (auto& [id, of] : machines_) {
      const Totals& totals = of.totals[content];
      received += totals.received;
      sent += totals.sent;
      const auto wanted = of.wanted.find(content);
      if (!totals.completed || wanted == of.wanted.end()) continue;
      std::uint64_t least = 0;
      for (std::size_t i = 0; i < known.content->files.size(); ++i)
        if (wanted->second.empty() || wanted->second[i]) least += known.content->files[i].length;
      if (totals.received < least) find(id, "it is complete and received less than that");
    }
    if (received > sent) findings_.push_back("more was received than sent");
  }
}

}  // namespace shoal::sim
