// Cgroups of this machine, where there are some to be had, and others' as trees of files.
#include "ipc/cgroup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "ipc/cgroup_tree.h"
#include "tests/ipc/child.h"
#include "tests/support/temporary_directory.h"

namespace dspool::ipc {
namespace {

namespace fs = std::filesystem;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20;

void wait_until_removed(Cgroup& group) {
  while (!group.kill_all() || !group.remove()) std::this_thread::yield();
}

ChildOptions in_group(const Cgroup& group, std::string program,
                      std::vector<std::string> arguments) {
  return {.program = std::move(program),
          .arguments = std::move(arguments),
          .environment = {"PATH=/usr/bin:/bin"},
          .descriptors = {},
          .limits = {},
          .filters_system_calls = false,
          .cgroups = group.entrances()};
}

// Of this machine. Without what a test needs, it is skipped.
class CgroupTest : public testing::Test {
 protected:
  void make(const CgroupLimits& limits) {
    auto tree = CgroupTree::create(
        {.memory = limits.memory_bytes != 0, .processes = limits.processes != 0});
    if (!tree) GTEST_SKIP() << tree.error().what;
    tree_ = std::move(*tree);
    if ((limits.memory_bytes != 0 && !tree_->use().memory) ||
        (limits.processes != 0 && !tree_->use().processes)) {
      GTEST_SKIP() << "no controller in " << tree_->where();
    }
    auto group = tree_->make("one", limits);
    ASSERT_TRUE(group) << group.error().what;
    group_ = std::move(*group);
  }

