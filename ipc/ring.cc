#include "ipc/ring.h"

#include "ipc/ring_inl.h"

namespace dspool::ipc {

std::string Violation::describe() const {
  return std::string(why) + ": " + std::to_string(claimed) + ", known " + std::to_string(known);
}

template class BasicProducer<std::atomic>;
template class BasicConsumer<std::atomic>;

}  // namespace dspool::ipc
