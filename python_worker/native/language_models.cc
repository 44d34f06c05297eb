#include "python_worker/native/language_models.h"

#include <strings.h>

#include <cstring>
#include <vector>

#include "python_worker/native/gil.h"
#include "schemas/control_generated.h"

namespace dspool::python {
namespace {

pybind11::object text_or_none(const flatbuffers::String* text) {
  if (text == nullptr || text->size() == 0) return pybind11::none();
  return pybind11::str(text->data(), text->size());
}

}  // namespace

bool LanguageModels::receive_until(std::uint32_t version) {
  const GilRelease no_gil;
  const std::lock_guard lock(mutex_);
  while (version_.load(std::memory_order_relaxed) < version) {
    std::optional<std::vector<std::byte>> message = inbox_.take_language_model();
    if (!message) return false;
    const GilAcquire gil;
    hand_on(*message);
    ::explicit_bzero(message->data(), message->size());
  }
  return true;
}

void LanguageModels::hand_on(std::span<const std::byte> message) {
  const auto* model = flatbuffers::GetRoot<wire::LanguageModel>(message.data());
  const pybind11::object temperature = model->temperature() < 0
                                           ? pybind11::object(pybind11::none())
                                           : pybind11::float_(model->temperature());
  try {
    const pybind11::object report = host_.attr("set_language_model")(
        model->version(), text_or_none(model->model()), text_or_none(model->api_base()),
        text_or_none(model->api_key()), temperature);
    refusal_.reset();
    if (!report.is_none()) refusal_ = ErrorReport::from_python(report);
  } catch (pybind11::error_already_set& error) {
    // Only for what is no fault of the adapter's; its own were turned into a report.
    refusal_ = ErrorReport{.category = "python",
                           .code = "set_lm_failed",
                           .message = "the language model could not be handed to the adapter",
                           .exception_type = pybind11::str(error.type().attr("__name__")),
                           .traceback = {}};
  }
  version_.store(model->version(), std::memory_order_release);
}

}  // namespace dspool::python
