#include "python_worker/native/session_cache.h"

namespace dspool::python {

SessionCache::Lease& SessionCache::Lease::operator=(Lease&& other) noexcept {
  if (this != &other) {
    drop();
    cache_ = std::exchange(other.cache_, nullptr);
    entry_ = other.entry_;
  }
  return *this;
}

void SessionCache::Lease::give_back(SessionVersion version) {
  SessionCache& cache = *std::exchange(cache_, nullptr);
  entry_->version = version;
  entry_->leased = false;
  cache.entries_.splice(cache.entries_.begin(), cache.entries_, entry_);
  const auto newest = cache.by_id_.find(entry_->id);
  if (newest == cache.by_id_.end() || newest->second != entry_) {
    cache.erase(entry_);
  } else if (cache.entries_.size() > cache.capacity_) {
    cache.evict();
  }
}

void SessionCache::Lease::drop() noexcept {
  if (cache_ != nullptr) std::exchange(cache_, nullptr)->erase(entry_);
}

SessionCache::Lease SessionCache::find(std::string_view id, SessionVersion version) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end() || found->second->leased) return {};
  const Handle entry = found->second;
  if (entry->version != version) {
    erase(entry);
    return {};
  }
  entry->leased = true;
  return {*this, entry};
}

SessionCache::Lease SessionCache::insert(std::string_view id, pybind11::object session) {
  entries_.push_front({std::string(id), std::move(session), {}, true});
  const auto entry = entries_.begin();
  by_id_.erase(id);  // its key points into the older entry
  by_id_.emplace(entry->id, entry);
  return {*this, entry};
}

void SessionCache::erase(Handle entry) noexcept {
  const auto found = by_id_.find(entry->id);
  if (found != by_id_.end() && found->second == entry) by_id_.erase(found);
  entries_.erase(entry);
}

void SessionCache::evict() noexcept {
  for (auto entry = entries_.end(); entries_.size() > capacity_ && entry != entries_.begin();) {
    --entry;
    if (entry->leased) continue;
    const auto oldest = entry++;
    erase(oldest);
  }
}

}  // namespace dspool::python
