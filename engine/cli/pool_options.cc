#include "engine/cli/pool_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <string>

namespace dspool::cli {

void add_pool_options(CLI::App& command, loadtest::Options& options) {
  static const std::map<std::string, LogLevel> kLevels = {{"debug", LogLevel::kDebug},
                                                          {"info", LogLevel::kInfo},
                                                          {"warning", LogLevel::kWarning},
                                                          {"error", LogLevel::kError},
                                                          {"off", LogLevel::kOff}};
  command
      .add_option("--python", options.python,
                  "The workers' interpreter, a path; by default $DSPOOL_PYTHON, then --config's")
      ->type_name("PATH");
  command.add_option("--log-level", options.log_level, "Of the engine's log, on standard error")
      ->transform(CLI::CheckedTransformer(kLevels, CLI::ignore_case))
      ->type_name("debug|info|warning|error|off")
      ->option_text(" ");
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
