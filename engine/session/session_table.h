// Who is who: the sessions that exist, by id. Finding one is what every call does, so it takes no
// lock of its own and allocates nothing; creating and erasing are rarer, and pay for the order in
// which sessions are listed.
//
// T has `std::string_view id() const noexcept`, which never changes, and is counted by
// `IntrusivePtr`. Thread-safe throughout.
//
// Invariants
//   I1  an id is in the map if and only if it is in the index, whenever changes_ is not held;
//       both change only under changes_.
//   I2  the map holds a reference to each object whose id it or the index looks into. Nothing else
//       keeps a copy of an id.
//   I3  the map is never iterated: with oneTBB that crashes or repeats entries while others insert
//       or erase. Listings read the index.
//   I4  a reference handed out was counted under the entry's lock, so that an object erased
//       meanwhile lives on for its finder.
//
// Lock order: changes_ -> the map's own locks. A finder holds only the latter.
#pragma once

#include <oneapi/tbb/concurrent_hash_map.h>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/session/hot_allocator.h"
#include "engine/session/intrusive_ptr.h"

namespace dspool::session {

[[nodiscard]] std::uint64_t hash_session_id(std::string_view id) noexcept;  // XXH3

template <typename T>
class BasicSessionTable {
 public:
  using Ref = IntrusivePtr<T>;

  BasicSessionTable() = default;
  BasicSessionTable(const BasicSessionTable&) = delete;
  BasicSessionTable& operator=(const BasicSessionTable&) = delete;

  // Null if there is none.
  [[nodiscard]] Ref find(std::string_view id) const { return find(Probe(id)); }

  // The session `id`, and whether it is new. `make()` returns the Ref to put there; it is called at
  // most once, only if there is none, while no other thread can create one, and must not use
  // the table.
  template <typename Make>
  std::pair<Ref, bool> find_or_create(std::string_view id, Make&& make) {
    const Probe probe(id);
    if (Ref found = find(probe)) return {std::move(found), false};
    const std::lock_guard lock(changes_);
    if (Ref found = find(probe)) return {std::move(found), false};
    Ref made = std::forward<Make>(make)();
    assert(made && made->id() == id);
    ids_.insert(made->id());
    map_.emplace(Key{probe.hash, made.get()}, made);
    return {std::move(made), true};
  }

  // Removes `session` if it is still the one that its id stands for.
  // REQUIRES: the caller holds a reference to it.
  bool erase(const T& session) {
    const std::lock_guard lock(changes_);
    typename Map::const_accessor entry;
    if (!map_.find(entry, Probe(session.id())) || entry->second.get() != &session) return false;
    ids_.erase(session.id());
    map_.erase(entry);
    return true;
  }

  [[nodiscard]] std::size_t size() const noexcept { return map_.size(); }

  // Ids in byte order, those after `after`, at most `limit`. No creation waits for more than that.
  [[nodiscard]] std::vector<std::string> list(std::string_view after, std::size_t limit) const {
    std::vector<std::string> ids;
    const std::lock_guard lock(changes_);
    // The empty view comes before every id, none of which is empty.
    for (auto id = ids_.upper_bound(after); id != ids_.end() && ids.size() < limit; ++id) {
      ids.emplace_back(*id);
    }
    return ids;
  }

 private:
  // The hash stands beside the pointer, so that neighbours in a bucket are told apart, and buckets
  // are split, without a look at the objects.
  struct Key {
    std::uint64_t hash;
    const T* session;  // what the entry's Ref refers to
  };
  struct Probe {
    explicit Probe(std::string_view name) noexcept : hash(hash_session_id(name)), id(name) {}
    std::uint64_t hash;
    std::string_view id;
  };
  struct HashCompare {
    using is_transparent = void;  // NOLINT(readability-identifier-naming): oneTBB looks for it
    [[nodiscard]] std::size_t hash(const Key& key) const noexcept { return key.hash; }
    [[nodiscard]] std::size_t hash(const Probe& probe) const noexcept { return probe.hash; }
    [[nodiscard]] bool equal(const Key& a, const Key& b) const noexcept {
      return a.hash == b.hash && a.session->id() == b.session->id();
    }
    [[nodiscard]] bool equal(const Probe& a, const Key& b) const noexcept {
      return a.hash == b.hash && a.id == b.session->id();
    }
  };
  using Map =
      tbb::concurrent_hash_map<Key, Ref, HashCompare, HotAllocator<std::pair<const Key, Ref>>>;

  Ref find(const Probe& probe) const {
    typename Map::const_accessor entry;
    if (!map_.find(entry, probe)) return nullptr;
    return entry->second;
  }

  mutable Map map_;  // mutable: oneTBB's transparent find is not const
  mutable std::mutex changes_;
  std::set<std::string_view, std::less<>, HotAllocator<std::string_view>> ids_;
};

}  // namespace dspool::session
