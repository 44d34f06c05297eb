#include "engine/store/database.h"

#include <fmt/format.h>
#include <rocksdb/env.h>
#include <rocksdb/write_batch.h>

#include <exception>
#include <system_error>
#include <utility>

#include "engine/store/rocksdb_options.h"
#include "engine/store/store_key.h"

namespace dspool::store {

Database::Database(const std::filesystem::path& directory, rocksdb::Env* env)
    : directory_(directory.string()), options_(rocksdb_options(env)) {
  options_.create_if_missing = true;
  options_.listeners.push_back(unflushed_);
}

Database::~Database() = default;

Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& directory,
                                                 rocksdb::Env* env) {
  std::unique_ptr<Database> database(new Database(directory, env));
  const rocksdb::Status opened = database->open_for_writing();
  if (opened.ok()) return database;
  return tl::unexpected(
      Error{.category = ErrorCategory::kInitialization,
            .code = "store_unreadable",
            .message = fmt::format("the store {} cannot be opened ({}): look at the disk and at "
                                   "the directory's permissions; `dspool store check` tells what "
                                   "can still be read, and `dspool store export` saves it",
                                   database->directory_, opened.ToString())});
}

rocksdb::Status Database::open_for_writing() {
  rocksdb::DB* opened = nullptr;
  try {
    rocksdb::Status status = rocksdb::DB::Open(options_, directory_, &opened);
    database_.reset(opened);
    writable_ = status.ok();
    return status;
  } catch (const std::exception& error) {  // no thread could be started
    return rocksdb::Status::Aborted(error.what());
  }
}

rocksdb::Status Database::write(rocksdb::WriteBatch& batch, const rocksdb::WriteOptions& options,
                                const std::vector<std::string_view>& parked) {
  const std::shared_lock lock(mutex_);
  if (!writable_) return rocksdb::Status::Aborted("it could not be opened again for writing");
  rocksdb::Status written = database_->Write(options, &batch);
  if (written.ok() && !parked.empty()) {
    const std::uint64_t sequence = database_->GetLatestSequenceNumber();
    for (const std::string_view id : parked) unflushed_->parked(id, sequence);
  }
  return written;
}

void Database::forget_parked() {
  unflushed_->clear();
  const std::unique_lock lock(mutex_);
  saved_parked_.clear();
}

std::optional<std::string> Database::saved_parked(std::string_view id) const {
  const std::shared_lock lock(mutex_);
  const auto found = saved_parked_.find(id);
  return found == saved_parked_.end() ? std::nullopt : std::optional(found->second);
}

rocksdb::Status Database::recover() {
  if (resume().ok()) return rocksdb::Status::OK();
  // While this fails, opening would too, and would cost what can be read now.
  if (rocksdb::Status possible = probe(); !possible.ok()) return possible;
  return open_anew();
}

// Resumed, RocksDB goes on with what it had in memory, in which a write that failed is not. Once
// that lies in tables, the log in which it may be is not read again. What is empty is not written,
// so there must be something.
rocksdb::Status Database::resume() {
  const std::shared_lock lock(mutex_);
  if (!writable_) return rocksdb::Status::Aborted();
  rocksdb::Status status = database_->Resume();
  if (!status.ok()) return status;
  rocksdb::WriteOptions synced;
  synced.sync = true;
  status = database_->Put(synced, store_key(RecordKind::kMeta, "recovered"), "");
  return status.ok() ? database_->Flush(rocksdb::FlushOptions()) : status;
}

rocksdb::Status Database::probe() {
  const std::string file = directory_ + "/PROBE";
  rocksdb::Env& env = *options_.env;
  std::unique_ptr<rocksdb::WritableFile> probe;
  rocksdb::Status status = env.NewWritableFile(file, &probe, rocksdb::EnvOptions());
  if (status.ok()) status = probe->Append(std::string(4096, 'p'));
  if (status.ok()) status = probe->Sync();
  if (probe != nullptr) {
    const rocksdb::Status closed = probe->Close();
    if (status.ok()) status = closed;
    env.DeleteFile(file).PermitUncheckedError();
  }
  return status;
}

rocksdb::Status Database::open_anew() {
  const std::unique_lock lock(mutex_);
  save_parked();
  if (database_ != nullptr) {
    // What it could not write is in its log or was never acknowledged: nothing to be told.
    database_->Close().PermitUncheckedError();
    database_.reset();
  }
  rocksdb::Status status = open_for_writing();
  if (status.ok()) status = write_saved_parked();
  if (status.ok()) return status;
  writable_ = false;
  if (database_ == nullptr) {
    rocksdb::DB* opened = nullptr;
    if (rocksdb::DB::OpenForReadOnly(options_, directory_, &opened).ok()) database_.reset(opened);
  }
  return status;
}

void Database::save_parked() {
  if (database_ == nullptr) return;
  for (std::string& id : unflushed_->ids()) {
    std::string log;
    const std::string key = store_key(RecordKind::kParked, id);
    if (database_->Get(rocksdb::ReadOptions(), key, &log).ok()) {
      saved_parked_.insert_or_assign(std::move(id), std::move(log));
    }
  }
  unflushed_->clear();
}

rocksdb::Status Database::write_saved_parked() {
  rocksdb::WriteOptions unlogged;
  unlogged.disableWAL = true;
  for (const auto& [id, log] : saved_parked_) {
    const std::string key = store_key(RecordKind::kParked, id);
    rocksdb::Status status = database_->Put(unlogged, key, log);
    if (!status.ok()) return status;
    unflushed_->parked(id, database_->GetLatestSequenceNumber());
  }
  saved_parked_.clear();
  return rocksdb::Status::OK();
}

}  // namespace dspool::store
