#include "engine/worker/environment.h"

#include <array>
#include <string_view>

namespace dspool::worker {
namespace {

constexpr std::array<std::string_view, 6> kSecretEndings = {"_KEY",      "_TOKEN",       "_SECRET",
                                                            "_PASSWORD", "_CREDENTIALS", "_PASSWD"};
constexpr std::array<std::string_view, 5> kOneThread = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
                                                        "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
                                                        "RAYON_NUM_THREADS"};

bool is_secret(std::string_view name) {
  for (const std::string_view ending : kSecretEndings) {
    if (name.ends_with(ending)) return true;
  }
  return false;
}

}  // namespace

std::vector<std::string> worker_environment(const WorkerConfig& config,
                                            const char* const* engine_environment) {
  std::vector<std::string> environment;
  std::string python_path;
  for (const std::string& folder : config.python_path) {
    if (!python_path.empty()) python_path += ':';
    python_path += folder;
  }
  std::array<bool, kOneThread.size()> chosen{};
  for (const char* const* entry = engine_environment; *entry != nullptr; ++entry) {
    const std::string_view line(*entry);
    const std::string_view name = line.substr(0, line.find('='));
    if (is_secret(name) || name == "PYTHONUNBUFFERED") continue;
    for (std::size_t i = 0; i < kOneThread.size(); ++i) chosen[i] |= name == kOneThread[i];
    if (name == "PYTHONPATH") {
      if (!python_path.empty()) python_path += ':';
      python_path += line.substr(name.size() + 1);
    } else {
      environment.emplace_back(line);
    }
  }
  for (std::size_t i = 0; i < kOneThread.size(); ++i) {
    if (!chosen[i]) environment.push_back(std::string(kOneThread[i]) + "=1");
  }
  if (!python_path.empty()) environment.push_back("PYTHONPATH=" + python_path);
  environment.emplace_back("PYTHONUNBUFFERED=1");
  return environment;
}

}  // namespace dspool::worker
