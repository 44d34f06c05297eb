// Whoever calls the engine in the driver does it here, so that everything is written down: a line
// before the call, and a line with what came of it, in calls.jsonl (tests/chaos/README.md has the
// members). A call that has no second line never ended, or its engine was killed.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "dspool/engine.h"
#include "tests/chaos/driver/json_lines.h"

namespace dspool::chaos {

struct Operation {
  enum class Kind : std::uint8_t {
    kExecute,        // a command of the adapter; in no session: an anonymous call
    kReadFields,     // as "engine.read_fields"
    kAppend,         // "engine.append": the token to the log, without a worker
    kEndSession,     // "engine.end_session"
    kCreateSession,  // "engine.create_session", which blocks for as long as it likes
  };

  Kind kind = Kind::kExecute;
  std::string session = {};
  std::string command = {};  // kExecute
  std::uint64_t token = 0;   // 0: none. Goes with the arguments
  std::int64_t by = 0;       // likewise
  std::string more = {};     // further arguments, as JSON members: "\"ms\":5"
  std::size_t padding =
      0;  // bytes of an argument "padding", of which only the size is written down
  CallOptions options = {};
  std::optional<std::chrono::milliseconds> ttl = {};  // kCreateSession
};

class Caller {
 public:
  static constexpr std::chrono::milliseconds kTimeout{5'000};  // of calls that say nothing else

  // Both outlive *this, and all its calls have ended before.
  Caller(Engine& engine, const JsonLines& calls) noexcept : engine_(engine), calls_(calls) {}

  // An operation's token, which no other one has.
  [[nodiscard]] std::uint64_t new_token() noexcept { return ++tokens_; }

  // Blocks until the call has ended.
  Result<Answer> call(const Operation& operation);
  // REQUIRES: kExecute. `done` is told after the answer was written down; on the reactor.
  CallId submit(const Operation& operation, std::function<void()> done = {});

  // How many have begun and not ended.
  [[nodiscard]] std::uint64_t outstanding() const;
  // Waits until there are at most so many; false after `patience`.
  bool wait_for_at_most(std::uint64_t outstanding, std::chrono::milliseconds patience);

 private:
  std::uint64_t begin(const Operation& operation);
  void end(std::uint64_t call, const Result<Answer>& result);
  [[nodiscard]] Result<Answer> carry_out(const Operation& operation, const CallOptions& options);

  Engine& engine_;
  const JsonLines& calls_;
  std::atomic<std::uint64_t> tokens_{0};
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable ended_;
  std::uint64_t begun_ = 0;
  std::uint64_t outstanding_ = 0;
};

}  // namespace dspool::chaos
