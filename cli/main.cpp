// The program: arguments, the process's own settings, a command, an exit code.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include <sys/stat.h>
#include <unistd.h>

#include "cli/args.hpp"
#include "cli/commands.hpp"
#include "cli/host/reactor.hpp"
#include "cli/report.hpp"
#include "dht/base/crypto.hpp"

namespace {

// A simulated world is ten thousand engines visited at random: on huge pages it runs a tenth faster. The C
// library takes them only where it is told so before it begins (mallopt knows nothing of them), so the
// program begins anew, once; where that fails, all goes on as it is.
void take_huge_pages(char** argv) {
  constexpr const char* tunables = "GLIBC_TUNABLES";
  if (std::getenv(tunables) != nullptr || ::setenv(tunables, "glibc.malloc.hugetlb=1", 1) != 0) return;
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) ::execv(program.c_str(), argv);  // under its own name, by which `ps` and `pkill` know it
}

}  // namespace

int main(int argc, char** argv) {
  using namespace shoal;
  using namespace shoal::cli;
  const Parsed parsed = parse_args(argc, argv, sim::scenarios());
  if (parsed.options && parsed.options->simulation.run != nullptr) take_huge_pages(argv);
  std::fputs(parsed.to_stdout.c_str(), stdout);
  std::fputs(parsed.to_stderr.c_str(), stderr);
  std::fflush(stdout);
  if (!parsed.options) return static_cast<int>(parsed.exit);
  ::umask(077);                // what is fetched and what is remembered is the user's own
  ::signal(SIGPIPE, SIG_IGN);  // a reader that left is told by the failed write
  crypto::initialise();
  const Environment environment = [](const char* name) -> const char* { return std::getenv(name); };
  Report report{parsed.options->form, parsed.options->talk, terminal_of(STDERR_FILENO, environment)};
  Reactor reactor;
  CommandRoom room{*parsed.options, report, reactor, environment};
  return static_cast<int>(run_command(room));
}
