#include "engine/telemetry/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace dspool::telemetry {
namespace {

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      break;
  }
  return spdlog::level::off;
}

Log::Sink standard_error() {
  auto logger =
      std::make_shared<spdlog::logger>("dspool", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
  logger->set_level(spdlog::level::trace);  // the Log has decided already
  return [logger](LogLevel level, std::string_view line) { logger->log(level_of(level), line); };
}

}  // namespace

Log::Log(LogLevel threshold, Sink sink)
    : threshold_(threshold), sink_(sink ? std::move(sink) : standard_error()) {}

void Log::write(LogLevel level, std::string_view line) const {
  if (enabled(level) && level != LogLevel::kOff) sink_(level, line);
}

}  // namespace dspool::telemetry
