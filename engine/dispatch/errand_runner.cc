#include "engine/dispatch/errand_runner.h"

#include <algorithm>
#include <string>
#include <utility>

#include "engine/api/json_writer.h"
#include "engine/store/stored_record.h"
#include "ipc/kill_point.h"

namespace dspool::dispatch {
namespace {

constexpr std::size_t kKeptBytes = std::size_t{4} << 20;  // from one group to the next

store::SnapshotView snapshot_of(const Errand& errand) {
  const session::Session& session = *errand.session;
  const session::Record& record = session.record;
  store::SnapshotView view{.version = record.version(),
                           .state_id = record.state_id(),
                           .operations = session.operations,
                           .fields = {},
                           .answers = session.answers.get(),
                           .model = errand.model ? &*errand.model : nullptr};
  view.fields.reserve(record.fields().size());
  for (const session::Field& field : record.fields()) {
    store::FieldView& into = view.fields.emplace_back();
    into.key = field.key();
    into.base = field.base();
    for (const session::Field::Chunk& chunk : field.chunks()) {
      into.appended.push_back(chunk.bytes());
    }
  }
  return view;
}

store::StoredTerms terms_of(const Errand& errand) {
  const session::Session& session = *errand.session;
  return {.ttl = errand.anew ? errand.anew->ttl : session.ttl,
          .created = errand.anew ? errand.anew->created : session.created};
}

}  // namespace

bool ErrandRunner::write(std::span<Errand* const> group) {
  records_.clear();
  encoded_.clear();
  bool all_parked = true;
  for (Errand* errand : group) {
    encode(*errand);
    all_parked = all_parked && errand->kind == Errand::Kind::kPark;
  }
  ipc::kill_point("commit.encoded");
  std::vector<store::StoredTerms> terms(encoded_.size());
  std::vector<store::Write> writes;
  writes.reserve(encoded_.size());
  for (std::size_t i = 0; i < encoded_.size(); ++i) {
    const Encoded& each = encoded_[i];
    terms[i] = terms_of(*each.errand);
    writes.push_back({.kind = each.kind,
                      .session = each.errand->session->id(),
                      .records = std::span(records_).subspan(each.offset, each.bytes),
                      .terms = &terms[i]});
  }
  const auto written =
      durable_.write(owner_, writes, all_parked ? store::Sync::kNo : store::Sync::kYes);
  ipc::kill_point("commit.written");
  for (Errand* errand : group) {
    errand->end = written ? Errand::End::kDone : Errand::End::kUnknown;
    if (!written) errand->error = written.error();
  }
  if (written) {
    for (const Encoded& each : encoded_) each.errand->log_bytes = each.bytes;
  }
  if (records_.capacity() > kKeptBytes) std::vector<std::byte>().swap(records_);
  return written.has_value();
}

void ErrandRunner::encode(Errand& errand) {
  using Kind = store::Write::Kind;
  const auto add = [&](Kind kind, std::size_t offset) {
    encoded_.push_back({kind, &errand, offset, records_.size() - offset});
  };
  const std::size_t offset = records_.size();
  switch (errand.kind) {
    case Errand::Kind::kLoad:
      break;
    case Errand::Kind::kBegin:
      add(Kind::kBegin, offset);
      break;
    case Errand::Kind::kCommit:
      if (errand.begins) add(Kind::kBegin, offset);
      encode_records(errand);
      add(errand.snapshots ? Kind::kReplace : Kind::kAppend, offset);
      break;
    case Errand::Kind::kPark:
      store::append_snapshot(snapshot_of(errand), records_);
      add(Kind::kPark, offset);
      break;
    case Errand::Kind::kRemove:
      add(Kind::kRemove, offset);
      break;
    case Errand::Kind::kExpire:
      add(Kind::kExpire, offset);
      break;
  }
}

void ErrandRunner::encode_records(const Errand& errand) {
  const session::Session& session = *errand.session;
  const bool changes = errand.changes_session();
  const session::ModelReference none;
  const session::ModelReference* const set = errand.model ? &*errand.model : &none;
  if (errand.snapshots) store::append_snapshot(snapshot_of(errand), records_);
  store::append_commit({.version = session.record.version() + (changes ? 1 : 0),
                        .state_id = changes ? errand.state_id : session.record.state_id(),
                        .operations = session.operations + 1,
                        .delta = changes ? &errand.delta : nullptr,
                        .answer = errand.answer ? &*errand.answer : nullptr,
                        .model = errand.sets_model ? set : nullptr},
                       records_);
}

Result<void> ErrandRunner::recover() { return durable_.recover(); }

bool ErrandRunner::settle(Errand& errand) {
  const std::string_view id = errand.session->id();
  const auto stored = durable_.read(id);
  if (!stored) return give_verdict(errand, stored.error());
  bool done = false;
  if (*stored && errand.kind == Errand::Kind::kBegin) {
    // Otherwise they are those of the session before.
    const store::StoredTerms expected = terms_of(errand);
    const store::StoredTerms& found = *(*stored)->terms;
    done = (*stored)->log.empty() && found.ttl == expected.ttl && found.created == expected.created;
  } else if (*stored) {
    const auto state = store::read_log(std::as_bytes(std::span((*stored)->log)));
    if (!state) return give_verdict(errand, state.error());
    const auto is_it = [&](const session::StoredAnswer& answer) {
      return answer.key == errand.answer->key && answer.asked == errand.answer->asked;
    };
    done = errand.changes_session() ? state->state_id == errand.state_id &&
                                          state->version == errand.session->record.version() + 1
                                    : std::ranges::any_of(state->answers, is_it);
  }
  errand.end = done ? Errand::End::kDone : Errand::End::kNot;
  return true;
}

// What cannot be read is set aside. false: that may be different another time.
bool ErrandRunner::give_verdict(Errand& errand, const Error& error) {
  if (error.code != "session_corrupted") return false;
  const std::string_view id = errand.session->id();
  const auto aside = durable_.set_aside(owner_, id);  // or the next time
  std::string name;
  append_json_string(name, id);
  log_.error("the session {} cannot be read{}: {}", name, aside ? ", and is set aside" : "",
             error.message);
  errand.end = Errand::End::kCorrupted;
  errand.error = error;
  return true;
}

void ErrandRunner::load(Errand& errand) {
  const std::string_view id = errand.session->id();
  const auto fail = [&](Error error) {
    errand.end = Errand::End::kNot;
    errand.error = std::move(error);
  };
  auto stored = durable_.read(id);
  if (!stored) {
    if (!give_verdict(errand, stored.error())) fail(std::move(stored.error()));
    return;
  }
  if (!*stored) {
    errand.end = durable_.expired(id) ? Errand::End::kExpired : Errand::End::kAbsent;
    return;
  }
  auto state = store::read_log(std::as_bytes(std::span((*stored)->log)));
  if (!state) {
    if (!give_verdict(errand, state.error())) fail(std::move(state.error()));
    return;
  }
  std::vector<session::LoadedField> fields;
  fields.reserve(state->fields.size());
  for (const store::StoredField& field : state->fields) {
    fields.push_back({.key = field.key, .base = field.base, .appended = field.appended});
  }
  if (!errand.record.replace(state->version, state->state_id, fields, segment_,
                             session::hash_session_id(id))) {
    errand.end = Errand::End::kNoMemory;
    return;
  }
  errand.terms = (*stored)->terms;
  errand.operations = state->operations;
  errand.model = std::move(state->model);
  errand.log_bytes = (*stored)->log.size();
  for (session::StoredAnswer& answer : state->answers) {
    if (!errand.answers) errand.answers = std::make_unique<session::StoredAnswers>();
    answer.stored = {};
    errand.answers->store(std::move(answer));
  }
  errand.end = Errand::End::kDone;
}

}  // namespace dspool::dispatch
