#include "bench/workload.h"

#include <fmt/format.h>

#include <cstdlib>

namespace dspool::bench {

Value five_fields() {
  return Value{{"question", "Which river runs through Budapest?"},
               {"language", "en"},
               {"max_tokens", 512},
               {"temperature", 0.7},
               {"stream", false}};
}

std::string session_name(std::size_t number) { return fmt::format("session-{:012}", number); }

std::array<std::string, kOutstanding> session_names() {
  std::array<std::string, kOutstanding> names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = session_name(i);
  return names;
}

tl::unexpected<Error> cannot_start(std::string why) {
  return tl::unexpected(Error{.category = ErrorCategory::kInitialization,
                              .code = "worker_died",
                              .message = std::move(why)});
}

WorkerConfig worker_config(std::uint32_t spin_us) {
  WorkerConfig config;
  config.adapter = "dspool_worker.adapters.loadtest:LoadTest";
  if (const char* const python = std::getenv("DSPOOL_PYTHON")) config.python = python;
  config.spin_us = spin_us;
  return config;
}

}  // namespace dspool::bench
