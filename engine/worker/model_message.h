// A language model on its way to a worker: a message of the control socket.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/worker/request.h"

namespace dspool::worker {

// A wire::LanguageModel. It has the key: whoever has sent it wipes it.
[[nodiscard]] std::vector<std::byte> encode_model_news(const ModelNews& news);

}  // namespace dspool::worker
