#include "engine/dispatch/arena.h"

namespace dspool::dispatch {

Arena::~Arena() {
  for (auto left = pending_.load(std::memory_order_acquire); left != 0;
       left = pending_.load(std::memory_order_acquire)) {
    pending_.wait(left, std::memory_order_acquire);
  }
}

}  // namespace dspool::dispatch
