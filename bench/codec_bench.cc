// What do the engine's half of the encoding, and its distrust of workers, cost a call?
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bench/latencies.h"
#include "bench/workload.h"
#include "engine/session/record.h"
#include "engine/worker/codec.h"
#include "ipc/state_segment.h"
#include "schemas/envelope_generated.h"

namespace dspool::bench {
namespace {

constexpr std::uint64_t kAnyEpoch = 1;

// As a worker answers `echo`.
std::vector<std::byte> encode_response(const Value& result) {
  flatbuffers::FlatBufferBuilder builder;
  builder.ForceVectorAlignment(result.bytes().size(), sizeof(std::uint8_t), sizeof(std::uint64_t));
  const auto value = builder.CreateVector(result.bytes().data(), result.bytes().size());
  wire::ResponseBuilder response(builder);
  response.add_epoch(kAnyEpoch);
  response.add_service_ns(2'000);
  response.add_result(value);
  response.add_attempt(1);
  builder.Finish(response.Finish());
  const auto bytes = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  return {bytes.begin(), bytes.end()};
}

void BM_Codec_Encode(benchmark::State& state) {
  const Value args = five_fields();
  const std::string session = session_name(0);
  const session::Record record;
  worker::RequestEncoder encoder;
  std::uint64_t request_id = 0;
  Latencies::time_in_batches(state, [&] {
    encoder.refer_to(record);
    const auto body = encoder.encode({.request_id = ++request_id,
                                      .command = "echo",
                                      .args = args.bytes(),
                                      .session = session,
                                      .attempt = 1,
                                      .state = &record,
                                      .deadline = {}});
    benchmark::DoNotOptimize(body.data());
  });
}
BENCHMARK(BM_Codec_Encode);

// What a cold worker is told of a session of 16 fields of 1 KiB.
void BM_Codec_EncodeReferences(benchmark::State& state) {
  const Value field = Value::of(std::string(1024, 'x'));
  ipc::StateSegment segment(std::size_t{16} << 20);
  session::Record record;
  session::Delta delta;
  std::vector<std::string> keys;
  for (int i = 10; i < 26; ++i) keys.push_back("field-" + std::to_string(i));
  for (const std::string& key : keys) delta.puts.push_back({.key = key, .value = field.bytes()});
  record.apply(delta, record.stage(delta, segment, 0).value(), 1);
  const Value args = five_fields();
  const std::string session = session_name(0);
  worker::RequestEncoder encoder;
  std::uint64_t request_id = 0;
  Latencies::time_in_batches(state, [&] {
    const auto body = encoder.encode({.request_id = ++request_id,
                                      .command = "echo",
                                      .args = args.bytes(),
                                      .session = session,
                                      .attempt = 1,
                                      .state = &record,
                                      .hydrate = true,
                                      .deadline = {}});
    benchmark::DoNotOptimize(body.data());
  });
}
BENCHMARK(BM_Codec_EncodeReferences);

void BM_Codec_Decode(benchmark::State& state) {
  const std::vector<std::byte> body = encode_response(five_fields());
  worker::Outcome outcome;
  Latencies::time_in_batches(state, [&] {
    if (!worker::decode_response(body, kAnyEpoch, outcome)) {
      state.SkipWithError("it does not verify");
      return;
    }
    // As the dispatcher takes it: the result is the caller's, and the next one needs a new buffer.
    Value answer = Value::from_verified(std::move(outcome.result));
    benchmark::DoNotOptimize(answer);
  });
}
BENCHMARK(BM_Codec_Decode);

}  // namespace
}  // namespace dspool::bench
