// `dspool errors`: why there is an error, and what to do about it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "dspool/error_codes.h"
#include "engine/cli/command.h"

namespace dspool::cli {
namespace {

int print_errors(const std::string& wanted) {
  bool found = false;
  for (const ErrorCode& each : error_codes()) {
    if (!wanted.empty() && each.code != wanted) continue;
    found = true;
    fmt::print("{}/{}\n  {}\n  {}\n", to_string(each.category), each.code, each.cause, each.cure);
  }
  if (found) return kDone;
  fmt::print(stderr, "there is no code '{}': `dspool errors` prints all that there are\n", wanted);
  return kMisused;
}

}  // namespace

void add_errors(CLI::App& program, int& status) {
  auto code = std::make_shared<std::string>();
  CLI::App* const command =
      program.add_subcommand("errors", "Why errors come, and what to do about them");
  command->add_option("CODE", *code, "Only this one, for instance worker_lost");
  command->callback([code, &status] { status = print_errors(*code); });
}

}  // namespace dspool::cli
