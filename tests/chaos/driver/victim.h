// A worker's process, for as long as the object lives: unlike its number, which the system may give
// to another process at any time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "dspool/engine.h"

namespace dspool::chaos {

class Victim {
 public:
  enum class Doing : std::uint8_t { kNothing, kSomething };

  // One of the ready workers that does so just now, the `choice`-th of them, counted round.
  // Nothing: there is none.
  static std::optional<Victim> pick(Engine& engine, Doing doing, std::uint64_t choice);

  Victim(Victim&& other) noexcept;
  Victim& operator=(Victim&&) = delete;
  ~Victim();

  [[nodiscard]] const std::string& name() const noexcept { return worker_.worker; }
  // false: it is gone.
  bool send(int signal) const;

 private:
  Victim(WorkerHealth worker, int pidfd) noexcept : worker_(std::move(worker)), pidfd_(pidfd) {}

  WorkerHealth worker_;
  int pidfd_;
};

}  // namespace dspool::chaos
