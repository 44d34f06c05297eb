#include "engine/dispatch/waiting_list.h"

namespace dspool::dispatch {

session::Session& WaitingList::take_for(std::uint32_t worker, std::uint64_t epoch,
                                        bool prefer_warm) noexcept {
  auto chosen = sessions_.begin();
  if (prefer_warm && ++taken_ % kOldestEvery != 0) {
    std::uint32_t looked_at = 0;
    for (auto at = sessions_.begin(); at != sessions_.end() && looked_at < kLookAhead;
         ++at, ++looked_at) {
      if (at->warm.epoch == epoch && at->warm.worker == worker) {
        chosen = at;
        break;
      }
    }
  }
  session::Session& session = *chosen;
  sessions_.erase(chosen);
  return session;
}

}  // namespace dspool::dispatch
