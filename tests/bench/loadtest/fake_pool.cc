#include "tests/bench/loadtest/fake_pool.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace dspool::loadtest {
namespace {

tl::unexpected<Error> failed(StateApplied applied) {
  return tl::unexpected(Error{.category = ErrorCategory::kTimeout,
                              .code = "deadline",
                              .message = "told to fail",
                              .state_applied = applied});
}

Answer answer_of(std::uint64_t value, std::string_view session, std::uint64_t version) {
  Answer answer;
  answer.value = Value{{"value", value}, {"session", session}};
  answer.version = version;
  return answer;
}

}  // namespace

FakePool::FakePool() : thread_([this] { serve(); }) {}

FakePool::~FakePool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void FakePool::break_at(std::uint64_t nth, Fault fault) { faults_[nth] = fault; }
void FakePool::stall(std::chrono::milliseconds time) { stall_ = time; }
void FakePool::be_busy_for(int reads) {
  const std::lock_guard lock(mutex_);
  busy_reads_ = reads;
}

void FakePool::refuse_reads() { refuse_reads_ = true; }

void FakePool::forget(const std::string& id) {
  const std::lock_guard lock(mutex_);
  sessions_.erase(id);
}

void FakePool::submit(std::string_view id, std::string_view command, Value /*args*/,
                      Completion done, const CallOptions& options) {
  {
    const std::lock_guard lock(mutex_);
    Job job{.id = std::string(id), .command = std::string(command), .done = std::move(done)};
    if (options.create_session) sessions_[job.id];
    if (command == "increment") {
      const auto fault = faults_.find(increments_++);
      keys_.insert(options.idempotency_key);
      if (fault != faults_.end()) job.fault = fault->second;
      most_outstanding_ = std::max(most_outstanding_, ++outstanding_);
      most_in_a_session_ = std::max(most_in_a_session_, ++sessions_[job.id].outstanding);
    }
    jobs_.push_back(std::move(job));
  }
  changed_.notify_one();
}

Result<SessionInfo> FakePool::get_session(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(std::string(id));
  if (found == sessions_.end()) {
    return tl::unexpected(Error{.category = ErrorCategory::kSession, .code = "session_not_found"});
  }
  SessionInfo info;
  info.id = found->first;
  info.version = found->second.version;
  return info;
}

std::map<std::string, FakePool::Session> FakePool::sessions() const {
  const std::lock_guard lock(mutex_);
  return sessions_;
}

std::multiset<std::string> FakePool::idempotency_keys() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

std::uint32_t FakePool::most_outstanding() const {
  const std::lock_guard lock(mutex_);
  return most_outstanding_;
}

std::uint32_t FakePool::most_outstanding_in_a_session() const {
  const std::lock_guard lock(mutex_);
  return most_in_a_session_;
}

void FakePool::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    changed_.wait_for(lock, std::exchange(stall_, {}), [this] { return stopping_; });
    if (jobs_.front().fault == Fault::kOvertake) {
      changed_.wait(lock, [this] { return stopping_ || jobs_.size() > 1; });
      if (stopping_) return;
      jobs_.front().fault = Fault::kNone;
      std::swap(jobs_[0], jobs_[1]);
    }
    const Job job = std::move(jobs_.front());
    jobs_.pop_front();
    if (job.fault == Fault::kNeverEnd) continue;
    Result<Answer> result = execute(job);
    lock.unlock();
    job.done(std::move(result));
    lock.lock();
  }
}

Result<Answer> FakePool::execute(const Job& job) {
  const auto found = sessions_.find(job.id);
  if (found == sessions_.end()) {
    return tl::unexpected(Error{.category = ErrorCategory::kSession, .code = "session_not_found"});
  }
  Session& session = found->second;
  if (job.command == "increment") return increment(session, job);
  if (refuse_reads_) return failed(StateApplied::kNo);
  if (busy_reads_ > 0) {
    --busy_reads_;
    return tl::unexpected(Error{.category = ErrorCategory::kResourceError,
                                .code = "overloaded",
                                .retryable = true,
                                .retry_after = std::chrono::milliseconds(1)});
  }
  return answer_of(session.value, job.id, session.version);
}

Result<Answer> FakePool::increment(Session& session, const Job& job) {
  ++session.increments;
  --session.outstanding;
  --outstanding_;
  if (job.fault == Fault::kFailUnapplied) return failed(StateApplied::kNo);
  const Session before = session;
  ++session.value;
  ++session.version;
  const Answer answer = answer_of(session.value, job.id, session.version);
  switch (job.fault) {
    case Fault::kLoseEffect:
      session.value = before.value;
      session.version = before.version;
      return answer;
    case Fault::kApplyTwice:
      ++session.value;
      ++session.version;
      return answer;
    case Fault::kAnswerForAnother:
      return answer_of(1, "another", 1);
    case Fault::kFailApplied:
      return failed(StateApplied::kYes);
    case Fault::kFailUnknown:
      return failed(StateApplied::kUnknown);
    case Fault::kAnswerNothing: {
      Answer nothing;
      nothing.version = session.version;
      return nothing;
    }
    default:
      return answer;
  }
}

}  // namespace dspool::loadtest
