// Bytes that go to workers beside the ring, because they are too long for it: the arguments of a
// command, the fields of a session. The engine places them once; any worker can be told where they
// are, and maps them read-only.
//
// They lie in a slot of the slab, one memfd that the engine alone can write to, whose pages exist
// from the start and which all workers inherit; or, where no slot is free, in a sealed memfd of
// their own, which is handed over with each request. Either begins with a PayloadHeader, whose
// generation is the one that the request names, unless the slot was given to others since.
//
// Threads: any.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "ipc/fault.h"
#include "ipc/file_descriptor.h"
#include "ipc/memfd.h"
#include "ipc/segment.h"

namespace dspool::ipc {

struct alignas(64) PayloadHeader {
  std::uint64_t generation;  // counts payloads; 0: the slot is free
  std::uint64_t bytes;       // of what follows
};

// Where a payload is, as a worker is told.
struct PayloadPlace {
  std::uint64_t offset = 0;  // of its header in the slab; 0 in a memfd of its own
  std::uint64_t bytes = 0;   // without the header
  std::uint64_t generation = 0;
  bool in_slab = false;
};

class PayloadStore;

// A payload that was placed: stays where it is, unchanged, for as long as this lives.
class Payload {
 public:
  Payload(const Payload&) = delete;
  Payload& operator=(const Payload&) = delete;
  ~Payload();

  [[nodiscard]] const PayloadPlace& place() const noexcept { return place_; }
  // What to hand over where it is not in the slab; else -1.
  [[nodiscard]] int descriptor() const noexcept { return memfd_.get(); }

 private:
  friend class PayloadStore;
  Payload(PayloadStore& store, const PayloadPlace& place, FileDescriptor memfd) noexcept
      : store_(store), place_(place), memfd_(std::move(memfd)) {}

  PayloadStore& store_;
  const PayloadPlace place_;
  const FileDescriptor memfd_;
};

class PayloadStore {
 public:
  static constexpr std::size_t kSlotBytes = 16 * 1024;  // a payload takes adjacent slots

  // Allocates and faults in a slab; 0 bytes: none. Errors: kNoMemory, kSystem.
  static Result<std::unique_ptr<PayloadStore>> create(std::size_t slab_bytes);
  PayloadStore(const PayloadStore&) = delete;
  PayloadStore& operator=(const PayloadStore&) = delete;
  // REQUIRES: no Payload is left.
  ~PayloadStore() = default;

  // Copies `bytes` to where workers can read them. Errors: kNoMemory, kSystem.
  Result<std::shared_ptr<const Payload>> place(std::span<const std::byte> bytes);

  // What every worker inherits; -1 without a slab.
  [[nodiscard]] int slab_descriptor() const noexcept;
  [[nodiscard]] std::size_t free_slots() const;

 private:
  friend class Payload;
  struct Slab {
    Memfd memfd;
    Segment segment;
  };
  explicit PayloadStore(std::unique_ptr<Slab> slab);
  std::optional<std::size_t> take_slots(std::size_t count);
  void give_back(const PayloadPlace& place) noexcept;

  const std::unique_ptr<Slab> slab_;
  mutable std::mutex mutex_;    // guards what follows; not held while bytes are copied
  std::vector<bool> is_taken_;  // of each slot
  std::size_t next_ = 0;        // where the search begins
  std::atomic<std::uint64_t> generations_ = 0;
};

}  // namespace dspool::ipc
