// Who uses a store's directory, in the file HOLDER in it: locked for as long as it is used, by the
// kernel, so that nobody who died holds anything; what stands in it is for people.
//
// One engine alone, or any number of those who only read what no engine uses.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "dspool/error.h"
#include "ipc/file_descriptor.h"

namespace dspool::store {

class Holder {
 public:
  enum class Use : std::uint8_t { kAlone, kReading };

  // Errors: initialization / "store_in_use", by name; "store_unreadable".
  static Result<Holder> take(const std::filesystem::path& directory, Use use);

 private:
  explicit Holder(ipc::FileDescriptor file) noexcept : file_(std::move(file)) {}

  ipc::FileDescriptor file_;
};

}  // namespace dspool::store
