// The files by which cgroups are read and changed.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "ipc/fault.h"

namespace dspool::ipc {

// Nothing where there is no such file.
[[nodiscard]] std::string read_cgroup_file(const std::filesystem::path& path);
// In one write, to a file that is there. Errors: kSystem, naming it.
Result<void> write_cgroup_file(const std::filesystem::path& path, std::string_view text);

}  // namespace dspool::ipc
