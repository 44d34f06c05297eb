#include "python_worker/native/language_models.h"

#include <strings.h>

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

const HeldModel* LanguageModels::find_or_receive(std::uint64_t id) {
  const HeldModel* found = find(id);
  if (found == nullptr) {
    if (!receive_until(id)) return nullptr;
    found = find(id);
  }
  last_id_ = id;
  last_ = found;
  return found;
}

const HeldModel* LanguageModels::find(std::uint64_t id) {
  if (id == 0) return &none_;
  const auto found = held_.find(id);
  return found == held_.end() ? nullptr : &found->second;
}

bool LanguageModels::receive_until(std::uint64_t id) {
  const GilRelease no_gil;
  const std::lock_guard lock(mutex_);
  for (;;) {
    {
      const GilAcquire gil;
      if (held_.contains(id)) return true;
    }
    std::optional<std::vector<std::byte>> message = inbox_.take_language_model();
    if (!message) return false;
    const GilAcquire gil;
    hand_on(*message);
    ::explicit_bzero(message->data(), message->size());
  }
}

void LanguageModels::hand_on(std::span<const std::byte> message) {
  const auto* model = flatbuffers::GetRoot<wire::LanguageModel>(message.data());
  if (model->forget() != nullptr) {
    for (const std::uint64_t id : *model->forget()) forget(id);
  }
  const pybind11::object temperature = model->temperature() < 0
                                           ? pybind11::object(pybind11::none())
                                           : pybind11::float_(model->temperature());
  HeldModel held;
  try {
    const auto told = pybind11::cast<pybind11::tuple>(host_.attr("set_language_model")(
        model->version(), text_or_none(model->model()), text_or_none(model->api_base()),
        text_or_none(model->api_key()), temperature));
    held.model = told[0];
    if (!told[1].is_none()) held.refusal = ErrorReport::from_python(told[1]);
  } catch (pybind11::error_already_set& error) {
    // Only for what is no fault of the adapter's; its own were turned into a report.
    held.refusal = ErrorReport{.category = "python",
                               .code = "set_lm_failed",
                               .message = "the language model could not be handed to the adapter",
                               .exception_type = pybind11::str(error.type().attr("__name__")),
                               .traceback = {}};
  }
  held_.insert_or_assign(model->version(), std::move(held));
}

void LanguageModels::forget(std::uint64_t id) {
  if (id == last_id_) {
    last_id_ = 0;
    last_ = &none_;
  }
  held_.erase(id);
  try {
    host_.attr("forget_language_model")(id);
  } catch (pybind11::error_already_set& error) {
    error.discard_as_unraisable("forgetting a language model");
  }
}

}  // namespace dspool::python
