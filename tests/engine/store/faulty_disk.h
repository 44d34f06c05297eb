// The operating system's files, until a test says that they fail.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <atomic>
#include <cstdint>
#include <memory>

namespace dspool::store {

enum class Fault : std::uint8_t {
  kNone,
  kAppend,      // nothing can be written
  kTornAppend,  // half of it is written, and then it fails
  kSync,        // everything is written, and then nobody knows what is on the disk
  kNoSpace,     // the disk is full
  kRead,        // tables cannot be read
};

class FaultyDisk {
 public:
  FaultyDisk();
  ~FaultyDisk();

  [[nodiscard]] rocksdb::Env* env() const noexcept { return env_.get(); }
  // From here on; of the write-ahead log only, or of all files.
  void fail(Fault fault, bool only_log = false);
  void mend() { fail(Fault::kNone); }

 private:
  class Files;

  std::shared_ptr<Files> files_;
  std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace dspool::store
