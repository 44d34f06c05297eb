#include "engine/session/record.h"

#include <algorithm>

namespace dspool::session {

const Field* Record::find(std::string_view key) const noexcept {
  const auto at = std::ranges::lower_bound(fields_, key, {}, &Field::key);
  return at != fields_.end() && at->key == key ? &*at : nullptr;
}

std::vector<Field>::iterator Record::lower_bound(std::string_view key) noexcept {
  return std::ranges::lower_bound(fields_, key, {}, &Field::key);
}

std::size_t Record::bytes_after(const Delta& delta) const noexcept {
  std::size_t bytes = bytes_;
  for (const Delta::Put& put : delta.puts) {
    const Field* old = find(put.key);
    bytes += put.value.size();
    bytes = old != nullptr ? bytes - old->value.size() : bytes + put.key.size();
  }
  for (const std::string_view key : delta.deletes) {
    if (const Field* old = find(key); old != nullptr) bytes -= old->key.size() + old->value.size();
  }
  return bytes;
}

void Record::apply(const Delta& delta, std::uint64_t state_id) {
  for (const Delta::Put& put : delta.puts) {
    auto at = lower_bound(put.key);
    if (at == fields_.end() || at->key != put.key) {
      at = fields_.insert(at, Field{std::string(put.key), {}});
      bytes_ += put.key.size();
    }
    bytes_ += put.value.size();
    bytes_ -= at->value.size();
    at->value.assign(put.value.begin(), put.value.end());
  }
  for (const std::string_view key : delta.deletes) {
    const auto at = lower_bound(key);
    if (at == fields_.end() || at->key != key) continue;
    bytes_ -= at->key.size() + at->value.size();
    fields_.erase(at);
  }
  ++version_;
  state_id_ = state_id;
}

void Record::reset() noexcept {
  version_ = 0;
  state_id_ = 0;
  bytes_ = 0;
  fields_.clear();
}

}  // namespace dspool::session
