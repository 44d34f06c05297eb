// Why a worker could not begin, as who starts an engine is told.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "dspool/error.h"
#include "ipc/fault.h"
#include "schemas/envelope_generated.h"

namespace dspool::worker {

// Its channel or its process could not be made.
[[nodiscard]] Error start_error(const ipc::Fault& fault);
// worker.cgroups requires what the system does not give.
[[nodiscard]] Error no_cgroup(std::string_view why);
// `who` ended, as `how` says; `words`: the last that it printed.
[[nodiscard]] Error died_before_ready(std::string_view who, const std::string& how,
                                      const std::string& words);
[[nodiscard]] Error died_when_it_forked(const std::string& how, const std::string& words);
// It had been ready.
[[nodiscard]] Error died_before_it_served(std::string_view who, const std::string& how,
                                          const std::string& words);
// So many ended within `window` before they had completed a request, `last` the last.
[[nodiscard]] Error restarts_exhausted(std::uint32_t deaths, std::chrono::milliseconds window,
                                       const Error& last);
// `who`, run by `python`, speaks another protocol than the engine.
[[nodiscard]] Error version_mismatch(std::string_view who, std::string_view python,
                                     wire::Protocol theirs);
[[nodiscard]] Error not_ready_in_time(std::string_view who, std::chrono::milliseconds patience);

}  // namespace dspool::worker
