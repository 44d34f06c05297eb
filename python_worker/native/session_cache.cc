#include "python_worker/native/session_cache.h"

#include <iterator>

namespace dspool::python {

SessionCache::Lease& SessionCache::Lease::operator=(Lease&& other) noexcept {
  if (this != &other) {
    drop();
    cache_ = std::exchange(other.cache_, nullptr);
    entry_ = other.entry_;
  }
  return *this;
}

void SessionCache::Lease::give_back(SessionVersion version, std::size_t bytes) {
  SessionCache& cache = *std::exchange(cache_, nullptr);
  if (entry_->superseded) {
    cache.erase(entry_);
    return;
  }
  entry_->version = version;
  entry_->leased = false;
  cache.bytes_ += bytes - entry_->bytes;
  entry_->bytes = bytes;
  cache.entries_.splice(cache.entries_.begin(), cache.entries_, entry_);
  if (cache.entries_.size() > cache.capacity_ || cache.bytes_ > cache.most_bytes_) cache.evict();
}

void SessionCache::Lease::drop() noexcept {
  if (cache_ != nullptr) std::exchange(cache_, nullptr)->erase(entry_);
}

SessionCache::Lease SessionCache::find(std::string_view id, SessionVersion version) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end() || found->second->leased) return {};
  const Handle entry = found->second;
  if (entry->version != version) return {};
  entry->leased = true;
  return {*this, entry};
}

SessionCache::Lease SessionCache::claim(std::string_view id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return {};
  const Handle entry = found->second;
  if (entry->leased) return {};
  if (entry->session.ref_count() != 1) {
    erase(entry);
    return {};
  }
  entry->leased = true;
  return {*this, entry};
}

SessionCache::Lease SessionCache::insert(std::string_view id, pybind11::object session) {
  entries_.push_front({.id = std::string(id), .session = std::move(session), .version = {}});
  const auto entry = entries_.begin();
  if (const auto older = by_id_.find(id); older != by_id_.end()) {
    older->second->superseded = true;
    by_id_.erase(older);  // its key points into the older entry
  }
  by_id_.emplace(entry->id, entry);
  return {*this, entry};
}

void SessionCache::erase(Handle entry) noexcept {
  if (!entry->superseded) by_id_.erase(entry->id);
  bytes_ -= entry->bytes;
  entries_.erase(entry);
}

void SessionCache::evict() noexcept {
  const auto is_too_much = [&] { return entries_.size() > capacity_ || bytes_ > most_bytes_; };
  const auto newest = entries_.begin();
  for (auto entry = std::prev(entries_.end()); is_too_much() && entry != newest;) {
    const auto oldest = entry--;
    if (!oldest->leased) erase(oldest);
  }
}

}  // namespace dspool::python
