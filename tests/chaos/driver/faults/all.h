// The makers of all faults, one file each.
#pragma once

#include <memory>

#include "tests/chaos/driver/fault.h"

namespace dspool::chaos {

std::unique_ptr<Fault> make_none();
std::unique_ptr<Fault> make_kill_idle();
std::unique_ptr<Fault> make_kill_mid_call();
std::unique_ptr<Fault> make_stop_and_wake();
std::unique_ptr<Fault> make_exit();
std::unique_ptr<Fault> make_segfault();
std::unique_ptr<Fault> make_hold_gil();
std::unique_ptr<Fault> make_leave_early();
std::unique_ptr<Fault> make_churn();
std::unique_ptr<Fault> make_interrupted_move();
std::unique_ptr<Fault> make_grandchildren();
std::unique_ptr<Fault> make_expiry();
std::unique_ptr<Fault> make_overload();
std::unique_ptr<Fault> make_hot_session();
std::unique_ptr<Fault> make_memory_hog();
std::unique_ptr<Fault> make_leak_descriptors();
std::unique_ptr<Fault> make_secrets();
std::unique_ptr<Fault> make_full_ring();
std::unique_ptr<Fault> make_import_error();
std::unique_ptr<Fault> make_file_limit();
std::unique_ptr<Fault> make_sigterm();

}  // namespace dspool::chaos
