#include "bench/loadtest/settle.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "bench/loadtest/inbox.h"

namespace dspool::loadtest {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint32_t kOutstanding = 64;
constexpr seconds kTimeout{30};
constexpr seconds kPatience{40};
constexpr seconds kLongestRefusal{60};

// A session's number by what it answered; 0 where the session is not there (any more).
std::optional<std::uint64_t> number_in(const Result<Answer>& result) {
  if (!result) {
    if (result.error().code == "session_not_found") return 0;
    return std::nullopt;
  }
  const ValueView value = result->value["value"];
  if (value.kind() != Kind::kInt || value.as_int64() < 0) return std::nullopt;
  return static_cast<std::uint64_t>(value.as_int64());
}

// How long to wait before asking again; nothing: that would not help. A pool that has been asked
// for more than it can do says so for a moment longer.
std::optional<milliseconds> ask_again_after(const Result<Answer>& result) {
  if (result || result.error().category != ErrorCategory::kResourceError) return std::nullopt;
  return result.error().retry_after;
}

std::uint64_t settle_counters(Target& target, const Workload& workload,
                              const std::vector<std::uint32_t>& used, OrderChecker& checker) {
  const CallOptions options{.timeout = kTimeout, .max_retries = 5, .create_session = false};
  const auto inbox = std::make_shared<Inbox>();
  std::vector<Inbox::Ended> ended;
  std::vector<std::uint32_t> to_ask(used.rbegin(), used.rend());
  std::uint64_t unknown = 0;
  std::size_t outstanding = 0;
  const auto begun = Inbox::Clock::now();
  auto deadline = begun + kPatience;
  while (outstanding != 0 || !to_ask.empty()) {
    for (; !to_ask.empty() && outstanding < kOutstanding; ++outstanding) {
      const std::uint32_t session = to_ask.back();
      to_ask.pop_back();
      target.submit(workload.session_ids[session], "read", Value(), leave_in(inbox, session),
                    options);
    }
    inbox->take(ended, deadline);
    if (ended.empty()) return unknown + outstanding + to_ask.size();
    deadline = Inbox::Clock::now() + kPatience;
    milliseconds pause{0};
    for (const Inbox::Ended& one : ended) {
      --outstanding;
      const std::optional<milliseconds> again = ask_again_after(one.result);
      if (again && Inbox::Clock::now() < begun + kLongestRefusal) {
        to_ask.push_back(one.slot);
        pause = std::max(pause, *again);
      } else if (const auto number = number_in(one.result)) {
        checker.settled(one.slot, *number);
      } else {
        ++unknown;
      }
    }
    std::this_thread::sleep_for(pause);
  }
  return unknown;
}

std::uint64_t settle_versions(Target& target, const Workload& workload,
                              const std::vector<std::uint32_t>& used, OrderChecker& checker) {
  std::uint64_t unknown = 0;
  for (const std::uint32_t session : used) {
    const Result<SessionInfo> info = target.get_session(workload.session_ids[session]);
    if (info) {
      checker.settled(session, info->version);
    } else if (info.error().code == "session_not_found") {
      checker.settled(session, 0);
    } else {
      ++unknown;
    }
  }
  return unknown;
}

}  // namespace

std::uint64_t settle(Target& target, const Workload& workload, OrderChecker& checker) {
  std::vector<std::uint32_t> used;
  for (std::uint32_t session = 0; session < workload.session_ids.size(); ++session) {
    if (checker.touched(session)) used.push_back(session);
  }
  return workload.check == Check::kCounter ? settle_counters(target, workload, used, checker)
                                           : settle_versions(target, workload, used, checker);
}

}  // namespace dspool::loadtest
