#include <fmt/format.h>
#include <rocksdb/db.h>

#include <algorithm>
#include <limits>
#include <ostream>
#include <system_error>
#include <utility>

#include "dspool/store.h"
#include "engine/store/holder.h"
#include "engine/store/rocksdb_options.h"
#include "engine/store/session_line.h"
#include "engine/store/store_reader.h"
#include "engine/store/store_value.h"
#include "engine/store/stored_record.h"
#include "engine/store/whole_value.h"

namespace dspool {
namespace {

constexpr std::uint64_t kSessionsPerProgress = 256;

Error unreadable(const std::filesystem::path& directory, std::string_view why) {
  return {.category = ErrorCategory::kInitialization,
          .code = "store_unreadable",
          .message = fmt::format("the store {} cannot be read ({}): see that it is a store's "
                                 "directory, and that this user may read it",
                                 directory.string(), why)};
}

Error failed(const rocksdb::Status& status) {
  return {.category = ErrorCategory::kSystemError,
          .code = "store_failed",
          .message = fmt::format("the store cannot be listed ({}): `check` and `export` take what "
                                 "can be read",
                                 status.ToString())};
}

Error not_loaded(rocksdb::DB& database, std::string_view id) {
  std::string ignored;
  const std::string aside = store::store_key(store::RecordKind::kSetAside, id);
  if (database.Get(rocksdb::ReadOptions(), aside, &ignored).ok()) {
    return {.category = ErrorCategory::kSession,
            .code = "session_corrupted",
            .message =
                "an engine could not read the session, and set it aside: end it there, or "
                "take it from a backup"};
  }
  return {.category = ErrorCategory::kSession,
          .code = "session_not_found",
          .message = "there is no such session in the store: `ls` lists those that are"};
}

rocksdb::Status list_set_aside(rocksdb::DB& database, std::vector<std::string>& ids) {
  return store::walk(database, store::RecordKind::kSetAside, {},
                     [&](std::string id, std::string_view) {
                       ids.push_back(std::move(id));
                       return true;
                     });
}

StoredLanguageModel told_of(const session::ModelReference& model) {
  return {.model = model.model,
          .provider = model.model.substr(0, model.model.find('/')),
          .api_base = model.api_base,
          .temperature = model.temperature,
          .had_key = model.had_key};
}

struct Loaded {
  store::StoredTerms terms;
  std::size_t bytes = 0;
  store::StoredState state;
};

// Errors: session / "session_not_found", "session_corrupted", "schema_too_new".
Result<Loaded> load(rocksdb::DB& database, std::string_view id) {
  auto found = store::read_session(database, id);
  if (!found) {
    return tl::unexpected(Error{.category = ErrorCategory::kSession,
                                .code = "session_corrupted",
                                .message = found.error().ToString()});
  }
  if (!*found || !(*found)->terms) return tl::unexpected(not_loaded(database, id));
  auto state = store::read_log(std::as_bytes(std::span((*found)->log)));
  if (!state) return tl::unexpected(std::move(state.error()));
  return Loaded{
      .terms = *(*found)->terms, .bytes = (*found)->log.size(), .state = std::move(*state)};
}

StoredSessionInfo info_of(std::string_view id, const Result<Loaded>& session) {
  StoredSessionInfo info;
  info.id = id;
  if (!session) {
    info.damage = session.error().message;
    return info;
  }
  info.ttl = session->terms.ttl;
  info.created = session->terms.created;
  info.version = session->state.version;
  info.fields = session->state.fields.size();
  info.bytes = session->bytes;
  return info;
}

}  // namespace

struct StoreAtRest::Files {
  store::Holder holder;
  std::unique_ptr<rocksdb::DB> database;

  // RocksDB's guess, which counts a session's terms and its log.
  [[nodiscard]] std::uint64_t expected() const {
    std::uint64_t keys = 0;
    database->GetIntProperty("rocksdb.estimate-num-keys", &keys);
    return keys / 2;
  }

