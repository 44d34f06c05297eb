#include "engine/store/unflushed_parked.h"

namespace dspool::store {

void UnflushedParked::parked(std::string_view id, std::uint64_t sequence) {
  const std::lock_guard lock(mutex_);
  ids_.insert_or_assign(std::string(id), sequence);
}

std::vector<std::string> UnflushedParked::ids() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> ids;
  ids.reserve(ids_.size());
  for (const auto& [id, sequence] : ids_) ids.push_back(id);
  return ids;
}

void UnflushedParked::clear() {
  const std::lock_guard lock(mutex_);
  ids_.clear();
}

void UnflushedParked::OnFlushCompleted(rocksdb::DB* /*database*/,
                                       const rocksdb::FlushJobInfo& flushed) {
  const std::lock_guard lock(mutex_);
  std::erase_if(ids_, [&](const auto& id) { return id.second <= flushed.largest_seqno; });
}

}  // namespace dspool::store
