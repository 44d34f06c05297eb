#include "tests/chaos/driver/json_lines.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "dspool/value.h"

namespace dspool::chaos {

JsonObject& JsonObject::number(std::string_view name, std::int64_t value) {
  return raw(name, std::to_string(value));
}

JsonObject& JsonObject::text(std::string_view name, std::string_view value) {
  return raw(name, Value::of(value).to_json());
}

JsonObject& JsonObject::raw(std::string_view name, std::string_view json) {
  out_.append(out_.empty() ? "{\"" : ",\"").append(name).append("\":").append(json);
  return *this;
}

std::string JsonObject::take() && {
  if (out_.empty()) out_ = "{";
  out_.push_back('}');
  return std::move(out_);
}

JsonLines::JsonLines(const std::filesystem::path& path)
    : descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), path.string());
}

JsonLines::~JsonLines() {
  if (!kept_.empty() && !write_now(kept_)) std::fputs("some evidence was not written\n", stderr);
  ::close(descriptor_);
}

void JsonLines::write(std::string line) const {
  line.push_back('\n');
  const std::lock_guard lock(mutex_);
  if (!kept_.empty()) line.insert(0, std::exchange(kept_, {}));
  if (!write_now(line)) kept_ = std::move(line);
}

bool JsonLines::write_now(const std::string& lines) const {
  if (::write(descriptor_, lines.data(), lines.size()) == static_cast<ssize_t>(lines.size())) {
    return true;
  }
  if (errno == EFBIG) return false;
  std::perror("the evidence could not be written");
  std::_Exit(3);
}

}  // namespace dspool::chaos
