// L1: the decoded fields of the sessions that this worker served last. An entry serves a request
// only when both its version and the attempt that made that version are the ones asked for, so
// that a delta which the engine threw away is never taken for state.
//
// Invariants
//   L1  an entry that is handed out (a Lease) is neither found again nor evicted.
//   L2  `by_id_` names the newest entry of each id; an older one, still handed out, is dropped when
//       its lease ends.
//
// Threads: the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace dspool::python {

struct SessionVersion {
  std::uint64_t version = 0;   // 0: nothing was ever committed
  std::uint64_t state_id = 0;  // the attempt that made the version
  bool operator==(const SessionVersion&) const = default;
};

class SessionCache {
  struct Entry {
    std::string id;
    pybind11::object session;
    SessionVersion version;
    bool leased = true;
  };
  using Handle = std::list<Entry>::iterator;

 public:
  // A session for the time of one command. The entry is dropped unless it is given back.
  class Lease {
   public:
    Lease() noexcept = default;
    Lease(SessionCache& cache, Handle entry) noexcept : cache_(&cache), entry_(entry) {}
    Lease(Lease&& other) noexcept
        : cache_(std::exchange(other.cache_, nullptr)), entry_(other.entry_) {}
    Lease& operator=(Lease&& other) noexcept;
    ~Lease() { drop(); }

    explicit operator bool() const noexcept { return cache_ != nullptr; }
    [[nodiscard]] const pybind11::object& session() const noexcept { return entry_->session; }
    void give_back(SessionVersion version);
    void drop() noexcept;

   private:
    SessionCache* cache_ = nullptr;
    Handle entry_;
  };

  explicit SessionCache(std::size_t capacity) noexcept : capacity_(capacity) {}

  // The session at exactly this version, or nothing; an entry at another version is dropped.
  [[nodiscard]] Lease find(std::string_view id, SessionVersion version);
  // A place for a session that `find` did not find.
  [[nodiscard]] Lease insert(std::string_view id, pybind11::object session);

 private:
  void erase(Handle entry) noexcept;
  void evict() noexcept;

  const std::size_t capacity_;
  std::list<Entry> entries_;                            // the most recently used first
  std::unordered_map<std::string_view, Handle> by_id_;  // keys point into the entries
};

}  // namespace dspool::python
