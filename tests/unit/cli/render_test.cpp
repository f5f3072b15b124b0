// Lines for people and lines for programs: widths, escapes, shape.
#include "cli/render.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/render_json.hpp"

namespace shoal::cli {
namespace {

using Phase = swarm::ContentStatus::Phase;

swarm::ContentStatus fetching() {
  swarm::ContentStatus out;
  out.phase = Phase::fetching;
  out.bytes_wanted = std::uint64_t{2} << 30;
  out.bytes_verified = std::uint64_t{1} << 30;
  out.down_rate = 8 << 20;
  out.up_rate = 1024;
  out.peers = 5;
  return out;
}

TEST(Render, WidthCountsColumns) {
  EXPECT_EQ(display_width(""), 0U);
  EXPECT_EQ(display_width("abc"), 3U);
  EXPECT_EQ(display_width("\u00e9\u00e8"), 2U);  // two characters, four bytes
  EXPECT_EQ(display_width("e\u0301"), 1U);       // a combining accent
  EXPECT_EQ(display_width("\u4f60\u597d"), 4U);  // wide
  EXPECT_EQ(display_width("\U0001F600"), 2U);
  EXPECT_EQ(display_width("\xff\xfe"), 2U);  // not UTF-8: a column a byte
  EXPECT_EQ(display_width("\xe4\xbd"), 2U);  // cut short
}

TEST(Render, ClipNeverExceedsAndNeverSplitsACharacter) {
  EXPECT_EQ(clip("short", 10), "short");
  EXPECT_EQ(clip("exactly ten", 11), "exactly ten");
  EXPECT_EQ(clip("a long sentence", 10), "a long ...");
  EXPECT_EQ(clip("\u4f60\u597d\u4f60\u597d\u4f60\u597d", 8), "\u4f60\u597d...");
  EXPECT_EQ(clip("abcdef", 3), "abc");
  for (unsigned columns = 0; columns < 40; ++columns)
    EXPECT_LE(display_width(clip("n\u4f60me \U0001F600 and more of it, and more", columns)), columns);
}

TEST(Render, WrapBreaksAtSpacesAlone) {
  using Lines = std::vector<std::string>;
  EXPECT_EQ(wrap("one two three", 7), (Lines{"one two", "three"}));
  EXPECT_EQ(wrap("  unbreakable  a b ", 4), (Lines{"unbreakable", "a b"}));
  EXPECT_EQ(wrap("\u4f60 \u597d", 4), (Lines{"\u4f60", "\u597d"}));
  EXPECT_EQ(wrap("", 4), Lines{""});
  EXPECT_EQ(wrap("a b", 0), (Lines{"a", "b"}));
}

TEST(Render, ASimulationSaysHowFarItIsAndHowLongItTakes) {
  EXPECT_EQ(simulation_line("lookup", 0.25, "joining", 20, 200), "lookup: 25.0 %, joining, 1:00 left");
  EXPECT_EQ(simulation_line("lookup", 0, "", 20, 200), "lookup: 0.0 %");  // no forecast yet
  EXPECT_EQ(simulation_line("lookup", 1, "done", 20, 200), "lookup: 99.9 %, done, 0 s left");
  EXPECT_EQ(simulation_line("lookup", -1, "", 1, 200), "lookup: 0.0 %");
  EXPECT_EQ(display_width(simulation_line("lookup", 0.5, std::string(300, 'x'), 20, 40)), 40U);
}

TEST(Render, ProgressSaysDoneSizeRatesPeersAndTimeLeft) {
  EXPECT_EQ(progress_line(fetching(), "film", 200, Colour::none),
            "film: 50.0 % of 2.0 GiB, 8.0 MiB/s down, 1.0 KiB/s up, 5 peers, 2:08 left");
  auto status = fetching();
  status.peers = 1;
  status.down_rate = 0;
  EXPECT_EQ(progress_line(status, "film", 200, Colour::none),
            "film: 50.0 % of 2.0 GiB, 0 B/s down, 1.0 KiB/s up, 1 peer");
  status.phase = Phase::paused;
  EXPECT_NE(progress_line(status, "film", 200, Colour::none).find("room on the disk"), std::string::npos);
}

TEST(Render, NotQuiteDoneIsNotShownAsDone) {
  auto status = fetching();
  status.bytes_verified = status.bytes_wanted - 1;
  EXPECT_NE(progress_line(status, "f", 200, Colour::none).find("99.9 %"), std::string::npos);
}

TEST(Render, ProgressFitsEveryWidthInEveryPhase) {
  const std::string name = "a very long name of a film \u4f60\u597d that nobody can read to its end";
  for (const Phase phase : {Phase::loading, Phase::metadata, Phase::attaching, Phase::checking,
                            Phase::fetching, Phase::seeding, Phase::paused, Phase::failed}) {
    auto status = fetching();
    status.phase = phase;
    for (unsigned columns = 1; columns < 200; ++columns)
      EXPECT_LE(display_width(progress_line(status, name, columns, Colour::none)), columns)
          << phase_name(phase);
  }
}

TEST(Render, HostileNamesCannotMoveTheCursor) {
  const std::string name =
      "\x1b]8;;http://x\x07\xe2\x80\xae"
      "exe.txt\r\n";
  const std::string plain = progress_line(fetching(), name, 300, Colour::none);
  for (const char c : plain) EXPECT_GE(static_cast<unsigned char>(c), 0x20) << plain;
  EXPECT_EQ(plain.find("\xe2\x80\xae"), std::string::npos);
  // The only escapes are our own, and only where colours are wanted.
  const std::string coloured = progress_line(fetching(), "a", 300, Colour::some);
  EXPECT_TRUE(coloured.starts_with("\x1b[1ma\x1b[0m: "));
}

TEST(Render, Hashing) {
  EXPECT_EQ(hashing_line(1 << 20, 4 << 20, 1, 200), "hashing: 25.0 % of 4.0 MiB, 1.0 MiB/s, 3 s left");
  EXPECT_EQ(hashing_line(0, 4 << 20, 0, 200), "hashing: 0.0 % of 4.0 MiB");
}

TEST(RenderJson, OneObjectALineWithItsFieldsInOrder) {
  const std::string line = EventLine{"x"}
                               .count("n", std::uint64_t{1} << 53)
                               .text("t", "a\"b\n")
                               .number("d", 0.5)
                               .flag("f", true)
                               .list("l", {"p", "q"})
                               .line(from_unix_ms(1234));
  EXPECT_EQ(
      line,
      R"({"v":1,"ts":1234,"event":"x","n":9007199254740992,"t":"a\"b\n","d":0.5,"f":true,"l":["p","q"]})");
  EXPECT_EQ(line.find('\n'), std::string::npos);
}

TEST(RenderJson, IsValidWhateverTheTextIs) {
  const std::string line =
      EventLine{"x"}.text("t", "\xff\xc0\x80 \x01").list("l", {"\xfe"}).line(from_unix_ms(0));
  const auto parsed = nlohmann::json::parse(line, nullptr, false);
  ASSERT_FALSE(parsed.is_discarded()) << line;
  EXPECT_EQ(parsed["l"].size(), 1U);
}

TEST(RenderJson, EqualityIgnoresTime) {
  EXPECT_EQ(EventLine{"x"}.count("n", 1), EventLine{"x"}.count("n", 1));
  EXPECT_FALSE(EventLine{"x"}.count("n", 1) == EventLine{"x"}.count("n", 2));
}

}  // namespace
}  // namespace shoal::cli
