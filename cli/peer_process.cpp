// A command that runs a peer (peer_process.hpp).
#include "cli/peer_process.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "storage/names.hpp"

namespace shoal::cli {
namespace {

constexpr std::chrono::milliseconds look_every{250};  // at the number of contacts; a fourth of progress
// Nodes of BitTorrent's DHT that anybody may start from, of several operators. Asked where nobody else is
// known or answers, and never where --bootstrap names others.
constexpr std::array<std::pair<const char*, std::uint16_t>, 5> well_known{{{"router.bittorrent.com", 6881},
                                                                           {"dht.transmissionbt.com", 6881},
                                                                           {"dht.libtorrent.org", 25401},
                                                                           {"router.utorrent.com", 6881},
                                                                           {"dht.aelitis.com", 6881}}};
constexpr std::chrono::seconds others_first{
    5};  // how long saved contacts and those of the link are waited for
constexpr std::chrono::minutes well_known_again{1};
constexpr std::chrono::seconds names_wait{3};  // a hint found later is still a DHT node to ask

// Listening on an address that strangers cannot reach says that none are wanted.
swarm::Reach reach_of(const Options& options) {
  if (options.local) return swarm::Reach::local;
  if (!options.listen.address) return swarm::Reach::internet;
  const AddressClass kind = options.listen.address->classify();
  return kind == AddressClass::loopback || kind == AddressClass::local_net ? swarm::Reach::local
                                                                           : swarm::Reach::internet;
}

Failure listen_failure(const Error& error, const Listen& listen) {
  const std::string address = listen.address ? listen.address->to_string() : "every address";
  switch (error.code) {
    case Code::busy:
      return {Exit::taken,
              fmt::format("port {} is taken by another program; stop it, or choose another with --listen",
                          listen.port),
              {}};
    case Code::not_found:
      return {Exit::usage,
              fmt::format("--listen: {} is no address of this machine; give one that is", address),
              {}};
    case Code::denied:
      return {
          Exit::usage,
          fmt::format("--listen: this user may not listen on port {}; choose one above 1023", listen.port),
          {}};
    default:
      return {Exit::internal, fmt::format("listening on {} failed ({}); try again", address, error.rule), {}};
  }
}

}  // namespace

PeerProcess::PeerProcess(const Options& options, Report& report, Reactor& reactor, OpenState& state)
    : options_(options),
      report_(report),
      reactor_(reactor),
      state_(state),
      resolver_(reactor),
      reach_(reach_of(options)) {}

PeerProcess::~PeerProcess() = default;

Outcome<void> PeerProcess::open(swarm::Role role, Territory territory) {
  if (::geteuid() == 0) report_.say("warning: running as root; an ordinary user is enough");
  territory.write.push_back(state_.folder);
  // Nothing has come from the network yet, and there are no other threads.
  const Confinement confinement = options_.confined ? confine(territory) : Confinement{};
  disk_ =
      std::make_unique<storage::Disk>(vfs_, *state_.catalog, disk_gate_,
                                      storage::Disk::Options{.open_files = 128, .locks = state_.locks.get()});
  HostConfig config;
  config.address = options_.listen.address;
  config.demanded_port = options_.listen.port;
  if (state_.identity_lock) config.wished_port = state_.identity.port;
  swarm::SessionConfig& session = config.session;
  session.identity = state_.identity.seed;
  session.reach = reach_;
  session.role = role;
  session.lan_discovery = options_.lan == Lan::discover;
  session.up_rate = options_.up_rate;
  session.down_rate = options_.down_rate;
  session.native = options_.native;
  session.mainline = options_.mainline;
  session.mse = options_.mse;
  for (const char* overlay : swarm::overlay_names) {
    auto contacts = state_.catalog->contacts(overlay);
    if (!contacts) return std::unexpected(catalog_failure(contacts.error(), state_.catalog_path));
    known_ = known_ || !contacts->empty();
    session.saved.push_back({overlay, std::move(*contacts)});
  }
  for (const auto* hosts : {&options_.bootstrap, &options_.peers})
    for (const storage::HostPort& host : *hosts)
      if (const auto endpoint = host.endpoint()) session.bootstrap.push_back(*endpoint);
  bootstrap_ = session.bootstrap;
  auto host = Host::open(reactor_, std::move(config), *disk_, [this](const swarm::Answer& a) { answer(a); });
  if (!host) return std::unexpected(listen_failure(host.error(), options_.listen));
  host_ = std::move(*host);
  remember_port();
  // Before anybody is told that we run: who is told may stop us at once.
  reactor_.on_signal([this](int count) { signalled(count); });
  EventLine line{"listening"};
  std::vector<std::string> endpoints;
  for (const Endpoint& endpoint : host_->endpoints()) endpoints.push_back(endpoint.to_string());
  report_.event(line.count("port", host_->port())
                    .list("endpoints", std::move(endpoints))
                    .text("confined", confinement.to_string()));
  return {};
}

// A link names our port, so it stays. Where it was taken for once the wish stays too.
void PeerProcess::remember_port() {
  const bool wish_failed = options_.listen.port == 0 && state_.identity.port != 0;
  if (!state_.identity_lock || state_.identity.port == host_->port() || wish_failed) return;
  state_.identity.port = host_->port();
  (void)state_.catalog->save_identity(
      state_.identity);  // the next run has another port then, and says so in its link
}

Exit PeerProcess::run(Duty& duty, const std::vector<storage::HostPort>& hosts) {
  duty_ = &duty;
  reactor_.every(look_every, [this] {
    check_contacts();
    if (++quarters_ % 4 == 0 && begun_ && !finish_) duty_->second();
  });
  reactor_.post([this, hosts] { look_up(hosts); });
  reactor_.run();
  reactor_.on_signal([](int) {});
  host_.reset();
  return finish_.value_or(Exit::internal);
}

void PeerProcess::look_up(const std::vector<storage::HostPort>& hosts) {
  const auto not_found = [this](const storage::HostPort& host) {
    report_.say(fmt::format("the address of '{}' was not found; going on without it",
                            storage::escape_for_display(host.to_string())));
  };
  for (const storage::HostPort& host : options_.bootstrap)
    if (!host.endpoint())
      resolver_.resolve(host, [this, not_found](const auto& name, const std::vector<Endpoint>& found) {
        if (found.empty()) not_found(name);
        if (!found.empty() && !finish_) host_->command(swarm::Bootstrap{found});
        bootstrap_.insert(bootstrap_.end(), found.begin(), found.end());
      });
  std::vector<storage::HostPort> wanted = hosts;
  wanted.insert(wanted.end(), options_.peers.begin(), options_.peers.end());
  names_left_ = wanted.size() + 1;
  const auto one_less = [this] {
    if (--names_left_ == 0) begin();
  };
  for (const storage::HostPort& host : wanted)
    resolver_.resolve(host,
                      [this, one_less, not_found](const auto& name, const std::vector<Endpoint>& found) {
                        if (found.empty()) not_found(name);
                        if (begun_ && !found.empty() && !finish_) host_->command(swarm::Bootstrap{found});
                        if (!begun_) hints_.insert(hints_.end(), found.begin(), found.end());
                        one_less();
                      });
  one_less();
  reactor_.after(names_wait, [this] { begin(); });
  const bool alone = !known_ && wanted.empty();
  reactor_.after(alone ? std::chrono::seconds{0} : others_first, [this] { ask_well_known(); });
}

void PeerProcess::ask_well_known() {
  if (finish_ || contacts_ > 0 || !options_.mainline || reach_ == swarm::Reach::local ||
      !options_.bootstrap.empty())
    return;
  reactor_.after(well_known_again, [this] { ask_well_known(); });  // if nobody is known then, either
  for (const auto& [name, port] : well_known)
    resolver_.resolve({name, port}, [this](const auto&, const std::vector<Endpoint>& found) {
      if (!found.empty() && !finish_) host_->command(swarm::Bootstrap{found, swarm::Dialect::mainline});
    });
}

void PeerProcess::begin() {
  if (begun_ || finish_) return;
  begun_ = true;
  duty_->begin(hints_);
}

void PeerProcess::answer(const swarm::Answer& answer) {
  if (const auto* reach = std::get_if<swarm::ReachAnswer>(&answer.what)) report_reach(*reach);
  if (const auto* clock = std::get_if<swarm::ClockAnswer>(&answer.what)) report_clock(*clock);
  if (const auto* size = std::get_if<swarm::SizeAnswer>(&answer.what)) report_size(*size);
  if (std::holds_alternative<swarm::Stopped>(answer.what) && stop_command_ == answer.command) {
    host_->close([this] { reactor_.stop(); });
    return;
  }
  if (duty_ != nullptr) duty_->answered(answer);
}

void PeerProcess::report_reach(const swarm::ReachAnswer& reach) {
  if (!reach.reachable || told_reach_ == reach.external) return;
  told_reach_ = reach.external;
  report_.event(EventLine{"reachable"}.text("endpoint", reach.external.to_string()));
  report_.say(fmt::format("reachable from outside at {}", reach.external.to_string()));
}

void PeerProcess::report_clock(const swarm::ClockAnswer& clock) {
  if (!clock.matters) return;
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(clock.ahead).count();
  report_.event(EventLine{"clock"}.number("ahead_s", static_cast<double>(clock.ahead.count()) / 1000));
  report_.say(fmt::format(
      "the clock of this machine is {} minutes {} {}, or nobody will be found",
      minutes < 0 ? -minutes : minutes, minutes < 0 ? "behind" : "ahead of",
      clock.doubtful ? "that of the peer you named; set the one that is wrong" : "the others'; set it"));
}

void PeerProcess::report_size(const swarm::SizeAnswer& size) {
  if (!size.matters) return;
  const std::string_view whose = size.dialect == swarm::Dialect::native ? "shoal's" : "BitTorrent's";
  report_.event(EventLine{"dht_size"}.number("from", size.from).number("to", size.to));
  report_.say(fmt::format(
      "{} DHT has grown from about {:.0f} nodes to {:.0f} within an hour: one party may be crowding it",
      whose, size.from, size.to));
}

void PeerProcess::check_contacts() {
  std::uint32_t contacts = 0;
  for (const swarm::DhtStatus& dht : host_->session().dht()) contacts += dht.contacts;
  answered_ = answered_ || contacts > 0;
  if (contacts == contacts_) return;
  contacts_ = contacts;
  report_.event(EventLine{"contacts"}.count("contacts", contacts));
  if (begun_ && !finish_) duty_->contacts_changed();
}

void PeerProcess::finish(Exit exit) {
  if (finish_) return;
  finish_ = exit;
  stop_command_ = host_->command(swarm::Stop{});
}

// The first signal asks, the second does not wait: what is not committed is hashed again by the next run.
void PeerProcess::signalled(int count) {
  if (count > 1 && finish_) {
    report_.clear_progress();
    report_.event(EventLine{"stopped"}.count("exit", static_cast<std::uint64_t>(*finish_)));
    std::_Exit(static_cast<int>(*finish_));
  }
  const Duty::Farewell farewell = duty_->interrupted();
  if (!farewell.sentence.empty() && !finish_) report_.say(farewell.sentence);
  finish(farewell.exit);
}

}  // namespace shoal::cli
