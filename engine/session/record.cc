#include "engine/session/record.h"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <utility>

#include "ipc/value_sequence.h"

namespace dspool::session {
namespace {

// Nothing: there is no memory.
std::optional<Field> load(const LoadedField& loaded, ipc::StateSegment& segment,
                          std::uint64_t shard) {
  ipc::StateBlock base = segment.allocate(loaded.base.size(), shard);
  if (!base) return std::nullopt;
  std::ranges::copy(std::as_bytes(loaded.base), base.bytes().begin());
  Field field(loaded.key);
  field.put_block(base, loaded.base);
  // In chunks that fit into an extent, each of whole values.
  ipc::ValueSequence values(loaded.appended);
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t value_bytes = 0;
  const auto add_chunk = [&] {
    ipc::StateBlock chunk = segment.allocate(end - begin, shard);
    if (!chunk) return false;
    std::ranges::copy(loaded.appended.subspan(begin, end - begin), chunk.bytes().begin());
    field.append_chunk(std::move(chunk), end - begin, value_bytes);
    begin = end;
    value_bytes = 0;
    return true;
  };
  while (const auto value = values.next()) {
    const std::size_t bytes = ipc::sequence_bytes(value->size());
    const bool full = end - begin + bytes > ipc::StateSegment::kLongestShared;
    if (full && end != begin && !add_chunk()) return std::nullopt;
    end += bytes;
    value_bytes += value->size();
  }
  if (end != begin && !add_chunk()) return std::nullopt;
  return field;
}

// Of bytes or fields: what a configuration allows, and a message can carry, is far below.
std::uint32_t count_of(std::size_t number) {
  assert(number < UINT32_MAX);
  return static_cast<std::uint32_t>(number);
}

}  // namespace

const Field* Record::find(std::string_view key) const noexcept {
  assert(is_resident());
  const auto at = std::ranges::lower_bound(fields_, key, {}, &Field::key);
  return at != fields_.end() && at->key() == key ? &*at : nullptr;
}

std::vector<Field>::iterator Record::lower_bound(std::string_view key) noexcept {
  return std::ranges::lower_bound(fields_, key, {}, &Field::key);
}

std::size_t Record::bytes_after(const Delta& delta) const noexcept {
  std::size_t bytes = bytes_;
  for (const Delta::Put& put : delta.puts) {
    const Field* old = find(put.key);
    bytes += put.value.size();
    bytes = old != nullptr ? bytes - old->value_bytes() : bytes + put.key.size();
  }
  for (const std::string_view key : delta.deletes) {
    if (const Field* old = find(key); old != nullptr) {
      bytes -= old->key().size() + old->value_bytes();
    }
  }
  for (const Delta::Put& append : delta.appends) bytes += append.value.size();
  return bytes;
}

bool Record::can_append(std::string_view key, std::span<const std::uint8_t> value) const noexcept {
  const Field* field = find(key);
  return field != nullptr && field->kind() != FieldKind::kOther && field->kind() == kind_of(value);
}

bool Record::can_append_all(const Delta& delta) const noexcept {
  return std::ranges::all_of(delta.appends, [this](const Delta::Put& append) {
    return can_append(append.key, append.value);
  });
}

std::optional<Staged> Record::stage(const Delta& delta, ipc::StateSegment& segment,
                                    std::uint64_t shard) const {
  Staged staged;
  const auto take = [&](std::size_t bytes) {
    staged.blocks.push_back(segment.allocate(bytes, shard));
    return static_cast<bool>(staged.blocks.back());
  };
  for (const Delta::Put& put : delta.puts) {
    if (put.placed) continue;
    const Field* field = find(put.key);
    if (field != nullptr && field->fits(put.value.size())) continue;
    if (!take(put.value.size())) return std::nullopt;
  }
  for (const Delta::Put& append : delta.appends) {
    if (append.placed) continue;
    const Field* field = find(append.key);
    assert(field != nullptr);
    if (field->has_room(append.value.size())) continue;
    if (!take(field->next_chunk_bytes(append.value.size()))) return std::nullopt;
  }
  return staged;
}

// Adds empty fields for the keys that are new, all at once where there are many: each insertion
// moves what comes after it.
void Record::make_fields(const Delta& delta) {
  constexpr std::ptrdiff_t kMany = 16;
  const auto is_new = [this](const Delta::Put& put) { return find(put.key) == nullptr; };
  if (std::ranges::count_if(delta.puts, is_new) < kMany) return;
  std::vector<Field> added;
  for (const Delta::Put& put : delta.puts) {
    if (is_new(put)) added.emplace_back(put.key);
  }
  std::ranges::move(added, std::back_inserter(fields_));
  std::ranges::sort(fields_, {}, &Field::key);
}

void Record::apply(Delta& delta, Staged&& staged, std::uint64_t state_id) {
  bytes_ = count_of(bytes_after(delta));
  make_fields(delta);
  auto next = staged.blocks.begin();
  for (Delta::Put& put : delta.puts) {
    auto at = lower_bound(put.key);
    if (at == fields_.end() || at->key() != put.key) at = fields_.emplace(at, put.key);
    if (!put.placed) {
      if (at->fits(put.value.size())) {
        at->put_in_place(put.value);
        continue;
      }
      put.placed = std::move(*next++);
      std::ranges::copy(std::as_bytes(put.value), put.placed.bytes().begin());
    }
    at->put_block(put.placed, put.value);
  }
  for (Delta::Put& append : delta.appends) {
    Field& field = *lower_bound(append.key);
    if (!append.placed) {
      if (field.has_room(append.value.size())) {
        field.append_in_place(append.value);
        continue;
      }
      append.placed = std::move(*next++);
      ipc::write_in_sequence(append.placed.bytes().data(), std::as_bytes(append.value));
    }
    field.append_chunk(std::move(append.placed), ipc::sequence_bytes(append.value.size()),
                       append.value.size());
  }
  for (const std::string_view key : delta.deletes) {
    const auto at = lower_bound(key);
    if (at != fields_.end() && at->key() == key) fields_.erase(at);
  }
  assert(next == staged.blocks.end());
  ++version_;
  state_id_ = state_id;
}

void Record::reset() noexcept {
  version_ = 0;
  state_id_ = 0;
  bytes_ = 0;
  fields_.clear();
  released_fields_ = kNone;
}

bool Record::replace(std::uint64_t version, std::uint64_t state_id,
                     std::span<const LoadedField> fields, ipc::StateSegment& segment,
                     std::uint64_t shard) {
  assert(std::ranges::is_sorted(fields, {}, &LoadedField::key));
  std::vector<Field> loaded;
  loaded.reserve(fields.size());
  std::size_t bytes = 0;
  for (const LoadedField& each : fields) {
    std::optional<Field> field = load(each, segment, shard);
    if (!field) return false;
    bytes += field->key().size() + field->value_bytes();
    loaded.push_back(*std::move(field));
  }
  version_ = version;
  state_id_ = state_id;
  bytes_ = count_of(bytes);
  fields_ = std::move(loaded);
  released_fields_ = kNone;
  return true;
}

void Record::release_fields() noexcept {
  if (!is_resident()) return;
  released_fields_ = count_of(fields_.size());
  std::vector<Field>().swap(fields_);
}

}  // namespace dspool::session
