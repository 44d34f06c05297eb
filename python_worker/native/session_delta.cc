#include "python_worker/native/session_delta.h"

#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "ipc/layout.h"
#include "python_worker/native/canonical_entry.h"
#include "python_worker/native/session_fields.h"
#include "python_worker/native/session_list.h"
#include "python_worker/native/stored_value.h"

namespace dspool::python {
namespace {

// The bytes of a key that may leave this process: UTF-8 without NUL, as the encoder demands of the
// keys of a dict.
std::optional<std::string_view> sendable_text(PyObject* key) {
  Py_ssize_t length = 0;
  const char* text = PyUnicode_AsUTF8AndSize(key, &length);
  if (text == nullptr) {
    PyErr_Clear();
    return std::nullopt;
  }
  const std::string_view view(text, static_cast<std::size_t>(length));
  if (view.find('\0') != std::string_view::npos) return std::nullopt;
  return view;
}

// Whether a list that was lent may go on living: nobody else has it, nor anything in it that could
// be changed in place.
bool can_keep_list(PyObject* before, PyObject* now) {
  return is_stored_value(before) && stored_value(before).lent == now && Py_REFCNT(now) == 1 &&
         (has_only_grown(session_list(now)) || has_only_plain_items(now, 0));
}

}  // namespace

bool SessionDelta::collect(const SessionState& state, ValueEncoder& encoder) {
  changes_.clear();
  encodings_.clear();
  error_.clear();
  count_ = 0;
  FieldComparison comparison(encoder, *state.decoder);
  Py_ssize_t position = 0;
  PyObject* key = nullptr;
  PyObject* before = nullptr;
  while (PyDict_Next(state.touched, &position, &key, &before)) {
    PyObject* now = PyDict_GetItemWithError(state.fields, key);
    if (now == nullptr && PyErr_Occurred()) return false;
    if (!compare(key, before, now, comparison, encoder)) return false;
  }
  return true;
}

bool SessionDelta::compare(PyObject* key, PyObject* before, PyObject* now,
                           FieldComparison& comparison, ValueEncoder& encoder) {
  Change& change = changes_.emplace_back();
  change.key = pybind11::reinterpret_borrow<pybind11::object>(key);
  change.before = pybind11::reinterpret_borrow<pybind11::object>(before);
  if (now == nullptr) {
    if (before == Py_Ellipsis) return true;
    change.kind = Kind::kDelete;
    ++count_;
    return sendable_text(key) || refuse(key, nullptr);
  }
  const Outcome outcome = is_stored_value(before) ? comparison.compare(stored_value(before), now)
                                                  : comparison.compare(before, now);
  if (outcome == Outcome::kFailed) return false;
  if (outcome != Outcome::kSame && !sendable_text(key)) return refuse(key, nullptr);
  if (outcome == Outcome::kRefused) return refuse(key, &encoder);
  return take(change, outcome, now, encoder);
}

bool SessionDelta::take(Change& change, Outcome outcome, PyObject* now, ValueEncoder& encoder) {
  change.keeps_list = outcome != Outcome::kChanged && can_keep_list(change.before.ptr(), now);
  if (outcome == Outcome::kSame) {
    change.entry = change.before;
    return true;
  }
  const std::span<const std::uint8_t> encoding = encoder.bytes();
  change.offset = encodings_.size();
  change.length = encoding.size();
  encodings_.insert(encodings_.end(), encoding.begin(), encoding.end());
  ++count_;
  if (outcome == Outcome::kGrown) {
    change.kind = Kind::kAppend;
    const bool is_list = is_stored_value(change.before.ptr());
    change.entry = is_list ? change.before : pybind11::reinterpret_borrow<pybind11::object>(now);
    return true;
  }
  change.kind = Kind::kPut;
  change.entry = pybind11::reinterpret_steal<pybind11::object>(canonical_entry(now, encoding));
  return static_cast<bool>(change.entry);
}

// `encoder` null: it is the key that cannot be sent.
bool SessionDelta::refuse(PyObject* key, const ValueEncoder* encoder) {
  error_ = encoder == nullptr
               ? "session has a key with a NUL character or a lone surrogate: use other keys"
               : encoder->error("session[\"" + std::string(*sendable_text(key)) + "\"]");
  return false;
}

std::span<const std::uint8_t> SessionDelta::encoding(const Change& change) const noexcept {
  return std::span(encodings_).subspan(change.offset, change.length);
}

flatbuffers::Offset<wire::Delta> SessionDelta::write(
    flatbuffers::FlatBufferBuilder& builder) const {
  std::vector<flatbuffers::Offset<wire::Field>> puts;
  std::vector<flatbuffers::Offset<wire::Field>> appends;
  std::vector<flatbuffers::Offset<flatbuffers::String>> deletes;
  for (const Change& change : changes_) {
    if (change.kind == Kind::kSame) continue;
    const std::string_view text = *sendable_text(change.key.ptr());
    if (change.kind == Kind::kDelete) {
      deletes.push_back(builder.CreateString(text.data(), text.size()));
      continue;
    }
    builder.ForceVectorAlignment(change.length, sizeof(std::uint8_t), ipc::kValueAlignment);
    const auto value = builder.CreateVector(encodings_.data() + change.offset, change.length);
    auto& fields = change.kind == Kind::kPut ? puts : appends;
    fields.push_back(
        wire::CreateField(builder, builder.CreateString(text.data(), text.size()), value));
  }
  const auto sorted_puts = puts.empty() ? 0 : builder.CreateVectorOfSortedTables(&puts);
  const auto all_deletes = deletes.empty() ? 0 : builder.CreateVector(deletes);
  const auto sorted_appends = appends.empty() ? 0 : builder.CreateVectorOfSortedTables(&appends);
  return wire::CreateDelta(builder, sorted_puts, all_deletes, sorted_appends);
}

bool SessionDelta::settle(SessionState& state) {
  for (const Change& change : changes_) {
    if (is_stored_value(change.before.ptr())) settle_stored(change, state);
    if (!change.entry) {
      discount_entry(state, change.before.ptr());
    } else if (!store_entry(state, change.key.ptr(), change.before.ptr(), change.entry.ptr())) {
      return false;
    }
  }
  PyDict_Clear(state.touched);
  changes_.clear();
  return true;
}

// What the session keeps of a value that it had lent.
void SessionDelta::settle_stored(const Change& change, SessionState& state) const {
  StoredValue& stored = stored_value(change.before.ptr());
  PyObject* const lent = const_cast<PyObject*>(std::exchange(stored.lent, nullptr));
  const bool has_grown = change.kind == Kind::kAppend;
  if (has_grown) stored.encoding.append(encoding(change));
  if (!change.keeps_list) return;
  if (has_grown && !store_growth(lent, encoding(change), *state.decoder)) {
    PyErr_Clear();  // the encoding is enough
    return;
  }
  confirm(lent);
  stored.list = Py_NewRef(lent);
}

}  // namespace dspool::python
