#include "ipc/cgroup_tree.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <optional>
#include <sstream>
#include <system_error>
#include <thread>
#include <utility>

#include "ipc/cgroup_file.h"
#include "ipc/memory_room.h"

namespace dspool::ipc {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTreeName = "dspool-";

bool has_word(const std::string& text, std::string_view word) {
  std::istringstream words(text);
  for (std::string each; words >> each;) {
    if (each == word) return true;
  }
  return false;
}

bool is_delegated(const fs::path& group) {
  for (const char* const name : {"user.delegate", "trusted.delegate"}) {
    std::array<char, 2> value{};
    if (::getxattr(group.c_str(), name, value.data(), value.size()) > 0 && value[0] == '1') {
      return true;
    }
  }
  return false;
}

// Lets groups below this one of version 2 have the controller.
bool enable(const fs::path& group, const std::string& controller) {
  return has_word(read_cgroup_file(group / "cgroup.subtree_control"), controller) ||
         write_cgroup_file(group / "cgroup.subtree_control", "+" + controller).has_value();
}

CgroupUse enable_all(const fs::path& group, const CgroupUse& asked) {
  return {.memory = asked.memory && enable(group, "memory"),
          .processes = asked.processes && enable(group, "pids")};
}

struct Found {
  CgroupPaths paths;
  CgroupMounts mounts;
};

std::optional<CgroupHierarchy> find_v2(const Found& found, const CgroupUse& asked,
                                       const fs::path& root) {
  if (!found.paths.v2 || !found.mounts.v2) return std::nullopt;
  const fs::path own = cgroup_directory(root, *found.mounts.v2, *found.paths.v2);
  const std::string controllers = read_cgroup_file(own / "cgroup.controllers");
  const CgroupUse there{.memory = asked.memory && has_word(controllers, "memory"),
                        .processes = asked.processes && has_word(controllers, "pids")};
  CgroupHierarchy hierarchy{
      .directory = own, .is_v2 = true, .limits_memory = false, .limits_processes = false};
  const bool is_root = !fs::exists(own / "cgroup.type");  // the one that may have processes itself
  if (!is_root && (there.memory || there.processes)) {
    if (!is_delegated(own.parent_path())) return hierarchy;
    hierarchy.directory = own.parent_path();
  }
  const CgroupUse enabled = enable_all(hierarchy.directory, there);
  hierarchy.limits_memory = enabled.memory;
  hierarchy.limits_processes = enabled.processes;
  return hierarchy;
}

// The hierarchies in which groups are to be made.
std::vector<CgroupHierarchy> find_hierarchies(const CgroupUse& asked, const fs::path& root) {
  const Found found{.paths = parse_cgroup_paths(read_cgroup_file(root / "proc/self/cgroup")),
                    .mounts = parse_cgroup_mounts(read_cgroup_file(root / "proc/self/mountinfo"))};
  std::vector<CgroupHierarchy> hierarchies;
  const auto v2 = find_v2(found, asked, root);
  if (v2 && (v2->limits_memory || v2->limits_processes)) return {*v2};
  if (asked.memory && found.paths.v1_memory && found.mounts.v1_memory) {
    hierarchies.push_back(
        {.directory = cgroup_directory(root, *found.mounts.v1_memory, *found.paths.v1_memory),
         .is_v2 = false,
         .limits_memory = true,
         .limits_processes = false});
  }
  if (asked.processes && found.paths.v1_pids && found.mounts.v1_pids) {
    hierarchies.push_back(
        {.directory = cgroup_directory(root, *found.mounts.v1_pids, *found.paths.v1_pids),
         .is_v2 = false,
         .limits_memory = false,
         .limits_processes = true});
  }
  if (hierarchies.empty() && v2) hierarchies.push_back(*v2);
  if (hierarchies.empty() && found.paths.v1_pids && found.mounts.v1_pids) {
    hierarchies.push_back(
        {.directory = cgroup_directory(root, *found.mounts.v1_pids, *found.paths.v1_pids)});
  }
  return hierarchies;
}

// Nothing can enter a group below one whose threads are in several groups.
bool can_be_entered(const CgroupHierarchy& hierarchy) {
  return !hierarchy.is_v2 ||
         !has_word(read_cgroup_file(hierarchy.directory / "cgroup.type"), "invalid");
}

// Open and locked, or not open, with errno set: it is not ours.
FileDescriptor take_lock(const fs::path& directory) {
  FileDescriptor opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.is_open() && ::flock(opened.get(), LOCK_EX | LOCK_NB) != 0) opened.close();
  return opened;
}

