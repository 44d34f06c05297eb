// The adapter's settings (WorkerConfig::settings) on their way into the process that constructs it:
// a sealed memfd, which it inherits, and reads and closes before it imports the adapter. So they
// are on no command line and in no environment, where others could read them.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dspool/config.h"
#include "dspool/error.h"
#include "ipc/file_descriptor.h"

namespace dspool::worker {

class Settings {
 public:
  // For one process. Errors: "channel_no_memory", "spawn_failed".
  static Result<Settings> seal(const WorkerConfig& config);

  // What starts `module` of the package, with the adapter and how it gets its settings.
  [[nodiscard]] std::vector<std::string> arguments(std::string_view module,
                                                   const WorkerConfig& config) const;
  // Adds the descriptor that goes along, if there is one, as (here, number there).
  void add_to(std::vector<std::pair<int, int>>& descriptors) const;

 private:
  ipc::FileDescriptor memfd_;  // not open: there are none
};

}  // namespace dspool::worker
