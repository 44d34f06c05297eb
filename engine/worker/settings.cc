#include "engine/worker/settings.h"

#include <fmt/format.h>

#include <array>
#include <span>

#include "engine/worker/start_error.h"
#include "ipc/fork_socket.h"
#include "ipc/sealed_bytes.h"

namespace dspool::worker {
namespace {

constexpr int kSettingsNumber = ipc::kForkSocketNumber + 1;

}  // namespace

Result<Settings> Settings::seal(const WorkerConfig& config) {
  Settings settings;
  if (config.settings.size() == 0) return settings;
  const std::array parts{std::as_bytes(config.settings.bytes())};
  auto memfd = ipc::seal_copy(parts);
  if (!memfd) return tl::unexpected(start_error(memfd.error()));
  settings.memfd_ = std::move(*memfd);
  return settings;
}

std::vector<std::string> Settings::arguments(std::string_view module,
                                             const WorkerConfig& config) const {
  std::vector<std::string> all{"-m",        std::string(module),
                               "--adapter", config.adapter,
                               "--spin-us", fmt::format("{}", config.spin_us)};
  if (memfd_.is_open()) {
    all.insert(all.end(), {"--settings", fmt::format("{}", kSettingsNumber)});
  }
  return all;
}

void Settings::add_to(std::vector<std::pair<int, int>>& descriptors) const {
  if (memfd_.is_open()) descriptors.emplace_back(memfd_.get(), kSettingsNumber);
}

}  // namespace dspool::worker
