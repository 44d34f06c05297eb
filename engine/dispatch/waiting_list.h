// Sessions whose head call waits for a slot, oldest first.
//
// A worker that becomes free looks through the first kLookAhead of them for one that is warm
// there; every kOldestEvery-th time it takes the oldest instead, so that nobody starves. (A rule
// by age instead of count collapses under load: a miss makes others older, which makes more
// misses.)
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "engine/session/session.h"

namespace dspool::dispatch {

class WaitingList {
 public:
  static constexpr std::uint32_t kLookAhead = 256;
  static constexpr std::uint32_t kOldestEvery = 64;

  [[nodiscard]] bool empty() const noexcept { return sessions_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return sessions_.size(); }
  void push_back(session::Session& session) noexcept { sessions_.push_back(session); }
  void push_front(session::Session& session) noexcept { sessions_.push_front(session); }
  void remove(session::Session& session) noexcept {
    sessions_.erase(sessions_.iterator_to(session));
  }

  // Takes out the session that this worker, in this epoch, should run next. REQUIRES: !empty().
  session::Session& take_for(std::uint32_t worker, std::uint64_t epoch, bool prefer_warm) noexcept;

 private:
  using Hook = boost::intrusive::member_hook<session::Session, boost::intrusive::list_member_hook<>,
                                             &session::Session::waiting_hook>;
  boost::intrusive::list<session::Session, Hook> sessions_;
  std::uint32_t taken_ = 0;
};

}  // namespace dspool::dispatch
