// A store in memory that refuses some commits, as one does that is out of room, and thinks at times
// that it soon will be.
#pragma once

#include <cstddef>
#include <random>

#include "engine/store/memory_store.h"
#include "ipc/state_segment.h"

namespace dspool::sim {

class FlakyStore final : public store::Store {
 public:
  FlakyStore(std::minstd_rand& random, ipc::StateSegment& segment)
      : random_(random), memory_(std::size_t{1} << 20, segment) {}
  Result<session::Staged> prepare(const session::Record& record,
                                  const session::Delta& delta) override;
  [[nodiscard]] bool is_nearly_full() const noexcept override;

 private:
  std::minstd_rand& random_;
  store::MemoryStore memory_;
};

}  // namespace dspool::sim
