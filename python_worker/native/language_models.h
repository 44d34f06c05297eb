// The language models that this worker holds, as they arrive over the control socket: each is
// handed to the adapter before the first request that names it, and kept until the engine says that
// no request will name it any more. They carry keys, so their bytes are wiped here once the adapter
// has them.
//
// Threads: any thread that holds the GIL. Lock order: `mutex_`, then the GIL; so the GIL is given
// up before the mutex is taken.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>

#include "python_worker/native/control_inbox.h"
#include "python_worker/native/error_report.h"

namespace dspool::python {

struct HeldModel {
  pybind11::object model = pybind11::none();  // dspool_worker.LanguageModel; None: none is set
  std::optional<ErrorReport> refusal = {};    // the adapter's
};

class LanguageModels {
 public:
  // `host.set_language_model(...)` hands one on; it returns the LanguageModel, and None or the
  // adapter's error as an ErrorReport.
  LanguageModels(ControlInbox& inbox, pybind11::object host)
      : inbox_(inbox), host_(std::move(host)) {}

  // Waits until the adapter was given the model of this id; 0 needs none. Null: the engine is gone.
  // Valid while the request that names it runs. REQUIRES: the GIL is held.
  [[nodiscard]] const HeldModel* require(std::uint64_t id) {
    return id == last_id_ ? last_ : find_or_receive(id);
  }

 private:
  const HeldModel* find_or_receive(std::uint64_t id);
  [[nodiscard]] const HeldModel* find(std::uint64_t id);
  bool receive_until(std::uint64_t id);
  void hand_on(std::span<const std::byte> message);
  void forget(std::uint64_t id);

  ControlInbox& inbox_;
  const pybind11::object host_;
  const HeldModel none_;
  std::mutex mutex_;  // one hands on at a time, in order

  // Guarded by the GIL.
  std::unordered_map<std::uint64_t, HeldModel> held_;
  std::uint64_t last_id_ = 0;  // what was asked for last
  const HeldModel* last_ = &none_;
};

}  // namespace dspool::python
