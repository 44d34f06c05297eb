// What does a durable commit cost, and what is left of it when it is compressed?
#include <benchmark/benchmark.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "bench/latencies.h"
#include "bench/store_directory.h"
#include "bench/workload.h"
#include "engine/store/compression.h"
#include "engine/store/rocksdb_options.h"
#include "engine/store/rocksdb_store.h"
#include "engine/store/store_key.h"
#include "engine/store/stored_record.h"

namespace dspool::bench {
namespace {

constexpr std::size_t kGroup = 64;
static_assert(kGroup == Latencies::kBatch);  // a latency is a commit's share of its group's
constexpr std::size_t kValueBytes = 1'000;   // with its record about 1 KiB
constexpr std::size_t kSessions = 1'024;
// A session's log is replaced by a snapshot now and then, as an engine does it.
constexpr std::uint64_t kCommitsPerSnapshot = 32;

// Words of a conversation, drawn by a seed: what is said in one, of any length.
std::string conversation(std::size_t bytes, std::uint64_t seed) {
  static constexpr std::array kWords = {
      "the",   "shared",   "memory",  "of",     "a",       "process",  "is",  "what",   "both",
      "sides", "can",      "see",     "and",    "write",   "ahead",    "log", "lets",   "you",
      "read",  "again",    "after",   "crash",  "because", "record",   "was", "synced", "before",
      "it",    "answered", "session", "worker", "engine",  "question", "why", "does",   "then"};
  std::mt19937_64 random(seed);
  std::string text;
  while (text.size() < bytes) {
    text += kWords[random() % kWords.size()];
    text += random() % 9 == 0 ? ". " : " ";
  }
  text.resize(bytes);
  return text;
}

// What commits carry. As the values that do not shrink: 1 KiB of them are 1 KiB on the disk.
std::vector<std::uint8_t> value_of(std::uint64_t number) {
  std::mt19937_64 random(number);
  std::string bytes(kValueBytes, ' ');
  for (char& byte : bytes) byte = static_cast<char>(random());
  const Value value = Value::of(std::as_bytes(std::span(bytes)));
  return {value.bytes().begin(), value.bytes().end()};
}

struct Session {
  std::string id;
  std::uint64_t version = 0;
};

void BM_Store_CommitLocal(benchmark::State& state) {
  const StoreDirectory directory;
  auto store = store::RocksDbStore::open(directory.path());
  const auto owner = store ? (*store)->own() : tl::unexpected(store.error());
  if (!owner) return state.SkipWithError(owner.error().message.c_str());
  std::vector<Session> sessions(kSessions);
  for (std::size_t i = 0; i < kSessions; ++i) sessions[i].id = session_name(i);
  const std::vector<std::uint8_t> value = value_of(1);
  session::Delta delta;
  delta.puts.push_back({.key = "value", .value = value});

  std::vector<std::vector<std::byte>> records(kGroup);
  std::vector<store::Write> writes;
  std::size_t next = 0;
  Latencies::time_in_batches(state, [&] {
    Session& session = sessions[next++ % kSessions];
    std::vector<std::byte>& record = records[writes.size()];
    record.clear();
    const bool snapshot = ++session.version % kCommitsPerSnapshot == 0;
    if (snapshot) {
      store::append_snapshot({.version = session.version,
                              .state_id = 1,
                              .operations = session.version,
                              .fields = {{.key = "value", .base = value, .appended = {}}}},
                             record);
    } else {
      store::append_commit({.version = session.version,
                            .state_id = 1,
                            .operations = session.version,
                            .delta = &delta},
                           record);
    }
    writes.push_back({.kind = snapshot ? store::Write::Kind::kReplace : store::Write::Kind::kAppend,
                      .session = session.id,
                      .records = record,
                      .terms = nullptr});
    if (writes.size() < kGroup) return;
    if (!(*store)->write(*owner, writes, store::Sync::kYes)) {
      state.SkipWithError("the store failed");
    }
    writes.clear();
  });
}
BENCHMARK(BM_Store_CommitLocal)->ArgName("group")->Arg(kGroup)->UseRealTime();

// As many bytes as our records have, in keys as long as ours.
void BM_BareRocksDB_Commit(benchmark::State& state) {
  const StoreDirectory directory;
  rocksdb::Options options = store::rocksdb_options(nullptr);
  options.create_if_missing = true;
  rocksdb::DB* opened = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(options, directory.path().string(), &opened);
  const std::unique_ptr<rocksdb::DB> database(opened);
  if (!status.ok()) return state.SkipWithError("it could not be opened");
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < kSessions; ++i) {
    keys.push_back(store::store_key(store::RecordKind::kLog, session_name(i)));
  }
  const std::vector<std::uint8_t> value = value_of(1);
  session::Delta delta;
  delta.puts.push_back({.key = "value", .value = value});
  std::vector<std::byte> record;
  store::append_commit({.version = 1, .state_id = 1, .operations = 1, .delta = &delta}, record);
  const rocksdb::Slice bytes(reinterpret_cast<const char*>(record.data()), record.size());

  rocksdb::WriteOptions synced;
  synced.sync = true;
  rocksdb::WriteBatch batch;
  std::size_t next = 0;
  Latencies::time_in_batches(state, [&] {
    batch.Put(keys[next++ % kSessions], bytes).PermitUncheckedError();
    if (static_cast<std::size_t>(batch.Count()) < kGroup) return;
    if (!database->Write(synced, &batch).ok()) state.SkipWithError("it failed");
    batch.Clear();
  });
}
BENCHMARK(BM_BareRocksDB_Commit)->ArgName("group")->Arg(kGroup)->UseRealTime();

void BM_Compress(benchmark::State& state) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  std::vector<std::vector<std::uint8_t>> texts;
  for (std::uint64_t seed = 0; seed < 64; ++seed) {
    const Value value = Value::of(conversation(bytes, seed));
    texts.emplace_back(value.bytes().begin(), value.bytes().end());
  }
  std::vector<std::uint8_t> packed;
  std::size_t next = 0;
  std::size_t raw_bytes = 0;
  std::size_t packed_bytes = 0;
  Latencies::time_in_batches(state, [&] {
    const std::vector<std::uint8_t>& text = texts[next++ % texts.size()];
    const bool smaller = store::compress(text, packed);
    raw_bytes += text.size();
    packed_bytes += smaller ? packed.size() : text.size();
  });
  state.counters["ratio"] = static_cast<double>(raw_bytes) / static_cast<double>(packed_bytes);
}
BENCHMARK(BM_Compress)->ArgName("bytes")->Arg(1'024)->Arg(4'096)->Arg(65'536);

}  // namespace
}  // namespace dspool::bench
