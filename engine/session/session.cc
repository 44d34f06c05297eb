#include "engine/session/session.h"

namespace dspool::session {

static_assert(sizeof(Session) <= 5 * 64, "each idle session would cost another cache line");

SessionRef make_session(std::string_view id, TimePoint now, std::chrono::milliseconds ttl) {
  HotAllocator<Session> allocator;
  Session* place = std::allocator_traits<HotAllocator<Session>>::allocate(allocator, 1);
  try {
    return SessionRef(std::construct_at(place, id, now, ttl));
  } catch (...) {  // its id found no memory
    std::allocator_traits<HotAllocator<Session>>::deallocate(allocator, place, 1);
    throw;
  }
}

void intrusive_release(Session* session) noexcept {
  if (session->references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  HotAllocator<Session> allocator;
  std::destroy_at(session);
  std::allocator_traits<HotAllocator<Session>>::deallocate(allocator, session, 1);
}

}  // namespace dspool::session
