// What people see of a run, and what programs read of it.
//
// Both call a benchmark what its source calls it: the suffixes that Google Benchmark adds for the
// kind of clock and the number of repetitions are left out.
#pragma once

#include <benchmark/benchmark.h>

#include <vector>

#include "bench/budgets.h"

namespace dspool::bench {

// One line for each benchmark, with the median of its repetitions; at the end the budgets.
class ConsoleReport final : public benchmark::ConsoleReporter {
 public:
  using benchmark::ConsoleReporter::ConsoleReporter;

  void ReportRuns(const std::vector<Run>& runs) override;  // NOLINT(readability-identifier-naming)
  void Finalize() override;                                // NOLINT(readability-identifier-naming)

  // Whether a benchmark could not do what it was to measure.
  [[nodiscard]] bool failed() const noexcept { return failed_; }

 private:
  Results results_;
  bool failed_ = false;
};

// Every repetition and every statistic, in Google Benchmark's JSON.
class JsonReport final : public benchmark::JSONReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override;  // NOLINT(readability-identifier-naming)
};

}  // namespace dspool::bench
