// A store at rest, for tools: looked at, checked, copied, written out and read in again.
//
//   auto store = dspool::StoreAtRest::open("/var/lib/dspool");
//   if (store) std::cout << (*store)->check({}).sessions;
//
// A store that an engine uses is not at rest: all but backup() refuse it, and say who uses it.
// Reading changes nothing in the directory. Not thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/error.h"
#include "dspool/value.h"

namespace dspool {

// Told now and then how many sessions are done, of about how many. False: stop here.
using StoreProgress = std::function<bool(std::uint64_t done, std::uint64_t expected)>;

struct StoredSessionInfo {
  std::string id;
  std::chrono::milliseconds ttl{0};
  std::chrono::system_clock::time_point created;
  std::uint64_t version = 0;
  std::uint64_t fields = 0;
  std::uint64_t bytes = 0;  // in the store, before RocksDB's own compression
  std::string damage;       // why it cannot be read; empty: it can

  // One object; "id_base64" too where the id is not UTF-8.
  [[nodiscard]] std::string to_json() const;
};

// What the store has of a language model of a session's own: all but its key, which no store has.
struct StoredLanguageModel {
  std::string model{};                  // as LiteLLM names it: "openai/gpt-4o-mini"
  std::string provider{};               // "openai"
  std::string api_base{};               // empty: the provider's own
  std::optional<double> temperature{};  // nothing: the model's own default
  bool had_key = false;                 // its calls are refused until it is set again

  [[nodiscard]] std::string to_json() const;
};

struct StoredSessionContent {
  StoredSessionInfo info;
  Value fields;  // a map; what was appended to a list or a text is part of it
  std::uint64_t operations = 0;
  std::uint64_t answers = 0;  // that are kept for repeated idempotency keys
  std::optional<StoredLanguageModel> language_model{};  // nothing: the pool's

  [[nodiscard]] std::string to_json() const;
};

struct StoreReport {
  struct Damaged {
    std::string id;
    std::string reason;
  };
  std::uint64_t sessions = 0;  // all of them
  std::uint64_t versions_min = 0;
  std::uint64_t versions_max = 0;
  std::uint64_t fields = 0;
  std::uint64_t bytes = 0;
  std::vector<Damaged> damaged;
  std::vector<std::string> set_aside;  // by an engine, because they could not be read
  bool complete = true;                // false: it was stopped, or not all could be listed

  [[nodiscard]] std::string to_json() const;
};

class StoreAtRest {
 public:
  // Errors (initialization): "store_in_use", by whom; "store_unreadable"; "schema_too_new".
  static Result<std::unique_ptr<StoreAtRest>> open(const std::filesystem::path& directory);
  ~StoreAtRest();
  StoreAtRest(const StoreAtRest&) = delete;
  StoreAtRest& operator=(const StoreAtRest&) = delete;

  // Reads every session to its end. Never fails: what cannot be read is in the report.
  [[nodiscard]] StoreReport check(const StoreProgress& progress) const;

  // Sessions whose ids begin with `prefix`, in the order of their ids, from after `after` on, at
  // most `limit`; damaged ones too. Errors: system_error / "store_failed".
  [[nodiscard]] Result<std::vector<StoredSessionInfo>> list(std::string_view after,
                                                            std::size_t limit,
                                                            std::string_view prefix) const;

  // Errors: session / "session_not_found", "session_corrupted", "schema_too_new".
  [[nodiscard]] Result<StoredSessionContent> show(std::string_view id) const;

  struct Exported {
    std::uint64_t sessions = 0;
    std::vector<StoreReport::Damaged> damaged;  // and set aside: they were left out
  };
  // Writes each session as a line of JSON from which import_lines() makes the same again. What JSON
  // has no form for is in base64. Errors: system_error / "export_failed", "store_failed".
  Result<Exported> export_lines(std::ostream& out, const StoreProgress& progress) const;

  enum class Existing : std::uint8_t { kRefuse, kReplace };
  struct Imported {
    std::uint64_t sessions = 0;
    std::uint64_t replaced = 0;
  };
  // Into the store in `directory`, which is made where there is none. Every line is checked before
  // anything of it is written; the lines before one that is refused are there. Errors, with the
  // line's number: communication / "invalid_line"; session / "session_exists". And open()'s.
  static Result<Imported> import_lines(const std::filesystem::path& directory, std::istream& in,
                                       Existing existing, const StoreProgress& progress);

  // Copies a store to `to`, where there must be nothing; an engine may use it meanwhile, and the
  // copy is as it was at one moment. Errors: resource_error / "backup_exists"; system_error /
  // "backup_failed"; and open()'s, but for "store_in_use".
  static Result<std::uint64_t> backup(const std::filesystem::path& directory,
                                      const std::filesystem::path& to,
                                      const StoreProgress& progress);

 private:
  struct Files;

  explicit StoreAtRest(std::unique_ptr<Files> files);

  const std::unique_ptr<Files> files_;
};

}  // namespace dspool
