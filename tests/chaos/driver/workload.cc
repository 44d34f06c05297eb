#include "tests/chaos/driver/workload.h"

#include <random>

namespace dspool::chaos {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kLongestLog = 400;      // then the session is ended: reads grow with it
constexpr std::uint64_t kMostOutstanding = 32;  // submitted calls of all callers
constexpr milliseconds kRoomPatience{50};       // for there to be fewer; then it goes on

// One caller, which draws what it does next.
class Draws {
 public:
  Draws(Caller& caller, const std::vector<std::string>& sessions, std::uint64_t seed)
      : caller_(caller), sessions_(sessions), random_(seed) {}

  void next() {
    const std::string& session = sessions_[below(sessions_.size())];
    const std::uint64_t draw = below(100);
    if (draw < 30) return change(session, "add", {});
    if (draw < 50) return submit_change(session);
    if (draw < 60) return change(session, "slow_add", "\"ms\":" + std::to_string(1 + below(6)));
    if (draw < 66) return hurry(session);
    if (draw < 69) return change(session, "keep", "\"size\":" + std::to_string(below(120'000)));
    if (draw < 77) return repeat(session);
    if (draw < 80) return change(session, "fail", {});
    if (draw < 89) return ask({.session = session, .command = "read"});
    if (draw < 92) return ask({.kind = Operation::Kind::kReadFields, .session = session});
    if (draw < 95) return ask({.kind = Operation::Kind::kAppend, .session = session});
    if (draw < 99) return change({}, "add", {});  // an anonymous call
    static_cast<void>(caller_.call({.kind = Operation::Kind::kEndSession, .session = session}));
  }

 private:
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  Operation change_of(const std::string& session, std::string_view command, std::string more) {
    Operation operation{.session = session,
                        .command = std::string(command),
                        .token = caller_.new_token(),
                        .by = 0,
                        .more = std::move(more)};
    if (below(3) == 0) operation.options.max_retries = 2;
    if (command == "add" || command == "slow_add") {
      operation.by = 1 + static_cast<std::int64_t>(below(5));
    }
    return operation;
  }

  void change(const std::string& session, std::string_view command, std::string more) {
    const auto answer = caller_.call(change_of(session, command, std::move(more)));
    if (!answer || answer->version <= kLongestLog) return;
    static_cast<void>(caller_.call({.kind = Operation::Kind::kEndSession, .session = session}));
  }

  void submit_change(const std::string& session) {
    caller_.wait_for_at_most(kMostOutstanding, kRoomPatience);
    caller_.submit(change_of(session, "add", {}));
  }

  // A call that may not be over by its deadline.
  void hurry(const std::string& session) {
    const std::uint64_t ms = 1 + below(20);
    Operation operation = change_of(session, "slow_add", "\"ms\":" + std::to_string(ms));
    operation.options.timeout = milliseconds(1 + below(2 * ms));
    if (below(2) == 0) return void(caller_.call(operation));
    caller_.submit(operation);
  }

  // The same operation twice or thrice, at once and after the other.
  void repeat(const std::string& session) {
    Operation operation = change_of(session, "add", {});
    operation.options.idempotency_key = "key-" + std::to_string(operation.token);
    for (std::uint64_t times = 1 + below(2); times != 0; --times) caller_.submit(operation);
    static_cast<void>(caller_.call(operation));
  }

  void ask(Operation operation) {
    operation.token = caller_.new_token();
    static_cast<void>(caller_.call(operation));
  }

  Caller& caller_;
  const std::vector<std::string>& sessions_;
  std::mt19937_64 random_;
};

}  // namespace

std::vector<std::string> Workload::names(std::uint32_t sessions) {
  std::vector<std::string> names;
  names.reserve(sessions);
  for (std::uint32_t i = 0; i < sessions; ++i) names.push_back("chaos-" + std::to_string(i));
  return names;
}

Workload::Workload(Caller& caller, const Terms& terms)
    : caller_(caller), sessions_(names(terms.sessions)), at_work_(terms.callers) {
  callers_.reserve(terms.callers);
  for (std::uint32_t i = 0; i < terms.callers; ++i) {
    callers_.emplace_back([this, seed = terms.seed + i] { work(seed); });
  }
}

Workload::~Workload() {
  stop();
  for (std::thread& caller : callers_) caller.join();
}

void Workload::work(std::uint64_t seed) {
  Draws draws(caller_, sessions_, seed);
  while (!over_) draws.next();
  --at_work_;
}

}  // namespace dspool::chaos
