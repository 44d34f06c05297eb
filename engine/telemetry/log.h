// Where the engine writes lines for people: standard error, or the sink that the caller gave.
//
// Thread-safe; a sink is called from whichever thread has something to say.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "dspool/config.h"

namespace dspool::telemetry {

class Log {
 public:
  using Sink = std::function<void(LogLevel, std::string_view)>;

  // Without a sink, lines go to standard error with time and level.
  explicit Log(LogLevel threshold, Sink sink = {});
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  [[nodiscard]] bool enabled(LogLevel level) const noexcept { return level >= threshold_; }
  void write(LogLevel level, std::string_view line) const;

  template <typename... Args>
  void debug(fmt::format_string<Args...> format, Args&&... args) const {
    format_line(LogLevel::kDebug, format, std::forward<Args>(args)...);
  }
  template <typename... Args>
  void info(fmt::format_string<Args...> format, Args&&... args) const {
    format_line(LogLevel::kInfo, format, std::forward<Args>(args)...);
  }
  template <typename... Args>
  void warning(fmt::format_string<Args...> format, Args&&... args) const {
    format_line(LogLevel::kWarning, format, std::forward<Args>(args)...);
  }
  template <typename... Args>
  void error(fmt::format_string<Args...> format, Args&&... args) const {
    format_line(LogLevel::kError, format, std::forward<Args>(args)...);
  }

 private:
  template <typename... Args>
  void format_line(LogLevel level, fmt::format_string<Args...> format, Args&&... args) const {
    if (enabled(level)) write(level, fmt::format(format, std::forward<Args>(args)...));
  }

  LogLevel threshold_;
  Sink sink_;
};

}  // namespace dspool::telemetry
