#include "engine/worker/fork_server.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "engine/worker/environment.h"
#include "engine/worker/settings.h"
#include "engine/worker/start_error.h"
#include "ipc/fork_socket.h"
#include "ipc/pidfd.h"
#include "ipc/pipe.h"

namespace dspool::worker {
namespace {

constexpr std::string_view kName = "fork-server";

Error lost_server() {
  return {.category = ErrorCategory::kInitialization,
          .code = "spawn_failed",
          .message = "the fork server was lost while it forked a worker"};
}

}  // namespace

ForkServer::ForkServer(const WorkerConfig& config, const telemetry::Log& log)
    : config_(config), log_(log) {}

ForkServer::~ForkServer() = default;

bool ForkServer::settle() {
  is_awaited_ = true;
  if (!failure_ && state_ == State::kNone) start();
  return failure_ || state_ == State::kReady;
}

void ForkServer::start() {
  const Result<void> started = try_start();
  if (!started) fail(started.error(), /*had_process=*/false);
}

Result<void> ForkServer::try_start() {
  std::array<int, 2> ends{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return tl::unexpected(
        start_error(ipc::system_fault("cannot create a pair of sockets", errno).value()));
  }
  ipc::FileDescriptor here(ends[0]);
  const ipc::FileDescriptor there(ends[1]);
  const auto settings = Settings::seal(config_);
  if (!settings) return tl::unexpected(settings.error());
  std::vector<std::pair<int, int>> descriptors{{there.get(), ipc::kForkSocketNumber}};
  settings->add_to(descriptors);
  auto process = ipc::ChildProcess::spawn(
      {.program = config_.python,
       .arguments = settings->arguments("dspool_worker.fork_server", config_),
       .environment = worker_environment(config_, environ),
       .descriptors = std::move(descriptors),
       // It hands them on; those on files are each worker's, as it has many open itself.
       .limits = {.memory_bytes = config_.memory_limit, .open_files = 0},
       .filters_system_calls = config_.seccomp});
  if (!process) return tl::unexpected(start_error(process.error()));
  process_ = std::move(*process);
  output_ = std::make_unique<Output>(kName, log_, process_->standard_output(),
                                     process_->standard_error());
  socket_ = std::move(here);
  state_ = State::kStarting;
  started_ = Clock::now();
  was_ready_ = has_forked_ = lost_at_first_order_ = has_explained_ = false;
  return {};
}

Result<std::shared_ptr<ipc::ChildProcess>> ForkServer::fork(
    std::uint64_t epoch, const std::vector<std::pair<int, int>>& descriptors) {
  if (failure_) {
    failure_was_told_ = true;
    return tl::unexpected(*failure_);
  }
  auto output = ipc::open_output_pipe();
  if (!output) return tl::unexpected(start_error(output.error()));
  auto error = ipc::open_output_pipe();
  if (!error) return tl::unexpected(start_error(error.error()));
  std::vector<int> sent{output->writable.get(), error->writable.get()};
  std::vector<int> numbers{STDOUT_FILENO, STDERR_FILENO};
  sent.reserve(sent.size() + descriptors.size());
  numbers.reserve(sent.capacity());
  for (const auto& [here, there] : descriptors) {
    sent.push_back(here);
    numbers.push_back(there);
  }
  auto pidfd = order(epoch, sent, numbers);
  if (!pidfd) return tl::unexpected(std::move(pidfd.error()));
  auto process = ipc::ChildProcess::adopt(std::move(*pidfd), std::move(output->readable),
                                          std::move(error->readable));
  if (!process) {
    kill(process.error().what);
    return tl::unexpected(lost_server());
  }
  has_forked_ = true;
  std::shared_ptr<ipc::ChildProcess> shared = std::move(*process);
  forked_.insert_or_assign(epoch, Forked{.process = shared});
  return shared;
}

// Waits for the answer, and reads meanwhile what the server prints, which would block it otherwise.
Result<ipc::FileDescriptor> ForkServer::order(std::uint64_t epoch, std::span<const int> descriptors,
                                              std::span<const int> numbers) {
  ordered_ = epoch;
  forked_pidfd_.close();
  refusal_.reset();
  const auto sent =
      ipc::send_message(socket_.get(), encode_fork_order(epoch, numbers), descriptors);
  if (!sent) kill(sent.error().what);
  const auto until = Clock::now() + kOrderPatience;
  std::vector<pollfd> watched;
  while (state_ == State::kReady && !forked_pidfd_.is_open() && !refusal_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() <= 0) {
      kill("it has not answered an order");
      break;
    }
    watched.assign({{.fd = socket_.get(), .events = POLLIN, .revents = 0}});
    output_->watch(watched);
    ::poll(watched.data(), watched.size(), static_cast<int>(left.count()));
    output_->drain();
    receive();
  }
  ordered_ = 0;
  if (forked_pidfd_.is_open()) return std::move(forked_pidfd_);
  if (refusal_) return tl::unexpected(*std::exchange(refusal_, std::nullopt));
  lost_at_first_order_ = sent && !has_forked_;
  return tl::unexpected(lost_server());
}

void ForkServer::watch(std::vector<pollfd>& watched) const {
  if (!process_) return;
  watched.push_back({.fd = process_->pidfd(), .events = POLLIN, .revents = 0});
  if (state_ != State::kEnding) {
    watched.push_back({.fd = socket_.get(), .events = POLLIN, .revents = 0});
  }
  output_->watch(watched);
  if (state_ != State::kReady) return;
  for (const auto& [epoch, forked] : forked_) {
    const auto process = forked.process.lock();
    if (!process || forked.seen_to_end) continue;
    watched.push_back({.fd = process->pidfd(), .events = POLLIN, .revents = 0});
  }
}

