// System calls that no worker needs and that reach beyond it: into other processes, into the
// kernel, into what is mounted, to other namespaces and clocks. A process that has the filter gets
// EPERM for them, and so do all that it starts, whatever they execute.
//
// It denies and does not allow: a worker runs the adapter's libraries, and nobody knows all that
// they call. It comes on top of what the process may anyhow, and takes nothing of that away where
// the kernel counts by user: a worker can still signal other processes of its user.
#pragma once

#include <linux/filter.h>

#include <vector>

namespace dspool::ipc {

// The filter's program for this architecture. System calls of any other one (of 32 bits, x32) fail
// as well, as their numbers mean something else. `clone3`, whose flags a filter cannot read, does
// not exist for who has the filter (ENOSYS): the C library takes `clone`.
[[nodiscard]] std::vector<sock_filter> deny_filter();

}  // namespace dspool::ipc
