// What a fork server and the engine say to each other (schemas/fork.fbs), as bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "python_worker/native/error_report.h"

namespace dspool::python {

struct ForkOrder {
  std::uint64_t epoch = 0;
  std::vector<int> numbers;
};

// What the engine wrote.
[[nodiscard]] ForkOrder read_fork_order(std::string_view order);

[[nodiscard]] std::string fork_ready();
[[nodiscard]] std::string fork_done(std::uint64_t epoch);
[[nodiscard]] std::string fork_failed(std::uint64_t epoch, const ErrorReport& report);
// `code`: the exit status, or the signal's number; below 0: nobody can tell.
[[nodiscard]] std::string fork_ended(std::uint64_t epoch, bool signalled, int code);

}  // namespace dspool::python
