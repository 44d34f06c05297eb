#include "python_worker/native/session_fields.h"

#include <string_view>
#include <utility>

#include "python_worker/native/canonical_entry.h"
#include "python_worker/native/monotonic_clock.h"
#include "python_worker/native/session_list.h"
#include "python_worker/native/stored_value.h"

namespace dspool::python {
namespace {

constexpr std::size_t kMostKeptUnreadBytes = std::size_t{256} << 10;

using Object = pybind11::object;

Object steal(PyObject* object) { return pybind11::reinterpret_steal<Object>(object); }

ValueDecoder& decoder_of(SessionState& state) {
  if (!state.decoder) state.decoder = std::make_shared<ValueDecoder>();
  return *state.decoder;
}

void count_entry(SessionState& state, PyObject* entry) noexcept {
  if (is_stored_value(entry)) stored_value(entry).counted_bytes = held_bytes(stored_value(entry));
  state.bytes += counted_bytes(entry);
}

UnreadFields::Field* find_unread(const SessionState& state, PyObject* key) {
  if (!state.unread || !PyUnicode_Check(key)) return nullptr;
  Py_ssize_t length = 0;
  const char* text = PyUnicode_AsUTF8AndSize(key, &length);
  if (text == nullptr) PyErr_Clear();  // no field has such a key
  return text == nullptr ? nullptr : state.unread->find({text, static_cast<std::size_t>(length)});
}

// Null: there is none, or an error.
Object take_unread(SessionState& state, PyObject* key) {
  UnreadFields::Field* const field = find_unread(state, key);
  if (field == nullptr) return {};
  const std::uint64_t start_ns = now_ns();
  Object entry = steal(read_entry(state.unread->pieces(*field), decoder_of(state)));
  state.reading_ns += now_ns() - start_ns;
  if (!entry) return {};
  state.unread->mark_read(*field);
  count_entry(state, entry.ptr());
  return entry;
}

// A new reference; what a stored value becomes for the time of the command.
PyObject* lend_field(SessionState& state, PyObject* key, PyObject* entry) {
  const auto held = pybind11::reinterpret_borrow<Object>(entry);
  Object value = steal(lend(stored_value(entry), decoder_of(state)));
  if (!value || PyDict_SetItem(state.touched, key, entry) < 0 ||
      PyDict_SetItem(state.fields, key, value.ptr()) < 0) {
    return nullptr;
  }
  return value.release().ptr();
}

PyObject* look_up_unread(SessionState& state, PyObject* key) {
  Object entry = take_unread(state, key);
  if (!entry) return nullptr;
  if (is_stored_value(entry.ptr())) return lend_field(state, key, entry.ptr());
  if (PyDict_SetItem(state.fields, key, entry.ptr()) < 0) return nullptr;
  return entry.release().ptr();
}

// Of a subclass of str, only the text counts.
bool is_odd_text(PyObject* key) noexcept {
  return PyUnicode_Check(key) && !PyUnicode_CheckExact(key);
}

// Remembers what a key held before the command first changed it (S2).
bool touch(SessionState& state, PyObject* key) {
  PyObject* const touched = PyDict_GetItemWithError(state.touched, key);
  if (touched != nullptr) {
    // What was lent is not the session's any more, whatever comes back later.
    if (is_stored_value(touched)) stored_value(touched).lent = nullptr;
    return true;
  }
  if (PyErr_Occurred()) return false;
  PyObject* held = PyDict_GetItemWithError(state.fields, key);
  Object unread;
  if (held == nullptr && !PyErr_Occurred()) {
    unread = take_unread(state, key);
    held = unread ? unread.ptr() : Py_Ellipsis;
  }
  return !PyErr_Occurred() && PyDict_SetItem(state.touched, key, held) == 0;
}

// What rolling back keeps of a list that was lent: itself without what was appended, or nothing.
void take_back(StoredValue& stored, PyObject* now) {
  const bool is_lent = now != nullptr && std::exchange(stored.lent, nullptr) == now;
  if (!is_lent || Py_REFCNT(now) != 1 || !has_only_grown(session_list(now))) return;
  if (!take_back_growth(now)) {
    PyErr_Clear();  // the encoding is enough
    return;
  }
  confirm(now);
  stored.list = Py_NewRef(now);
}

}  // namespace

PyObject* look_up(SessionState& state, PyObject* key) {
  if (is_odd_text(key)) {
    const Object text = steal(PyUnicode_FromObject(key));
    return text ? look_up(state, text.ptr()) : nullptr;
  }
  PyObject* const entry = PyDict_GetItemWithError(state.fields, key);
  if (entry == nullptr) {
    const bool may_be_unread = state.unread && PyUnicode_Check(key) && !PyErr_Occurred();
    return may_be_unread ? look_up_unread(state, key) : nullptr;
  }
  if (is_scalar(entry)) return Py_NewRef(entry);
  if (is_stored_value(entry)) return lend_field(state, key, entry);
  if (is_session_list(entry)) hand_out(session_list(entry));
  return Py_NewRef(entry);
}

int has_field(const SessionState& state, PyObject* key) {
  if (is_odd_text(key)) {
    const Object text = steal(PyUnicode_FromObject(key));
    return text ? has_field(state, text.ptr()) : -1;
  }
  const int found = PyDict_Contains(state.fields, key);
  return found == 0 && find_unread(state, key) != nullptr ? 1 : found;
}

Py_ssize_t count_fields(const SessionState& state) noexcept {
  const std::size_t unread = state.unread ? state.unread->size() : 0;
  return PyDict_GET_SIZE(state.fields) + static_cast<Py_ssize_t>(unread);
}

PyObject* sorted_keys(SessionState& state) {
  Object keys = steal(PyDict_Keys(state.fields));
  if (!keys) return nullptr;
  const auto add = [&](std::string_view name) {
    const Object key = steal(decoder_of(state).key(name));
    return key && PyList_Append(keys.ptr(), key.ptr()) == 0;
  };
  if (state.unread && !state.unread->each_key(add)) return nullptr;
  return PyList_Sort(keys.ptr()) < 0 ? nullptr : keys.release().ptr();
}

bool set_field(SessionState& state, PyObject* key, PyObject* value) {
  if (value != nullptr && PyList_Check(value) && is_session_list(value) &&
      PyDict_GetItemWithError(state.fields, key) == value) {
    notice_assignment(value);
    return true;
  }
  if (!touch(state, key)) return false;
  if (value != nullptr) return PyDict_SetItem(state.fields, key, value) == 0;
  const int found = PyDict_Contains(state.fields, key);
  return found == 0 || (found == 1 && PyDict_DelItem(state.fields, key) == 0);
}

void load_fields(SessionState& state, std::unique_ptr<UnreadFields> fields) {
  if (fields->size() != 0) state.unread = std::move(fields);
}

std::unique_ptr<UnreadFields> clear_fields(SessionState& state) noexcept {
  PyDict_Clear(state.fields);
  PyDict_Clear(state.touched);
  state.bytes = 0;
  state.unread_bytes = 0;
  return std::move(state.unread);
}

bool keep_unread_fields(SessionState& state) {
  if (!state.unread) return true;
  if (state.unread->size() == 0) {
    state.bytes -= std::exchange(state.unread_bytes, 0);
    state.unread.reset();
    return true;
  }
  if (!state.unread->keep(kMostKeptUnreadBytes)) return false;
  state.bytes -= state.unread_bytes;
  state.unread_bytes = state.unread->held_bytes();
  state.bytes += state.unread_bytes;
  return true;
}

bool roll_back(SessionState& state) {
  Py_ssize_t position = 0;
  PyObject* key = nullptr;
  PyObject* before = nullptr;
  while (PyDict_Next(state.touched, &position, &key, &before)) {
    if (before == Py_Ellipsis) {
      if (PyDict_Contains(state.fields, key) == 1 && PyDict_DelItem(state.fields, key) < 0) {
        return false;
      }
      continue;
    }
    if (is_stored_value(before)) take_back(stored_value(before), PyDict_GetItem(state.fields, key));
    if (!store_entry(state, key, before, before)) return false;
  }
  PyDict_Clear(state.touched);
  return true;
}

bool store_entry(SessionState& state, PyObject* key, PyObject* before, PyObject* entry) {
  discount_entry(state, before);
  if (PyDict_SetItem(state.fields, key, entry) < 0) return false;
  count_entry(state, entry);
  return true;
}

void discount_entry(SessionState& state, PyObject* before) noexcept {
  state.bytes -= counted_bytes(before);
}

}  // namespace dspool::python
