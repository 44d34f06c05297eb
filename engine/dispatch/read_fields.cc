#include "engine/dispatch/read_fields.h"

#include <chrono>
#include <new>
#include <utility>
#include <vector>

#include "engine/dispatch/errors.h"

namespace dspool::dispatch {
namespace {

std::vector<const session::Field*> find_fields(const Call& call) {
  const session::Record& record = call.session->record;
  std::vector<const session::Field*> found;
  if (call.all_keys) {
    for (const session::Field& field : record.fields()) found.push_back(&field);
    return found;
  }
  for (const std::string& key : call.keys) {
    if (const session::Field* field = record.find(key)) found.push_back(field);
  }
  return found;
}

Result<Value> assemble(const Call& call, const std::function<TimePoint()>& now) {
  const std::vector<const session::Field*> fields = find_fields(call);
  std::vector<Value> values;
  values.reserve(fields.size());
  for (const session::Field* field : fields) {
    if (now() >= call.deadline) {
      const auto timeout =
          std::chrono::ceil<std::chrono::milliseconds>(call.deadline - call.arrived);
      return tl::unexpected(errors::deadline_exceeded(timeout, false));
    }
    values.push_back(field->value());
  }
  std::vector<Value::Member> members;
  members.reserve(fields.size());
  for (std::size_t i = 0; i < fields.size(); ++i) members.emplace_back(fields[i]->key(), values[i]);
  return Value::map(members);
}

}  // namespace

Result<Value> read_fields(const Call& call, const std::function<TimePoint()>& now) {
  try {
    return assemble(call, now);
  } catch (const std::bad_alloc&) {  // it would leave the session in its reader's hands for ever
    return tl::unexpected(errors::no_memory_for_fields());
  }
}

}  // namespace dspool::dispatch
