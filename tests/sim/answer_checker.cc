#include "tests/sim/answer_checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace dspool::sim {
namespace {

using dispatch::CallKind;

// What a call was told that the session's value is.
std::int64_t value_of(const SimulatedCall& call) {
  const Value& answer = call.result->value().value;
  if (call.kind != CallKind::kReadFields) return answer.as_int64();
  return answer.size() == 0 ? 0 : answer["value"].as_int64();
}

class AnswerChecker {
 public:
  explicit AnswerChecker(Expiries expiries) : expiries_(std::move(expiries)) {}

  // Calls of a session come in the order in which they arrived.
  void check(const SimulatedCall& call);
  [[nodiscard]] std::vector<std::string> take_wrong() { return std::move(wrong_); }

 private:
  using Key = std::pair<std::string, std::string>;  // of a session
  // What may have happened to a session besides, and was not told.
  struct Doubt {
    std::int64_t increments = 0;
    bool ended = false;
  };

  void forget_expired(const SimulatedCall& call);
  void forget(const std::string& session);
  void doubt(const SimulatedCall& call);
  [[nodiscard]] bool check_key(const SimulatedCall& call);
  void check_value(const SimulatedCall& call);

  Expiries expiries_;
  std::map<std::string, std::int64_t> values_;
  std::map<std::string, Doubt> doubts_;
  std::map<Key, std::int64_t> by_key_;
  std::set<Key> unknown_keys_;
  std::vector<std::string> wrong_;
};

void AnswerChecker::check(const SimulatedCall& call) {
  forget_expired(call);
  if (is_unknown(call)) doubt(call);
  if (call.session_name.empty() || !call.result || !call.result->has_value()) return;
  if (call.kind != CallKind::kReadFields && call.kind != CallKind::kExecute) {
    return forget(call.session_name);
  }
  if (call.key.empty() || check_key(call)) check_value(call);
}

void AnswerChecker::forget_expired(const SimulatedCall& call) {
  std::deque<std::uint64_t>& expired = expiries_[call.session_name];
  while (!expired.empty() && expired.front() < call.id) {
    forget(call.session_name);
    expired.pop_front();
  }
}

void AnswerChecker::forget(const std::string& session) {
  values_.erase(session);
  doubts_.erase(session);
  std::erase_if(by_key_, [&](const auto& one) { return one.first.first == session; });
}

void AnswerChecker::doubt(const SimulatedCall& call) {
  Doubt& doubt = doubts_[call.session_name];
  const bool executes = call.kind == CallKind::kExecute;
  doubt.ended = doubt.ended || !executes;
  for (const auto& [key, value] : by_key_) {
    if (!executes && key.first == call.session_name) unknown_keys_.insert(key);
  }
  if (executes && call.command == "increment") ++doubt.increments;
  unknown_keys_.insert({call.session_name, call.key});
}

// Whether the call was executed, so that its value is the session's next.
bool AnswerChecker::check_key(const SimulatedCall& call) {
  const Answer& answer = call.result->value();
  const std::int64_t value = answer.value.as_int64();
  const Key key(call.session_name, call.key);
  const auto [first, is_new] = by_key_.try_emplace(key, value);
  const bool in_doubt = unknown_keys_.contains(key) || doubts_[call.session_name].ended;
  if (in_doubt) {
    if (answer.attempts == 0) return false;
    first->second = value;
    return true;
  }
  if (is_new != (answer.attempts != 0) || first->second != value) {
    wrong_.push_back(fmt::format("call {} with {} in {} was answered {} after {} attempts", call.id,
                                 call.key, call.session_name, value, answer.attempts));
  }
  return is_new;
}

void AnswerChecker::check_value(const SimulatedCall& call) {
  std::int64_t& last = values_[call.session_name];
  const std::int64_t value = value_of(call);
  const std::uint64_t version = call.result->value().version;
  const bool increments = call.kind == CallKind::kExecute && call.command == "increment";
  const std::int64_t expected = increments ? last + 1 : last;
  const Doubt doubt = std::exchange(doubts_[call.session_name], {});
  const bool as_expected =
      doubt.ended || (value >= expected && value <= expected + doubt.increments);
  if (!as_expected || value != static_cast<std::int64_t>(version)) {
    wrong_.push_back(fmt::format("call {} ({} in {}) was answered {} at version {}, not {}",
                                 call.id, call.command, call.session_name, value, version,
                                 expected));
  }
  last = value;
}

}  // namespace

std::vector<std::string> check_answers(const std::vector<std::unique_ptr<SimulatedCall>>& calls,
                                       Expiries expiries) {
  std::vector<const SimulatedCall*> in_order;
  in_order.reserve(calls.size());
  for (const auto& call : calls) in_order.push_back(call.get());
  std::ranges::stable_sort(in_order, {}, &SimulatedCall::id);
  AnswerChecker checker(std::move(expiries));
  for (const SimulatedCall* call : in_order) checker.check(*call);
  return checker.take_wrong();
}

}  // namespace dspool::sim
