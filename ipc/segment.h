// A process's mapping of shared memory: faulted in when it is made, so that no access has to wait
// for the kernel, and not inherited by forks, so that only the process that made it can reach it.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "ipc/fault.h"

namespace boost::interprocess {
class mapped_region;
}

namespace dspool::ipc {

enum class Access { kReadOnly, kReadWrite };

class Segment {
 public:
  // Maps the first `bytes` of the memory behind `descriptor`, which may be closed afterwards.
  static Result<Segment> map(int descriptor, std::size_t bytes, Access access);
  Segment(Segment&&) noexcept;
  Segment& operator=(Segment&&) noexcept;
  ~Segment();

  // Page-aligned. To be written to only where it was mapped kReadWrite.
  [[nodiscard]] std::span<std::byte> bytes() const noexcept;

 private:
  explicit Segment(std::unique_ptr<boost::interprocess::mapped_region> region) noexcept;

  std::unique_ptr<boost::interprocess::mapped_region> region_;
};

}  // namespace dspool::ipc
