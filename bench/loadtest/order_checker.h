// The proof: whether the pool kept its promises about order and state, judged only by what it
// answered. Each operation of a session should have moved the session's number (a counter's value,
// or the session's version) by exactly one, in the order of submission. The checker is told what
// was submitted and how each operation ended, and counts what cannot be explained:
//
//   lost          an effect that an answer had confirmed is gone: a number came back lower, came
//                 twice, or is missing at the end
//   duplicated    an effect too many: a number was skipped that no operation answers for
//   out_of_order  an operation took effect before one of its session submitted earlier
//   crossed       an answer that belongs to another session
//
// An operation that ended without an answer is judged by what its error says of the state: `no`
// must not have counted, `yes` must have, `unknown` may have. What may be explained is not counted,
// so a verdict other than zero is always a broken promise.
//
// Operations of one session may overlap. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "dspool/error.h"

namespace dspool::loadtest {

struct Verdicts {
  std::uint64_t lost = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t out_of_order = 0;
  std::uint64_t crossed = 0;

  [[nodiscard]] bool clean() const noexcept {
    return lost == 0 && duplicated == 0 && out_of_order == 0 && crossed == 0;
  }
};

class OrderChecker {
 public:
  enum class Rule : std::uint8_t {
    kEachCountsOne,  // an operation that is answered adds exactly one to its session's number
    kNeverBack,      // nothing is known but that the number does not decrease
  };
  // Names an operation within its session.
  enum class Ticket : std::uint64_t {};

  OrderChecker(Rule rule, std::size_t sessions) : rule_(rule), sessions_(sessions) {}

  // In the order of submission. REQUIRES: session < sessions
  Ticket submitted(std::uint32_t session);

  // How it ended, exactly once for each ticket, in any order. `version` is the session's after the
  // operation; where it is the session's number too, both are the same.
  void answered(std::uint32_t session, Ticket ticket, std::uint64_t number, std::uint64_t version);
  void answered_for_another(std::uint32_t session, Ticket ticket);
  void failed(std::uint32_t session, Ticket ticket, StateApplied applied);

  // What the session's number is after all has ended; 0 if the session does not exist.
  void settled(std::uint32_t session, std::uint64_t number);

  [[nodiscard]] bool touched(std::uint32_t session) const;

  // The judgement on all of the above, once. What has not ended by now counts as unknown; a session
  // that was not settled is judged by its answers alone.
  [[nodiscard]] Verdicts finish();

 private:
  enum class Outcome : std::uint8_t { kWaiting, kAnswered, kNotApplied, kApplied, kUnknown };

  struct Operation {
    Outcome outcome = Outcome::kWaiting;
    std::uint64_t floor = 0;  // kNeverBack: the highest number known when it was submitted
    std::uint64_t number = 0;
    std::uint64_t version = 0;
  };

  struct Session {
    std::vector<Operation> window;  // submitted, and not judged yet, in order of submission
    std::uint64_t submitted = 0;
    std::uint64_t number = 0;   // of the last operation judged
    std::uint64_t version = 0;  // likewise
    std::uint64_t known = 0;    // kNeverBack: the highest number answered so far
    std::uint64_t applied = 0;  // ended without an answer, and counted
    std::uint64_t unknown = 0;  // ended without an answer, and may have counted
    std::uint64_t jumped = 0;   // numbers skipped that are not in `skipped_`: too many
    std::optional<std::uint64_t> settled;
  };

  void end(std::uint32_t session, Ticket ticket, const Operation& how);
  void judge(std::uint32_t id, Session& session, const Operation& operation);
  void judge_number(std::uint32_t id, Session& session, const Operation& operation);
  void judge_at_end(std::uint32_t id, const Session& session);

  Rule rule_;
  std::vector<Session> sessions_;
  // Numbers that were skipped, and have not turned up since. Almost always empty.
  std::unordered_map<std::uint32_t, std::set<std::uint64_t>> skipped_;
  Verdicts verdicts_;
};

}  // namespace dspool::loadtest
