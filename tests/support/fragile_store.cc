#include "tests/support/fragile_store.h"

#include <utility>

namespace dspool::test {
namespace {

tl::unexpected<Error> failed() {
  return tl::unexpected(Error{.code = "store_failed", .message = "a test broke the store"});
}

}  // namespace

void FragileStore::fail_next(bool happened, std::uint32_t lasts) {
  const std::lock_guard lock(mutex_);
  fails_ = true;
  happens_ = happened;
  lasts_ = lasts;
}

void FragileStore::fail_reads(std::uint32_t times) {
  const std::lock_guard lock(mutex_);
  failing_reads_ = times;
}

bool FragileStore::read_fails() {
  if (failing_reads_ == 0) return false;
  --failing_reads_;
  return true;
}

void FragileStore::hang_writes() {
  const std::lock_guard lock(mutex_);
  is_hanging_ = true;
}

void FragileStore::wait_until_one_hangs() {
  std::unique_lock lock(mutex_);
  hanging_changed_.wait(lock, [this] { return hung_ != 0; });
}

void FragileStore::let_go() {
  const std::lock_guard lock(mutex_);
  is_hanging_ = false;
  hanging_changed_.notify_all();
}

void FragileStore::damage(std::string_view id) {
  const std::lock_guard lock(mutex_);
  std::string& log = contents_.logs.find(id)->second;
  log[log.size() / 2] = static_cast<char>(log[log.size() / 2] ^ 1);
}

Result<store::OwnerEpoch> FragileStore::own() {
  const std::lock_guard lock(mutex_);
  contents_.parked.clear();
  return ++owner_;
}

Result<void> FragileStore::write(store::OwnerEpoch owner, std::span<const store::Write> writes,
                                 store::Sync) {
  std::unique_lock lock(mutex_);
  ++hung_;
  hanging_changed_.notify_all();
  hanging_changed_.wait(lock, [this] { return !is_hanging_; });
  --hung_;
  if (owner != owner_) return tl::unexpected(Error{.code = "stale_owner"});
  if (broken_) return failed();
  const bool fails = std::exchange(fails_, false);
  if (!fails || happens_) {
    for (const store::Write& write : writes) carry_out(write, contents_);
    for (const store::Write& write : writes) {
      const bool keeps = write.kind == store::Write::Kind::kAppend ||
                         write.kind == store::Write::Kind::kReplace ||
                         write.kind == store::Write::Kind::kPark;
      if (!keeps) aside_.erase(std::string(write.session));
    }
  }
  if (!fails) return {};
  broken_ = true;
  return failed();
}

void FragileStore::carry_out(const store::Write& write, Contents& contents) {
  const std::string id(write.session);
  const std::string_view records(reinterpret_cast<const char*>(write.records.data()),
                                 write.records.size());
  switch (write.kind) {
    case store::Write::Kind::kBegin:
      contents.terms.insert_or_assign(id, *write.terms);
      contents.logs.erase(id);
      contents.parked.erase(id);
      contents.tombstones.erase(id);
      return;
    case store::Write::Kind::kAppend:
      contents.logs[id].append(records);
      return;
    case store::Write::Kind::kReplace:
      contents.logs[id] = records;
      return;
    case store::Write::Kind::kPark:
      contents.parked[id] = records;
      return;
    case store::Write::Kind::kExpire:
      contents.tombstones[id] = std::chrono::system_clock::now();
      [[fallthrough]];
    case store::Write::Kind::kRemove:
      contents.terms.erase(id);
      contents.logs.erase(id);
      contents.parked.erase(id);
      return;
  }
}

Result<void> FragileStore::recover() {
  const std::lock_guard lock(mutex_);
  if (lasts_ != 0) {
    --lasts_;
    return failed();
  }
  broken_ = false;
  return {};
}

Result<std::optional<store::StoredSession>> FragileStore::read(std::string_view id) {
  const std::lock_guard lock(mutex_);
  ++reads_;
  if (read_fails()) return failed();
  const auto terms = contents_.terms.find(id);
  if (terms == contents_.terms.end() && aside_.contains(id)) {
    return tl::unexpected(Error{.category = ErrorCategory::kSession, .code = "session_corrupted"});
  }
  if (terms == contents_.terms.end()) {
    const auto parked = contents_.parked.find(id);
    if (parked == contents_.parked.end()) return std::nullopt;
    return store::StoredSession{.terms = std::nullopt, .log = parked->second};
  }
  const auto log = contents_.logs.find(id);
  return store::StoredSession{.terms = terms->second,
                              .log = log == contents_.logs.end() ? std::string() : log->second};
}

Result<void> FragileStore::set_aside(store::OwnerEpoch, std::string_view id) {
  const std::lock_guard lock(mutex_);
  aside_[std::string(id)] = std::move(contents_.logs[std::string(id)]);
  contents_.logs.erase(std::string(id));
  contents_.terms.erase(std::string(id));
  return {};
}

std::vector<std::string> FragileStore::list_set_aside() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> ids;
  for (const auto& [id, log] : aside_) ids.push_back(id);
  return ids;
}

std::optional<std::chrono::system_clock::time_point> FragileStore::expired(std::string_view id) {
  const std::lock_guard lock(mutex_);
  const auto found = contents_.tombstones.find(id);
  if (found == contents_.tombstones.end()) return std::nullopt;
  return found->second;
}

Result<std::vector<store::DurableStore::Listed>> FragileStore::list(std::string_view after,
                                                                    std::size_t limit,
                                                                    std::string_view prefix) {
  const std::lock_guard lock(mutex_);
  if (read_fails()) return failed();
  std::vector<Listed> listed;
  for (const auto& [id, terms] : contents_.terms) {
    if (listed.size() == limit) break;
    if (id > after && id.starts_with(prefix)) listed.push_back({.id = id, .terms = terms});
  }
  return listed;
}

Result<std::vector<store::DurableStore::Tombstone>> FragileStore::list_expired(
    std::string_view after, std::size_t limit) {
  const std::lock_guard lock(mutex_);
  if (read_fails()) return failed();
  std::vector<Tombstone> listed;
  for (auto at = contents_.tombstones.upper_bound(after);
       at != contents_.tombstones.end() && listed.size() < limit; ++at) {
    listed.push_back({.id = at->first, .expired = at->second});
  }
  return listed;
}

Result<void> FragileStore::backup(const std::filesystem::path&) { return failed(); }

std::size_t FragileStore::reads() const {
  const std::lock_guard lock(mutex_);
  return reads_;
}

std::size_t FragileStore::sessions() const {
  const std::lock_guard lock(mutex_);
  return contents_.terms.size();
}

}  // namespace dspool::test
