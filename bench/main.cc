// The program dspool_bench: Google Benchmark with other defaults, and the budgets at the end.
#include <benchmark/benchmark.h>

#include <array>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "bench/report.h"

namespace {

// Repeated in random order, so that what disturbs the machine for a while disturbs no benchmark in
// particular, and a ratio of medians is one of like circumstances. The command line may overrule.
constexpr std::array kDefaults = {"--benchmark_repetitions=5",
                                  "--benchmark_enable_random_interleaving=true",
                                  "--benchmark_min_time=1"};

}  // namespace

int main(int argument_count, char** arguments) {
  std::vector<char*> all{arguments[0]};
  for (const char* flag : kDefaults) all.push_back(const_cast<char*>(flag));
  bool to_file = false;
  for (int i = 1; i < argument_count; ++i) {
    all.push_back(arguments[i]);
    to_file = to_file || std::string_view(arguments[i]).starts_with("--benchmark_out=");
  }
  int count = static_cast<int>(all.size());
  all.push_back(nullptr);
  benchmark::Initialize(&count, all.data());
  if (benchmark::ReportUnrecognizedArguments(count, all.data())) return EXIT_FAILURE;
  dspool::bench::ConsoleReport console(benchmark::ConsoleReporter::OO_None);
  dspool::bench::JsonReport json;
  const bool ran = benchmark::RunSpecifiedBenchmarks(&console, to_file ? &json : nullptr) != 0;
  return ran && !console.failed() ? EXIT_SUCCESS : EXIT_FAILURE;
}
