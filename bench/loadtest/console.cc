#include "bench/loadtest/console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace dspool::loadtest {
namespace {

constexpr std::size_t kWidth = 30;
constexpr std::string_view kEraseLine = "\r\x1b[K";

void write(std::FILE* file, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), file);
  std::fflush(file);
}

}  // namespace

Console::Console(std::FILE* lines) : lines_(lines), terminal_(isatty(STDERR_FILENO) == 1) {}

Console::~Console() { clear_progress(); }

void Console::line(std::string_view text) {
  const std::lock_guard lock(mutex_);
  erase();
  write(lines_, fmt::format("{}\n", text));
  write(stderr, bar_);
}

void Console::show_progress(double fraction, std::string_view text) {
  if (!terminal_) return;
  const double part = std::clamp(fraction, 0.0, 1.0);
  const auto filled = static_cast<std::size_t>(part * static_cast<double>(kWidth));
  const std::lock_guard lock(mutex_);
  erase();
  bar_ = fmt::format("[{:#<{}}{:-<{}}] {:3.0f} %  {}", "", filled, "", kWidth - filled,
                     100.0 * part, text);
  write(stderr, bar_);
}

void Console::clear_progress() {
  const std::lock_guard lock(mutex_);
  erase();
  bar_.clear();
}

void Console::erase() {
  if (!bar_.empty()) write(stderr, kEraseLine);
}

}  // namespace dspool::loadtest
