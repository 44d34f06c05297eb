#include "tests/sim/flaky_store.h"

namespace dspool::sim {

Result<session::Staged> FlakyStore::prepare(const session::Record& record,
                                            const session::Delta& delta) {
  const double luck = std::uniform_real_distribution<double>()(random_);
  if (luck < 0.02) {
    return tl::unexpected(Error{.category = ErrorCategory::kResourceError,
                                .code = "store_full",
                                .message = "simulated: no room",
                                .retryable = luck < 0.01});
  }
  return memory_.prepare(record, delta);
}

bool FlakyStore::is_nearly_full() const noexcept { return random_() % 50 == 0; }

}  // namespace dspool::sim
