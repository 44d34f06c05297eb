// L1: the decoded fields of the sessions that this worker served last. An entry serves a request
// only when both its version and the attempt that made that version are the ones asked for, so
// that a delta which the engine threw away is never taken for state.
//
// Invariants
//   L1  an entry that is handed out (a Lease) is neither found again nor evicted.
//   L2  `by_id_` names the newest entry of each id; an older one, still handed out, is superseded:
//       it is dropped when its lease ends.
//   L3  bounded by count and by bytes, the least recently used out first; the entry used last
//   stays,
//       if `fits` said so of it.
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
    std::size_t bytes = 0;
    bool leased = true;
    bool superseded = false;
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
    // Whether giving it back would drop it.
    [[nodiscard]] bool is_superseded() const noexcept { return entry_->superseded; }
    // `bytes`: an estimate of what it takes.
    void give_back(SessionVersion version, std::size_t bytes);
    void drop() noexcept;

   private:
    SessionCache* cache_ = nullptr;
    Handle entry_;
  };

  SessionCache(std::size_t capacity, std::size_t most_bytes) noexcept
      : capacity_(capacity), most_bytes_(most_bytes) {}

  // Whether a session of this size may be kept at all.
  [[nodiscard]] bool fits(std::size_t bytes) const noexcept { return bytes <= most_bytes_; }

  // The session at exactly this version, or nothing.
  [[nodiscard]] Lease find(std::string_view id, SessionVersion version);
  // What is there of the session at another version, to become this one, or nothing: there is none,
  // or others have it too.
  [[nodiscard]] Lease claim(std::string_view id);
  // A place for a session of which there is nothing to claim.
  [[nodiscard]] Lease insert(std::string_view id, pybind11::object session);

 private:
  void erase(Handle entry) noexcept;
  void evict() noexcept;

  const std::size_t capacity_;
  const std::size_t most_bytes_;
  std::size_t bytes_ = 0;     // of all entries, as far as they were given back
  std::list<Entry> entries_;  // the most recently used first
  std::unordered_map<std::string_view, Handle> by_id_;  // keys point into the entries
};

}  // namespace dspool::python
