// Failures: each kind has its exit code (DESIGN 10), and its sentence names what was wrong and what to do.
#include "cli/exit_code.hpp"

#include <cerrno>

#include <gtest/gtest.h>

namespace shoal::cli {
namespace {

Error error(Code code, int os_errno = 0) { return {code, "the rule", os_errno}; }

TEST(ExitCode, Fetching) {
  const auto exit = [](Code code, std::string_view path) {
    return failure_of(Doing::fetching, error(code), path).exit;
  };
  EXPECT_EQ(exit(Code::busy, ""), Exit::taken);
  EXPECT_EQ(exit(Code::no_space, "/d/f"), Exit::disk_full);
  EXPECT_EQ(exit(Code::denied, "/d/f"), Exit::path);
  EXPECT_EQ(exit(Code::exists, "/d/f"), Exit::path);
  EXPECT_EQ(exit(Code::unsafe, "/d/f"), Exit::path);
  EXPECT_EQ(exit(Code::io, "/d/f"), Exit::path);
  EXPECT_EQ(exit(Code::not_found, "/d/f"), Exit::path);
  EXPECT_EQ(exit(Code::not_found, ""), Exit::usage);       // --only matches nothing
  EXPECT_EQ(exit(Code::mismatch, ""), Exit::bad_content);  // the metadata is not what the link names
  EXPECT_EQ(exit(Code::malformed, ""), Exit::bad_content);
  EXPECT_EQ(exit(Code::mismatch, "/d/f"), Exit::path);
  EXPECT_EQ(exit(Code::cancelled, ""), Exit::interrupted);
}

TEST(ExitCode, Sharing) {
  const auto exit = [](Code code) { return failure_of(Doing::reading_share, error(code), "/d/f").exit; };
  EXPECT_EQ(exit(Code::not_found), Exit::path);
  EXPECT_EQ(exit(Code::denied), Exit::path);
  EXPECT_EQ(exit(Code::mismatch), Exit::path);
  EXPECT_EQ(exit(Code::cancelled), Exit::interrupted);
  EXPECT_EQ(exit(Code::busy), Exit::taken);
}

TEST(ExitCode, SentencesAreOneLineNameThePathAndSayWhatToDo) {
  for (const Doing doing : {Doing::reading_share, Doing::fetching, Doing::creating, Doing::verifying})
    for (int code = 0; code <= static_cast<int>(Code::cancelled); ++code) {
      const Failure failure = failure_of(doing, error(static_cast<Code>(code), EACCES), "/d/f\x1b[1m\n");
      EXPECT_EQ(failure.path, "/d/f\x1b[1m\n");
      EXPECT_EQ(failure.sentence.find('\n'), std::string::npos);
      EXPECT_EQ(failure.sentence.find('\x1b'), std::string::npos);
      EXPECT_NE(failure.sentence.find(';'), std::string::npos) << failure.sentence;
      EXPECT_FALSE(failure.sentence.ends_with('.'));
      if (failure.exit == Exit::taken) continue;  // names the content, which has no path
      EXPECT_NE(failure.sentence.find("/d/f"), std::string::npos) << failure.sentence;
      EXPECT_NE(failure.sentence.find("Permission denied"), std::string::npos) << failure.sentence;
    }
}

// What the system calls busy is no other command's doing.
TEST(ExitCode, RunningOutOfDescriptorsIsNamed) {
  for (const Doing doing : {Doing::reading_share, Doing::fetching, Doing::creating, Doing::verifying})
    for (const char* path : {"/d/f", ""}) {
      const Failure failure = failure_of(doing, error(Code::busy, EMFILE), path);
      EXPECT_EQ(failure.exit, Exit::path);
      EXPECT_NE(failure.sentence.find("Too many open files"), std::string::npos) << failure.sentence;
    }
}

TEST(ExitCode, Catalog) {
  EXPECT_EQ(catalog_failure(error(Code::malformed), "/s/c").exit, Exit::path);
  EXPECT_NE(catalog_failure(error(Code::unsupported), "/s/c").sentence.find("newer"), std::string::npos);
  EXPECT_EQ(catalog_failure(error(Code::unsupported), "/s/c").exit, Exit::path);
  EXPECT_EQ(catalog_failure(error(Code::no_space), "/s/c").exit, Exit::disk_full);
  EXPECT_EQ(catalog_failure(error(Code::busy), "/s/c").exit, Exit::taken);
  EXPECT_NE(catalog_failure(error(Code::malformed), "/s/c").sentence.find("/s/c"), std::string::npos);
}

TEST(ExitCode, LinksAndTorrents) {
  EXPECT_EQ(link_failure(error(Code::malformed)).exit, Exit::not_a_link);
  EXPECT_EQ(torrent_failure(error(Code::not_found), "x").exit, Exit::not_a_link);
  EXPECT_EQ(torrent_failure(error(Code::malformed), "x").exit, Exit::not_a_link);
  EXPECT_NE(torrent_failure(error(Code::malformed), "x").sentence.find("the rule"), std::string::npos);
}

}  // namespace
}  // namespace shoal::cli
