#include "bench/bare_worker.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "bench/workload.h"
#include "engine/worker/environment.h"
#include "schemas/envelope_generated.h"

namespace dspool::bench {
namespace {

// Longer than any answer takes; a worker that is silent for so long hangs.
constexpr std::chrono::milliseconds kPatience{60'000};
// The one deadline of all requests, which no run reaches: past it a worker only cancels.
constexpr std::chrono::hours kEnoughForAnyRun{24};
// The floor never gives up looking in a run where it may look.
constexpr std::chrono::milliseconds kLongSpin{5};

}  // namespace

Result<std::unique_ptr<BareWorker>> BareWorker::start(Waiting waiting) {
  return start(worker_config(spin_us(waiting)), 1, nullptr);
}

Result<std::unique_ptr<BareWorker>> BareWorker::start(const WorkerConfig& config,
                                                      std::uint64_t epoch,
                                                      worker::ForkServer* fork_server) {
  auto channel = ipc::EngineChannel::create(epoch, {});
  if (!channel) return cannot_start(channel.error().what);
  std::unique_ptr<BareWorker> worker(new BareWorker(std::move(*channel), epoch));
  if (auto started = worker->start_process(config, fork_server); !started) {
    return tl::unexpected(started.error());
  }
  if (auto ready = worker->say_hello(); !ready) return tl::unexpected(ready.error());
  return worker;
}

BareWorker::BareWorker(std::unique_ptr<ipc::EngineChannel> channel, std::uint64_t epoch)
    : channel_(std::move(channel)),
      epoch_(epoch),
      deadline_(session::TimePoint::clock::now() + kEnoughForAnyRun) {}

Result<void> BareWorker::start_process(const WorkerConfig& config,
                                       worker::ForkServer* fork_server) {
  if (fork_server != nullptr) {
    auto forked = fork_server->fork(epoch_, channel_->child_descriptors());
    if (!forked) return tl::unexpected(std::move(forked.error()));
    process_ = std::move(*forked);
  } else {
    auto spawned =
        ipc::ChildProcess::spawn({.program = config.python,
                                  .arguments = {"-m", "dspool_worker", "--adapter", config.adapter,
                                                "--spin-us", fmt::format("{}", config.spin_us)},
                                  .environment = worker::worker_environment(config, environ),
                                  .descriptors = channel_->child_descriptors()});
    if (!spawned) return cannot_start(spawned.error().what);
    process_ = std::move(*spawned);
  }
  channel_->close_child_ends();
  spins_ = config.spin_us != 0;
  spin_.set_limit(spins_ ? kLongSpin : std::chrono::nanoseconds(0));
  return {};
}

Result<void> BareWorker::say_hello() {
  const auto hello = worker::encode_hello(epoch_, "bare",
                                          {.max_in_flight = 1,
                                           .session_cache = kOutstanding,
                                           .max_payload_bytes = ipc::kValueLimitBytes});
  const auto place = channel_->try_reserve(static_cast<std::uint32_t>(hello.size()));
  if (!place) return cannot_start("an empty ring has no room for a hello");
  std::memcpy(place->data(), hello.data(), hello.size());
  channel_->commit(static_cast<std::uint16_t>(wire::MessageType::hello), 0);
  publish();
  // From here on the worker rings for every record, unless somebody looks all the time.
  channel_->announce(ipc::Receiver::kCaller);
  while (!receive_record()) {
    if (!failure_.empty() || !sleep()) return cannot_start(failure_);
  }
  if (spins_) channel_->announce(ipc::Receiver::kNobody);
  if (static_cast<wire::MessageType>(header_.type) == wire::MessageType::failure) {
    return tl::unexpected(worker::decode_failure(body_, epoch_).value_or(Error{}));
  }
  return {};
}

bool BareWorker::send(std::string_view session, std::string_view command, const Value& args) {
  const auto body = encoder_.encode({.request_id = requests_ + 1,
                                     .command = command,
                                     .args = args.bytes(),
                                     .session = session,
                                     .attempt = 1,
                                     .state = &state_,
                                     .deadline = deadline_});
  const auto place = channel_->try_reserve(static_cast<std::uint32_t>(body.size()));
  if (!place) return false;
  std::memcpy(place->data(), body.data(), body.size());
  channel_->commit(static_cast<std::uint16_t>(wire::MessageType::request), ++requests_);
  return true;
}

void BareWorker::publish() noexcept {
  if (channel_->publish()) channel_->ring_worker();
}

std::optional<Value> BareWorker::try_receive() {
  if (!receive_record()) return std::nullopt;
  if (const auto decoded = worker::decode_response(body_, epoch_, outcome_); !decoded) {
    failure_ = decoded.error();
    return std::nullopt;
  }
  if (outcome_.status != worker::OutcomeStatus::kOk) {
    failure_ = outcome_.error.describe();
    return std::nullopt;
  }
  return Value::from_verified(std::move(outcome_.result));
}

std::optional<Value> BareWorker::receive() {
  while (true) {
    if (auto answer = try_receive()) return answer;
    if (!failure_.empty() || !wait()) return std::nullopt;
  }
}

bool BareWorker::receive_record() {
  const auto received = channel_->receive(header_, body_);
  if (received == ipc::EngineChannel::Received::kViolation) failure_ = channel_->violation();
  return received == ipc::EngineChannel::Received::kRecord;
}

std::string BareWorker::last_words() const {
  std::array<char, 4096> words;
  const ssize_t bytes = ::read(process_->standard_error(), words.data(), words.size());
  return {words.data(), static_cast<std::size_t>(std::max<ssize_t>(bytes, 0))};
}

bool BareWorker::wait() {
  if (spin_.spin([this] { return channel_->has_records(); })) return true;
  if (!spins_) return sleep();
  channel_->announce(ipc::Receiver::kCaller);
  const bool alive = channel_->has_records() || sleep();
  channel_->announce(ipc::Receiver::kNobody);
  return alive;
}

bool BareWorker::sleep() {
  const timespec patience{.tv_sec = kPatience.count() / 1000, .tv_nsec = 0};
  std::array<pollfd, 2> watched{{{.fd = channel_->caller_bell(), .events = POLLIN, .revents = 0},
                                 {.fd = process_->pidfd(), .events = POLLIN, .revents = 0}}};
  ::ppoll(watched.data(), watched.size(), &patience, nullptr);
  if (watched[0].revents != 0) {
    channel_->clear_bell(ipc::Receiver::kCaller);
    return true;
  }
  const auto status = process_->try_reap();
  failure_ = status ? fmt::format("the worker ended ({}): {}", status->describe(), last_words())
                    : "the worker is silent";
  return false;
}

}  // namespace dspool::bench
