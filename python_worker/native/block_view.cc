#include "python_worker/native/block_view.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

namespace dspool::python {

ipc::Result<std::unique_ptr<BlockView>> BlockView::map(int descriptor, std::size_t bytes) {
  struct stat file {};
  if (::fstat(descriptor, &file) != 0) return ipc::system_fault("cannot look at a block", errno);
  if (bytes == 0 || static_cast<std::size_t>(file.st_size) < bytes) {
    return tl::unexpected(
        ipc::Fault{ipc::FaultKind::kViolation, "a block is shorter than what it should hold"});
  }
  void* const address = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, descriptor, 0);
  if (address == MAP_FAILED) return ipc::system_fault("cannot map a block", errno);
  std::unique_ptr<BlockView> view(new BlockView(address, bytes));
  if (::madvise(address, bytes, MADV_DONTFORK) != 0) {
    return ipc::system_fault("cannot keep a block from forks", errno);
  }
  return view;
}

BlockView::~BlockView() { ::munmap(address_, bytes_); }

}  // namespace dspool::python
