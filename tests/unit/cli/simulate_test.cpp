// `simulate` from its arguments to its output: tables, JSON lines, plots, and how it ends.
#include <csignal>
#include <fstream>
#include <iterator>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "tests/unit/cli/fake_scenarios.hpp"
#include "tests/unit/cli/pipe.hpp"
#include "tests/unit/cli/scratch.hpp"

namespace shoal::cli {
namespace {

struct Ran {
  Exit exit{};
  std::string out, err;
};

Ran run(std::vector<std::string> words, std::span<const sim::Scenario> scenarios = fake_scenarios(),
        Terminal terminal = {}) {
  words.insert(words.begin(), {"shoal", "simulate"});
  std::vector<const char*> raw;
  for (const std::string& word : words) raw.push_back(word.c_str());
  const Parsed parsed = parse_args(static_cast<int>(raw.size()), raw.data(), scenarios);
  EXPECT_TRUE(parsed.options) << parsed.to_stderr;
  if (!parsed.options) return {parsed.exit, parsed.to_stdout, parsed.to_stderr};
  Pipe out, err;
  Ran ran;
  {
    Report report{parsed.options->form, parsed.options->talk, terminal, out.writer(), err.writer()};
    Reactor reactor;
    const Environment environment = [](const char*) -> const char* { return nullptr; };
    CommandRoom room{*parsed.options, report, reactor, environment};
    ran.exit = run_command(room);
  }
  ran.out = out.text();
  ran.err = err.text();
  return ran;
}

std::string content_of(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

// `often` raises SIGINT at its third report and has a row for each report that asked it to go on.
std::span<const sim::Scenario> stopping() {
  static const std::array<sim::Scenario, 1> all{
      {{"often", "is stopped", {}, [](const sim::Order& order) {
          sim::Report found;
          found.columns = {{"n", "reports", 0}};
          found.plot = sim::Plot{"t", "x", "y", {}};
          for (std::int64_t i = 1; i <= 10; ++i) {
            if (i == 3) std::raise(SIGINT);
            if (!order.progress(static_cast<double>(i) / 10, "on its way")) break;
            found.rows.push_back({from_unix_ms(i), {i}});
          }
          return found;
        }}}};
  return all;
}

TEST(Simulate, TextIsATableOnStdoutAndNotesOnStderr) {
  const Ran ran = run({"waves", "--nodes", "3", "--seed", "7"});
  EXPECT_EQ(ran.exit, Exit::done);
  EXPECT_EQ(ran.out,
            "       half of the\n"
            "nodes     nodes, s  name     odd\n"
            "-----  -----------  ------  ----\n"
            "    1         0.50  wave 1  -1.0\n"
            "    2         1.00  wave 2     -\n"
            "    3         1.50  wave 3     -\n");
  EXPECT_EQ(ran.err, "shoal simulate waves --seed 7 --nodes 3\na note\n");
}

TEST(Simulate, JsonIsALineForEachRowWithTheTimeOfItsWorld) {
  const Ran ran = run({"waves", "--nodes", "3", "--seed", "7", "--json"});
  EXPECT_EQ(ran.exit, Exit::done);
  EXPECT_EQ(
      ran.out,
      R"({"v":1,"ts":1007,"event":"waves","n":1,"half":0.5,"name":"wave 1","odd":-1.0})"
      "\n"
      R"({"v":1,"ts":2007,"event":"waves","n":2,"half":1.0,"name":"wave 2"})"
      "\n"
      R"({"v":1,"ts":3007,"event":"waves","n":3,"half":1.5,"name":"wave 3"})"
      "\n"
      R"({"v":1,"ts":3007,"event":"notes","command":"shoal simulate waves --seed 7 --nodes 3","notes":["a note"]})"
      "\n"
      R"({"v":1,"ts":3007,"event":"stopped","exit":0})"
      "\n");
}

TEST(Simulate, TheSameOrderGivesTheSameBytes) {
  const Scratch scratch;
  for (const char* name : {"1.svg", "2.svg"}) {
    const Ran drawn = run({"waves", "--seed", "3", "--svg", scratch.path(name)});
    EXPECT_EQ(drawn.exit, Exit::done) << drawn.err;
    EXPECT_EQ(drawn.out, run({"waves", "--seed", "3"}).out);
  }
  EXPECT_EQ(content_of(scratch.path("1.svg")), content_of(scratch.path("2.svg")));
  EXPECT_EQ(run({"waves", "--json"}).out, run({"waves", "--json"}).out);
  EXPECT_NE(run({"waves", "--json", "--seed", "3"}).out, run({"waves", "--json", "--seed", "4"}).out);
}

TEST(Simulate, NoRowIsNoTable) {
  const Ran ran = run({"silent"});
  EXPECT_EQ(ran.exit, Exit::done);
  EXPECT_EQ(ran.out, "");
}

TEST(Simulate, ASignalEndsItInOrderWithTheRowsSoFar) {
  const Scratch scratch;
  struct sigaction before{}, now{};  // a shell's background command is deaf to it
  ASSERT_EQ(::sigaction(SIGINT, nullptr, &before), 0);
  const Ran ran = run({"often", "--json", "--svg", scratch.path("p.svg")}, stopping());
  EXPECT_EQ(ran.exit, Exit::interrupted);
  EXPECT_TRUE(
      ran.out.starts_with("{\"v\":1,\"ts\":1,\"event\":\"often\",\"n\":1}\n"
                          "{\"v\":1,\"ts\":2,\"event\":\"often\",\"n\":2}\n"
                          "{\"v\":1,\"ts\":2,\"event\":\"notes\","))
      << ran.out;
  EXPECT_TRUE(ran.out.ends_with("{\"v\":1,\"ts\":2,\"event\":\"stopped\",\"exit\":3}\n")) << ran.out;
  EXPECT_NE(ran.err.find("stopped before its end"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(scratch.path("p.svg")));
  // Once more: neither the note of the first signal nor its handler is left.
  EXPECT_EQ(run({"often"}, stopping()).out.find("    3\n"), std::string::npos);
  ASSERT_EQ(::sigaction(SIGINT, nullptr, &now), 0);
  EXPECT_EQ(now.sa_handler, before.sa_handler);
}

TEST(SimulateDeathTest, TheSecondSignalDoesNotWaitForTheScenario) {
  static const std::array<sim::Scenario, 1> deaf{{{"deaf", "never asks", {}, [](const sim::Order&) {
                                                     std::raise(SIGTERM);
                                                     std::raise(SIGINT);
                                                     return sim::Report{};
                                                   }}}};
  EXPECT_EXIT((void)run({"deaf"}, deaf), ::testing::ExitedWithCode(3), "");
}

TEST(Simulate, ProgressIsDrawnOnATerminalAndCleared) {
  const Ran ran = run({"often"}, stopping(), {.live = true, .fixed_columns = 60});
  EXPECT_TRUE(ran.err.starts_with("\roften: 10.0 %, on its way, ")) << ran.err;
  EXPECT_NE(ran.err.find("\r\x1b[K"), std::string::npos);
  EXPECT_EQ(ran.out.find('\r'), std::string::npos);
  EXPECT_EQ(run({"waves", "--quiet"}, fake_scenarios(), {.live = true}).err, "");
}

TEST(Simulate, APlotIsWrittenToANewFile) {
  const Scratch scratch;
  const std::string path = scratch.path("plot.svg");
  const Ran ran = run({"waves", "--svg", path, "--nodes", "9"});
  EXPECT_EQ(ran.exit, Exit::done) << ran.err;
  const std::string svg = content_of(path);
  EXPECT_TRUE(svg.starts_with("<svg "));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_NE(svg.find("shoal simulate waves --seed 1 --nodes 9"), std::string::npos);  // how to draw it again
  EXPECT_NE(ran.err.find("drew '" + path + "'"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(path + ".part"));
}

TEST(Simulate, NothingIsReplacedAndNothingIsRunForIt) {
  const Scratch scratch;
  const std::string path = scratch.path("there");
  std::filesystem::create_symlink(scratch.path("nowhere"), path);  // dangling
  const Ran ran = run({"waves", "--svg", path, "--json"});
  EXPECT_EQ(ran.exit, Exit::path);
  EXPECT_EQ(ran.err,
            "shoal: '" + path + "' is there already; move it away, or give another name with --svg.\n");
  EXPECT_EQ(ran.out.find("\"event\":\"waves\""), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(scratch.path("nowhere")));
  const Ran nowhere = run({"waves", "--svg", scratch.path("no/such/folder.svg")});
  EXPECT_EQ(nowhere.exit, Exit::path);
  EXPECT_NE(nowhere.err.find("give another place with --svg"), std::string::npos) << nowhere.err;
}

TEST(Simulate, AScenarioWithoutAPlotSaysSo) {
  const Scratch scratch;
  const Ran ran = run({"silent", "--svg", scratch.path("p.svg")});
  EXPECT_EQ(ran.exit, Exit::usage);
  EXPECT_NE(ran.err.find("silent has nothing to draw"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(scratch.path("p.svg")));
}

TEST(Simulate, ListTellsScenariosParametersAndRanges) {
  const Ran text = run({"--list"});
  EXPECT_EQ(text.exit, Exit::done);
  EXPECT_EQ(text.out,
            "waves: goes up and down\n"
            "    --nodes      how many (4; from 1 to 100)\n"
            "    --loss-rate  part that is lost (0.5; from 0 to 1)\n"
            "    --up         uplink, kB/s (100; from 1 to 1000)\n"
            "silent: says nothing\n");
  const Ran json = run({"waves", "--list", "--json"});
  std::vector<nlohmann::json> lines;
  std::istringstream stream{json.out};
  for (std::string line; std::getline(stream, line);) lines.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(lines.size(), 5U);
  EXPECT_EQ(lines[0]["event"], "scenario");
  EXPECT_EQ(lines[2]["name"], "loss-rate");
  EXPECT_EQ(lines[2]["usual"], 0.5);
  EXPECT_EQ(lines[2]["most"], 1);
  EXPECT_EQ(lines[4]["event"], "stopped");
}

}  // namespace
}  // namespace shoal::cli