  // Calls `each` with every session. False: it was stopped, or not all could be listed.
  template <typename Each>
  bool for_all(const StoreProgress& progress, rocksdb::Status& status, Each&& each) const {
    const std::uint64_t guess = expected();
    std::uint64_t done = 0;
    bool stopped = false;
    status = store::walk(*database, store::RecordKind::kTerms, {},
                         [&](const std::string& id, std::string_view) {
                           if (!each(id, load(*database, id))) return false;
                           if (++done % kSessionsPerProgress != 0 || !progress) return true;
                           stopped = !progress(done, std::max(done, guess));
                           return !stopped;
                         });
    if (progress) progress(done, done);
    return status.ok() && !stopped;
  }
};

StoreAtRest::StoreAtRest(std::unique_ptr<Files> files) : files_(std::move(files)) {}
StoreAtRest::~StoreAtRest() = default;

Result<std::unique_ptr<StoreAtRest>> StoreAtRest::open(const std::filesystem::path& directory) {
  std::error_code ignored;
  if (!std::filesystem::exists(directory / "CURRENT", ignored)) {
    return tl::unexpected(unreadable(directory, "there is no store in it"));
  }
  auto holder = store::Holder::take(directory, store::Holder::Use::kReading);
  if (!holder) return tl::unexpected(std::move(holder.error()));
  rocksdb::DB* opened = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::OpenForReadOnly(store::rocksdb_options(nullptr), directory.string(), &opened);
  auto files = std::make_unique<Files>(
      Files{.holder = std::move(*holder), .database = std::unique_ptr<rocksdb::DB>(opened)});
  if (!status.ok()) return tl::unexpected(unreadable(directory, status.ToString()));
  const auto format = store::read_format(*files->database, directory.string());
  if (!format) return tl::unexpected(format.error());
  return std::unique_ptr<StoreAtRest>(new StoreAtRest(std::move(files)));
}

StoreReport StoreAtRest::check(const StoreProgress& progress) const {
  StoreReport report;
  report.versions_min = std::numeric_limits<std::uint64_t>::max();
  rocksdb::Status status;
  report.complete =
      files_->for_all(progress, status, [&](const std::string& id, const Result<Loaded>& session) {
        ++report.sessions;
        if (!session) {
          report.damaged.push_back({.id = id, .reason = session.error().message});
          return true;
        }
        report.versions_min = std::min(report.versions_min, session->state.version);
        report.versions_max = std::max(report.versions_max, session->state.version);
        report.fields += session->state.fields.size();
        report.bytes += session->bytes;
        return true;
      });
  if (!status.ok()) {
    report.damaged.push_back(
        {.id = "", .reason = "sessions cannot be listed to their end: " + status.ToString()});
  }
  report.versions_min = std::min(report.versions_min, report.versions_max);
  const rocksdb::Status listed = list_set_aside(*files_->database, report.set_aside);
  report.complete = report.complete && listed.ok();
  return report;
}

Result<std::vector<StoredSessionInfo>> StoreAtRest::list(std::string_view after, std::size_t limit,
                                                         std::string_view prefix) const {
  std::vector<StoredSessionInfo> listed;
  if (limit == 0) return listed;
  const rocksdb::Status status =
      store::walk(*files_->database, store::RecordKind::kTerms, {after, prefix},
                  [&](const std::string& id, std::string_view) {
                    listed.push_back(info_of(id, load(*files_->database, id)));
                    return listed.size() < limit;
                  });
  if (!status.ok()) return tl::unexpected(failed(status));
  return listed;
}

Result<StoredSessionContent> StoreAtRest::show(std::string_view id) const {
  const auto session = load(*files_->database, id);
  if (!session) return tl::unexpected(session.error());
  std::vector<Value> values;
  values.reserve(session->state.fields.size());
  std::vector<Value::Member> members;
  for (const store::StoredField& field : session->state.fields) {
    values.push_back(store::whole_value(field));
    members.emplace_back(field.key, values.back());
  }
  StoredSessionContent content{.info = info_of(id, session),
                               .fields = Value::map(members),
                               .operations = session->state.operations,
                               .answers = session->state.answers.size()};
  if (session->state.model) content.language_model = told_of(*session->state.model);
  return content;
}

Result<StoreAtRest::Exported> StoreAtRest::export_lines(std::ostream& out,
                                                        const StoreProgress& progress) const {
  Exported exported;
  rocksdb::Status status;
  files_->for_all(progress, status, [&](const std::string& id, const Result<Loaded>& session) {
    if (!session) {
      exported.damaged.push_back({.id = id, .reason = session.error().message});
      return true;
    }
    out << store::to_line(id, session->terms, session->state) << '\n';
    if (out) ++exported.sessions;
    return static_cast<bool>(out);
  });
  if (!out.flush()) {
    return tl::unexpected(
        Error{.category = ErrorCategory::kSystemError,
              .code = "export_failed",
              .message = fmt::format("the export could not be written after {} sessions: see "
                                     "whether there is room where it goes",
                                     exported.sessions)});
  }
  std::vector<std::string> aside;
  if (status.ok()) status = list_set_aside(*files_->database, aside);
  if (!status.ok()) return tl::unexpected(failed(status));
  for (std::string& id : aside) {  // those that RocksDB cannot read have been met already
    if (std::ranges::find(exported.damaged, id, &StoreReport::Damaged::id) ==
        exported.damaged.end()) {
      exported.damaged.push_back({.id = std::move(id), .reason = "it was set aside"});
    }
  }
  return exported;
}

}  // namespace dspool
