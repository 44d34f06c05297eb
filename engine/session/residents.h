// The sessions whose fields lie in shared memory, for whoever needs room there: a clock whose hand
// passes over those that were used since it came by last. Using a session costs it nothing.
//
// Not thread-safe: whoever steps the dispatcher owns it.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstddef>

#include "engine/session/session.h"

namespace dspool::session {

class Residents {
 public:
  Residents() = default;
  Residents(const Residents&) = delete;
  Residents& operator=(const Residents&) = delete;
  ~Residents() { sessions_.clear(); }

  // Does nothing to one that is there.
  void add(Session& session) noexcept {
    if (!session.resident_hook.is_linked()) sessions_.push_back(session);
  }
  // Does nothing to one that is not.
  void remove(Session& session) noexcept {
    if (session.resident_hook.is_linked()) sessions_.erase(sessions_.iterator_to(session));
  }
  [[nodiscard]] std::size_t size() const noexcept { return sessions_.size(); }

  // One that was not used since the hand came by last; null: none among the next `looks`, which
  // become fewer. The hand passes on.
  Session* next_unused(std::size_t& looks) noexcept {
    for (; looks != 0 && !sessions_.empty(); --looks) {
      Session& session = sessions_.front();
      sessions_.splice(sessions_.end(), sessions_, sessions_.begin());
      if (session.used <= session.visited) return &session;
      session.visited = session.used;
    }
    return nullptr;
  }

 private:
  using Hook = boost::intrusive::member_hook<Session, decltype(Session::resident_hook),
                                             &Session::resident_hook>;
  boost::intrusive::list<Session, Hook, boost::intrusive::constant_time_size<true>> sessions_;
};

}  // namespace dspool::session
