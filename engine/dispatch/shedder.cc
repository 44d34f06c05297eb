#include "engine/dispatch/shedder.h"

#include <algorithm>

namespace dspool::dispatch {
namespace {

using std::chrono::milliseconds;

// Below these, a wait is nothing that a caller would go elsewhere for.
constexpr milliseconds kLeastOnset{100};
constexpr milliseconds kLeastInterval{50};
constexpr milliseconds kLeastBound{30};

}  // namespace

Shedder::Nanoseconds Shedder::onset(Nanoseconds service) noexcept {
  return std::max<Nanoseconds>(kLeastOnset, 4 * service);
}

Shedder::Nanoseconds Shedder::interval(Nanoseconds service) noexcept {
  return std::max<Nanoseconds>(kLeastInterval, 2 * service);
}

Shedder::Nanoseconds Shedder::bound(Nanoseconds service) noexcept {
  return std::max<Nanoseconds>(kLeastBound, service + service / 2);
}

void Shedder::served(Nanoseconds wait, Nanoseconds service, session::TimePoint now) noexcept {
  if (overloaded_) {
    if (wait > bound(service) / 4) last_high_ = now;
    if (now - last_high_ > onset(service)) {
      overloaded_ = false;
      high_since_ = kNever;
    }
    return;
  }
  if (wait < onset(service)) {
    high_since_ = kNever;
  } else if (high_since_ == kNever) {
    high_since_ = now;
  } else if (now - high_since_ >= interval(service)) {
    overloaded_ = true;
    last_high_ = now;
  }
}

}  // namespace dspool::dispatch
