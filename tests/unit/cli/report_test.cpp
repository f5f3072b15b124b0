// Report: what goes to which stream, in which form.
#include "cli/report.hpp"

#include <map>

#include <gtest/gtest.h>

#include "tests/unit/cli/pipe.hpp"

namespace shoal::cli {
namespace {

struct Spoken {
  std::string out, err;
};
Spoken speak(Form form, Talk talk, Terminal terminal = {}) {
  Pipe out, err;
  {
    Report report{form, talk, terminal, out.writer(), err.writer()};
    report.say("said");
    report.data("data");
    report.event(EventLine{"e"});
    report.progress("half");
    report.failure({Exit::path, "wrong; do better", "/p\x1b"});
  }
  return {out.text(), err.text()};
}

TEST(Report, TextPutsDataAloneOnStdout) {
  const Spoken spoken = speak(Form::text, Talk::usual);
  EXPECT_EQ(spoken.out, "data\n");
  EXPECT_EQ(spoken.err, "said\nshoal: wrong; do better.\n");
}

TEST(Report, JsonPutsEventsAloneOnStdout) {
  const Spoken spoken = speak(Form::json, Talk::usual);
  EXPECT_NE(spoken.out.find(R"("event":"e"})"
                            "\n"),
            std::string::npos)
      << spoken.out;
  EXPECT_NE(spoken.out.find(R"("event":"error","exit":7,"message":"wrong; do better","path":"/p\\x1b"})"),
            std::string::npos)
      << spoken.out;
  EXPECT_EQ(spoken.out.find("data"), std::string::npos);
}

TEST(Report, EventsOfAVirtualWorldBearItsTime) {
  Pipe out, err;
  Report report{Form::json, Talk::usual, {}, out.writer(), err.writer()};
  report.stamp(from_unix_ms(12));
  report.event(EventLine{"a"}.integer("n", -3));
  report.stamp(from_unix_ms(34));
  report.event(EventLine{"b"});
  EXPECT_EQ(out.text(), R"({"v":1,"ts":12,"event":"a","n":-3})"
                        "\n"
                        R"({"v":1,"ts":34,"event":"b"})"
                        "\n");
}

TEST(Report, QuietSaysErrorsAlone) {
  const Spoken spoken = speak(Form::text, Talk::quiet, {.live = true});
  EXPECT_EQ(spoken.out, "data\n");
  EXPECT_EQ(spoken.err, "shoal: wrong; do better.\n");
}

TEST(Report, ATerminalsLineIsRedrawnAndClearedBeforeSentences) {
  const Spoken spoken = speak(Form::text, Talk::usual, {.live = true});
  EXPECT_EQ(spoken.err, "said\n\rhalf\x1b[K\r\x1b[Kshoal: wrong; do better.\n");
}

TEST(Report, PeopleSeeProgressBesideEventsToo) {
  EXPECT_NE(speak(Form::json, Talk::usual, {.live = true}).err.find("\rhalf\x1b[K"), std::string::npos);
  EXPECT_EQ(speak(Form::json, Talk::quiet, {.live = true}).err.find("half"), std::string::npos);
}

TEST(Report, ElsewhereProgressIsRareAndPlain) {
  Pipe out, err;
  {
    Report report{Form::text, Talk::usual, {}, out.writer(), err.writer()};
    for (int i = 0; i < 1000; ++i) report.progress("half");
  }
  EXPECT_EQ(err.text(), "");  // the first line is due after 10 s
}

TEST(Report, AReaderThatLeftIsNoFailure) {
  Pipe out, err;
  out.close_writer();
  Report report{Form::text, Talk::usual, {}, -1, err.writer()};
  report.data("data");  // EBADF: dropped
  SUCCEED();
}

TEST(Report, TerminalHonoursItsVariables) {
  Pipe pipe;
  std::map<std::string, std::string> variables;
  const Environment environment = [&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
  EXPECT_FALSE(terminal_of(pipe.writer(), environment).live);  // a pipe is none
  EXPECT_EQ(terminal_of(pipe.writer(), environment).columns(), 80U);
  variables["COLUMNS"] = "57";
  EXPECT_EQ(terminal_of(pipe.writer(), environment).columns(), 57U);
  variables["COLUMNS"] = "0";
  EXPECT_EQ(terminal_of(pipe.writer(), environment).columns(), 80U);
  variables["COLUMNS"] = "12x";
  EXPECT_EQ(terminal_of(pipe.writer(), environment).columns(), 80U);
  variables["COLUMNS"] = "3";
  EXPECT_EQ(terminal_of(pipe.writer(), environment).columns(), 20U);
}

}  // namespace
}  // namespace shoal::cli
