#include "python_worker/native/process_name.h"

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

namespace dspool::python {
namespace {

struct Room {
  char* begin = nullptr;
  std::size_t bytes = 0;
};

// proc(5): fields 48 and 49 of /proc/PID/stat, of which the second may contain anything.
Room arguments_room() {
  constexpr int kFirstAfterName = 3;
  constexpr int kArgStart = 48;
  std::ifstream file("/proc/self/stat");
  const std::string stat{std::istreambuf_iterator<char>(file), {}};
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream fields(stat.substr(name_end + 1));
  std::string skipped;
  for (int field = kFirstAfterName; field < kArgStart; ++field) fields >> skipped;
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  if (!(fields >> begin >> end) || begin == 0 || end < begin) return {};
  return {.begin = reinterpret_cast<char*>(begin), .bytes = end - begin};
}

}  // namespace

void rename_process(const std::vector<std::string>& arguments) {
  std::string text;
  for (const std::string& argument : arguments) text += argument + '\0';
  const Room room = arguments_room();
  if (text.size() > room.bytes) return;
  std::memcpy(room.begin, text.data(), text.size());
  std::memset(room.begin + text.size(), 0, room.bytes - text.size());
}

}  // namespace dspool::python
