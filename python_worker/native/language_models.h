// The pool's language model, as it arrives over the control socket: handed to the adapter before
// the first request that asks for its version. It carries a key, so its bytes are wiped here once
// the adapter has them.
//
// Threads: any thread that holds the GIL. Lock order: `mutex_`, then the GIL; so the GIL is given
// up before the mutex is taken.
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>

#include "python_worker/native/control_inbox.h"
#include "python_worker/native/error_report.h"

namespace dspool::python {

class LanguageModels {
 public:
  // `host.set_language_model(...)` hands one on; it returns None, or the adapter's error as an
  // ErrorReport.
  LanguageModels(ControlInbox& inbox, pybind11::object host)
      : inbox_(inbox), host_(std::move(host)) {}

  // Waits until the adapter was given this version or a later one; 0 needs none. False: the engine
  // is gone.
  [[nodiscard]] bool require(std::uint32_t version) {
    return version <= version_.load(std::memory_order_acquire) || receive_until(version);
  }

  // The adapter's error, if it refused the last one. Valid after `require`, while the GIL is held.
  [[nodiscard]] const std::optional<ErrorReport>& refusal() const noexcept { return refusal_; }

 private:
  bool receive_until(std::uint32_t version);
  void hand_on(std::span<const std::byte> message);

  ControlInbox& inbox_;
  const pybind11::object host_;
  std::mutex mutex_;  // one hands on at a time, in order
  std::atomic<std::uint32_t> version_ = 0;
  std::optional<ErrorReport> refusal_;  // guarded by the GIL
};

}  // namespace dspool::python
