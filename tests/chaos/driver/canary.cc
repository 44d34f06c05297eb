#include "tests/chaos/driver/canary.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <string_view>
#include <utility>

#include "tests/chaos/driver/leftovers.h"

namespace dspool::chaos {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{1} << 20;

// The memory files among the links in a folder of /proc/self, as paths by which they can be opened.
std::vector<std::filesystem::path> memory_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> found;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator(folder, gone)) {
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (target.starts_with("/memfd:") || target.starts_with("/dev/shm/")) {
      found.push_back(entry.path());
    }
  }
  return found;
}

}  // namespace

Canary::Canary(std::uint64_t seed)
    : text_("sk-canary-" + std::to_string(seed) + "-" + std::to_string(seed * 2654435761U)) {}

std::vector<std::string> Canary::find_in_shared_memory() const {
  std::vector<std::string> places;
  std::set<std::pair<dev_t, ino_t>> seen;
  // What is mapped only a privileged process may open.
  for (const char* const folder : {"/proc/self/fd", "/proc/self/map_files"}) {
    for (const std::filesystem::path& path : memory_files(folder)) {
      const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
      if (descriptor < 0) continue;
      struct stat status {};
      ::fstat(descriptor, &status);
      std::error_code gone;
      if (seen.emplace(status.st_dev, status.st_ino).second && is_in_descriptor(descriptor)) {
        places.push_back(std::filesystem::read_symlink(path, gone).string());
      }
      ::close(descriptor);
    }
  }
  return places;
}

std::vector<std::string> Canary::find_in_processes() const {
  std::vector<std::string> places;
  auto processes = living_by_number();
  processes.emplace(::getpid(), "this process");
  for (const auto& [pid, name] : processes) {
    for (const char* const part : {"environ", "cmdline"}) {
      const auto path = std::filesystem::path("/proc") / std::to_string(pid) / part;
      if (is_in_file(path)) places.push_back(std::string(part) + " of " + name);
    }
  }
  return places;
}

std::vector<std::string> Canary::find_in_files(const std::filesystem::path& folder) const {
  std::vector<std::string> places;
  std::error_code gone;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, gone)) {
    if (entry.is_regular_file(gone) && is_in_file(entry.path())) {
      places.push_back(std::filesystem::relative(entry.path(), folder, gone).string());
    }
  }
  return places;
}

bool Canary::is_in_file(const std::filesystem::path& path) const {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;  // it is not for us, or gone
  const bool found = is_in_descriptor(descriptor);
  ::close(descriptor);
  return found;
}

// Holes are left out: most of a memory file is one.
bool Canary::is_in_descriptor(int descriptor) const {
  std::string kept;  // the end of what was read: the text may lie across two reads
  std::string chunk(kChunkBytes, '\0');
  for (off_t at = 0;;) {
    const off_t data = ::lseek(descriptor, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) return false;  // nothing but a hole is left
    if (data > at) {
      at = data;
      kept.clear();
    }
    const ssize_t size = ::pread(descriptor, chunk.data(), chunk.size(), at);
    if (size <= 0) return false;
    kept.append(chunk, 0, static_cast<std::size_t>(size));
    if (kept.find(text_) != std::string::npos) return true;
    if (kept.size() > text_.size()) kept.erase(0, kept.size() - text_.size());
    at += size;
  }
}

}  // namespace dspool::chaos
