#include "engine/worker/fork_codec.h"

#include <utility>

#include "engine/worker/verified_root.h"

namespace dspool::worker {

std::vector<std::byte> encode_fork_order(std::uint64_t epoch, std::span<const int> numbers) {
  flatbuffers::FlatBufferBuilder builder;
  const auto encoded = builder.CreateVector(numbers.data(), numbers.size());
  builder.Finish(wire::CreateForkOrder(builder, epoch, encoded));
  const auto bytes = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  return {bytes.begin(), bytes.end()};
}

Verified<ForkReport> decode_fork_report(std::span<const std::byte> body) {
  const auto* said = verified_root<wire::ForkReport>(body);
  if (said == nullptr) return tl::unexpected(Violation("a report that does not verify"));
  const bool of_server = said->epoch() == 0;
  ForkReport report{.word = said->word(), .epoch = said->epoch(), .error = {}, .status = {}};
  switch (said->word()) {
    case wire::ForkWord::ready:
      if (!of_server) return tl::unexpected(Violation("a ready of a worker"));
      return report;
    case wire::ForkWord::failed: {
      if (said->error() == nullptr) return tl::unexpected(Violation("a failure without an error"));
      auto error = error_from(*said->error());
      if (!error) return tl::unexpected(std::move(error.error()));
      report.error = std::move(*error);
      return report;
    }
    case wire::ForkWord::ended: {
      const bool known = said->code() >= 0;
      report.status = {.signalled = known && said->signalled(),
                       .code = known ? said->code() : ipc::ExitStatus::kUntold};
      break;
    }
    case wire::ForkWord::forked:
      break;
    default:
      return tl::unexpected(Violation("a report of an unknown kind"));
  }
  if (of_server) return tl::unexpected(Violation("a worker of epoch 0"));
  return report;
}

}  // namespace dspool::worker
