// What a worker prints: its standard output and error, line by line into the engine's log, under
// the worker's name. The channel is never on them.
#pragma once

#include <poll.h>

#include <array>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "engine/telemetry/log.h"

namespace dspool::worker {

class Output {
 public:
  // The descriptors are non-blocking, and stay open as long as *this.
  Output(std::string_view worker, const telemetry::Log& log, int standard_output,
         int standard_error);

  // Adds what is still open to a poll.
  void watch(std::vector<pollfd>& watched) const;
  // Reads what there is, without blocking.
  void drain();
  // From here on lines are logged as warnings: they are a dying worker's.
  void become_important() noexcept { level_ = LogLevel::kWarning; }
  // Logs the unfinished lines that a dead worker left.
  void flush();
  // The last lines, joined by " | ": what a worker that died had to say. Empty: nothing.
  [[nodiscard]] std::string last_words() const;

 private:
  static constexpr std::size_t kMaxLineBytes = 4096;
  static constexpr std::size_t kLastLines = 5;

  struct Stream {
    std::string_view name;
    int descriptor;
    bool open = true;
    std::string partial{};  // an unfinished line
  };

  void drain(Stream& stream);
  void finish_line(Stream& stream);

  std::string worker_;
  const telemetry::Log& log_;
  std::array<Stream, 2> streams_;
  std::deque<std::string> last_lines_;
  LogLevel level_ = LogLevel::kInfo;
};

}  // namespace dspool::worker
