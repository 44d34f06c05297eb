// An engine on a durable store that is killed while it commits, by itself at a kill point or by
// whoever started it.
//
//   mortal_engine STORE RUN < expected > told
//
// `expected` has a line "<session> <n>" for each session: the highest n of which it was told that
// it was committed. First each session's state is told, "state <session> <version> <count>". Then
// every session counts on from n + 1, each step with an idempotency key of its own, so that a step
// that was committed and not told is not done twice: "told <session> <n> <count>", with the count
// that was answered. Some sessions are ended and begun anew on the way: "ended <session>".
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "dspool/engine.h"

namespace {

using dspool::Engine;

constexpr int kSteps = 400;  // of each session, unless it is killed before

struct Expected {
  std::string session;
  long n = 0;
};

// One write each, so that a line is told or not.
void tell(const std::string& line) {
  if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) std::_Exit(3);
}

// What the worker answers is "<session>=<count>".
std::string count_in(std::string_view answer) {
  return std::string(answer.substr(answer.rfind('=') + 1));
}

void count_on(Engine& engine, Expected at) {
  for (int step = 0; step < kSteps; ++step) {
    const long n = at.n + 1;
    const auto answer = engine.execute_in_session(
        at.session, "count", {},
        {.max_retries = 3, .idempotency_key = at.session + "-" + std::to_string(n)});
    if (!answer) {
      std::fprintf(stderr, "%s: %s\n", at.session.c_str(), answer.error().describe().c_str());
      std::_Exit(4);
    }
    tell("told " + at.session + " " + std::to_string(n) + " " +
         count_in(answer->value.as_string()) + "\n");
    at.n = n;
  }
}

}  // namespace

int main(int argument_count, char** arguments) {
  if (argument_count != 3) return 2;
  dspool::Config config;
  config.pool_size = 2;
  config.overflow = 0;
  config.log_level = dspool::LogLevel::kError;
  config.session.durability = dspool::Durability::kLocal;
  config.store.path = arguments[1];
  config.worker.adapter = "hostile:seed_0";
  config.worker.python = DSPOOL_HOSTILE_WORKER;
  config.worker.pass_environment = {"ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"};
  config.worker.ring_bytes = dspool::WorkerConfig::kLeastRingBytes;
  config.worker.slab_bytes = dspool::WorkerConfig::kLeastRingBytes;
  const auto engine = Engine::start(config);
  if (!engine) {
    std::fprintf(stderr, "%s\n", engine.error().describe().c_str());
    return 5;
  }
  std::vector<Expected> expected;
  char session[64];
  long n = 0;
  while (std::scanf("%63s %ld", session, &n) == 2) expected.push_back({session, n});
  for (const Expected& each : expected) {
    const auto info = (*engine)->get_session(each.session);
    const auto fields = (*engine)->read_fields(each.session);
    tell("state " + each.session + " " + std::to_string(info ? info->version : 0) + " " +
         std::to_string(fields ? fields->value["count"].as_int64() : 0) + "\n");
  }
  tell("ready\n");
  std::vector<std::thread> callers;
  callers.reserve(expected.size());
  for (const Expected& each : expected) {
    callers.emplace_back([&engine, each] { count_on(**engine, each); });
  }
  for (std::thread& caller : callers) caller.join();
}
