// Arguments by CLI11. Its exceptions end here. Each option's text is kept as it came and judged afterwards,
// so that all rules of one kind stand in one place and have one sentence each.
#include "cli/args.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/args_dht.hpp"
#include "cli/args_simulate.hpp"
#include "cli/quantity.hpp"
#include "storage/metainfo.hpp"
#include "storage/names.hpp"

namespace shoal::cli {
namespace {

constexpr std::size_t max_hosts = 64;   // of --bootstrap or --peer: each is asked at the start
constexpr std::size_t max_globs = 256;  // of --only: each is tried on every file

// What the options hold before they are judged. Each command has places of its own: CLI11 takes the SHOAL_*
// variables of every command, also of those that were not named.
struct Raw {
  std::string listen, up, down, mse;
  std::vector<std::string> bootstrap, peers;
  bool json = false, quiet = false, no_lsd = false, no_mainline = false, no_native = false,
       unconfined = false;
  struct Share {
    std::vector<std::string> paths;
    std::string name;
    bool is_public = false, each = false, once = false;
  } share;
  struct Get {
    std::string source, output, seed = "none";
    std::vector<std::string> only;
    double wait = 60;
  } get;
  struct Create {
    std::vector<std::string> paths;
    std::string output, name, piece_length;
    bool v1 = false, v2 = false, hybrid = false;
  } create;
  struct Look {
    std::string source, folder;
  } info, verify;
  DhtText dht;
  SimulationText simulation;
};

struct Commands {
  CLI::App *share, *get, *node, *create, *info, *verify, *dht, *ping, *find, *peers, *get_item, *put_item,
      *stats, *simulate;
  std::vector<CLI::App*> scenarios;
};

void add_common(CLI::App& app, Raw& raw, Options& out) {
  const char* group = "Everywhere, before or after the command";
  const auto text = [&](const char* flag, auto& where, const char* variable, const char* what) {
    return app.add_option(flag, where, what)->envname(variable)->group(group);
  };
  const auto flag = [&](const char* name, bool& where, const char* variable, const char* what) {
    app.add_flag(name, where, what)->envname(variable)->group(group);
  };
  text("--state", out.state, "SHOAL_STATE", "folder of keys and progress (usually ~/.local/state/shoal)")
      ->type_name("DIR");
  text("--listen", raw.listen, "SHOAL_LISTEN", "address and port to listen on, UDP and TCP; port 0: any")
      ->type_name("ADDR:PORT");
  text("--bootstrap", raw.bootstrap, "SHOAL_BOOTSTRAP", "a DHT node to start from (repeatable)")
      ->type_name("HOST:PORT")
      ->delimiter(',')
      ->allow_extra_args(false);
  text("--peer", raw.peers, "SHOAL_PEER", "a peer of this content (repeatable)")
      ->type_name("HOST:PORT")
      ->delimiter(',')
      ->allow_extra_args(false);
  text("--up", raw.up, "SHOAL_UP", "limit of all that is sent, bytes a second (K, M, G)")->type_name("R");
  text("--down", raw.down, "SHOAL_DOWN", "limit of all that is received, bytes a second (K, M, G)")
      ->type_name("R");
  flag("--json", raw.json, "SHOAL_JSON", "one JSON object a line on stdout");
  flag("--quiet,-q", raw.quiet, "SHOAL_QUIET", "errors alone on stderr");
  flag("--local", out.local, "SHOAL_LOCAL",
       "loopback and private addresses are peers: for a LAN or a test network");
  flag("--no-lsd", raw.no_lsd, "SHOAL_NO_LSD", "do not look for peers on the local network");
  flag("--no-mainline", raw.no_mainline, "SHOAL_NO_MAINLINE", "do not speak BitTorrent");
  flag("--unconfined", raw.unconfined, "SHOAL_UNCONFINED",
       "keep the right to open other files and start other programs while running");
  flag("--no-native", raw.no_native, "SHOAL_NO_NATIVE", "speak BitTorrent alone");
  text("--mse", raw.mse, "SHOAL_MSE", "encryption of BitTorrent connections: off, prefer, require")
      ->type_name("MODE");
}

void add_contents(CLI::App& app, Commands& commands, Raw& raw) {
  CLI::App& share = *(commands.share = app.add_subcommand("share", "share files or folders: prints a link"));
  share.add_option("PATH", raw.share.paths, "what to share; several make one content")->required();
  share.add_option("--name", raw.share.name, "name of the content")->envname("SHOAL_NAME")->type_name("N");
  share.add_flag("--each", raw.share.each, "each PATH is a content of its own, a link a line")
      ->envname("SHOAL_EACH");
  share.add_flag("--once", raw.share.once, "exit after one full copy is out")->envname("SHOAL_ONCE");
  share.add_flag("--public", raw.share.is_public, "share an ordinary magnet link")->envname("SHOAL_PUBLIC");

  CLI::App& get = *(commands.get = app.add_subcommand("get", "fetch what a link names; run again: resumes"));
  get.add_option("LINK", raw.get.source, "a link, a .torrent file, or - for a link on stdin")
      ->envname("SHOAL_LINK")
      ->required();
  get.add_option("-o,--output", raw.get.output, "folder in which to put it (here)")
      ->envname("SHOAL_OUTPUT")
      ->type_name("DIR");
  get.add_option("--only", raw.get.only, "fetch the files that match alone (repeatable)")
      ->envname("SHOAL_ONLY")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  get.add_option("--seed", raw.get.seed, "how long to serve others afterwards: none, ratio=R, forever")
      ->envname("SHOAL_SEED")
      ->type_name("WHEN");
  get.add_option("--wait", raw.get.wait, "seconds to wait for the first peer; 0: without end")
      ->envname("SHOAL_WAIT")
      ->type_name("S");

  CLI::App& create = *(commands.create = app.add_subcommand("create", "make a .torrent file"));
  create.add_option("PATH", raw.create.paths, "a file or folder")->required()->expected(1);
  create.add_option("-o,--output", raw.create.output, "the file to write")
      ->envname("SHOAL_OUTPUT")
      ->required();
  create.add_option("--name", raw.create.name, "name of the content")->envname("SHOAL_NAME")->type_name("N");
  create.add_option("--piece-length", raw.create.piece_length, "a power of two from 16K to 64M")
      ->envname("SHOAL_PIECE_LENGTH")
      ->type_name("N");
  create.add_flag("--v1", raw.create.v1, "BitTorrent v1")->envname("SHOAL_V1");
  create.add_flag("--v2", raw.create.v2, "BitTorrent v2")->envname("SHOAL_V2");
  create.add_flag("--hybrid", raw.create.hybrid, "both in one (what is made without these flags)")
      ->envname("SHOAL_HYBRID");
}

void add_others(CLI::App& app, Commands& commands, Raw& raw) {
  commands.node = app.add_subcommand("node", "a DHT node that shares nothing: a bootstrap node");
  CLI::App& info = *(commands.info = app.add_subcommand("info", "what a link or torrent says"));
  info.add_option("LINK", raw.info.source, "a link, a .torrent file, or -")
      ->envname("SHOAL_LINK")
      ->required();
  CLI::App& verify =
      *(commands.verify = app.add_subcommand("verify", "hash what lies in DIR against a content"));
  verify.add_option("LINK", raw.verify.source, "a link got or shared here before, or a .torrent file")
      ->required();
  verify.add_option("DIR", raw.verify.folder, "the folder that holds it, as with get -o")->required();
  commands.dht = app.add_subcommand("dht", "questions to the DHT");
  commands.dht->require_subcommand(1);
  commands.ping = commands.dht->add_subcommand("ping", "ask one node for an answer");
  commands.ping->add_option("NODE", raw.dht.node, "HOST:PORT")->required();
  commands.find = commands.dht->add_subcommand("find", "find the nodes closest to a key");
  commands.find->add_option("KEY", raw.dht.key, "64 hexadecimal digits; without it, one at random");
  commands.peers = commands.dht->add_subcommand("peers", "who announced public contents to BitTorrent's DHT");
  commands.peers
      ->add_option("CONTENT", raw.dht.contents, "magnet links, .torrent files, or 40 hexadecimal digits")
      ->required();
  commands.get_item = commands.dht->add_subcommand("get", "an item that somebody put into BitTorrent's DHT");
  commands.get_item
      ->add_option("KEY", raw.dht.get.key,
                   "what `put` printed: 40 hexadecimal digits, or 64 of an item that can change")
      ->required();
  commands.put_item = commands.dht->add_subcommand(
      "put", "put an item of up to 996 bytes into BitTorrent's DHT, for two hours");
  commands.put_item->add_option("VALUE", raw.dht.put.value, "its bytes, or - for those of stdin")->required();
  commands.put_item
      ->add_flag("--mutable", raw.dht.put.is_mutable,
                 "one that can change, signed with a key of this state's")
      ->envname("SHOAL_MUTABLE");
  for (auto& [command, salt] :
       {std::pair{commands.get_item, &raw.dht.get.salt}, std::pair{commands.put_item, &raw.dht.put.salt}})
    command->add_option("--salt", *salt, "which of the items under one key (64 bytes at most)")
        ->envname("SHOAL_SALT")
        ->type_name("TEXT");
  commands.stats = commands.dht->add_subcommand("stats", "join, and tell what is seen of the network");
}

// Each scenario is a command below `simulate`, so that its --help tells its parameters.
void add_simulate(CLI::App& app, Commands& commands, SimulationText& raw,
                  std::span<const sim::Scenario> scenarios) {
  CLI::App& simulate = *(commands.simulate = app.add_subcommand(
                             "simulate", "run an experiment in a virtual network of shoal's own engines"));
  simulate.require_subcommand(0, 1);
  const auto formatter = std::make_shared<CLI::Formatter>();
  formatter->label("SUBCOMMAND", "--PARAMETER N ...");  // in the line of usage
  simulate.formatter(formatter);
  simulate.footer(
      "Every flag has a variable: SHOAL_SIMULATE_ and its name, as SHOAL_SIMULATE_SEED=7 or, for --seed-up,\n"
      "SHOAL_SIMULATE_SEED_UP=2. That of a parameter counts for whichever scenario is run.");
  simulate.add_option("SCENARIO", raw.stray, "which one, and behind it its parameters; see --list")
      ->type_name("");
  simulate.add_flag("--list", raw.list, "tell all scenarios with their parameters, and run none")
      ->envname(simulate_variable("list"));
  simulate.add_option("--seed", raw.seed, "a whole number: the same one gives the same result (1)")
      ->envname(simulate_variable("seed"))
      ->type_name("S");
  simulate.add_option("--svg", raw.svg, "draw the result into this new file")
      ->envname(simulate_variable("svg"))
      ->type_name("FILE");
  raw.values.resize(scenarios.size());
  for (std::size_t i = 0; i < scenarios.size(); ++i) {
    const sim::Scenario& scenario = scenarios[i];
    CLI::App& sub = *simulate.add_subcommand(scenario.name, scenario.about)->group("Scenarios");
    commands.scenarios.push_back(&sub);
    raw.values[i].resize(scenario.parameters.size());
    for (std::size_t j = 0; j < scenario.parameters.size(); ++j) {
      const sim::Parameter& each = scenario.parameters[j];
      sub.add_option(std::string{"--"} + each.name, raw.values[i][j],
                     fmt::format("{} ({}; {})", each.about, each.usual, range_of(each)))
          ->envname(simulate_variable(each.name))
          ->type_name("N")
          ->group("Parameters");
    }
  }
}

Result<void> take_hosts(const std::vector<std::string>& texts, std::vector<storage::HostPort>& out) {
  if (texts.size() > max_hosts) return fail(Code::too_large, "at most 64 of them can be given");
  for (const std::string& text : texts) {
    auto parsed = storage::HostPort::parse(text);
    if (!parsed) return std::unexpected(parsed.error());
    out.push_back(std::move(*parsed));
  }
  return {};
}

Result<std::uint32_t> parse_piece_length(const std::string& text) {
  constexpr auto wrong = "a piece length is a power of two from 16K to 64M";
  const auto bytes = parse_quantity(text);
  if (!bytes || *bytes < storage::min_piece_length || *bytes > storage::max_piece_length ||
      (*bytes & (*bytes - 1)) != 0)
    return fail(Code::malformed, wrong);
  return static_cast<std::uint32_t>(*bytes);
}

using Judged = std::expected<void, std::string>;
std::unexpected<std::string> wrong(std::string sentence) { return std::unexpected(std::move(sentence)); }

template <class T, class Where>
Judged take(const char* flag, Result<T> parsed, Where& where) {
  if (!parsed) return wrong(std::string{flag} + ": " + parsed.error().rule);
  where = *parsed;
  return {};
}

Judged judge_common(const Raw& raw, Options& out) {
  out.form = raw.json ? Form::json : Form::text;
  out.talk = raw.quiet ? Talk::quiet : Talk::usual;
  out.lan = raw.no_lsd ? Lan::ignore : Lan::discover;
  out.mainline = !raw.no_mainline;
  out.native = !raw.no_native;
  out.confined = !raw.unconfined;
  if (raw.no_native && raw.no_mainline)
    return wrong("--no-native and --no-mainline leave no dialect to speak; leave one of them away");
  if (raw.mse == "off")
    out.mse = swarm::Obfuscation::off;
  else if (raw.mse == "require")
    out.mse = swarm::Obfuscation::require;
  else if (!raw.mse.empty() && raw.mse != "prefer")
    return wrong("--mse is off, prefer or require");
  if (!raw.listen.empty())
    if (auto ok = take("--listen", parse_listen(raw.listen), out.listen); !ok) return ok;
  if (!raw.up.empty())
    if (auto ok = take("--up", parse_quantity(raw.up), out.up_rate); !ok) return ok;
  if (!raw.down.empty())
    if (auto ok = take("--down", parse_quantity(raw.down), out.down_rate); !ok) return ok;
  if (auto ok = take_hosts(raw.bootstrap, out.bootstrap); !ok)
    return wrong(std::string{"--bootstrap: "} + ok.error().rule);
  if (auto ok = take_hosts(raw.peers, out.peers); !ok)
    return wrong(std::string{"--peer: "} + ok.error().rule);
  return {};
}

Judged judge_name(const std::string& name) {
  if (name.empty()) return {};
  if (const auto ok = storage::check_component(name); !ok)
    return wrong(std::string{"--name: "} + ok.error().rule);
  return {};
}

Judged judge_share(const Raw::Share& raw, Options& out) {
  out.paths = raw.paths;
  out.name = raw.name;
  out.sharing = raw.each ? Sharing::each : Sharing::together;
  out.serving = raw.once ? Serving::one_copy : Serving::until_stopped;
  out.visibility = raw.is_public ? swarm::Visibility::open : swarm::Visibility::sealed;
  if (raw.is_public && !out.mainline)
    return wrong(
        "--public is for BitTorrent's clients, whom --no-mainline keeps away; leave one of them away");
  if (!raw.is_public && !out.native)
    return wrong(
        "--no-native: a sealed share speaks shoal's own dialect alone; add --public, or leave it away");
  if (raw.each && !raw.name.empty())
    return wrong("--name and --each exclude each other: each PATH keeps its own name");
  return judge_name(raw.name);
}

Judged judge_get(const Raw::Get& raw, Options& out) {
  out.source = raw.source;
  out.output = raw.output;
  out.only = raw.only;
  if (out.only.size() > max_globs) return wrong("--only can be given at most 256 times");
  if (!(raw.wait >= 0 && raw.wait <= 1e9)) return wrong("--wait is a number of seconds, 0 for no end");
  out.wait = std::chrono::seconds{static_cast<std::int64_t>(std::ceil(raw.wait))};
  return take("--seed", parse_seed(raw.seed), out.seed);
}

Judged judge_create(const Raw::Create& raw, Options& out) {
  out.paths = raw.paths;
  out.output = raw.output;
  out.name = raw.name;
  if (int{raw.v1} + int{raw.v2} + int{raw.hybrid} > 1)
    return wrong("--v1, --v2 and --hybrid exclude each other; give one of them");
  out.format = raw.v1 ? storage::Format::v1 : raw.v2 ? storage::Format::v2 : storage::Format::hybrid;
  if (!raw.piece_length.empty())
    if (auto ok = take("--piece-length", parse_piece_length(raw.piece_length), out.piece_length); !ok)
      return ok;
  return judge_name(raw.name);
}

Judged judge_simulate(const Raw& raw, std::span<const sim::Scenario> scenarios, Options& out) {
  auto judged = judge_simulation(raw.simulation, scenarios);
  if (!judged) return wrong(std::move(judged.error()));
  out.simulation = std::move(*judged);
  return {};
}

Judged judge_command(const Raw& raw, std::span<const sim::Scenario> scenarios, Options& out) {
  const auto look = [&](const Raw::Look& from) {
    out.source = from.source;
    out.output = from.folder;
    return Judged{};
  };
  switch (out.verb) {
    case Verb::share:
      return judge_share(raw.share, out);
    case Verb::get:
      return judge_get(raw.get, out);
    case Verb::create:
      return judge_create(raw.create, out);
    case Verb::info:
      return look(raw.info);
    case Verb::verify:
      return look(raw.verify);
    case Verb::dht_ping:
    case Verb::dht_find:
    case Verb::dht_peers:
    case Verb::dht_get:
    case Verb::dht_put:
    case Verb::dht_stats:
      return judge_dht(raw.dht, out);
    case Verb::simulate:
      return judge_simulate(raw, scenarios, out);
    case Verb::node:
      break;
  }
  return {};
}

Verb verb_of(const Commands& commands) {
  const std::pair<CLI::App*, Verb> all[] = {
      {commands.share, Verb::share},      {commands.get, Verb::get},
      {commands.node, Verb::node},        {commands.create, Verb::create},
      {commands.info, Verb::info},        {commands.verify, Verb::verify},
      {commands.ping, Verb::dht_ping},    {commands.find, Verb::dht_find},
      {commands.stats, Verb::dht_stats},  {commands.peers, Verb::dht_peers},
      {commands.get_item, Verb::dht_get}, {commands.put_item, Verb::dht_put},
      {commands.simulate, Verb::simulate}};
  for (const auto& [app, verb] : all)
    if (app->parsed()) return verb;
  return Verb::node;  // unreachable: a command is required
}

void choose_scenario(const Commands& commands, std::span<const sim::Scenario> scenarios,
                     SimulationText& raw) {
  for (std::size_t i = 0; i < commands.scenarios.size(); ++i)
    if (commands.scenarios[i]->parsed()) raw.chosen = &scenarios[i];
}

// The first of the words that nothing took, where it is a flag.
std::string stray_flag(const CLI::App& app) {
  for (const std::string& word : app.remaining(true))
    if (word.starts_with("-")) return word.substr(0, word.find('='));
  return {};
}

}  // namespace

Result<Listen> parse_listen(std::string_view text) {
  constexpr auto form = "it is ADDR:PORT, where ADDR is numeric (IPv6 in brackets) and PORT 0..65535";
  Listen out;
  const std::size_t colon = text.rfind(':');
  std::string_view host = colon == std::string_view::npos ? std::string_view{} : text.substr(0, colon);
  const std::string_view digits = colon == std::string_view::npos ? text : text.substr(colon + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
  if (error != std::errc{} || end != digits.data() + digits.size()) return fail(Code::malformed, form);
  if (host.empty() || host == "*") return out;
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = IpAddress::parse(host);
  if (!address || bracketed != (address->family == Family::v6)) return fail(Code::malformed, form);
  if (address->classify() == AddressClass::multicast || address->classify() == AddressClass::embedded)
    return fail(Code::malformed, form);
  out.address = *address;
  return out;
}

Result<swarm::SeedPolicy> parse_seed(std::string_view text) {
  if (text == "none") return swarm::SeedPolicy{};
  if (text == "forever") return swarm::SeedPolicy{swarm::SeedUntil::forever, 0};
  constexpr std::string_view ratio = "ratio=";
  if (text.starts_with(ratio)) {
    double value = 0;
    const std::string_view digits = text.substr(ratio.size());
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error == std::errc{} && end == digits.data() + digits.size() && value > 0 && value <= 1e6)
      return swarm::SeedPolicy{swarm::SeedUntil::ratio, value};
  }
  return fail(Code::malformed, "it is none, forever, or ratio=R with R above 0");
}

Parsed parse_args(int argc, const char* const* argv, std::span<const sim::Scenario> scenarios) {
  Parsed parsed;
  Raw raw;
  Options out;
  Commands commands{};
  CLI::App app{"shoal: share files and folders between people, with no server anywhere", "shoal"};
  app.set_version_flag("--version", "shoal " SHOAL_VERSION);
  app.require_subcommand(0, 1);  // none: said below, so that a misspelt one is named first
  app.fallthrough();
  try {
    add_common(app, raw, out);
    add_contents(app, commands, raw);
    add_others(app, commands, raw);
    add_simulate(app, commands, raw.simulation, scenarios);
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream to_out, to_err;
    const int code = app.exit(error, to_out, to_err);
    choose_scenario(commands, scenarios, raw.simulation);
    parsed.exit = code == 0 ? Exit::done : Exit::usage;
    parsed.to_stdout = to_out.str();
    if (const std::string stray = stray_flag(app); code != 0 && commands.simulate->parsed() && !stray.empty())
      parsed.to_stderr = "shoal: " + judge_stray_flag(raw.simulation, stray, scenarios) + "\n";
    else if (code != 0)
      parsed.to_stderr = "shoal: " + storage::escape_for_display(error.what()) + "; see shoal --help\n";
    return parsed;
  } catch (const std::exception& error) {
    parsed.exit = Exit::internal;
    parsed.to_stderr = std::string{"shoal: "} + error.what() + "\n";
    return parsed;
  }
  if (app.get_subcommands().empty()) {
    parsed.exit = Exit::usage;
    parsed.to_stderr = "shoal: name a command, such as share, get or node; see shoal --help\n";
    return parsed;
  }
  out.verb = verb_of(commands);
  choose_scenario(commands, scenarios, raw.simulation);
  auto judged = judge_common(raw, out);
  if (judged) judged = judge_command(raw, scenarios, out);
  if (!judged) {
    parsed.exit = Exit::usage;
    parsed.to_stderr = "shoal: " + judged.error() + "\n";
    return parsed;
  }
  parsed.options = std::move(out);
  return parsed;
}

}  // namespace shoal::cli
