#include "bench/loadtest/order_checker.h"

#include <algorithm>
#include <cassert>

namespace dspool::loadtest {
namespace {

// A session whose number jumps further is counted, but not followed number by number.
constexpr std::uint64_t kLongestJump = 10'000;

}  // namespace

OrderChecker::Ticket OrderChecker::submitted(std::uint32_t session) {
  assert(session < sessions_.size());
  Session& s = sessions_[session];
  s.window.push_back(Operation{.floor = s.known});
  return Ticket{s.submitted++};
}

void OrderChecker::answered(std::uint32_t session, Ticket ticket, std::uint64_t number,
                            std::uint64_t version) {
  end(session, ticket,
      Operation{.outcome = Outcome::kAnswered, .number = number, .version = version});
}

void OrderChecker::answered_for_another(std::uint32_t session, Ticket ticket) {
  ++verdicts_.crossed;
  end(session, ticket, Operation{.outcome = Outcome::kUnknown});
}

void OrderChecker::failed(std::uint32_t session, Ticket ticket, StateApplied applied) {
  const Outcome outcome = applied == StateApplied::kNo    ? Outcome::kNotApplied
                          : applied == StateApplied::kYes ? Outcome::kApplied
                                                          : Outcome::kUnknown;
  end(session, ticket, Operation{.outcome = outcome});
}

void OrderChecker::settled(std::uint32_t session, std::uint64_t number) {
  sessions_[session].settled = number;
}

bool OrderChecker::touched(std::uint32_t session) const {
  return sessions_[session].submitted != 0;
}

void OrderChecker::end(std::uint32_t session, Ticket ticket, const Operation& how) {
  Session& s = sessions_[session];
  const std::uint64_t first = s.submitted - s.window.size();
  const std::uint64_t position = static_cast<std::uint64_t>(ticket) - first;
  assert(position < s.window.size() && s.window[position].outcome == Outcome::kWaiting);
  Operation& operation = s.window[position];
  const std::uint64_t floor = operation.floor;
  operation = how;
  operation.floor = floor;
  if (how.outcome == Outcome::kAnswered) s.known = std::max(s.known, how.number);
  std::size_t ended = 0;
  while (ended < s.window.size() && s.window[ended].outcome != Outcome::kWaiting) {
    judge(session, s, s.window[ended++]);
  }
  s.window.erase(s.window.begin(), s.window.begin() + static_cast<std::ptrdiff_t>(ended));
}

void OrderChecker::judge(std::uint32_t id, Session& session, const Operation& operation) {
  switch (operation.outcome) {
    case Outcome::kAnswered:
      return judge_number(id, session, operation);
    case Outcome::kApplied:
      ++session.applied;
      return;
    case Outcome::kUnknown:
      ++session.unknown;
      return;
    case Outcome::kNotApplied:
    case Outcome::kWaiting:
      return;
  }
}

void OrderChecker::judge_number(std::uint32_t id, Session& session, const Operation& operation) {
  const std::uint64_t number = operation.number;
  if (rule_ == Rule::kNeverBack) {
    if (number < operation.floor) {
      verdicts_.lost += operation.floor - number;
      session.known = number;
    } else if (number < session.number) {
      ++verdicts_.out_of_order;
    }
    session.number = number;
    return;
  }
  const bool version_is_back = operation.version <= session.version;
  session.version = operation.version;
  if (number > session.number) {
    if (number - session.number > kLongestJump) {
      session.jumped += number - session.number - 1;
    } else {
      for (std::uint64_t n = session.number + 1; n < number; ++n) skipped_[id].insert(n);
    }
    session.number = number;
    if (version_is_back) ++verdicts_.out_of_order;
    return;
  }
  const auto skipped = skipped_.find(id);
  if (skipped != skipped_.end() && skipped->second.erase(number) != 0) {
    ++verdicts_.out_of_order;
    return;
  }
  verdicts_.lost += session.number + 1 - number;
  session.number = number;
}

void OrderChecker::judge_at_end(std::uint32_t id, const Session& session) {
  if (rule_ == Rule::kNeverBack) {
    if (session.settled && *session.settled < session.known) {
      verdicts_.lost += session.known - *session.settled;
    }
    return;
  }
  const auto skipped = skipped_.find(id);
  std::uint64_t unanswered = session.jumped;
  if (skipped != skipped_.end()) unanswered += skipped->second.size();
  if (session.settled) {
    if (*session.settled < session.number) {
      verdicts_.lost += session.number - *session.settled;
    } else {
      unanswered += *session.settled - session.number;
    }
    if (unanswered < session.applied) verdicts_.lost += session.applied - unanswered;
  }
  // Each number that no answer bears must be that of an operation that ended without one.
  const std::uint64_t explained = session.applied + session.unknown;
  if (unanswered > explained) verdicts_.duplicated += unanswered - explained;
}

Verdicts OrderChecker::finish() {
  for (std::uint32_t id = 0; id < sessions_.size(); ++id) {
    Session& session = sessions_[id];
    for (Operation& operation : session.window) {
      if (operation.outcome == Outcome::kWaiting) operation.outcome = Outcome::kUnknown;
      judge(id, session, operation);
    }
    session.window.clear();
    judge_at_end(id, session);
  }
  return verdicts_;
}

}  // namespace dspool::loadtest
