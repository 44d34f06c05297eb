#include "bench/loadtest/settle.h"

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "bench/loadtest/inbox.h"

namespace dspool::loadtest {
namespace {

using std::chrono::seconds;

constexpr std::uint32_t kOutstanding = 64;
constexpr seconds kTimeout{30};
constexpr seconds kPatience{40};

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

std::uint64_t settle_counters(Target& target, const Workload& workload,
                              const std::vector<std::uint32_t>& used, OrderChecker& checker) {
  const CallOptions options{.timeout = kTimeout, .max_retries = 5, .create_session = false};
  const auto inbox = std::make_shared<Inbox>();
  std::vector<Inbox::Ended> ended;
  std::uint64_t unknown = 0;
  std::size_t submitted = 0;
  std::size_t done = 0;
  auto deadline = Inbox::Clock::now() + kPatience;
  while (done < used.size()) {
    for (; submitted < used.size() && submitted - done < kOutstanding; ++submitted) {
      target.submit(workload.session_ids[used[submitted]], "read", Value(),
                    leave_in(inbox, used[submitted]), options);
    }
    inbox->take(ended, deadline);
    if (ended.empty()) return unknown + (used.size() - done);
    deadline = Inbox::Clock::now() + kPatience;
    for (const Inbox::Ended& one : ended) {
      ++done;
      const std::optional<std::uint64_t> number = number_in(one.result);
      if (number) {
        checker.settled(one.slot, *number);
      } else {
        ++unknown;
      }
    }
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
