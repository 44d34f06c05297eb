#include "engine/dispatch/stream_port.h"

#include <utility>

#include "engine/dispatch/gate.h"

namespace dspool::dispatch {

void StreamPort::consumed(std::uint32_t worker, std::uint64_t request_id, std::uint64_t chunks) {
  if (!enter()) return;
  gate_.consumed(worker, request_id, chunks);
  leave();
}

void StreamPort::cancel(std::uint64_t public_id, std::string cause) {
  if (!enter()) return;
  gate_.cancel(public_id, std::move(cause));
  leave();
}

void StreamPort::post(SubmittedCall& call) {
  if (!enter()) return;
  gate_.complete_on_reactor(call);
  leave();
}

void StreamPort::close() {
  std::unique_lock lock(mutex_);
  closed_ = true;
  nobody_is_here_.wait(lock, [this] { return users_ == 0; });
}

bool StreamPort::enter() {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  ++users_;
  return true;
}

void StreamPort::leave() {
  const std::lock_guard lock(mutex_);
  if (--users_ == 0) nobody_is_here_.notify_all();
}

}  // namespace dspool::dispatch
