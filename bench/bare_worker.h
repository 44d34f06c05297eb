// A Python worker on its channel, and nothing around it: the same process, extension and codec as
// the engine's, with no session table, no queue, no lock and no reactor. What it costs to call it
// is the floor that the engine is measured against, so it is called as fast as we can.
//
// Threads: one, which lives as long as the worker should (ChildProcess).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/error.h"
#include "dspool/value.h"
#include "engine/session/record.h"
#include "engine/worker/codec.h"
#include "engine/worker/fork_server.h"
#include "ipc/adaptive_spin.h"
#include "ipc/child_process.h"
#include "ipc/engine_channel.h"

namespace dspool::bench {

// How both sides wait for each other.
enum class Waiting : std::uint8_t {
  kSpin,   // they look, and sleep only when that was in vain for long
  kSleep,  // they sleep at once
};

// How long a worker, and the engine with it, looks before it sleeps.
[[nodiscard]] constexpr std::uint32_t spin_us(Waiting waiting) noexcept {
  return waiting == Waiting::kSpin ? 20 : 0;
}

class BareWorker {
 public:
  // Returns when the worker is ready.
  static Result<std::unique_ptr<BareWorker>> start(Waiting waiting);
  // The same as a fork of this server, which is settled and outlives it; null: it is spawned. No
  // other worker of the server has its epoch.
  static Result<std::unique_ptr<BareWorker>> start(const WorkerConfig& config, std::uint64_t epoch,
                                                   worker::ForkServer* fork_server);

  // Puts a request into the ring; false: it is full. The worker sees it after `publish`.
  [[nodiscard]] bool send(std::string_view session, std::string_view command, const Value& args);
  // Publishes, and rings the worker if it sleeps.
  void publish() noexcept;

  // The next answer, if it is there. Answers come in the order of the requests.
  [[nodiscard]] std::optional<Value> try_receive();
  // Waits for it. Nothing: see `failure`.
  [[nodiscard]] std::optional<Value> receive();
  [[nodiscard]] bool has_records() const noexcept { return channel_->has_records(); }
  // Why there will be no more answers; empty: there will be.
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }
  [[nodiscard]] int pid() const noexcept { return process_->pid(); }

 private:
  BareWorker(std::unique_ptr<ipc::EngineChannel> channel, std::uint64_t epoch);
  Result<void> start_process(const WorkerConfig& config, worker::ForkServer* fork_server);
  Result<void> say_hello();
  [[nodiscard]] bool wait();
  [[nodiscard]] bool sleep();
  bool receive_record();
  [[nodiscard]] std::string last_words() const;

  std::unique_ptr<ipc::EngineChannel> channel_;
  std::uint64_t epoch_;
  std::shared_ptr<ipc::ChildProcess> process_;
  ipc::AdaptiveSpin spin_;
  bool spins_ = true;

  worker::RequestEncoder encoder_;
  session::Record state_;  // of a session that has never changed
  session::TimePoint deadline_;
  std::uint64_t requests_ = 0;

  ipc::RecordHeader header_{};
  std::vector<std::byte> body_;
  worker::Outcome outcome_;
  std::string failure_;
};

}  // namespace dspool::bench
