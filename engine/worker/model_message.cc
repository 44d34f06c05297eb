#include "engine/worker/model_message.h"

#include <strings.h>

#include "schemas/control_generated.h"

namespace dspool::worker {

std::vector<std::byte> encode_model_news(const ModelNews& news) {
  const LanguageModel& model = *news.model;
  // Large enough, so that no buffer with the key is left behind when it grows.
  constexpr std::size_t kTable = 256;
  flatbuffers::FlatBufferBuilder builder(kTable + model.model.size() + model.api_base.size() +
                                         news.key.size() +
                                         news.forget.size() * sizeof(std::uint64_t));
  const auto name = builder.CreateString(model.model);
  const auto base = builder.CreateString(model.api_base);
  const auto key = builder.CreateString(news.key);
  const auto forget = builder.CreateVector(news.forget.data(), news.forget.size());
  builder.Finish(wire::CreateLanguageModel(builder, news.id, name, base, key,
                                           model.temperature.value_or(-1), forget));
  const auto bytes = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  std::vector<std::byte> message(bytes.begin(), bytes.end());
  ::explicit_bzero(builder.GetBufferPointer(), builder.GetSize());
  return message;
}

}  // namespace dspool::worker