  std::unique_ptr<CgroupTree> tree_;
  std::unique_ptr<Cgroup> group_;
};

TEST_F(CgroupTest, TakesAlongWhatHasLeftTheGroupOfProcesses) {
  make({});
  if (!group_) return;
  // It is the grandchild that tells its number, once it is in a session of its own.
  const auto child = spawn(in_group(
      *group_, "/bin/sh", {"-c", "setsid sh -c 'echo $$; exec sleep 1000' & exec sleep 1000"}));
  const FileDescriptor grandchild = watch(read_text(child->standard_output(), true));
  ASSERT_TRUE(grandchild.is_open());
  child->kill(SIGKILL);
  wait_for_end(*child);
  EXPECT_FALSE(readable(grandchild.get(), 0)) << "it left the group of processes";
  EXPECT_FALSE(group_->remove());
  group_->kill_all();
  EXPECT_TRUE(readable(grandchild.get()));
  wait_until_removed(*group_);
  EXPECT_TRUE(group_->remove()) << "once removed, it stays so";
}

TEST_F(CgroupTest, CanBeEnteredByAProcessThatRuns) {
  make({});
  if (!group_) return;
  const auto child =
      spawn({.program = "/bin/sleep", .arguments = {"1000"}, .environment = {}, .descriptors = {}});
  ASSERT_TRUE(group_->enter(child->pid()));
  EXPECT_FALSE(group_->remove());
  group_->kill_all();
  EXPECT_EQ(wait_for_end(*child).describe(), "killed by SIGKILL");
  const auto entered = group_->enter(child->pid());
  ASSERT_FALSE(entered);
  EXPECT_THAT(entered.error().what, HasSubstr("No such process"));
  wait_until_removed(*group_);
}

TEST_F(CgroupTest, BoundsProcesses) {
  make({.memory_bytes = 0, .processes = 8});
  if (!group_) return;
  const auto child = spawn(in_group(*group_, "/usr/bin/python3", {"-I", "-S", "-c", R"(
import os, time
count = 0
try:
    while count < 100:
        if os.fork() == 0:
            os.setsid()
            time.sleep(1000)
        count += 1
except BlockingIOError:
    print(count, flush=True)
time.sleep(1000)
)"}));
  EXPECT_EQ(read_text(child->standard_output(), true), "7\n");
  wait_until_removed(*group_);
}

TEST_F(CgroupTest, TellsWhomTheKernelHasKilledForLackOfMemory) {
  make({.memory_bytes = 64 * kMebibyte, .processes = 0});
  if (!group_) return;
  EXPECT_EQ(group_->memory_kills().count, 0U);
  const auto child =
      spawn(in_group(*group_, "/usr/bin/python3", {"-I", "-S", "-c", "len(b'x' * (256 << 20))"}));
  EXPECT_EQ(wait_for_end(*child).describe(), "killed by SIGKILL");
  const MemoryKills kills = group_->memory_kills();
  EXPECT_EQ(kills.count, 1U);
  EXPECT_TRUE(kills.at_own_limit);
  wait_until_removed(*group_);
}

TEST_F(CgroupTest, ThatAKilledMakerHasLeftIsRemovedByTheNext) {
  make({});
  if (!group_) return;
  const fs::path around = fs::path(tree_->where()).parent_path();
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const FileDescriptor reader(ends[0]);
  FileDescriptor writer(ends[1]);
  const pid_t maker = ::fork();
  if (maker == 0) {
    auto tree = CgroupTree::create({});
    auto group = tree ? (*tree)->make("left", {}) : tl::unexpected(tree.error());
    auto child = group ? ChildProcess::spawn(in_group(
                             **group, "/bin/sh", {"-c", "setsid sleep 1000 & echo $!; exec cat"}))
                       : tl::unexpected(group.error());
    const std::string pid = child ? read_text((*child)->standard_output(), true) : "0\n";
    const std::string text = (tree ? (*tree)->where() : "") + "\n" + pid;
    [[maybe_unused]] const ssize_t told = ::write(writer.get(), text.data(), text.size());
    ::_exit(0);  // leaves all of it
  }
  writer.close();
  std::string where = read_text(reader.get(), true);
  const FileDescriptor left = watch(read_text(reader.get(), true));
  ASSERT_EQ(::waitpid(maker, nullptr, 0), maker);
  where.pop_back();
  ASSERT_TRUE(fs::exists(where));
  ASSERT_TRUE(left.is_open());
  ASSERT_TRUE(CgroupTree::create({}));
  EXPECT_TRUE(readable(left.get()));
  EXPECT_FALSE(fs::exists(where));
  EXPECT_TRUE(fs::exists(tree_->where())) << "ours is locked";
}

// A machine made of files, and none of the kernel's doing in it.
class CgroupTreeTest : public testing::Test {
 protected:
  void write(const fs::path& path, const std::string& text) const {
    fs::create_directories((root() / path).parent_path());
    std::ofstream(root() / path) << text;
  }
  void mount_v1() const {
    write("proc/self/mountinfo",
          "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
          "36 31 0:33 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n");
    write("proc/self/cgroup", "7:pids:/p\n4:memory:/m\n0::/\n");
    fs::create_directories(root() / "sys/fs/cgroup/memory/m");
    fs::create_directories(root() / "sys/fs/cgroup/pids/p");
  }
  void mount_v2(const std::string& controllers) const {
    write("proc/self/mountinfo", "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    write("proc/self/cgroup", "0::/unit/engine\n");
    write("sys/fs/cgroup/unit/engine/cgroup.controllers", controllers);
  }
  [[nodiscard]] const fs::path& root() const { return directory_.path(); }

 private:
  test::TemporaryDirectory directory_;
};

TEST_F(CgroupTreeTest, OfVersion1HasAPlaceForEachResourceThatIsLimited) {
  mount_v1();
  const auto both = CgroupTree::create({.memory = true, .processes = true}, root());
  ASSERT_TRUE(both) << both.error().what;
  EXPECT_TRUE((*both)->use().memory && (*both)->use().processes);
  EXPECT_THAT((*both)->where(), HasSubstr("/sys/fs/cgroup/memory/m/dspool-"));
  EXPECT_THAT((*both)->where(), HasSubstr("/sys/fs/cgroup/pids/p/dspool-"));
  const auto one = CgroupTree::create({.memory = true, .processes = false}, root());
  ASSERT_TRUE(one) << one.error().what;
  EXPECT_THAT((*one)->where(), Not(HasSubstr("pids")));
  EXPECT_THAT((*one)->where(), EndsWith("-1")) << "the other's is locked";
}

TEST_F(CgroupTreeTest, IsGoneWithItsOwner) {
  mount_v1();
  std::string where;
  {
    const auto tree = CgroupTree::create({.memory = true, .processes = false}, root());
    ASSERT_TRUE(tree) << tree.error().what;
    where = (*tree)->where();
    EXPECT_TRUE(fs::exists(where));
  }
  EXPECT_FALSE(fs::exists(where));
}

TEST_F(CgroupTreeTest, OfVersion2IsBelowOursWhereThatIsTheRoot) {
  mount_v2("cpu memory pids\n");
  write("sys/fs/cgroup/unit/engine/cgroup.subtree_control", "");
  const auto tree = CgroupTree::create({.memory = true, .processes = true}, root());
  ASSERT_TRUE(tree) << tree.error().what;
  EXPECT_THAT((*tree)->where(), HasSubstr("/unit/engine/dspool-"));
}

TEST_F(CgroupTreeTest, OfVersion2IsBesideOursWhereTheOneAroundWasDelegated) {
  mount_v2("memory pids\n");
  write("sys/fs/cgroup/unit/engine/cgroup.type", "domain\n");
  write("sys/fs/cgroup/unit/engine/cgroup.subtree_control", "");
  write("sys/fs/cgroup/unit/cgroup.subtree_control", "memory pids\n");
  const auto group = root() / "sys/fs/cgroup/unit";
  const auto not_ours = CgroupTree::create({.memory = true, .processes = false}, root());
  ASSERT_TRUE(not_ours) << not_ours.error().what;
  EXPECT_THAT((*not_ours)->where(), HasSubstr("/unit/engine/dspool-"));
  EXPECT_FALSE((*not_ours)->use().memory);
  EXPECT_TRUE(fs::is_empty(root() / "sys/fs/cgroup/unit/engine/cgroup.subtree_control"))
      << "what would keep others from making groups there is not tried";
  if (::setxattr(group.c_str(), "user.delegate", "1", 1, 0) != 0) {
    GTEST_SKIP() << "no attributes in " << root();
  }
  const auto ours = CgroupTree::create({.memory = true, .processes = false}, root());
  ASSERT_TRUE(ours) << ours.error().what;
  EXPECT_THAT((*ours)->where(), HasSubstr("/unit/dspool-"));
}

TEST_F(CgroupTreeTest, IsNotMadeWhereThereIsNone) {
  const auto tree = CgroupTree::create({.memory = true, .processes = true}, root());
  ASSERT_FALSE(tree);
  EXPECT_EQ(tree.error().what, "no hierarchy of cgroups is mounted");
  mount_v1();
  fs::remove_all(root() / "sys");
  const auto gone = CgroupTree::create({.memory = true, .processes = false}, root());
  ASSERT_FALSE(gone);
  EXPECT_THAT(gone.error().what, StartsWith("cannot make the cgroup "));
}

}  // namespace
}  // namespace dspool::ipc
