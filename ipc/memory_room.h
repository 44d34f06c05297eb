// How much memory can still be allocated here: the least of what the machine has available and
// of what each enclosing cgroup (v1 and v2) leaves. Asked before shared memory is allocated,
// because past a cgroup's limit the kernel kills instead of refusing.
//
// The parsers take the text of the kernel's files, so that tests need no such machine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "ipc/fault.h"

namespace dspool::ipc {

struct MemoryRoom {
  std::uint64_t available_bytes = 0;
  std::string limited_by;  // "MemAvailable", or the directory of the cgroup
};

// The number of bytes in the line `key` of /proc/meminfo ("MemAvailable:") or memory.stat.
[[nodiscard]] std::optional<std::uint64_t> parse_bytes_line(std::string_view text,
                                                            std::string_view key);

// A file of one number; nothing where it says "max".
[[nodiscard]] std::optional<std::uint64_t> parse_cgroup_number(std::string_view text);

// This process's place in the hierarchies, from /proc/self/cgroup.
struct CgroupPaths {
  std::optional<std::string> v1_memory;
  std::optional<std::string> v1_pids;
  std::optional<std::string> v2;
};
[[nodiscard]] CgroupPaths parse_cgroup_paths(std::string_view proc_self_cgroup);

// Where the hierarchies are mounted, from /proc/self/mountinfo. `root` is the cgroup that shows at
// `point`: "/", or the container's own.
struct CgroupMount {
  std::string root;
  std::string point;
};
struct CgroupMounts {
  std::optional<CgroupMount> v1_memory;
  std::optional<CgroupMount> v1_pids;
  std::optional<CgroupMount> v2;
};
[[nodiscard]] CgroupMounts parse_cgroup_mounts(std::string_view proc_self_mountinfo);

// The directory of the cgroup `path` below `root`. In a container the path may be the host's while
// the mount shows only what is below its root: then that is it.
[[nodiscard]] std::filesystem::path cgroup_directory(const std::filesystem::path& root,
                                                     const CgroupMount& mount,
                                                     const std::string& path);

// Reads the files below `root`. What cannot be read limits nothing.
[[nodiscard]] MemoryRoom measure_memory_room(const std::filesystem::path& root = "/");

// kNoMemory when `asked_bytes` do not fit; says both in MiB.
Result<void> check_memory_room(std::uint64_t asked_bytes, const MemoryRoom& room);

}  // namespace dspool::ipc
