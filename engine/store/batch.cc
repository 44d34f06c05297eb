#include "engine/store/batch.h"

#include "engine/store/database.h"
#include "engine/store/store_value.h"

namespace dspool::store {
namespace {

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

void Batch::add(const Write& write, std::chrono::system_clock::time_point now) {
  switch (write.kind) {
    case Write::Kind::kBegin:
      remove(write.session);
      erase(RecordKind::kTombstone, write.session);
      put(RecordKind::kTerms, write.session, encode_terms(*write.terms));
      break;
    case Write::Kind::kAppend:
      batch_.Merge(store_key(RecordKind::kLog, write.session), text_of(write.records))
          .PermitUncheckedError();
      logged_ = true;
      break;
    case Write::Kind::kReplace:
      put(RecordKind::kLog, write.session, text_of(write.records));
      break;
    case Write::Kind::kPark:
      batch_.Put(store_key(RecordKind::kParked, write.session), text_of(write.records))
          .PermitUncheckedError();
      parked_.push_back(write.session);
      break;
    case Write::Kind::kRemove:
      remove(write.session);
      break;
    case Write::Kind::kExpire:
      remove(write.session);
      put(RecordKind::kTombstone, write.session, encode_time(now));
      break;
  }
}

void Batch::put(RecordKind kind, std::string_view id, std::string_view value) {
  batch_.Put(store_key(kind, id), value).PermitUncheckedError();
  logged_ = true;
}

void Batch::erase(RecordKind kind, std::string_view id) {
  batch_.Delete(store_key(kind, id)).PermitUncheckedError();
  logged_ = true;
}

void Batch::erase_all(RecordKind kind) {
  batch_.DeleteRange(first_key(kind), end_key(kind)).PermitUncheckedError();
  logged_ = true;
}

void Batch::remove(std::string_view id) {
  for (const RecordKind kind :
       {RecordKind::kTerms, RecordKind::kLog, RecordKind::kParked, RecordKind::kSetAside}) {
    erase(kind, id);
  }
}

rocksdb::Status Batch::commit(Database& database, Sync sync) {
  if (batch_.Count() == 0) return rocksdb::Status::OK();
  rocksdb::WriteOptions options;
  options.disableWAL = !logged_;  // parked sessions need not be there at the next start
  options.sync = logged_ && sync == Sync::kYes;
  return database.write(batch_, options, parked_);
}

}  // namespace dspool::store
