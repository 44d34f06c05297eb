#include "engine/session/delta.h"

#include <algorithm>

#include "ipc/value_sequence.h"

namespace dspool::session {

void prepare(Delta& delta, ipc::StateSegment& segment, std::uint64_t shard) {
  for (Delta::Put& put : delta.puts) {
    if (put.value.size() <= kLongPutBytes) continue;
    put.placed = segment.allocate(put.value.size(), shard);
    if (!put.placed) continue;
    std::ranges::copy(std::as_bytes(put.value), put.placed.bytes().begin());
  }
  for (Delta::Put& append : delta.appends) {
    if (append.value.size() <= kLongAppendBytes) continue;
    append.placed = segment.allocate(ipc::sequence_bytes(append.value.size()), shard);
    if (!append.placed) continue;
    ipc::write_in_sequence(append.placed.bytes().data(), std::as_bytes(append.value));
  }
  if (!delta.puts.empty() || !delta.appends.empty()) segment.grow_ahead(kStepShard);
}

}  // namespace dspool::session
