#include "bench/loadtest/driver.h"

#include <fmt/format.h>
#include <sys/prctl.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace dspool::loadtest {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTick{100};
// Submissions between two looks at what has ended, where an open loop has fallen behind.
constexpr int kMostAtOnce = 256;

// A counter answers {"value": n, "session": id}.
bool is_counted(const ValueView& answer) {
  return answer["value"].kind() == Kind::kInt && answer["value"].as_int64() >= 0;
}

bool is_of_another(const ValueView& answer, std::string_view session) {
  return answer.contains("session") && answer["session"].as_string() != session;
}

Error unexpected_answer(std::string_view command, const ValueView& answer) {
  return Error{.category = ErrorCategory::kCommunication,
               .code = "unexpected_answer",
               .message = fmt::format("'{}' answered without a counted value: {}", command,
                                      answer.to_json()),
               .state_applied = StateApplied::kUnknown};
}

Error damaged_payload() {
  return Error{.category = ErrorCategory::kCommunication,
               .code = "damaged_payload",
               .message = "a payload did not come back as it was sent",
               .state_applied = StateApplied::kUnknown};
}

}  // namespace

Driver::Driver(Target& target, Workload& workload, OrderChecker& checker, DriverOptions options)
    : target_(target), workload_(workload), checker_(checker), options_(std::move(options)) {}

Tally Driver::run(const std::atomic<bool>& stop) {
  // An open loop's starts would otherwise be 50 µs late, which their latencies count.
  prctl(PR_SET_TIMERSLACK, 1UL);
  began_ = Inbox::Clock::now();
  Schedule& schedule = *workload_.schedule;
  std::vector<Inbox::Ended> ended;
  Elapsed next_tick = kTick;
  for (;;) {
    const bool stopped = stop.load(std::memory_order_relaxed);
    Elapsed now = elapsed();
    for (int i = 0; i < kMostAtOnce && !stopped; ++i) {
      const std::optional<Start> start = schedule.next(now);
      if (!start) break;
      submit(*start, now);
      now = elapsed();
    }
    const bool over = stopped || schedule.done();
    if (over && progress_.outstanding == 0) break;
    const Elapsed next_start = over ? next_tick : schedule.next_at().value_or(next_tick);
    inbox_->take(ended, began_ + std::min(next_start, next_tick));
    for (Inbox::Ended& one : ended) take(one);
    now = elapsed();
    if (now >= next_tick) {
      give_up(now);
      progress_.elapsed = now;
      if (options_.on_progress) options_.on_progress(progress_);
      next_tick = now + kTick;
    }
  }
  tally_.duration = first_start_ ? last_end_ - *first_start_ : Elapsed::zero();
  return std::move(tally_);
}

void Driver::submit(const Start& start, Elapsed now) {
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  slots_[slot] = Outstanding{.start = start,
                             .ticket = checker_.submitted(start.session),
                             .submitted = now,
                             .waiting = true};
  ++progress_.outstanding;
  if (start.measured && !first_start_) first_start_ = start.intended;
  target_.submit(workload_.session_ids[start.session], workload_.command, workload_.args(start),
                 leave_in(inbox_, slot), call_options());
}

CallOptions Driver::call_options() {
  CallOptions call = options_.call;
  if (call.max_retries > 0) call.idempotency_key = fmt::format("{}-{}", options_.seed, keys_++);
  return call;
}

void Driver::take(Inbox::Ended& ended) {
  const Outstanding operation = std::exchange(slots_[ended.slot], {});
  if (!operation.waiting) return;  // given up before
  free_slots_.push_back(ended.slot);
  end(operation, ended.at - began_, ended.result);
}

// Slots of what is given up are not used again: their calls may end yet.
void Driver::give_up(Elapsed now) {
  for (Outstanding& slot : slots_) {
    if (!slot.waiting || now - slot.submitted <= options_.patience) continue;
    const Outstanding operation = std::exchange(slot, {});
    Result<Answer> result =
        tl::unexpected(Error{.category = ErrorCategory::kSystemError,
                             .code = "never_ended",
                             .message = "the call had not ended long after its deadline",
                             .state_applied = StateApplied::kUnknown});
    end(operation, now, result);
  }
}

void Driver::end(const Outstanding& operation, Elapsed at, Result<Answer>& result) {
  const Start& start = operation.start;
  --progress_.outstanding;
  ++progress_.ended;
  if (result && workload_.check == Check::kCounter && !is_counted(result->value)) {
    result = tl::unexpected(unexpected_answer(workload_.command, result->value));
  }
  if (result && workload_.payloads && !workload_.payloads->came_back(start, result->value)) {
    result = tl::unexpected(damaged_payload());
    ++tally_.damaged;
  }
  if (result) {
    check(operation, *result);
    if (start.measured) tally_.succeeded(at - start.intended);
  } else {
    checker_.failed(start.session, operation.ticket, result.error().state_applied);
    ++progress_.failed;
    if (start.measured) tally_.failed(result.error(), at - start.intended);
  }
  if (start.measured) last_end_ = std::max(last_end_, at);
  if (options_.on_ended) options_.on_ended(start, result);
  workload_.schedule->ended(start.session);
}

void Driver::check(const Outstanding& operation, const Answer& answer) {
  const std::uint32_t session = operation.start.session;
  if (workload_.check != Check::kCounter) {
    checker_.answered(session, operation.ticket, answer.version, answer.version);
  } else if (is_of_another(answer.value, workload_.session_ids[session])) {
    checker_.answered_for_another(session, operation.ticket);
  } else {
    const auto value = static_cast<std::uint64_t>(answer.value["value"].as_int64());
    checker_.answered(session, operation.ticket, value, answer.version);
  }
}

}  // namespace dspool::loadtest
