// A pool in memory, which can be told to break its promises: so that the load test's own judgement
// is seen to fail. One thread executes what is submitted, in the order of submission.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include "bench/loadtest/target.h"

namespace dspool::loadtest {

class FakePool : public Target {
 public:
  enum class Fault : std::uint8_t {
    kNone,
    kLoseEffect,  // answers as if it counted
    kApplyTwice,
    kOvertake,  // is executed after the operation submitted next
    kAnswerForAnother,
    kFailUnapplied,
    kFailApplied,    // says so
    kFailUnknown,    // counts, but says that it is unknown
    kAnswerNothing,  // counts, but the answer has no value
    kNeverEnd,
  };

  struct Session {
    std::uint64_t value = 0;
    std::uint64_t version = 0;
    std::uint64_t increments = 0;  // calls, whatever became of them
    std::uint32_t outstanding = 0;
  };

  FakePool();
  ~FakePool() override;
  FakePool(const FakePool&) = delete;
  FakePool& operator=(const FakePool&) = delete;

  // What goes wrong with the `nth` call to `increment`, from 0.
  void break_at(std::uint64_t nth, Fault fault);
  // Before the first call is executed.
  void stall(std::chrono::milliseconds time);
  // The session's state is gone.
  void forget(const std::string& id);
  void refuse_reads();
  // So many reads are refused for want of room.
  void be_busy_for(int reads);

  // Of all calls to `increment`.
  [[nodiscard]] std::multiset<std::string> idempotency_keys() const;

  void submit(std::string_view id, std::string_view command, Value args, Completion done,
              const CallOptions& options) override;
  [[nodiscard]] Result<SessionInfo> get_session(std::string_view id) const override;

  [[nodiscard]] std::map<std::string, Session> sessions() const;
  [[nodiscard]] std::uint32_t most_outstanding() const;
  [[nodiscard]] std::uint32_t most_outstanding_in_a_session() const;

 private:
  struct Job {
    std::string id;
    std::string command;
    Completion done;
    Fault fault = Fault::kNone;
  };

  void serve();
  Result<Answer> execute(const Job& job);
  Result<Answer> increment(Session& session, const Job& job);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Session> sessions_;
  std::map<std::uint64_t, Fault> faults_;
  std::deque<Job> jobs_;
  std::uint64_t increments_ = 0;
  std::multiset<std::string> keys_;
  std::uint32_t outstanding_ = 0;
  std::uint32_t most_outstanding_ = 0;
  std::uint32_t most_in_a_session_ = 0;
  std::chrono::milliseconds stall_{0};
  bool refuse_reads_ = false;
  int busy_reads_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace dspool::loadtest
