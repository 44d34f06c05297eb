// A worker's memory and descriptors without the manners of WorkerChannel.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "ipc/engine_channel.h"
#include "ipc/layout.h"
#include "ipc/segment.h"

namespace dspool::chaos {

class RawChannel {
 public:
  static constexpr int kControl = static_cast<int>(ipc::ChildDescriptor::kControl);
  static constexpr int kCallerBell = static_cast<int>(ipc::ChildDescriptor::kCallerBell);
  static constexpr int kReactorBell = static_cast<int>(ipc::ChildDescriptor::kReactorBell);

  // Maps both segments once more; to be called before WorkerChannel::attach, which closes them.
  RawChannel()
      : a_(map(ipc::ChildDescriptor::kSegmentA, ipc::Access::kReadOnly)),
        b_(map(ipc::ChildDescriptor::kSegmentB, ipc::Access::kReadWrite)) {}

  [[nodiscard]] const ipc::EngineHeader& engine() const {
    return *reinterpret_cast<const ipc::EngineHeader*>(a_.bytes().data());
  }
  [[nodiscard]] ipc::WorkerHeader& mine() {
    return *reinterpret_cast<ipc::WorkerHeader*>(b_.bytes().data());
  }
  // All that this worker may write to.
  [[nodiscard]] std::span<std::byte> bytes() { return b_.bytes(); }
  // The response ring, as 8-byte words: headers begin at even ones.
  [[nodiscard]] std::span<std::uint64_t> ring() {
    const auto bytes = b_.bytes().subspan(ipc::kRingOffset, engine().response_bytes);
    return {reinterpret_cast<std::uint64_t*>(bytes.data()), bytes.size() / sizeof(std::uint64_t)};
  }

 private:
  static ipc::Segment map(ipc::ChildDescriptor which, ipc::Access access) {
    struct stat status {};
    ::fstat(static_cast<int>(which), &status);
    return ipc::Segment::map(static_cast<int>(which), static_cast<std::size_t>(status.st_size),
                             access)
        .value();
  }

  ipc::Segment a_, b_;
};

}  // namespace dspool::chaos
