#include "engine/store/memory_store.h"

#include <fmt/format.h>

namespace dspool::store {

Result<void> MemoryStore::commit(session::Record& record, const session::Delta& delta,
                                 std::uint64_t state_id) {
  // A field costs its key, its value, and at most this much of table and padding around them.
  constexpr std::size_t kFieldOverheadBytes = 64;
  const std::size_t fields = record.fields().size() + delta.puts.size();
  const std::size_t bytes = record.bytes_after(delta) + fields * kFieldOverheadBytes;
  if (bytes > state_limit_bytes_) {
    return tl::unexpected(Error{
        .category = ErrorCategory::kSession,
        .code = "state_too_large",
        .message = fmt::format("the session's fields would take {} bytes, the limit is {}: keep "
                               "less in the session; the command changed nothing",
                               bytes, state_limit_bytes_)});
  }
  record.apply(delta, state_id);
  return {};
}

}  // namespace dspool::store
