// What an errand does to the durable store, step by step and blocking: the engine's threads
// (archivist.h) and the simulation run the same code.
//
// Threads: writing and recovering belong to one thread, loading to one.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/dispatch/archive.h"
#include "engine/store/durable_store.h"
#include "engine/telemetry/log.h"
#include "ipc/state_segment.h"

namespace dspool::dispatch {

class ErrandRunner {
 public:
  ErrandRunner(store::DurableStore& durable, store::OwnerEpoch owner, ipc::StateSegment& segment,
               telemetry::Log& log)
      : durable_(durable), owner_(owner), segment_(segment), log_(log) {}

  // Writes a group as one. Each errand's `end` is kDone or, if the write failed, kUnknown.
  // false: it failed; nothing may be written before `recover` was done.
  bool write(std::span<Errand* const> group);
  // Brings the store back. Errors: "store_failed"; try again later.
  Result<void> recover();
  // After that: what an unknown errand came to, kDone or kNot. false: that cannot be read.
  bool settle(Errand& errand);
  void load(Errand& errand);

 private:
  struct Encoded {
    store::Write::Kind kind;
    Errand* errand;
    std::size_t offset;
    std::size_t bytes;
  };
  void encode(Errand& errand);
  bool give_verdict(Errand& errand, const Error& error);
  void encode_records(const Errand& errand);

  store::DurableStore& durable_;
  const store::OwnerEpoch owner_;
  ipc::StateSegment& segment_;
  telemetry::Log& log_;
  std::vector<std::byte> records_;  // of the group at hand
  std::vector<Encoded> encoded_;
};

}  // namespace dspool::dispatch
