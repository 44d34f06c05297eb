#include "engine/store/log_merge.h"

#include <numeric>
#include <string>

namespace dspool::store {
namespace {

// Puts together as many parts as there are at once: one by one, each would be copied once for
// every part that follows it.
template <typename Parts>
void append_all(const Parts& parts, std::string& to) {
  to.reserve(std::accumulate(
      parts.begin(), parts.end(), to.size(),
      [](std::size_t sum, const rocksdb::Slice& part) { return sum + part.size(); }));
  for (const rocksdb::Slice& part : parts) to.append(part.data(), part.size());
}

// NOLINTBEGIN(readability-identifier-naming): RocksDB's names
class LogMerge final : public rocksdb::MergeOperator {
 public:
  [[nodiscard]] const char* Name() const override { return "dspool.log"; }

  bool FullMergeV2(const MergeOperationInput& in, MergeOperationOutput* out) const override {
    out->new_value.clear();
    if (in.existing_value != nullptr) {
      out->new_value.assign(in.existing_value->data(), in.existing_value->size());
    }
    append_all(in.operand_list, out->new_value);
    return true;
  }

  bool PartialMergeMulti(const rocksdb::Slice& /*key*/, const std::deque<rocksdb::Slice>& parts,
                         std::string* whole, rocksdb::Logger* /*logger*/) const override {
    whole->clear();
    append_all(parts, *whole);
    return true;
  }
};
// NOLINTEND(readability-identifier-naming)

}  // namespace

std::shared_ptr<rocksdb::MergeOperator> make_log_merge() { return std::make_shared<LogMerge>(); }

}  // namespace dspool::store
