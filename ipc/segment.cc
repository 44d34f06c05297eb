#include "ipc/segment.h"

#include <sys/mman.h>

#include <boost/interprocess/exceptions.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <cerrno>
#include <utility>

namespace dspool::ipc {
namespace {

namespace bip = boost::interprocess;

// All that mapped_region asks of what it maps.
struct MappableDescriptor {
  int descriptor;
  [[nodiscard]] bip::mapping_handle_t get_mapping_handle() const {
    return bip::ipcdetail::mapping_handle_from_file_handle(descriptor);
  }
};

}  // namespace

Result<Segment> Segment::map(int descriptor, std::size_t bytes, Access access) {
  const bool writable = access == Access::kReadWrite;
  std::unique_ptr<bip::mapped_region> region;
  try {
    region = std::make_unique<bip::mapped_region>(
        MappableDescriptor{descriptor}, writable ? bip::read_write : bip::read_only, 0, bytes);
  } catch (const bip::interprocess_exception& exception) {
    return system_fault("cannot map shared memory", exception.get_native_error());
  }
  void* const address = region->get_address();
  if (::madvise(address, bytes, MADV_DONTFORK) != 0) {
    return system_fault("cannot keep shared memory from forks", errno);
  }
  // Kernels before 5.14 know no MADV_POPULATE (EINVAL). The pages exist there too, since they
  // were allocated; only their first accesses are slower.
  if (::madvise(address, bytes, writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) != 0 &&
      errno != EINVAL) {
    return system_fault("cannot fault in shared memory", errno);
  }
  return Segment(std::move(region));
}

Segment::Segment(std::unique_ptr<bip::mapped_region> region) noexcept
    : region_(std::move(region)) {}
Segment::Segment(Segment&&) noexcept = default;
Segment& Segment::operator=(Segment&&) noexcept = default;
Segment::~Segment() = default;

std::span<std::byte> Segment::bytes() const noexcept {
  return {static_cast<std::byte*>(region_->get_address()), region_->get_size()};
}

}  // namespace dspool::ipc
