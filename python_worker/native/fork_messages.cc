#include "python_worker/native/fork_messages.h"

#include <cstddef>
#include <cstring>

#include "schemas/fork_generated.h"

namespace dspool::python {
namespace {

std::string finished(flatbuffers::FlatBufferBuilder& builder,
                     flatbuffers::Offset<wire::ForkReport> report) {
  builder.Finish(report);
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

}  // namespace

ForkOrder read_fork_order(std::string_view order) {
  std::vector<std::max_align_t> aligned(order.size() / sizeof(std::max_align_t) + 1);
  std::memcpy(aligned.data(), order.data(), order.size());
  const auto* read = flatbuffers::GetRoot<wire::ForkOrder>(aligned.data());
  return {.epoch = read->epoch(), .numbers = {read->numbers()->begin(), read->numbers()->end()}};
}

std::string fork_ready() {
  flatbuffers::FlatBufferBuilder builder;
  return finished(builder, wire::CreateForkReport(builder, wire::ForkWord::ready));
}

std::string fork_done(std::uint64_t epoch) {
  flatbuffers::FlatBufferBuilder builder;
  return finished(builder, wire::CreateForkReport(builder, wire::ForkWord::forked, epoch));
}

std::string fork_failed(std::uint64_t epoch, const ErrorReport& report) {
  flatbuffers::FlatBufferBuilder builder;
  const auto error = report.write(builder);
  return finished(builder, wire::CreateForkReport(builder, wire::ForkWord::failed, epoch, error));
}

std::string fork_ended(std::uint64_t epoch, bool signalled, int code) {
  flatbuffers::FlatBufferBuilder builder;
  return finished(
      builder, wire::CreateForkReport(builder, wire::ForkWord::ended, epoch, 0, signalled, code));
}

}  // namespace dspool::python
