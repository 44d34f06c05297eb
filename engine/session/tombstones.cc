#include "engine/session/tombstones.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace dspool::session {

Tombstones::Hash Tombstones::hash_of(std::string_view id) noexcept {
  const XXH128_hash_t hash = XXH3_128bits(id.data(), id.size());
  return {.low = hash.low64, .high = hash.high64};
}

void Tombstones::add(std::string_view id, TimePoint now) {
  const Hash hash = hash_of(id);
  const std::lock_guard lock(mutex_);
  forget_old(now);
  set_[hash] = now;
  oldest_first_.push_back({hash, now});
}

bool Tombstones::has(std::string_view id, TimePoint now) const {
  const std::lock_guard lock(mutex_);
  const auto found = set_.find(hash_of(id));
  return found != set_.end() && now - found->second < kLifetime;
}

void Tombstones::remove(std::string_view id) {
  const std::lock_guard lock(mutex_);
  set_.erase(hash_of(id));
}

std::size_t Tombstones::size() const {
  const std::lock_guard lock(mutex_);
  return set_.size();
}

void Tombstones::forget_old(TimePoint now) {
  constexpr int kMostAtOnce = 4;  // so that a burst costs nobody all of it, and yet goes
  for (int i = 0; i < kMostAtOnce; ++i) {
    if (oldest_first_.empty() || now - oldest_first_.front().set < kLifetime) return;
    const Stone& oldest = oldest_first_.front();
    const auto found = set_.find(oldest.id);
    if (found != set_.end() && found->second == oldest.set) set_.erase(found);
    oldest_first_.pop_front();
  }
}

}  // namespace dspool::session
