#include "bench/json_pipe_worker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cstring>
#include <iterator>

#include "bench/workload.h"
#include "engine/worker/environment.h"
#include "peers.h"

namespace dspool::bench {
namespace {

constexpr std::size_t kHeadBytes = 4;
constexpr int kRequestsInChild = 3;
// A ChildProcess has /dev/null as its standard input.
constexpr const char* kWithRequestsAsInput = R"(exec "$0" "$@" <&3 3<&-)";

// Lengths are big-endian.
std::array<char, kHeadBytes> head_of(std::size_t bytes) {
  const auto length = static_cast<std::uint32_t>(bytes);
  return std::bit_cast<std::array<char, kHeadBytes>>(__builtin_bswap32(length));
}

std::size_t length_in(const char* head) {
  std::uint32_t length = 0;
  std::memcpy(&length, head, sizeof length);
  return __builtin_bswap32(length);
}

}  // namespace

Result<std::unique_ptr<JsonPipeWorker>> JsonPipeWorker::start() {
  std::unique_ptr<JsonPipeWorker> worker(new JsonPipeWorker);
  if (auto spawned = worker->spawn(); !spawned) return tl::unexpected(spawned.error());
  if (!worker->send("echo", Value{{"session_id", session_name(0)}}) || !worker->receive()) {
    return cannot_start(std::string("no answer from ") + kJsonPipeWorker);
  }
  return worker;
}

Result<void> JsonPipeWorker::spawn() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return cannot_start("no pipe");
  const ipc::FileDescriptor read_end(ends[0]);
  requests_ = ipc::FileDescriptor(ends[1]);
  const WorkerConfig config = worker_config(0);
  auto process = ipc::ChildProcess::spawn(
      {.program = "/bin/sh",
       .arguments = {"-c", kWithRequestsAsInput, config.python, kJsonPipeWorker},
       .environment = worker::worker_environment(config, environ),
       .descriptors = {{read_end.get(), kRequestsInChild}}});
  if (!process) return cannot_start(process.error().what);
  process_ = std::move(*process);
  ::fcntl(descriptor(), F_SETFL, 0);  // to be read from as it was then, blocking
  return {};
}

bool JsonPipeWorker::send(std::string_view command, const Value& args) {
  request_.assign(kHeadBytes, '\0');
  fmt::format_to(std::back_inserter(request_),
                 R"({{"id":{},"command":"{}","args":{},"timestamp":{}}})", ++sent_, command,
                 args.to_json(), 0);
  const auto head = head_of(request_.size() - kHeadBytes);
  request_.replace(0, kHeadBytes, head.data(), head.size());
  const ssize_t written = ::write(requests_.get(), request_.data(), request_.size());
  return written == static_cast<ssize_t>(request_.size());
}

std::optional<Value> JsonPipeWorker::receive() {
  answer_.clear();
  if (!read_at_least(kHeadBytes)) return std::nullopt;
  const std::size_t length = length_in(answer_.data());
  if (!read_at_least(kHeadBytes + length)) return std::nullopt;
  const auto answer = Value::parse_json(std::string_view(answer_).substr(kHeadBytes, length));
  if (!answer || !(*answer)["success"].as_bool()) return std::nullopt;
  return (*answer)["result"].to_value();
}

bool JsonPipeWorker::read_at_least(std::size_t bytes) {
  std::array<char, 4096> buffer;
  while (answer_.size() < bytes) {
    const ssize_t got = ::read(descriptor(), buffer.data(), buffer.size());
    if (got <= 0) return false;
    answer_.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return true;
}

}  // namespace dspool::bench
