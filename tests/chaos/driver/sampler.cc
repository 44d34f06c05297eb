#include "tests/chaos/driver/sampler.h"

#include <unistd.h>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>

#include "tests/chaos/driver/clock.h"
#include "tests/chaos/driver/leftovers.h"
#include "tests/support/held_resources.h"

namespace dspool::chaos {
namespace {

struct Memory {
  std::uint64_t own_kib = 0;     // RssAnon
  std::uint64_t shared_kib = 0;  // RssShmem
};

Memory memory_of(pid_t pid) {
  Memory memory;
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string name; status >> name;) {
    if (name == "RssAnon:") status >> memory.own_kib;
    if (name == "RssShmem:") status >> memory.shared_kib;
  }
  return memory;
}

}  // namespace

Sampler::Sampler(const Engine& engine, const std::filesystem::path& directory)
    : engine_(engine), csv_(directory / "samples.csv") {
  csv_ << "time_s,engine_kib,engine_shared_kib,workers_kib,state_bytes,sessions,descriptors,"
          "mappings,processes"
       << std::endl;
  thread_ = std::jthread([this](const std::stop_token& stopped) { run(stopped); });
}

Sampler::~Sampler() = default;

void Sampler::run(const std::stop_token& stopped) {
  constexpr std::chrono::seconds kBetween{1};
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  for (auto due = Clock::now() + kBetween; !stopped.stop_requested(); due += kBetween) {
    never.wait_until(lock, stopped, due, [] { return false; });
    if (!stopped.stop_requested()) take();
  }
}

void Sampler::take() {
  const Memory engine = memory_of(::getpid());
  const auto below = living_by_number();
  std::uint64_t workers_kib = 0;
  for (const auto& [pid, name] : below) workers_kib += memory_of(pid).own_kib;
  const Stats stats = engine_.stats();
  const test::HeldResources held = test::held_resources();
  csv_ << static_cast<double>(now_ns()) / 1e9 << ',' << engine.own_kib << ',' << engine.shared_kib
       << ',' << workers_kib << ',' << stats.state_bytes << ',' << stats.active_sessions << ','
       << held.descriptors << ',' << held.mappings << ',' << below.size() << std::endl;
}

}  // namespace dspool::chaos
