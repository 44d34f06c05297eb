// Who is who: the sessions that exist, by id. Finding one is what every call does, so it takes no
// lock of its own and allocates nothing; creating and erasing are rarer, and pay for the order in
// which sessions are listed.
//
// T has `std::string_view id() const noexcept`, which never changes, is counted by `IntrusivePtr`,
// and has a `SessionIndexHook index_hook`, which is the table's. Thread-safe throughout.
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

#include <boost/intrusive/set.hpp>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/session/hot_allocator.h"
#include "engine/session/intrusive_ptr.h"

namespace dspool::session {

[[nodiscard]] std::uint64_t hash_session_id(std::string_view id) noexcept;  // XXH3

using SessionIndexHook =
    boost::intrusive::set_member_hook<boost::intrusive::optimize_size<true>,
                                      boost::intrusive::link_mode<boost::intrusive::normal_link>>;

template <typename T>
class BasicSessionTable {
 public:
  using Ref = IntrusivePtr<T>;

  BasicSessionTable() = default;
  BasicSessionTable(const BasicSessionTable&) = delete;
  BasicSessionTable& operator=(const BasicSessionTable&) = delete;
  ~BasicSessionTable() { index_.clear(); }

  // Null if there is none.
  [[nodiscard]] Ref find(std::string_view id) const { return find(Probe(id)); }

  // The session `id`, and whether it is new. `make()` returns the Ref to put there, or null to
  // refuse, which is returned; it is called at most once, only if there is none, while no other
  // thread can create one, and must not use the table, but for `size`.
  template <typename Make>
  std::pair<Ref, bool> find_or_create(std::string_view id, Make&& make) {
    const Probe probe(id);
    if (Ref found = find(probe)) return {std::move(found), false};
    const std::lock_guard lock(changes_);
    if (Ref found = find(probe)) return {std::move(found), false};
    Ref made = std::forward<Make>(make)();
    if (!made) return {nullptr, false};
    assert(made->id() == id);
    try {
      map_.emplace(Key{probe.hash, made.get()}, made);
    } catch (const std::bad_alloc&) {  // for the entry, or for more buckets once that was there
      map_.erase(Key{probe.hash, made.get()});
      throw;
    }
    index_.insert(*made);
    return {std::move(made), true};
  }

  // The first in the order of ids; null: there is none.
  [[nodiscard]] Ref first() {
    const std::lock_guard lock(changes_);
    return index_.empty() ? Ref() : Ref(&*index_.begin());
  }

  // Removes `session` if it is still the one that its id stands for.
  // REQUIRES: the caller holds a reference to it.
  bool erase(const T& session) {
    const std::lock_guard lock(changes_);
    typename Map::const_accessor entry;
    if (!map_.find(entry, Probe(session.id())) || entry->second.get() != &session) return false;
    index_.erase(index_.iterator_to(*entry->second));
    map_.erase(entry);
    return true;
  }

  [[nodiscard]] std::size_t size() const noexcept { return map_.size(); }

  // Those that come after `after` in the order of ids, at most `limit`. No creation waits for more
  // than that.
  [[nodiscard]] std::vector<Ref> next(std::string_view after, std::size_t limit) {
    std::vector<Ref> found;
    found.reserve(limit);
    const std::lock_guard lock(changes_);
    auto at = index_.upper_bound(after);
    for (; at != index_.end() && found.size() < limit; ++at) found.emplace_back(&*at);
    return found;
  }

  // Ids in byte order that begin with `prefix`, those after `after`, at most `limit`. No creation
  // waits for more than that.
  [[nodiscard]] std::vector<std::string> list(std::string_view after, std::size_t limit,
                                              std::string_view prefix = {}) const {
    std::vector<std::string> ids;
    const std::lock_guard lock(changes_);
    // The empty view comes before every id, none of which is empty.
    auto next = prefix > after ? index_.lower_bound(prefix) : index_.upper_bound(after);
    for (; next != index_.end() && ids.size() < limit && next->id().starts_with(prefix); ++next) {
      ids.emplace_back(next->id());
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
  struct IdOf {
    using type = std::string_view;  // NOLINT(readability-identifier-naming): Boost looks for it
    [[nodiscard]] type operator()(const T& session) const noexcept { return session.id(); }
  };
  // A node of its own for each would cost another allocation, and a way down the tree to erase.
  using Index =
      boost::intrusive::set<T, boost::intrusive::member_hook<T, SessionIndexHook, &T::index_hook>,
                            boost::intrusive::key_of_value<IdOf>,
                            boost::intrusive::constant_time_size<false>>;
  using Map =
      tbb::concurrent_hash_map<Key, Ref, HashCompare, HotAllocator<std::pair<const Key, Ref>>>;

  Ref find(const Probe& probe) const {
    typename Map::const_accessor entry;
    if (!map_.find(entry, probe)) return nullptr;
    return entry->second;
  }

  mutable Map map_;  // mutable: oneTBB's transparent find is not const
  mutable std::mutex changes_;
  Index index_;
};

}  // namespace dspool::session
