// A directory for a store, below the current one: on a disk, where a temporary one is often memory.
// Empty at first, and gone with this.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

namespace dspool::bench {

class StoreDirectory {
 public:
  StoreDirectory() : path_(fmt::format("dspool-bench-{}.store", ::getpid())) { clear(); }
  ~StoreDirectory() { clear(); }
  StoreDirectory(const StoreDirectory&) = delete;
  StoreDirectory& operator=(const StoreDirectory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  void clear() const { std::filesystem::remove_all(path_); }

  const std::filesystem::path path_;
};

}  // namespace dspool::bench
