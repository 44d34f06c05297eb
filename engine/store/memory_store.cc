#include "engine/store/memory_store.h"

#include <fmt/format.h>

#include <new>
#include <utility>

namespace dspool::store {
namespace {

Error state_memory_full(const ipc::StateSegment& segment) {
  return {.category = ErrorCategory::kResourceError,
          .code = "state_memory_full",
          .message = fmt::format("there is no memory for what the command changed: the sessions' "
                                 "state has {} of {} MiB: raise store.memory_limit, name a "
                                 "directory for idle sessions in store.path, or let sessions end "
                                 "sooner (session.ttl); the command changed nothing",
                                 segment.reserved_bytes() >> 20, segment.limit_bytes() >> 20),
          .retryable = true};
}

Error no_engine_memory() {
  return {.category = ErrorCategory::kResourceError,
          .code = "no_engine_memory",
          .message =
              "there is no memory for what the command changed in the engine's process: give "
              "it more; the command changed nothing",
          .retryable = true};
}

}  // namespace

Result<session::Staged> MemoryStore::prepare(const session::Record& record,
                                             const session::Delta& delta) {
  // A field costs its key, its value, and at most this much of table and padding around them.
  constexpr std::size_t kFieldOverheadBytes = 64;
  const std::size_t fields = record.field_count() + delta.puts.size();
  const std::size_t bytes = record.bytes_after(delta) + fields * kFieldOverheadBytes;
  if (bytes > state_limit_bytes_) {
    return tl::unexpected(Error{
        .category = ErrorCategory::kResourceError,
        .code = "state_too_large",
        .message = fmt::format("the session's fields would take {} bytes, the limit is {}: keep "
                               "less in the session, or raise session.max_bytes and "
                               "worker.max_payload_bytes; the command "
                               "changed nothing",
                               bytes, state_limit_bytes_)});
  }
  try {
    auto staged = record.stage(delta, segment_, session::kStepShard);
    if (!staged) return tl::unexpected(state_memory_full(segment_));
    return *std::move(staged);
  } catch (const std::bad_alloc&) {
    return tl::unexpected(no_engine_memory());
  }
}

bool MemoryStore::is_nearly_full() const noexcept { return segment_.is_nearly_full(); }

}  // namespace dspool::store
