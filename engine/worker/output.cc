#include "engine/worker/output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

namespace dspool::worker {

Output::Output(std::string_view worker, const telemetry::Log& log, int standard_output,
               int standard_error)
    : worker_(worker),
      log_(log),
      streams_{Stream{.name = "stdout", .descriptor = standard_output},
               Stream{.name = "stderr", .descriptor = standard_error}} {}

void Output::watch(std::vector<pollfd>& watched) const {
  for (const Stream& stream : streams_) {
    if (stream.open) watched.push_back({.fd = stream.descriptor, .events = POLLIN, .revents = 0});
  }
}

void Output::drain() {
  for (Stream& stream : streams_) {
    if (stream.open) drain(stream);
  }
}

void Output::drain(Stream& stream) {
  std::array<char, 4096> chunk;
  // A stream that never runs dry must not keep the supervisor from its other work.
  constexpr int kChunksAtOnce = 16;
  for (int i = 0; i < kChunksAtOnce; ++i) {
    const ssize_t count = ::read(stream.descriptor, chunk.data(), chunk.size());
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) {
      stream.open = false;
      return;
    }
    for (const char c : std::string_view(chunk.data(), static_cast<std::size_t>(count))) {
      if (c != '\n') stream.partial.push_back(c);
      if (c == '\n' || stream.partial.size() >= kMaxLineBytes) finish_line(stream);
    }
  }
}

void Output::flush() {
  for (Stream& stream : streams_) {
    if (!stream.partial.empty()) finish_line(stream);
  }
}

void Output::finish_line(Stream& stream) {
  if (log_.enabled(level_)) {
    log_.write(level_, fmt::format("{} {}: {}", worker_, stream.name, stream.partial));
  }
  if (!stream.partial.empty()) {
    last_lines_.push_back(stream.partial);
    if (last_lines_.size() > kLastLines) last_lines_.pop_front();
  }
  stream.partial.clear();
}

std::string Output::last_words() const {
  std::string words;
  for (const std::string& line : last_lines_) {
    if (!words.empty()) words += " | ";
    words += line;
  }
  return words;
}

}  // namespace dspool::worker
