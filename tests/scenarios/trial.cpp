// See trial.hpp.
#include "tests/scenarios/trial.hpp"

#include "storage/metainfo.hpp"
#include "storage/verifier.hpp"

namespace shoal::sim {

const char* name_of(Duty duty) {
  constexpr const char* names[] = {"get", "share", "seed", "rest", "verify"};
  return names[static_cast<std::size_t>(duty)];
}

const char* name_of(storage::Format format) {
  switch (format) {
    case storage::Format::v1:
      return "v1";
    case storage::Format::v2:
      return "v2";
    case storage::Format::hybrid:
      return "hybrid";
  }
  return "";
}

Trial::Trial(TrialPlan plan) : world{plan.number}, plan_(std::move(plan)) {
  tested = start(world, config(CrashModel::on));
  const bool has_it = plan_.duty != Duty::get;
  EXPECT_TRUE(!has_it || plan_.oracle.plant(machine()));
  if (plan_.duty == Duty::get || plan_.duty == Duty::verify) {
    helper_ = start(world, config(CrashModel::off));
    EXPECT_TRUE(plan_.oracle.plant(world.machine(helper_)));
    content = import(helper_);
  }
  if (plan_.duty == Duty::get) open(helper_, {});
  if (plan_.duty == Duty::seed || plan_.duty == Duty::rest) content = import(tested);
}

MachineConfig Trial::config(CrashModel model) const {
  const bool sealed = plan_.format == storage::Format::v2;
  MachineConfig out{.native = sealed, .mainline = !sealed};
  out.crash_model = model;
  if (model == CrashModel::off) return out;
  out.timing = plan_.timing;
  out.fate = plan_.fate;
  return out;
}

storage::ContentPtr Trial::import(MachineId id) {
  const std::vector<std::string> paths{data_folder + "/" + plan_.oracle.name()};
  auto made = world.machine(id).import(paths, {}, world.wall(), 0, plan_.format);
  if (made) return made->content;
  error_ = made.error().error;
  return nullptr;
}

void Trial::open(MachineId id, std::vector<Endpoint> hints) {
  swarm::OpenContent open;
  open.id = content->id;
  open.v1 = content->v1;
  open.hints = std::move(hints);
  open.is_public = !content->sealed;
  open.seed = {swarm::SeedUntil::forever, 0};
  if (plan_.duty == Duty::rest && id == tested) open.rest = swarm::OpenContent::Rest{content->v2, 0};
  world.open(id, std::move(open));
}

bool Trial::command() {
  error_.reset();
  switch (plan_.duty) {
    case Duty::get:
      open(tested, {world.endpoint(helper_)});
      return true;
    case Duty::verify:
      return verify();
    case Duty::share:
      if (auto made = import(tested); made)
        content = std::move(made);
      else
        return false;
      break;
    case Duty::seed:
    case Duty::rest:
      break;
  }
  open(tested, {});
  fetch();
  return true;
}

// Each time somebody new asks for it: the one before may think its sharer away.
void Trial::fetch() {
  if (begun_) world.kill(helper_, Machine::Death::process);
  begun_ = true;
  helper_ = start(world, config(CrashModel::off));
  open(helper_, {world.endpoint(tested)});
}

// As the `verify` command does.
bool Trial::verify() {
  storage::SerialExecutor serial;
  const std::vector<Bytes> layers(content->files.size());
  const auto report = storage::verify_content(machine().vfs(), data_folder, *content, layers, serial);
  if (!report) {
    error_ = report.error().error;
    return false;
  }
  for (const storage::FileReport& file : report->files)
    if (file.verdict == storage::FileVerdict::unreadable) error_ = file.error;
  if (error_) return false;
  EXPECT_TRUE(report->whole());
  storage::ContentRecord record;
  record.content = content;
  record.role = storage::ContentRole::share;
  record.folder = data_folder;
  record.root_name = content->name;
  record.have = storage::ContentRecord::Have::all;
  record.stamps = report->stamps;
  const std::vector<std::string> paths{data_folder + "/" + content->name};
  const storage::ShareKey key = storage::share_key(paths, {}, storage::ShareKind::open);
  const auto kept = machine().catalog().store_share(key, {}, record);
  if (!kept) error_ = kept.error();
  return verified_ = kept.has_value();
}

bool Trial::done() {
  if (!machine().running() || !content) return false;
  if (plan_.duty == Duty::verify) return verified_;
  return finished(world, plan_.duty == Duty::get ? tested : helper_, *content);
}

bool Trial::finish(Duration limit) {
  return world.run_until([this] { return done(); }, limit);
}

bool Trial::told_why(std::size_t since) {
  if (error_) return *error_->rule != '\0';
  const auto& answers = machine().answers();
  return std::any_of(answers.begin() + static_cast<std::ptrdiff_t>(since), answers.end(),
                     [](const Recorded& each) {
                       const auto* event = std::get_if<swarm::ContentEvent>(&each.answer.what);
                       if (event == nullptr) return false;
                       return event->what == What::paused_no_space || event->what == What::file_changed ||
                              (event->what == What::failed && *event->error.rule != '\0');
                     });
}

std::vector<std::string> Trial::false_bits() {
  auto known = machine().catalog().contents();
  if (!known) return {std::string{"the catalog cannot be read: "} + known.error().rule};
  std::vector<std::string> out;
  for (const storage::ContentId& id : *known) {
    auto stored = machine().catalog().load(id);
    if (!stored || !*stored) return {"a content in the catalog cannot be read"};
    const auto parsed = storage::parse_info(std::move((**stored).info));
    if (!parsed) return {std::string{"a content in the catalog is damaged: "} + parsed.error().rule};
    for (std::string& wrong : plan_.oracle.false_bits(machine(), **parsed)) out.push_back(std::move(wrong));
  }
  return out;
}

void Trial::count_hashed(std::uint64_t& bytes) {
  machine().after_job = [this, &bytes, written = std::set<std::uint32_t>{}](const JobNote& note,
                                                                            storage::Done&) mutable {
    if (note.kind == JobNote::Kind::attach) written.clear();
    if (note.kind == JobNote::Kind::write) written.insert(note.piece);
    if (note.kind == JobNote::Kind::hash && !written.contains(note.piece))
      bytes += content->piece_bytes(note.piece);
  };
}

std::string Trial::standing() {
  if (!content) return "it knows no content";
  return std::string{name_of(plan_.duty)} + " of " + name_of(plan_.format) + ": " +
         sim::standing(world, tested, *content) + "; " + sim::standing(world, helper_, *content);
}

}  // namespace shoal::sim
