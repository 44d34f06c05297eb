#include "ipc/memory_room.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>
#include <vector>

namespace dspool::ipc {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

std::optional<std::uint64_t> parse_number(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  return number;
}

// Takes the text up to the next `separator` off `text`.
std::string_view take(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) parts.push_back(take(text, separator));
  return parts;
}

bool contains(std::string_view comma_separated, std::string_view word) {
  const auto parts = split(comma_separated, ',');
  return std::find(parts.begin(), parts.end(), word) != parts.end();
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The names under which one version of cgroups keeps its accounts.
struct Accounts {
  const char* limit;
  const char* usage;
  const char* reclaimable;  // in memory.stat: page cache that the kernel drops before it kills
};
constexpr Accounts kV1{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"};
constexpr Accounts kV2{"memory.max", "memory.current", "inactive_file"};

std::optional<std::uint64_t> room_of(const fs::path& group, const Accounts& accounts) {
  const auto limit = parse_cgroup_number(read_text(group / accounts.limit));
  const auto usage = parse_cgroup_number(read_text(group / accounts.usage));
  if (!limit || !usage) return std::nullopt;
  const std::uint64_t reclaimable =
      parse_bytes_line(read_text(group / "memory.stat"), accounts.reclaimable).value_or(0);
  const std::uint64_t used = *usage - std::min(*usage, reclaimable);
  return *limit - std::min(*limit, used);
}

// Lowers `room` to what the cgroup `path` and those around it leave: every one of them limits.
void apply_hierarchy(MemoryRoom& room, const fs::path& root, const CgroupMount& mount,
                     const std::string& path, const Accounts& accounts) {
  const fs::path point = root / fs::path(mount.point).relative_path();
  for (fs::path group = cgroup_directory(root, mount, path);; group = group.parent_path()) {
    const auto left = room_of(group, accounts);
    if (left && *left < room.available_bytes) room = {*left, group.string()};
    if (group == point || !group.has_relative_path()) return;
  }
}

}  // namespace

std::optional<std::uint64_t> parse_bytes_line(std::string_view text, std::string_view key) {
  for (std::string_view line : split(text, '\n')) {
    if (take(line, ' ') != key) continue;
    const auto number = parse_number(line);
    const bool in_kib = line.ends_with(" kB");
    return number && in_kib ? *number * 1024 : number;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> parse_cgroup_number(std::string_view text) {
  return parse_number(text);
}

CgroupPaths parse_cgroup_paths(std::string_view proc_self_cgroup) {
  CgroupPaths paths;
  for (std::string_view line : split(proc_self_cgroup, '\n')) {  // hierarchy:controllers:path
    const std::string_view hierarchy = take(line, ':');
    const std::string_view controllers = take(line, ':');
    if (hierarchy == "0" && controllers.empty()) paths.v2 = line;
    if (contains(controllers, "memory")) paths.v1_memory = line;
    if (contains(controllers, "pids")) paths.v1_pids = line;
  }
  return paths;
}

CgroupMounts parse_cgroup_mounts(std::string_view proc_self_mountinfo) {
  CgroupMounts mounts;
  for (const std::string_view line : split(proc_self_mountinfo, '\n')) {
    // id parent device root point options... - type source super-options
    const auto fields = split(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (dash - fields.begin() < 5 || fields.end() - dash < 4) continue;
    const CgroupMount mount{std::string(fields[3]), std::string(fields[4])};
    if (dash[1] == "cgroup2") mounts.v2 = mount;
    if (dash[1] == "cgroup" && contains(dash[3], "memory")) mounts.v1_memory = mount;
    if (dash[1] == "cgroup" && contains(dash[3], "pids")) mounts.v1_pids = mount;
  }
  return mounts;
}

fs::path cgroup_directory(const fs::path& root, const CgroupMount& mount, const std::string& path) {
  fs::path below = fs::path(path).lexically_relative(mount.root);
  if (below.empty() || *below.begin() == "..") below = ".";
  const fs::path point = root / fs::path(mount.point).relative_path();
  const fs::path group = (point / below).lexically_normal();
  return group.has_filename() ? group : group.parent_path();
}

MemoryRoom measure_memory_room(const fs::path& root) {
  MemoryRoom room{std::numeric_limits<std::uint64_t>::max(), "nothing"};
  if (const auto left = parse_bytes_line(read_text(root / "proc/meminfo"), "MemAvailable:")) {
    room = {*left, "MemAvailable"};
  }
  const CgroupPaths paths = parse_cgroup_paths(read_text(root / "proc/self/cgroup"));
  const CgroupMounts mounts = parse_cgroup_mounts(read_text(root / "proc/self/mountinfo"));
  if (paths.v1_memory && mounts.v1_memory) {
    apply_hierarchy(room, root, *mounts.v1_memory, *paths.v1_memory, kV1);
  }
  if (paths.v2 && mounts.v2) apply_hierarchy(room, root, *mounts.v2, *paths.v2, kV2);
  return room;
}

Result<void> check_memory_room(std::uint64_t asked_bytes, const MemoryRoom& room) {
  if (asked_bytes <= room.available_bytes) return {};
  std::ostringstream what;
  what << (asked_bytes - 1) / kMiB + 1 << " MiB of shared memory are asked for, and "
       << room.available_bytes / kMiB << " MiB are available (" << room.limited_by << ')';
  return tl::unexpected(Fault{FaultKind::kNoMemory, what.str()});
}

}  // namespace dspool::ipc
