#include "ipc/seccomp.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace dspool::ipc {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
constexpr std::uint32_t kFirstOfX32 = 0x40000000;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "the filter knows x86-64 and AArch64"
#endif

constexpr auto kDenied = std::to_array<std::uint32_t>({
  // Other processes' memory, descriptors and registers.
  SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_process_madvise, SYS_pidfd_getfd,
      SYS_kcmp,
      // The kernel: its code, its programs, its log, its keys, its side doors.
      SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_reboot, SYS_bpf,
      SYS_perf_event_open, SYS_userfaultfd, SYS_syslog, SYS_acct, SYS_add_key, SYS_request_key,
      SYS_keyctl, SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register, SYS_quotactl,
      SYS_swapon, SYS_swapoff, SYS_lookup_dcookie, SYS_nfsservctl,
      // What is mounted, and files that no path leads to.
      SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_move_mount, SYS_open_tree, SYS_fsopen,
      SYS_fsconfig, SYS_fsmount, SYS_fspick, SYS_mount_setattr, SYS_open_by_handle_at,
      SYS_fanotify_init,
      // Namespaces, names and clocks.
      SYS_setns, SYS_unshare, SYS_sethostname, SYS_setdomainname, SYS_settimeofday,
      SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex, SYS_vhangup,
#ifdef SYS_kexec_file_load
      SYS_kexec_file_load,
#endif
#if defined(__x86_64__)
      SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_uselib, SYS_create_module, SYS_query_module,
      SYS_get_kernel_syms, SYS__sysctl,
#endif
});

constexpr std::uint32_t kNewNamespace = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                        CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

constexpr std::uint16_t kLoad = BPF_LD | BPF_W | BPF_ABS;
constexpr std::uint16_t kIfEqual = BPF_JMP | BPF_JEQ | BPF_K;
constexpr std::uint16_t kIfAtLeast = BPF_JMP | BPF_JGE | BPF_K;
constexpr std::uint16_t kIfAnyBit = BPF_JMP | BPF_JSET | BPF_K;
constexpr std::uint16_t kReturn = BPF_RET | BPF_K;
constexpr std::uint32_t kDeny = SECCOMP_RET_ERRNO | EPERM;

// Built so that each test either ends the program or goes on with the next instruction but one:
// there is no jump whose length depends on the table's.
class Program {
 public:
  void load(std::size_t offset) {
    code_.push_back({.code = kLoad, .jt = 0, .jf = 0, .k = static_cast<std::uint32_t>(offset)});
  }
  void end(std::uint32_t how) { code_.push_back({.code = kReturn, .jt = 0, .jf = 0, .k = how}); }
  void end_if(std::uint16_t test, std::uint32_t operand, std::uint32_t how) {
    code_.push_back({.code = test, .jt = 0, .jf = 1, .k = operand});
    end(how);
  }
  void end_unless(std::uint16_t test, std::uint32_t operand, std::uint32_t how) {
    code_.push_back({.code = test, .jt = 1, .jf = 0, .k = operand});
    end(how);
  }
  [[nodiscard]] std::vector<sock_filter> take() { return std::move(code_); }

 private:
  std::vector<sock_filter> code_;
};

}  // namespace

std::vector<sock_filter> deny_filter() {
  Program program;
  program.load(offsetof(seccomp_data, arch));
  program.end_unless(kIfEqual, kArchitecture, kDeny);
  program.load(offsetof(seccomp_data, nr));
#if defined(__x86_64__)
  program.end_if(kIfAtLeast, kFirstOfX32, kDeny);
#endif
  for (const std::uint32_t number : kDenied) program.end_if(kIfEqual, number, kDeny);
  program.end_if(kIfEqual, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
  program.end_unless(kIfEqual, SYS_clone, SECCOMP_RET_ALLOW);
  program.load(offsetof(seccomp_data, args));  // the flags' lower half: both are little-endian
  program.end_if(kIfAnyBit, kNewNamespace, kDeny);
  program.end(SECCOMP_RET_ALLOW);
  return program.take();
}

}  // namespace dspool::ipc
