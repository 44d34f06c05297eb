// dspool-offline-lm: the offline model as a program of its own, for clients that are started apart.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "bench/offline_lm/offline_lm.h"

int main(int argc, char** argv) {
  dspool::offline_lm::Options options;
  long long latency_ms = 0;
  CLI::App app(
      "A stand-in for a language model, on 127.0.0.1: OpenAI's chat completions, answered from a "
      "hash of the prompt. It knows nothing, needs no key, and says the same each time.");
  app.add_option("--port", options.port, "Port; 0 is any that is free")->capture_default_str();
  app.add_option("--seed", options.seed, "Other answers, other latencies")->capture_default_str();
  app.add_option("--latency-ms", latency_ms, "Median of the log-normal latency")
      ->check(CLI::Range(0, 60'000))
      ->capture_default_str();
  app.add_option("--sigma", options.sigma, "Standard deviation of the latency's logarithm")
      ->check(CLI::Range(0.0, 5.0))
      ->capture_default_str();
  app.footer(
      "Examples:\n"
      "  dspool-offline-lm --port 8080 --latency-ms 300\n"
      "  curl -s 127.0.0.1:8080/v1/chat/completions -d \\\n"
      "    '{\"messages\": [{\"role\": \"user\", \"content\": \"What is shared memory?\"}]}'");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  options.median_latency = std::chrono::milliseconds(latency_ms);

  // Blocked before the server's threads start, so that sigwait alone sees them.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  const auto server = dspool::offline_lm::OfflineLm::start(options);
  if (!server) {
    fmt::print(stderr, "{}\n", server.error().message);
    return 1;
  }
  fmt::print("{}\n", (*server)->api_base());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&ends, &signal);
  return 0;
}
