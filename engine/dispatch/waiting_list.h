// Sessions whose head call waits for a slot.
//
// Most wait for any worker, oldest first. A worker that becomes free looks through the first
// kLookAhead of them for one that is warm there; every kOldestEvery-th time it takes the oldest
// instead, so that nobody starves. (A rule by age instead of count collapses under load: a miss
// makes others older, which makes more misses.)
//
// Others expect one worker, where they are warm and which is busy: it alone takes them, until they
// have had enough of it (`Dispatcher::expect`). And some back off before they are tried again: they
// are set aside, and nobody takes them (`Dispatcher::back_off`).
//
// A few are to have a worker for themselves (dispatcher_isolation.cc): they wait apart until one is
// kept free for them, and then expect it ahead of all others.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/session/session.h"

namespace dspool::dispatch {

class WaitingList {
 public:
  static constexpr std::uint32_t kLookAhead = 256;
  static constexpr std::uint32_t kOldestEvery = 64;

  explicit WaitingList(std::size_t workers) : expecting_(workers) {}

  // Of those that any worker may take.
  [[nodiscard]] bool empty() const noexcept { return anywhere_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return anywhere_.size(); }
  // Null: none waits for any.
  [[nodiscard]] const session::Session* oldest() const noexcept {
    return empty() ? nullptr : &anywhere_.front();
  }
  void push_back(session::Session& session) noexcept;
  void push_front(session::Session& session) noexcept;
  // Takes out the session that this worker, in this epoch, should run next. REQUIRES: !empty().
  session::Session& take_for(std::uint32_t worker, std::uint64_t epoch, bool prefer_warm) noexcept;

  // The session waits for this worker alone, behind the others that do.
  void expect(session::Session& session, std::uint32_t worker) noexcept;
  // The one that has expected this worker for longest; null: none does.
  [[nodiscard]] session::Session* first_expecting(std::uint32_t worker) noexcept;

  void set_aside(session::Session& session) noexcept;
  // Null: none is set aside.
  [[nodiscard]] session::Session* first_set_aside() noexcept;

  // The session waits to be alone on a worker, behind the others that do.
  void wait_alone(session::Session& session) noexcept;
  // The one that has waited for that for longest; null: none does.
  [[nodiscard]] session::Session* first_alone() noexcept {
    return alone_.empty() ? nullptr : &alone_.front();
  }
  // The session waits for this worker alone, ahead of the others that do.
  void expect_first(session::Session& session, std::uint32_t worker) noexcept;

  // Takes the session out, wherever it waits.
  void remove(session::Session& session) noexcept;

 private:
  using Hook = boost::intrusive::member_hook<session::Session, boost::intrusive::list_member_hook<>,
                                             &session::Session::waiting_hook>;
  using Anywhere = boost::intrusive::list<session::Session, Hook>;
  using Others =
      boost::intrusive::list<session::Session, Hook, boost::intrusive::constant_time_size<false>>;

  Anywhere anywhere_;
  std::vector<Others> expecting_;  // by worker
  Others set_aside_;
  Others alone_;
  std::uint32_t taken_ = 0;
};

}  // namespace dspool::dispatch
