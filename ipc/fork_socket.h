// The descriptors of a fork server: those numbers that a worker's channel will have are kept free,
// and the socket to the engine comes right above them.
#pragma once

#include "ipc/engine_channel.h"

namespace dspool::ipc {

inline constexpr int kFirstChannelNumber = static_cast<int>(ChildDescriptor::kSegmentA);
inline constexpr int kForkSocketNumber = static_cast<int>(ChildDescriptor::kSlab) + 1;

}  // namespace dspool::ipc
