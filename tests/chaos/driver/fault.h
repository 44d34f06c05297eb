// What a fault is: something that goes wrong with a pool while it works, again and again.
//
// To add one: a file in faults/ with a class of this interface and a function that makes it, and a
// line in faults.cc. Nothing else has to know of it: `chaos_driver --fault NAME` runs it, alone or
// with others, and the campaign (tests/chaos/checker/campaign.py) runs every one.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/engine.h"
#include "tests/chaos/driver/caller.h"
#include "tests/chaos/driver/findings.h"
#include "tests/chaos/driver/json_lines.h"

namespace dspool::chaos {

// Where a fault strikes. A fault has a thread and a Scene of its own; all scenes share the rest.
struct Scene {
  Engine& engine;
  Caller& caller;                         // for calls of its own, which the checker is to judge
  std::span<const std::string> sessions;  // those of the workload
  std::uint32_t pool_size;
  std::mt19937_64 random;  // seeded: what it does can be repeated, though not when
  const std::atomic<bool>& over;
  const JsonLines& strikes;  // strikes.jsonl, for whoever reads the evidence
  const Findings& findings;  // for the checker

  [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return random() % bound; }
  // Sleeps; false: it is over.
  bool pause(std::chrono::milliseconds duration) const;
  // Tells what was done.
  void tell(std::string_view fault, std::string_view what) const;
};

class Fault {
 public:
  Fault() = default;
  Fault(const Fault&) = delete;
  Fault& operator=(const Fault&) = delete;
  virtual ~Fault() = default;

  // Whether it makes sense only where sessions are durable, which they then are.
  [[nodiscard]] virtual bool needs_store() const { return false; }
  // Before the engine starts.
  virtual void configure(Config& /*config*/) {}
  // Does it once, and may take its time as long as it looks at `scene.over`.
  virtual void strike(Scene& scene) = 0;
  // How long to wait between two strikes, on average.
  [[nodiscard]] virtual std::chrono::milliseconds interval() const {
    return std::chrono::milliseconds(200);
  }
  // Undoes what would last: from here on the pool must come to rest. On the fault's thread.
  virtual void relent(Scene& /*scene*/) {}
  // When the engine has stopped, and all evidence is there but rest.json.
  virtual void look_back(const std::filesystem::path& /*evidence*/, const Findings& /*findings*/) {}
};

struct FaultKind {
  std::string_view name;
  std::string_view what;  // in a line
  std::unique_ptr<Fault> (*make)();
};

// All that there are, in the order of the table in tests/chaos/README.md.
[[nodiscard]] std::span<const FaultKind> fault_kinds();
// Null: there is none of this name.
[[nodiscard]] const FaultKind* find_fault(std::string_view name);

}  // namespace dspool::chaos
