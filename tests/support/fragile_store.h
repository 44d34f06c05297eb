// A durable store in memory that breaks or hangs when it is told to, for tests of what stands above
// one: a write that fails has happened or not, as `fail_next` says, and nothing can be written or
// known until it was recovered.
//
// Threads: any.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "engine/store/durable_store.h"

namespace dspool::test {

class FragileStore final : public store::DurableStore {
 public:
  // The next write fails, and so do all attempts to recover but the one after `lasts` of them.
  // `happened`: it can be read afterwards.
  void fail_next(bool happened, std::uint32_t lasts = 0);
  // So many times, nothing can be read or listed.
  void fail_reads(std::uint32_t times);
  // From now on writes do not return, and change nothing, until they are let go.
  void hang_writes();
  void wait_until_one_hangs();
  void let_go();
  // What cannot be read any more.
  void damage(std::string_view id);

  Result<store::OwnerEpoch> own() override;
  Result<void> write(store::OwnerEpoch owner, std::span<const store::Write> writes,
                     store::Sync sync) override;
  Result<void> recover() override;
  Result<std::optional<store::StoredSession>> read(std::string_view id) override;
  Result<void> set_aside(store::OwnerEpoch owner, std::string_view id) override;
  std::vector<std::string> list_set_aside() override;
  std::optional<std::chrono::system_clock::time_point> expired(std::string_view id) override;
  Result<std::vector<Listed>> list(std::string_view after, std::size_t limit,
                                   std::string_view prefix) override;
  Result<std::vector<Tombstone>> list_expired(std::string_view after, std::size_t limit) override;
  Result<void> backup(const std::filesystem::path& to) override;

  [[nodiscard]] std::size_t sessions() const;
  // How often a session was read, with its log.
  [[nodiscard]] std::size_t reads() const;

 private:
  struct Contents {
    std::map<std::string, store::StoredTerms, std::less<>> terms;
    std::map<std::string, std::string, std::less<>> logs;
    std::map<std::string, std::string, std::less<>> parked;
    std::map<std::string, std::chrono::system_clock::time_point, std::less<>> tombstones;
  };
  [[nodiscard]] bool read_fails();
  static void carry_out(const store::Write& write, Contents& contents);

  mutable std::mutex mutex_;  // guards what follows
  store::OwnerEpoch owner_ = 0;
  Contents contents_;
  std::map<std::string, std::string, std::less<>> aside_;
  bool fails_ = false;
  bool happens_ = false;
  bool broken_ = false;
  bool is_hanging_ = false;
  std::uint32_t hung_ = 0;  // writes
  std::condition_variable hanging_changed_;
  std::uint32_t lasts_ = 0;
  std::uint32_t failing_reads_ = 0;
  std::size_t reads_ = 0;
};

}  // namespace dspool::test