void ForkServer::look() {
  if (std::exchange(failure_was_told_, false)) failure_.reset();
  if (!process_) return;
  output_->drain();
  // Who has its socket from it may keep that open for long after its end.
  const bool has_ended = ipc::has_ended(process_->pidfd());
  receive();
  if (has_ended && state_ != State::kEnding) end_it();
  if (state_ == State::kReady) look_for_ends();
  if (state_ == State::kStarting && started_ + config_.start_timeout <= Clock::now()) {
    fail(not_ready_in_time("the fork server", config_.start_timeout), true);
  }
  if (state_ != State::kEnding) return;
  if (const auto status = process_->try_reap()) bury(*status);
}

std::optional<ForkServer::Clock::time_point> ForkServer::due() const noexcept {
  if (failure_was_told_) return Clock::time_point{};
  if (state_ == State::kStarting) return started_ + config_.start_timeout;
  std::optional<Clock::time_point> due;
  if (state_ != State::kReady) return due;
  for (const auto& [epoch, forked] : forked_) {
    if (!forked.seen_to_end) continue;
    const auto at = *forked.seen_to_end + kWordPatience;
    due = due ? std::min(*due, at) : at;
  }
  return due;
}

// All that there is, or up to the answer to an order, or until the server is given up.
void ForkServer::receive() {
  if (state_ == State::kEnding) return;
  pollfd end{.fd = socket_.get(), .events = POLLRDHUP, .revents = 0};
  const bool hung_up = ::poll(&end, 1, 0) > 0;  // before what was sent before it is read
  while (state_ != State::kEnding && !forked_pidfd_.is_open() && !refusal_) {
    auto message = ipc::receive_message(socket_.get(), false);
    if (!message) break;
    const auto report = decode_fork_report(message->bytes);
    if (!report) return kill("it broke the protocol with " + report.error());
    take(*report, *message);
  }
  const bool answered = forked_pidfd_.is_open() || refusal_;  // there may be more
  if (hung_up && !answered && state_ != State::kEnding) end_it();
}

void ForkServer::take(const ForkReport& report, ipc::ControlMessage& message) {
  const bool ordered = report.epoch != 0 && report.epoch == ordered_;
  switch (report.word) {
    case wire::ForkWord::ready:
      if (state_ != State::kStarting) return kill("it was ready twice");
      state_ = State::kReady;
      was_ready_ = true;
      return log_.info("{} is ready (pid {})", kName, process_->pid());
    case wire::ForkWord::forked:
      if (!ordered) return kill("it forked what nobody ordered");
      if (!message.descriptor.is_open()) {
        return kill("its worker's pidfd cannot be received: raise the limit of open files");
      }
      forked_pidfd_ = std::move(message.descriptor);
      return;
    case wire::ForkWord::failed:
      if (state_ == State::kStarting && report.epoch == 0) return fail(report.error, true);
      if (!ordered) return kill("it refused what nobody ordered");
      refusal_ = report.error;
      return;
    case wire::ForkWord::ended:
      if (const auto found = forked_.find(report.epoch); found != forked_.end()) {
        if (const auto process = found->second.process.lock()) process->tell_end(report.status);
        forked_.erase(found);
      }
      return;
  }
}

// A server that does not say how a worker ended is stuck: nobody would ever replace that worker.
void ForkServer::look_for_ends() {
  const auto now = Clock::now();
  bool silent = false;
  std::erase_if(forked_, [](const auto& entry) { return entry.second.process.expired(); });
  for (auto& [epoch, forked] : forked_) {
    const auto process = forked.process.lock();
    if (!forked.seen_to_end && ipc::has_ended(process->pidfd())) forked.seen_to_end = now;
    silent = silent || (forked.seen_to_end && *forked.seen_to_end + kWordPatience <= now);
  }
  if (silent) kill("it does not tell how a worker ended");
}

void ForkServer::kill(std::string_view why) {
  log_.warning("{} is killed: {}", kName, why);
  end_it();
}

void ForkServer::end_it() {
  state_ = State::kEnding;
  process_->kill_group(SIGKILL);
}

// There is no server, and there will be none without another try.
void ForkServer::fail(Error why, bool had_process) {
  if (is_awaited_) {
    failure_ = std::move(why);
    failure_had_process_ = had_process;
    failure_was_told_ = false;
  } else {
    log_.error("{} could not start, next try when a worker is needed: {}", kName, why.describe());
  }
  if (!process_) return;
  has_explained_ = true;
  end_it();
}

void ForkServer::bury(const ipc::ExitStatus& status) {
  const std::string how = status.describe();
  output_->drain();
  output_->flush();
  for (const auto& [epoch, forked] : forked_) {
    if (const auto process = forked.process.lock()) process->tell_parent_ended();
  }
  forked_.clear();
  const std::string words = output_->last_words();
  socket_.close();
  output_.reset();
  process_.reset();
  state_ = State::kNone;
  if (has_explained_) return;
  if (!was_ready_) return fail(died_before_ready("the fork server", how, words), true);
  if (lost_at_first_order_) return fail(died_when_it_forked(how, words), true);
  log_.warning("{} ended ({}) and is replaced; its workers live on", kName, how);
  is_awaited_ = false;
  if (has_forked_ && !is_last_) start();
}

}  // namespace dspool::worker
