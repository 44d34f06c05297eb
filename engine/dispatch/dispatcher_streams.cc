// What comes ahead of answers: chunks, for callers who listen.
#include <utility>

#include "engine/dispatch/dispatcher.h"

namespace dspool::dispatch {

bool Dispatcher::chunk_came(std::uint32_t worker, std::uint64_t request_id,
                            worker::ChunkReport& chunk) {
  const Attempt* attempt = workers_[worker]->find(request_id);
  if (attempt == nullptr || attempt->recalled || !attempt->streams ||
      attempt->number != chunk.attempt) {
    return false;
  }
  Call* const call = attempt->call;
  if (call == nullptr) {
    ports_.metrics.late_chunks.add(1);
    return true;
  }
  if (chunk.index != call->window->sent() || !call->window->has_room(chunk.record_bytes)) {
    return false;
  }
  call->window->send(chunk.record_bytes);
  ports_.metrics.chunks.add(1);
  ports_.listener.chunk_came(*call, Chunk{.value = Value::from_verified(std::move(chunk.value)),
                                          .attempt = chunk.attempt,
                                          .index = chunk.index});
  return true;
}

bool Dispatcher::chunks_consumed(std::uint32_t worker, std::uint64_t request_id,
                                 std::uint64_t chunks) {
  const Attempt* attempt = workers_[worker]->find(request_id);
  if (attempt == nullptr || attempt->call == nullptr || !attempt->streams) return false;
  return attempt->call->window->consume_to(chunks);
}

}  // namespace dspool::dispatch
