#include "engine/cli/pool_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <string>

namespace dspool::cli {
namespace {

const std::map<std::string, LogLevel> kLevels = {{"debug", LogLevel::kDebug},
                                                 {"info", LogLevel::kInfo},
                                                 {"warning", LogLevel::kWarning},
                                                 {"error", LogLevel::kError},
                                                 {"off", LogLevel::kOff}};

}  // namespace

void add_pool_options(CLI::App& command, loadtest::Options& options) {
  command
      .add_option("--python", options.python,
                  "The workers' interpreter, a path [$DSPOOL_PYTHON, or /usr/bin/python3]")
      ->type_name("PATH");
  command
      .add_option_function<std::string>(
          "--log-level", [&](const std::string& name) { options.log_level = kLevels.at(name); },
          "Of the engine's log, on standard error")
      ->check(CLI::IsMember(kLevels))
      ->type_name("");
}

ExitStatus report_failure(const Error& error, const loadtest::Options& options) {
  if (error.code == "invalid_options" || error.code == "invalid_config") {
    fmt::print(stderr, "dspool: {}\n", error.message);
    return kMisused;
  }
  fmt::print(stderr, "dspool: {}\n{}", error.describe(), error.traceback);
  if (error.code == "adapter_failed" && options.adapter == "dspy") {
    fmt::print(stderr,
               "dspool: does this interpreter have DSPy? Name another with --python or "
               "DSPOOL_PYTHON, or do without DSPy: --adapter loadtest\n");
  }
  return kCouldNotRun;
}

}  // namespace dspool::cli
