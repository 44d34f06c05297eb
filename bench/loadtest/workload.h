// What a load test does: its sessions, what each operation is, when it starts, and how its
// answers are checked.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/loadtest/conversations.h"
#include "bench/loadtest/options.h"
#include "bench/loadtest/order_checker.h"
#include "bench/loadtest/payloads.h"
#include "bench/loadtest/schedule.h"
#include "dspool/error.h"
#include "dspool/value.h"

namespace dspool::loadtest {

// How an answer tells its session's number, for the OrderChecker.
enum class Check : std::uint8_t {
  kCounter,       // the answer is {"value": n, "session": id}; n counts the session's operations
  kEachCommits,   // each operation commits: the session's version counts them
  kVersionsOnly,  // an operation may commit or not: the version never goes back
};

[[nodiscard]] OrderChecker::Rule rule_of(Check check);

struct Workload {
  std::vector<std::string> session_ids = {};
  std::string command = {};
  std::function<Value(const Start&)> args = {};
  std::shared_ptr<const Payloads> payloads = {};  // that must come back; null: none
  std::unique_ptr<Schedule> schedule = {};
  Check check = Check::kVersionsOnly;
  // What the run comes to, for its progress: a number of operations, or a time.
  std::optional<std::uint64_t> total_operations = {};
  Window window = {};
};

// Reads the files that the options name. Errors: initialization / "invalid_options".
// REQUIRES: validate(options)
[[nodiscard]] Result<Workload> make_workload(const Options& options);

}  // namespace dspool::loadtest
