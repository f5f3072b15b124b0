// Arguments: what each command takes, what is refused and in which words, and the SHOAL_* variables.
#include "cli/args.hpp"

#include <cstdlib>

#include <gtest/gtest.h>

namespace shoal::cli {
namespace {

Parsed parse(std::vector<const char*> words) {
  words.insert(words.begin(), "shoal");
  return parse_args(static_cast<int>(words.size()), words.data());
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
  EXPECT_EQ(accepted({"dht", "stats"}).verb, Verb::dht_stats);
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

TEST(Args, WhatNeedsBitTorrentIsRefusedInOneSentence) {
  EXPECT_NE(refused({"share", "a", "--public"}).find("BitTorrent"), std::string::npos);
  EXPECT_NE(refused({"create", "a", "-o", "b", "--v1"}).find("--v2"), std::string::npos);
  EXPECT_NE(refused({"create", "a", "-o", "b", "--hybrid"}).find("--v2"), std::string::npos);
  EXPECT_NE(refused({"node", "--no-native"}).find("dialect"), std::string::npos);
  // Harmless where there is no such dialect to begin with.
  accepted({"node", "--no-mainline", "--mse", "require"});
  accepted({"create", "a", "-o", "b", "--v2"});
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

TEST(Args, VariablesOfOneCommandDoNotDisturbAnother) {
  const Variable is_public{"SHOAL_PUBLIC", "1"}, v1{"SHOAL_V1", "1"}, output{"SHOAL_OUTPUT", "/out"};
  EXPECT_EQ(accepted({"verify", "x", "/dir"}).output, "/dir");
  EXPECT_EQ(accepted({"get", "x"}).output, "/out");
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
