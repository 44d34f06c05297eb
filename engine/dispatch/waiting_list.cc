#include "engine/dispatch/waiting_list.h"

namespace dspool::dispatch {

void WaitingList::push_back(session::Session& session) noexcept {
  session.expects = session::kNoWorker;
  anywhere_.push_back(session);
}

void WaitingList::push_front(session::Session& session) noexcept {
  session.expects = session::kNoWorker;
  anywhere_.push_front(session);
}

session::Session& WaitingList::take_for(std::uint32_t worker, std::uint64_t epoch,
                                        bool prefer_warm) noexcept {
  auto chosen = anywhere_.begin();
  if (prefer_warm && ++taken_ % kOldestEvery != 0) {
    std::uint32_t looked_at = 0;
    for (auto at = anywhere_.begin(); at != anywhere_.end() && looked_at < kLookAhead;
         ++at, ++looked_at) {
      if (at->warm.epoch == epoch && at->warm.worker == worker) {
        chosen = at;
        break;
      }
    }
  }
  session::Session& session = *chosen;
  anywhere_.erase(chosen);
  return session;
}

void WaitingList::expect(session::Session& session, std::uint32_t worker) noexcept {
  session.expects = worker;
  expecting_[worker].push_back(session);
}

void WaitingList::expect_first(session::Session& session, std::uint32_t worker) noexcept {
  session.expects = worker;
  expecting_[worker].push_front(session);
}

void WaitingList::wait_alone(session::Session& session) noexcept {
  session.expects = session::kAnyAlone;
  alone_.push_back(session);
}

session::Session* WaitingList::first_expecting(std::uint32_t worker) noexcept {
  Others& those = expecting_[worker];
  return those.empty() ? nullptr : &those.front();
}

void WaitingList::set_aside(session::Session& session) noexcept {
  session.expects = session::kBacksOff;
  set_aside_.push_back(session);
}

session::Session* WaitingList::first_set_aside() noexcept {
  return set_aside_.empty() ? nullptr : &set_aside_.front();
}

void WaitingList::remove(session::Session& session) noexcept {
  if (session.expects == session::kNoWorker) {
    anywhere_.erase(anywhere_.iterator_to(session));
    return;
  }
  if (session.expects == session::kBacksOff) {
    set_aside_.erase(set_aside_.iterator_to(session));
  } else if (session.expects == session::kAnyAlone) {
    alone_.erase(alone_.iterator_to(session));
  } else {
    Others& those = expecting_[session.expects];
    those.erase(those.iterator_to(session));
  }
  session.expects = session::kNoWorker;
}

}  // namespace dspool::dispatch