// Removes a tree that nobody has locked, and what runs in it.
void sweep_tree(const fs::path& tree) {
  constexpr int kRounds = 100;  // killed processes take some milliseconds to be gone
  const FileDescriptor locked = take_lock(tree);
  if (!locked.is_open()) return;
  std::error_code ignored;
  std::vector<fs::path> groups;
  for (const auto& entry : fs::directory_iterator(tree, ignored)) {
    if (entry.is_directory(ignored)) groups.push_back(entry.path());
  }
  for (const fs::path& group : groups) {
    for (int round = 0; round < kRounds; ++round) {
      kill_cgroup(group);
      if (::rmdir(group.c_str()) == 0 || errno != EBUSY) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  ::rmdir(tree.c_str());
}

void sweep(const fs::path& directory) {
  std::error_code ignored;
  std::vector<fs::path> trees;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    if (entry.path().filename().native().starts_with(kTreeName)) trees.push_back(entry.path());
  }
  for (const fs::path& tree : trees) sweep_tree(tree);
}

struct Locked {
  fs::path directory;
  FileDescriptor lock;
};

// A directory of a name that nobody else has. Somebody who sweeps may take it away before it is
// locked; then it is made again.
Result<Locked> make_locked_directory(const fs::path& in) {
  constexpr int kTries = 100;
  constexpr mode_t kMode = 0755;
  const std::string begin = std::string(kTreeName) + std::to_string(::getpid()) + "-";
  for (int i = 0; i < kTries; ++i) {
    const fs::path directory = in / (begin + std::to_string(i));
    if (::mkdir(directory.c_str(), kMode) != 0) {
      if (errno == EEXIST) continue;
      return system_fault("cannot make the cgroup " + directory.string(), errno);
    }
    FileDescriptor locked = take_lock(directory);
    if (locked.is_open() && ::access(directory.c_str(), F_OK) == 0) {
      return Locked{.directory = directory, .lock = std::move(locked)};
    }
  }
  return system_fault("cannot make a cgroup in " + in.string(), EEXIST);
}

}  // namespace

Result<std::unique_ptr<CgroupTree>> CgroupTree::create(const CgroupUse& asked,
                                                       const fs::path& root) {
  std::unique_ptr<CgroupTree> tree(new CgroupTree);
  auto hierarchies = find_hierarchies(asked, root);
  if (hierarchies.empty()) {
    return tl::unexpected(Fault{FaultKind::kSystem, "no hierarchy of cgroups is mounted"});
  }
  Result<void> failure;
  for (CgroupHierarchy& hierarchy : hierarchies) {
    sweep(hierarchy.directory);
    auto locked = make_locked_directory(hierarchy.directory);
    if (!locked) {
      failure = tl::unexpected(std::move(locked.error()));
      continue;
    }
    hierarchy.directory = std::move(locked->directory);
    if (!can_be_entered(hierarchy)) {
      ::rmdir(hierarchy.directory.c_str());
      failure = system_fault("cannot enter cgroups below one of threads", EOPNOTSUPP);
      continue;
    }
    tree->locks_.push_back(std::move(locked->lock));
    if (hierarchy.is_v2) {
      const CgroupUse use =
          enable_all(hierarchy.directory,
                     {.memory = hierarchy.limits_memory, .processes = hierarchy.limits_processes});
      hierarchy.limits_memory = use.memory;
      hierarchy.limits_processes = use.processes;
    }
    tree->hierarchies_.push_back(std::move(hierarchy));
  }
  if (tree->hierarchies_.empty()) return tl::unexpected(std::move(failure.error()));
  return tree;
}

CgroupTree::~CgroupTree() {
  for (const CgroupHierarchy& hierarchy : hierarchies_) ::rmdir(hierarchy.directory.c_str());
}

CgroupUse CgroupTree::use() const noexcept {
  CgroupUse use;
  for (const CgroupHierarchy& hierarchy : hierarchies_) {
    use.memory = use.memory || hierarchy.limits_memory;
    use.processes = use.processes || hierarchy.limits_processes;
  }
  return use;
}

std::string CgroupTree::where() const {
  std::string text;
  for (const CgroupHierarchy& hierarchy : hierarchies_) {
    text += (text.empty() ? "" : ", ") + hierarchy.directory.string();
  }
  return text;
}

Result<std::unique_ptr<Cgroup>> CgroupTree::make(std::string_view name, CgroupLimits limits) const {
  const CgroupUse can = use();
  if (!can.memory) limits.memory_bytes = 0;
  if (!can.processes) limits.processes = 0;
  return Cgroup::make(hierarchies_, std::string(name), limits);
}

}  // namespace dspool::ipc
