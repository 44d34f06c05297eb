// Whether this process was asked to stop, by SIGTERM or SIGINT.
#pragma once

namespace dspool::chaos {

// From here on such a signal ends nothing by itself.
void watch_for_termination();
[[nodiscard]] bool asked_to_terminate() noexcept;

}  // namespace dspool::chaos
