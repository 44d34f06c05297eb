// What tools tell of a store, as JSON.
#include <fmt/format.h>

#include "dspool/store.h"
#include "engine/api/json_writer.h"
#include "engine/store/base64.h"
#include "engine/store/line_value.h"

namespace dspool {
namespace {

std::int64_t since_epoch_ms(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

void append_id(std::string& json, std::string_view id) {
  json.append(R"("id":)");
  append_json_string(json, id);
  if (!store::is_text(id)) json.append(R"(,"id_base64":")" + store::to_base64(id) + "\"");
}

std::string members(const StoredSessionInfo& info) {
  std::string json;
  append_id(json, info.id);
  json.append(fmt::format(R"(,"version":{},"fields":{},"bytes":{},"ttl_ms":{},"created_ms":{})",
                          info.version, info.fields, info.bytes, info.ttl.count(),
                          since_epoch_ms(info.created)));
  if (!info.damage.empty()) {
    json.append(",\"damage\":");
    append_json_string(json, info.damage);
  }
  return json;
}

}  // namespace

std::string StoredSessionInfo::to_json() const { return "{" + members(*this) + "}"; }

std::string StoredLanguageModel::to_json() const {
  return Value{{"model", model},
               {"provider", provider},
               {"api_base", api_base.empty() ? Value() : Value::of(api_base)},
               {"temperature", temperature ? Value::of(*temperature) : Value()},
               {"had_key", had_key}}
      .to_json();
}

std::string StoredSessionContent::to_json() const {
  return fmt::format(R"({{{},"operations":{},"answers":{},"language_model":{},"content":{}}})",
                     members(info), operations, answers,
                     language_model ? language_model->to_json() : "null", fields.to_json());
}

std::string StoreReport::to_json() const {
  std::string json = fmt::format(
      "{{\"sessions\":{},\"versions\":{{\"min\":{},\"max\":{}}},\"fields\":{},\"bytes\":{},"
      "\"damaged\":{},\"set_aside\":{},\"complete\":{}",
      sessions, versions_min, versions_max, fields, bytes, damaged.size(), set_aside.size(),
      complete);
  json.append(",\"damaged_sessions\":[");
  for (const Damaged& session : damaged) {
    json.append(&session == &damaged.front() ? "{" : ",{");
    append_id(json, session.id);
    json.append(",\"reason\":");
    append_json_string(json, session.reason);
    json.push_back('}');
  }
  json.append("],\"sessions_set_aside\":[");
  for (const std::string& id : set_aside) {
    json.append(&id == &set_aside.front() ? "{" : ",{");
    append_id(json, id);
    json.push_back('}');
  }
  json.append("]}");
  return json;
}

}  // namespace dspool
