// What the engine may cost, as ratios to what was measured beside it in the same run.
#pragma once

#include <map>
#include <ostream>
#include <string>

namespace dspool::bench {

// What one benchmark came to; the median, where it was repeated.
struct Measured {
  double cpu_ns = 0;  // of an iteration, in its own thread
  double p50_us = 0;  // 0: it records no latencies
  double p99_us = 0;
  double p999_us = 0;
  double items_per_second = 0;   // 0: it counts no items
  double bytes_per_session = 0;  // 0: it counts no memory
  double private_kib = 0;        // of a worker; 0: it starts none
};
using Results = std::map<std::string, Measured>;  // by the benchmark's name

// Prints a line for each budget whose benchmarks were run; nothing where there is none.
void print_budgets(std::ostream& out, const Results& results);

}  // namespace dspool::bench
