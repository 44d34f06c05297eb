#include "engine/cli/python_tree.h"

#include <filesystem>
#include <system_error>

namespace dspool::cli {

std::vector<std::string> python_tree() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return {};
  const std::filesystem::path prefix = program.parent_path().parent_path();
  for (const char* const place : {"python", DSPOOL_PYTHON_INSTALL_DIR}) {
    const std::filesystem::path tree = prefix / place;
    if (std::filesystem::exists(tree / "dspool_worker", error)) return {tree.string()};
  }
  return {};
}

}  // namespace dspool::cli
