// Sessions from lines of JSON into a store.
#include <fmt/format.h>

#include <istream>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "dspool/store.h"
#include "engine/store/rocksdb_store.h"
#include "engine/store/session_line.h"

namespace dspool {
namespace {

constexpr std::size_t kMostSessions = 256;  // written at once
constexpr std::size_t kMostBytes = std::size_t{4} << 20;

class Import {
 public:
  Import(store::RocksDbStore& store, store::OwnerEpoch owner, StoreAtRest::Existing existing)
      : store_(store), owner_(owner), existing_(existing) {}

  Result<void> take(std::string_view line, std::uint64_t number) {
    auto session = store::from_line(line);
    if (!session) {
      return refuse(number, ErrorCategory::kCommunication, "invalid_line", session.error());
    }
    auto there = store_.read(session->id);
    const bool known = !there || there->has_value() || ids_.contains(session->id);
    if (known && existing_ == StoreAtRest::Existing::kRefuse) {
      return refuse(number, ErrorCategory::kSession, "session_exists",
                    "its session is in the store already: replace what is there, or leave it out");
    }
    if (known) ++done_.replaced;
    ++done_.sessions;
    if (ids_.contains(session->id)) {
      if (Result<void> written = flush(); !written) return written;
    }
    ids_.insert(session->id);
    bytes_ += session->log.size();
    waiting_.push_back(std::move(*session));
    return waiting_.size() < kMostSessions && bytes_ < kMostBytes ? Result<void>() : flush();
  }

  Result<void> flush() {
    std::vector<store::Write> writes;
    for (const store::SessionLine& session : waiting_) {
      writes.push_back({.kind = store::Write::Kind::kBegin,
                        .session = session.id,
                        .records = {},
                        .terms = &session.terms});
      writes.push_back({.kind = store::Write::Kind::kReplace,
                        .session = session.id,
                        .records = session.log,
                        .terms = nullptr});
    }
    Result<void> written = store_.write(owner_, writes, store::Sync::kYes);
    if (!written) return written;
    waiting_.clear();
    ids_.clear();
    bytes_ = 0;
    return {};
  }

  [[nodiscard]] const StoreAtRest::Imported& done() const noexcept { return done_; }

 private:
  // What came before this line stays.
  Result<void> refuse(std::uint64_t number, ErrorCategory category, const char* code,
                      std::string_view why) {
    if (Result<void> written = flush(); !written) return written;
    return tl::unexpected(
        Error{.category = category,
              .code = code,
              .message = fmt::format("line {}: {} ({} sessions before it were imported)", number,
                                     why, done_.sessions)});
  }

  store::RocksDbStore& store_;
  const store::OwnerEpoch owner_;
  const StoreAtRest::Existing existing_;
  std::vector<store::SessionLine> waiting_;
  std::unordered_set<std::string> ids_;  // of those that wait
  std::size_t bytes_ = 0;
  StoreAtRest::Imported done_;
};

}  // namespace

Result<StoreAtRest::Imported> StoreAtRest::import_lines(const std::filesystem::path& directory,
                                                        std::istream& in, Existing existing,
                                                        const StoreProgress& progress) {
  auto store = store::RocksDbStore::open(directory);
  if (!store) return tl::unexpected(std::move(store.error()));
  const auto owner = (*store)->own();
  if (!owner) return tl::unexpected(owner.error());
  Import import(**store, *owner, existing);
  std::string line;
  for (std::uint64_t number = 1; std::getline(in, line); ++number) {
    if (line.empty()) continue;
    if (Result<void> taken = import.take(line, number); !taken) {
      return tl::unexpected(std::move(taken.error()));
    }
    if (progress && number % kMostSessions == 0 && !progress(import.done().sessions, 0)) break;
  }
  if (Result<void> written = import.flush(); !written) {
    return tl::unexpected(std::move(written.error()));
  }
  if (progress) progress(import.done().sessions, import.done().sessions);
  return import.done();
}

}  // namespace dspool
