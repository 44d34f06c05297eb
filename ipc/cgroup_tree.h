// The place of one pool's cgroups: a directory of its own below the cgroup of this process, in the
// hierarchy of version 2 where that has what is asked for, and in those of version 1 otherwise.
//
// Version 2 lets no group limit its children's memory while it has processes of its own, and this
// process is in the group below which it looks. So there groups are made beside that of this
// process if the one around both was delegated to us, as systemd does it (Delegate=yes,
// DelegateSubgroup=): it says so by an attribute of the directory. Without that, groups can only be
// ended as a whole.
//
// A tree is locked (flock) for as long as its maker lives. Who makes another one in the same place
// removes those whose lock is free, with whatever still runs in them.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/cgroup.h"
#include "ipc/fault.h"
#include "ipc/file_descriptor.h"

namespace dspool::ipc {

struct CgroupUse {
  bool memory = false;
  bool processes = false;
};

class CgroupTree {
 public:
  // Looks for what the system has below `root`, and makes what can be had of `asked`; if that is
  // nothing, a place where groups can be ended as a whole. Errors: kSystem, saying why not even
  // that.
  static Result<std::unique_ptr<CgroupTree>> create(const CgroupUse& asked,
                                                    const std::filesystem::path& root = "/");
  CgroupTree(const CgroupTree&) = delete;
  CgroupTree& operator=(const CgroupTree&) = delete;
  // Removes the directories that are empty.
  ~CgroupTree();

  // What groups can limit here.
  [[nodiscard]] CgroupUse use() const noexcept;
  // Where they are, for people.
  [[nodiscard]] std::string where() const;
  // A group; what cannot be limited here is not. Errors: kSystem.
  Result<std::unique_ptr<Cgroup>> make(std::string_view name, CgroupLimits limits) const;

 private:
  CgroupTree() = default;

  std::vector<CgroupHierarchy> hierarchies_;
  std::vector<FileDescriptor> locks_;
};

}  // namespace dspool::ipc
