// What people see while a load test runs: lines, and below them a progress bar. The bar is on
// standard error, and only where that is a terminal.
//
// Thread-safe: lines come from the engine's log and from the killer too.
#pragma once

#include <cstdio>
#include <mutex>
#include <string>
#include <string_view>

namespace dspool::loadtest {

class Console {
 public:
  // Lines go to `lines`: standard error where standard output is for the result.
  explicit Console(std::FILE* lines);
  // Takes the bar away.
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  // A line of its own, above the bar.
  void line(std::string_view text);

  // Draws the bar, `fraction` of it filled, with `text` behind it.
  void show_progress(double fraction, std::string_view text);
  void clear_progress();

 private:
  void erase();

  std::FILE* const lines_;
  const bool terminal_;
  std::mutex mutex_;
  std::string bar_;  // as drawn now; empty: none
};

}  // namespace dspool::loadtest
