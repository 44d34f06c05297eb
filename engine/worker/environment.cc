#include "engine/worker/environment.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

namespace dspool::worker {
namespace {

using Names = std::map<std::string, std::string, std::less<>>;  // values by name

constexpr auto kSecretEndings = std::to_array<std::string_view>(
    {"_KEY", "_TOKEN", "_SECRET", "_PASSWORD", "_CREDENTIALS", "_PASSWD"});

// Where things are, who and where we are, and which certificates to trust.
constexpr auto kPassed = std::to_array<std::string_view>({"PATH",
                                                          "HOME",
                                                          "USER",
                                                          "LOGNAME",
                                                          "SHELL",
                                                          "LANG",
                                                          "LANGUAGE",
                                                          "TZ",
                                                          "TZDIR",
                                                          "TMPDIR",
                                                          "TEMP",
                                                          "TMP",
                                                          "LD_LIBRARY_PATH",
                                                          "VIRTUAL_ENV",
                                                          "CONDA_PREFIX",
                                                          "SSL_CERT_FILE",
                                                          "SSL_CERT_DIR",
                                                          "REQUESTS_CA_BUNDLE",
                                                          "CURL_CA_BUNDLE",
                                                          "TOKENIZERS_PARALLELISM"});
// Of the interpreter, of numeric libraries and allocators, of ours and what our adapters use.
constexpr auto kPassedBeginnings = std::to_array<std::string_view>(
    {"LC_", "XDG_", "PYTHON", "OMP_", "GOMP_", "KMP_", "OPENBLAS_", "MKL_", "BLIS_", "NUMEXPR_",
     "RAYON_", "VECLIB_", "CUDA_", "NVIDIA_", "MALLOC_", "DSPOOL_", "DSPY_", "LITELLM_"});
constexpr auto kPassedEndings = std::to_array<std::string_view>({"_PROXY", "_proxy"});

constexpr auto kOneThread =
    std::to_array<std::string_view>({"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
                                     "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS"});

bool is_secret(std::string_view name) {
  return std::ranges::any_of(kSecretEndings,
                             [name](std::string_view ending) { return name.ends_with(ending); });
}

bool is_needed(std::string_view name) {
  const auto begins = [name](std::string_view with) { return name.starts_with(with); };
  const auto ends = [name](std::string_view with) { return name.ends_with(with); };
  return std::ranges::find(kPassed, name) != kPassed.end() ||
         std::ranges::any_of(kPassedBeginnings, begins) ||
         std::ranges::any_of(kPassedEndings, ends);
}

// A secret only by its full name.
bool is_passed(std::string_view name, const std::vector<std::string>& pass) {
  if (std::ranges::find(pass, name) != pass.end()) return true;
  if (is_secret(name)) return false;
  return is_needed(name) || std::ranges::any_of(pass, [name](std::string_view pattern) {
           return pattern.ends_with('*') && name.starts_with(pattern.substr(0, pattern.size() - 1));
         });
}

void set_variable(Names& names, std::string_view line) {
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos) return;
  names.insert_or_assign(std::string(line.substr(0, equals)), std::string(line.substr(equals + 1)));
}

std::string python_path(const WorkerConfig& config, std::string_view inherited) {
  std::string path;
  const auto add = [&path](std::string_view folder) {
    if (!path.empty()) path += ':';
    path += folder;
  };
  for (const std::string& folder : config.python_path) add(folder);
  if (!inherited.empty()) add(inherited);
  return path;
}

}  // namespace

std::vector<std::string> worker_environment(const WorkerConfig& config,
                                            const char* const* engine_environment) {
  Names names;
  for (const char* const* entry = engine_environment; *entry != nullptr; ++entry) {
    const std::string_view line(*entry);
    if (is_passed(line.substr(0, line.find('=')), config.pass_environment))
      set_variable(names, line);
  }
  for (const std::string& line : config.environment) set_variable(names, line);
  for (const std::string_view name : kOneThread) names.try_emplace(std::string(name), "1");
  const std::string path = python_path(config, names["PYTHONPATH"]);
  if (path.empty()) {
    names.erase("PYTHONPATH");
  } else {
    names["PYTHONPATH"] = path;
  }
  names["PYTHONUNBUFFERED"] = "1";

  std::vector<std::string> environment;
  environment.reserve(names.size());
  for (const auto& [name, value] : names) {
    environment.emplace_back(name).append("=").append(value);
  }
  return environment;
}

}  // namespace dspool::worker
