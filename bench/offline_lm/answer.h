// The offline model's answers: sentences about the words of the question, chosen by a hash. The
// same prompt gets the same answer, another one almost surely another.
#pragma once

#include <cstdint>
#include <string>

#include "bench/offline_lm/chat_request.h"

namespace dspool::offline_lm {

// The text of choice number `choice`: the fields that DSPy asked for, in the form in which it
// asked, or plain sentences.
[[nodiscard]] std::string answer_to(const ChatRequest& request, std::uint64_t seed,
                                    std::size_t choice = 0);

}  // namespace dspool::offline_lm
