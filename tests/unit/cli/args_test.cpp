// Arguments: what each command takes, what is refused and in which words, and the SHOAL_* variables.
#include "cli/args.hpp"

#include <cstdlib>

#include <gtest/gtest.h>

#include "tests/unit/cli/fake_scenarios.hpp"

namespace shoal::cli {
namespace {

Parsed parse(std::vector<const char*> words) {
  words.insert(words.begin(), "shoal");
  return parse_args(static_cast<int>(words.size()), words.data(), fake_scenarios());
}

Options accepted(const std::vector<const char*>& words) {
  Parsed parsed = parse(words);
  EXPECT_TRUE(parsed.options) << parsed.to_stderr;
  return parsed.options.value_or(Options{});
}

// One sentence on stderr, nothing on stdout, exit 2.
std::string refused(const std::vector<const char*>& words) {
  const Parsed parsed = parse(words);
  EXPECT_FALSE(parsed.options);
  EXPECT_EQ(parsed.exit, Exit::usage);
  EXPECT_EQ(parsed.to_stdout, "");
  EXPECT_TRUE(parsed.to_stderr.starts_with("shoal: ")) << parsed.to_stderr;
  EXPECT_TRUE(parsed.to_stderr.ends_with("\n"));
  EXPECT_EQ(std::count(parsed.to_stderr.begin(), parsed.to_stderr.end(), '\n'), 1) << parsed.to_stderr;
  return parsed.to_stderr;
}

// Sets a variable for the time of a test.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~Variable() { ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

TEST(Args, EachCommandIsKnown) {
  EXPECT_EQ(accepted({"share", "a"}).verb, Verb::share);
  EXPECT_EQ(accepted({"get", "shoal:x"}).verb, Verb::get);
  EXPECT_EQ(accepted({"node"}).verb, Verb::node);
  EXPECT_EQ(accepted({"create", "a", "-o", "b"}).verb, Verb::create);
  EXPECT_EQ(accepted({"info", "a"}).verb, Verb::info);
  EXPECT_EQ(accepted({"verify", "a", "b"}).verb, Verb::verify);
  EXPECT_EQ(accepted({"dht", "ping", "1.2.3.4:5"}).verb, Verb::dht_ping);
  EXPECT_EQ(accepted({"dht", "find"}).verb, Verb::dht_find);
  EXPECT_EQ(accepted({"dht", "peers", "a"}).verb, Verb::dht_peers);
  EXPECT_EQ(accepted({"dht", "get", std::string(40, '0').c_str()}).verb, Verb::dht_get);
  EXPECT_EQ(accepted({"dht", "put", "a"}).verb, Verb::dht_put);
  EXPECT_EQ(accepted({"dht", "stats"}).verb, Verb::dht_stats);
}

TEST(Args, ItemsHaveAKeyThatTellsTheirKindAndSaltIfTheyCanChange) {
  const std::string digest(40, 'a'), key(64, 'b'), long_salt(65, 's');
  EXPECT_EQ(accepted({"dht", "get", digest.c_str()}).target->bytes.front(), 0xAA);
  const Options changing = accepted({"dht", "get", key.c_str(), "--salt", "s"});
  EXPECT_FALSE(changing.target);
  EXPECT_EQ(changing.author->back(), 0xBB);
  EXPECT_EQ(changing.salt, "s");
  EXPECT_EQ(accepted({"dht", "put", "value"}).permanence, Permanence::immutable);
  const Options put = accepted({"dht", "put", "-", "--mutable", "--salt", "s"});
  EXPECT_EQ(put.permanence, Permanence::changeable);
  EXPECT_EQ(put.source, "-");
  EXPECT_EQ(put.salt, "s");
  EXPECT_NE(refused({"dht", "get", digest.c_str(), "--salt", "s"}).find("--salt"), std::string::npos);
  EXPECT_NE(refused({"dht", "put", "value", "--salt", "s"}).find("--salt"), std::string::npos);
  EXPECT_NE(refused({"dht", "put", "value", "--mutable", "--salt", long_salt.c_str()}).find("--salt"),
            std::string::npos);
}

TEST(Args, CommonFlagsStandBeforeOrAfterTheCommand) {
  const std::vector<const char*> before{"--json", "--up", "2M", "--state", "/s", "node"};
  const std::vector<const char*> after{"node", "--json", "--up", "2M", "--state", "/s"};
  for (const auto& words : {before, after}) {
    const Options options = accepted(words);
    EXPECT_EQ(options.form, Form::json);
    EXPECT_EQ(options.up_rate, std::uint64_t{2} << 20);
    EXPECT_EQ(options.state, "/s");
  }
  EXPECT_EQ(accepted({"dht", "stats", "--down", "1K"}).down_rate, 1024U);
}

TEST(Args, HostsMayBeRepeated) {
  const Options options = accepted(
      {"get", "shoal:x", "--bootstrap", "a.example:1", "--bootstrap", "[::1]:2", "--peer", "1.2.3.4:3"});
  ASSERT_EQ(options.bootstrap.size(), 2U);
  EXPECT_EQ(options.bootstrap[0].to_string(), "a.example:1");
  EXPECT_EQ(options.bootstrap[1].to_string(), "[::1]:2");
  ASSERT_EQ(options.peers.size(), 1U);
}

TEST(Args, ShareTakesItsFlags) {
  const Options options = accepted({"share", "a", "b", "--name", "both", "--once"});
  EXPECT_EQ(options.paths, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(options.name, "both");
  EXPECT_EQ(options.serving, Serving::one_copy);
  EXPECT_EQ(accepted({"share", "--each", "a", "b"}).sharing, Sharing::each);
  EXPECT_EQ(accepted({"share", "--", "-a"}).paths, std::vector<std::string>{"-a"});
}

TEST(Args, GetTakesItsFlags) {
  const Options options = accepted(
      {"get", "-", "-o", "/d", "--only", "*.txt", "--only", "a,b", "--seed", "ratio=1.5", "--wait", "0.5"});
  EXPECT_EQ(options.source, "-");
  EXPECT_EQ(options.output, "/d");
  EXPECT_EQ(options.only, (std::vector<std::string>{"*.txt", "a,b"}));
  EXPECT_EQ(options.seed.until, swarm::SeedUntil::ratio);
  EXPECT_DOUBLE_EQ(options.seed.ratio, 1.5);
  EXPECT_EQ(options.wait, std::chrono::seconds{1});  // rounded up
  const Options usual = accepted({"get", "x"});
  EXPECT_EQ(usual.wait, std::chrono::seconds{60});
  EXPECT_EQ(usual.seed.until, swarm::SeedUntil::complete);
  EXPECT_EQ(usual.output, "");
}

TEST(Args, TheDialectsMayBeChosenButNotAway) {
  EXPECT_EQ(accepted({"share", "a", "--public"}).visibility, swarm::Visibility::open);
  EXPECT_FALSE(accepted({"share", "a", "--public", "--no-native"}).native);
  EXPECT_FALSE(accepted({"node", "--no-mainline"}).mainline);
  EXPECT_EQ(accepted({"node", "--mse", "require"}).mse, swarm::Obfuscation::require);
  EXPECT_EQ(accepted({"node", "--mse", "off"}).mse, swarm::Obfuscation::off);
  EXPECT_EQ(accepted({"node"}).mse, swarm::Obfuscation::prefer);
  EXPECT_NE(refused({"node", "--no-native", "--no-mainline"}).find("dialect"), std::string::npos);
  EXPECT_NE(refused({"share", "a", "--public", "--no-mainline"}).find("BitTorrent"), std::string::npos);
  EXPECT_NE(refused({"share", "a", "--no-native"}).find("--public"), std::string::npos);
}

TEST(Args, WrongValuesAreNamed) {
  EXPECT_NE(refused({}).find("command"), std::string::npos);
  EXPECT_NE(refused({"frobnicate"}).find("frobnicate"), std::string::npos);
  EXPECT_NE(refused({"share"}).find("PATH"), std::string::npos);
  EXPECT_NE(refused({"get"}).find("LINK"), std::string::npos);
  EXPECT_NE(refused({"node", "--up", "fast"}).find("--up"), std::string::npos);
  EXPECT_NE(refused({"node", "--down", "0"}).find("--down"), std::string::npos);
  EXPECT_NE(refused({"node", "--listen", "here"}).find("--listen"), std::string::npos);
  EXPECT_NE(refused({"node", "--listen", "1.2.3.4:70000"}).find("--listen"), std::string::npos);
  EXPECT_NE(refused({"node", "--bootstrap", "1.2.3.4"}).find("--bootstrap"), std::string::npos);
  EXPECT_NE(refused({"node", "--peer", "a:0"}).find("--peer"), std::string::npos);
  EXPECT_NE(refused({"node", "--mse", "maybe"}).find("--mse"), std::string::npos);
  EXPECT_NE(refused({"get", "x", "--seed", "ratio=0"}).find("--seed"), std::string::npos);
  EXPECT_NE(refused({"get", "x", "--wait", "-1"}).find("--wait"), std::string::npos);
  EXPECT_NE(refused({"share", "a", "--name", "a/b"}).find("--name"), std::string::npos);
  EXPECT_NE(refused({"share", "a", "--each", "--name", "b"}).find("--each"), std::string::npos);
  EXPECT_NE(refused({"create", "a", "-o", "b", "--piece-length", "20000"}).find("--piece-length"),
            std::string::npos);
  EXPECT_NE(refused({"dht", "find", "abc"}).find("KEY"), std::string::npos);
  EXPECT_NE(refused({"dht", "ping", "abc"}).find("NODE"), std::string::npos);
  EXPECT_NE(refused({"dht", "get", "abc"}).find("KEY"), std::string::npos);
  EXPECT_NE(refused({"--no-mainline", "dht", "peers", "a"}).find("--no-mainline"), std::string::npos);
}

TEST(Args, ErrorsDoNotMoveTheCursor) {
  EXPECT_EQ(refused({"share\x1b[31m"}).find('\x1b'), std::string::npos);
}

TEST(Args, HelpAndVersionGoToStdout) {
  const Parsed help = parse({"--help"});
  EXPECT_FALSE(help.options);
  EXPECT_EQ(help.exit, Exit::done);
  EXPECT_NE(help.to_stdout.find("share"), std::string::npos);
  EXPECT_EQ(help.to_stderr, "");
  EXPECT_EQ(parse({"--version"}).to_stdout, "shoal " SHOAL_VERSION "\n");
  EXPECT_NE(parse({"get", "--help"}).to_stdout.find("--wait"), std::string::npos);
}

TEST(Args, EveryFlagIsAVariableToo) {
  const Variable state{"SHOAL_STATE", "/v"}, listen{"SHOAL_LISTEN", "127.0.0.1:99"}, up{"SHOAL_UP", "1K"};
  const Variable nodes{"SHOAL_BOOTSTRAP", "a:1,b:2"}, json{"SHOAL_JSON", "1"}, local{"SHOAL_LOCAL", "true"};
  const Options options = accepted({"node"});
  EXPECT_EQ(options.state, "/v");
  EXPECT_EQ(options.listen.port, 99);
  EXPECT_EQ(options.up_rate, 1024U);
  EXPECT_EQ(options.bootstrap.size(), 2U);
  EXPECT_EQ(options.form, Form::json);
  EXPECT_TRUE(options.local);
  EXPECT_EQ(accepted({"node", "--state", "/w"}).state, "/w");  // the command line is nearer
}

TEST(Args, ALinkMayStayOutOfTheProcessList) {
  const Variable link{"SHOAL_LINK", "shoal:secret"}, name{"SHOAL_NAME", "n"};
  EXPECT_EQ(accepted({"get"}).source, "shoal:secret");
  EXPECT_EQ(accepted({"get", "other"}).source, "other");
  EXPECT_EQ(accepted({"info", "other"}).source, "other");
  EXPECT_EQ(accepted({"share", "a", "--name", "m"}).name, "m");
  EXPECT_EQ(accepted({"share", "a"}).name, "n");
}

TEST(Args, ATorrentHasOneFormat) {
  EXPECT_EQ(accepted({"create", "a", "-o", "b"}).format, storage::Format::hybrid);
  EXPECT_EQ(accepted({"create", "a", "-o", "b", "--hybrid"}).format, storage::Format::hybrid);
  EXPECT_EQ(accepted({"create", "a", "-o", "b", "--v1"}).format, storage::Format::v1);
  EXPECT_EQ(accepted({"create", "a", "-o", "b", "--v2"}).format, storage::Format::v2);
  EXPECT_NE(refused({"create", "a", "-o", "b", "--v1", "--hybrid"}).find("--hybrid"), std::string::npos);
}

TEST(Args, ARunningPeerIsConfinedUnlessToldOtherwise) {
  EXPECT_TRUE(accepted({"share", "a"}).confined);
  EXPECT_FALSE(accepted({"share", "a", "--unconfined"}).confined);
}

TEST(Args, VariablesOfOneCommandDoNotDisturbAnother) {
  const Variable is_public{"SHOAL_PUBLIC", "1"}, v1{"SHOAL_V1", "1"}, output{"SHOAL_OUTPUT", "/out"};
  EXPECT_EQ(accepted({"verify", "x", "/dir"}).output, "/dir");
  EXPECT_EQ(accepted({"get", "x"}).output, "/out");
}

TEST(Args, SimulateTakesAScenarioWithItsParameters) {
  const Simulation usual = accepted({"simulate", "waves"}).simulation;
  ASSERT_NE(usual.run, nullptr);
  EXPECT_STREQ(usual.run->name, "waves");
  EXPECT_EQ(usual.seed, 1U);
  EXPECT_EQ(usual.svg, "");
  EXPECT_EQ(usual.parameters.at("nodes"), 4);
  EXPECT_EQ(usual.parameters.at("loss-rate"), 0.5);
  const std::vector<const char*> behind{"simulate", "waves", "--nodes", "8",      "--loss-rate",
                                        "1e-1",     "--svg", "p.svg",   "--seed", "18446744073709551615"};
  const std::vector<const char*> before{
      "simulate", "--seed", "18446744073709551615", "--svg", "p.svg", "waves",
      "--nodes",  "8",      "--loss-rate",          "1e-1"};
  for (const auto& words : {behind, before}) {
    const Options options = accepted(words);
    EXPECT_EQ(options.verb, Verb::simulate);
    EXPECT_EQ(options.simulation.seed, ~std::uint64_t{0});
    EXPECT_EQ(options.simulation.svg, "p.svg");
    EXPECT_EQ(options.simulation.parameters.at("nodes"), 8);
    EXPECT_EQ(options.simulation.parameters.at("loss-rate"), 0.1);
  }
  EXPECT_EQ(accepted({"--json", "simulate", "silent"}).form, Form::json);
  EXPECT_EQ(accepted({"simulate", "silent", "--json"}).form, Form::json);
  EXPECT_TRUE(accepted({"simulate", "silent"}).simulation.parameters.empty());
}

TEST(Args, AParameterComesBeforeAFlagOfTheSameName) {
  const Options options = accepted({"simulate", "waves", "--up", "7"});
  EXPECT_EQ(options.simulation.parameters.at("up"), 7);
  EXPECT_EQ(options.up_rate, 0U);
}

TEST(Args, SimulateListsAllScenariosOrOne) {
  const Simulation all = accepted({"simulate", "--list"}).simulation;
  EXPECT_EQ(all.run, nullptr);
  EXPECT_EQ(all.list.size(), fake_scenarios().size());
  const Simulation one = accepted({"simulate", "silent", "--list"}).simulation;
  EXPECT_EQ(one.run, nullptr);
  ASSERT_EQ(one.list.size(), 1U);
  EXPECT_STREQ(one.list[0].name, "silent");
  EXPECT_NE(parse({"simulate", "--help"}).to_stdout.find("waves"), std::string::npos);
  EXPECT_NE(parse({"simulate", "--help"}).to_stdout.find("SHOAL_SIMULATE_"), std::string::npos);
  EXPECT_NE(parse({"simulate", "waves", "--help"}).to_stdout.find("how many (4; from 1 to 100)"),
            std::string::npos)
      << parse({"simulate", "waves", "--help"}).to_stdout;
}

TEST(Args, WhatIsWrongWithASimulationIsNamed) {
  EXPECT_EQ(refused({"simulate", "tide"}), "shoal: 'tide' is no scenario; there are: waves, silent\n");
  EXPECT_EQ(refused({"simulate", "tide", "--nodes", "5"}),
            "shoal: 'tide' is no scenario; there are: waves, silent\n");
  EXPECT_EQ(refused({"simulate", "share"}), "shoal: 'share' is no scenario; there are: waves, silent\n");
  EXPECT_EQ(refused({"simulate"}), "shoal: name a scenario: waves, silent; see shoal simulate --list\n");
  EXPECT_EQ(refused({"simulate", "--nodes"}),
            "shoal: --nodes is not known without a scenario; name one of: waves, silent\n");
  EXPECT_EQ(refused({"simulate", "waves", "--nodes", "101"}),
            "shoal: --nodes is a number from 1 to 100 (how many), not '101'\n");
  for (const char* wrong : {"0", "-1", "x", "5x", "nan", "inf", "0x10", " 5", "1e999"})
    EXPECT_NE(refused({"simulate", "waves", "--nodes", wrong}).find("from 1 to 100"), std::string::npos)
        << wrong;
  EXPECT_EQ(refused({"simulate", "waves", "--tides", "3"}),
            "shoal: --tides is no parameter of waves; it has: --nodes, --loss-rate, --up\n");
  EXPECT_EQ(refused({"simulate", "waves", "--tides=3"}),
            "shoal: --tides is no parameter of waves; it has: --nodes, --loss-rate, --up\n");
  EXPECT_EQ(refused({"simulate", "--nodes", "3", "waves"}),
            "shoal: --nodes belongs behind the scenario's name: shoal simulate waves --nodes N\n");
  EXPECT_NE(refused({"simulate", "waves", "silent"}).find("'silent' is one word too many"),
            std::string::npos);
  for (const char* wrong : {"-1", "1.5", "x", "18446744073709551616"})
    EXPECT_NE(refused({"simulate", "waves", "--seed", wrong}).find("--seed"), std::string::npos) << wrong;
  EXPECT_EQ(refused({"simulate", "w\x1b[31m"}).find('\x1b'), std::string::npos);
}

TEST(Args, ParametersHaveVariablesTooAndThoseOfOtherScenariosDoNotDisturb) {
  const Variable nodes{"SHOAL_SIMULATE_NODES", "9"}, seed{"SHOAL_SIMULATE_SEED", "5"};
  const Variable rate{"SHOAL_SIMULATE_LOSS_RATE", "0.25"}, of_get{"SHOAL_SEED", "forever"};
  const Simulation found = accepted({"simulate", "waves"}).simulation;
  EXPECT_EQ(found.parameters.at("nodes"), 9);
  EXPECT_EQ(found.parameters.at("loss-rate"), 0.25);
  EXPECT_EQ(found.seed, 5U);
  EXPECT_EQ(accepted({"simulate", "waves", "--nodes", "3"}).simulation.parameters.at("nodes"), 3);
  const Variable wrong{"SHOAL_SIMULATE_UP", "much"};
  EXPECT_NE(refused({"simulate", "waves"}).find("--up"), std::string::npos);
  accepted({"simulate", "silent"});
  accepted({"node"});
}

// Of those there are: what the command line cannot say would never be run.
TEST(Args, ScenariosCanBeSaidOnACommandLine) {
  for (const sim::Scenario& scenario : sim::scenarios()) {
    const std::string name = scenario.name;
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz-"), std::string::npos) << name;
    EXPECT_FALSE(std::string{scenario.about}.empty()) << name;
    std::vector<std::string> seen{"seed", "svg", "list", "json", "quiet", "state", "help", "version"};
    for (const sim::Parameter& each : scenario.parameters) {
      const std::string flag = each.name;
      EXPECT_EQ(flag.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-"), std::string::npos) << flag;
      EXPECT_EQ(std::find(seen.begin(), seen.end(), flag), seen.end()) << name << " --" << flag;
      seen.push_back(flag);
      EXPECT_LE(each.least, each.usual) << flag;
      EXPECT_LE(each.usual, each.most) << flag;
    }
    const std::vector<const char*> words{"shoal", "simulate", scenario.name};
    const Parsed parsed = parse_args(3, words.data(), sim::scenarios());
    ASSERT_TRUE(parsed.options) << parsed.to_stderr;
    EXPECT_EQ(parsed.options->simulation.run, &scenario);
    EXPECT_EQ(parsed.options->simulation.parameters.size(), scenario.parameters.size());
  }
}

TEST(Args, Listen) {
  EXPECT_EQ(parse_listen("1.2.3.4:5"), (Listen{*IpAddress::parse("1.2.3.4"), 5}));
  EXPECT_EQ(parse_listen("[::1]:0"), (Listen{*IpAddress::parse("::1"), 0}));
  EXPECT_EQ(parse_listen(":7"), (Listen{std::nullopt, 7}));
  EXPECT_EQ(parse_listen("*:7"), (Listen{std::nullopt, 7}));
  EXPECT_EQ(parse_listen("7"), (Listen{std::nullopt, 7}));
  for (const char* wrong : {"", "a", "1.2.3.4", "1.2.3.4:", "1.2.3.4:-1", "1.2.3.4:65536", "::1:5",
                            "[1.2.3.4]:5", "host:5", "224.0.0.1:5", "1.2.3.4:5x", "[::ffff:1.2.3.4]:5"})
    EXPECT_FALSE(parse_listen(wrong)) << wrong;
}

TEST(Args, Seed) {
  EXPECT_EQ(parse_seed("none")->until, swarm::SeedUntil::complete);
  EXPECT_EQ(parse_seed("forever")->until, swarm::SeedUntil::forever);
  EXPECT_DOUBLE_EQ(parse_seed("ratio=2")->ratio, 2);
  for (const char* wrong :
       {"", "ratio", "ratio=", "ratio=-1", "ratio=nan", "ratio=inf", "ratio=1x", "2", "Forever"})
    EXPECT_FALSE(parse_seed(wrong)) << wrong;
}

}  // namespace
}  // namespace shoal::cli
