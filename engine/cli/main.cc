// dspool: the program for operators.
#include <CLI/CLI.hpp>

#include "engine/cli/command.h"

int main(int argc, char** argv) {
  CLI::App program(
      "dspool runs a pool of Python workers; every caller has a session, whose state outlives any "
      "worker. This program shows it, and measures it.",
      "dspool");
  program.set_version_flag("--version", "dspool " DSPOOL_VERSION);
  program.set_help_all_flag("--help-all", "Help for all commands");
  program.require_subcommand(1);
  program.footer(
      "Examples:\n"
      "  dspool demo                      200 conversations, one worker killed, nothing lost\n"
      "  dspool demo --adapter loadtest   the same without DSPy\n"
      "  dspool loadtest                  100 sessions, 100 operations each\n"
      "  dspool loadtest --help           all that a load test can do\n"
      "  dspool simulate --load 0.8       how long calls would wait, without a worker\n"
      "  dspool store check DIR           whether all that is stored can be read\n"
      "  dspool errors worker_lost        why there is such an error, and what to do");
  int status = dspool::cli::kDone;
  dspool::cli::add_demo(program, status);
  dspool::cli::add_loadtest(program, status);
  dspool::cli::add_simulate(program, status);
  dspool::cli::add_store(program, status);
  dspool::cli::add_errors(program, status);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? dspool::cli::kDone : dspool::cli::kMisused;
  }
  return status;
}
