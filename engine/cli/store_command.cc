#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>

#include "bench/loadtest/console.h"
#include "dspool/store.h"
#include "engine/cli/command.h"
#include "engine/cli/interrupt.h"

namespace dspool::cli {
namespace {

constexpr const char* kStoreFooter =
    "DIR is the directory that an engine was given for its store. All but backup want it at rest:\n"
    "while an engine uses it, they say which one. None but import changes anything in it.\n"
    "\n"
    "Exit status: 0 done; 1 something is damaged, or was refused; 2 the options are wrong; 3 the\n"
    "store could not be opened, or written; 4 it was stopped with Ctrl-C before its end.\n"
    "\n"
    "Examples:\n"
    "  dspool store check /var/lib/dspool              reads every session to its end\n"
    "  dspool store check /var/lib/dspool --json       the same, for programs\n"
    "  dspool store ls /var/lib/dspool --prefix user-  sessions whose ids begin so\n"
    "  dspool store show /var/lib/dspool user-42       a session's fields and model\n"
    "  dspool store backup /var/lib/dspool /backup/monday\n"
    "      a copy that can be opened as a store; an engine may go on meanwhile\n"
    "  dspool store export /var/lib/dspool sessions.jsonl\n"
    "  dspool store import /var/lib/other sessions.jsonl --replace\n"
    "      a session a line, without loss";

struct StoreOptions {
  std::string directory;
  std::string id;
  std::string prefix;
  std::string after;
  std::string file = "-";
  std::string to;
  std::size_t limit = 1'000;
  bool json = false;
  bool replace = false;
};

ExitStatus store_failure(const Error& error) {
  fmt::print(stderr, "dspool: {}\n", error.describe());
  return error.category == ErrorCategory::kSession || error.code == "invalid_line" ? kBroken
                                                                                   : kCouldNotRun;
}

// Draws how far it is, and stops at Ctrl-C.
class Shown {
 public:
  explicit Shown(std::string_view doing) : doing_(doing), stop_(watch_for_interrupt()) {}

  [[nodiscard]] StoreProgress progress() {
    return [this](std::uint64_t done, std::uint64_t expected) {
      const double part =
          expected == 0 ? 0 : static_cast<double>(done) / static_cast<double>(expected);
      console_.show_progress(part, fmt::format("{} sessions {}", done, doing_));
      stopped_ = stop_.load();
      return !stopped_;
    };
  }
  void done() { console_.clear_progress(); }
  [[nodiscard]] bool stopped() const noexcept { return stopped_; }

 private:
  const std::string doing_;
  const std::atomic<bool>& stop_;
  loadtest::Console console_{stderr};
  bool stopped_ = false;
};

ExitStatus check(const StoreOptions& options) {
  const auto store = StoreAtRest::open(options.directory);
  if (!store) return store_failure(store.error());
  Shown shown("checked");
  const StoreReport report = (*store)->check(shown.progress());
  shown.done();
  if (options.json) {
    fmt::print("{}\n", report.to_json());
  } else {
    fmt::print("sessions   {}\nversions   {} to {}\nfields     {}\nbytes      {}\n",
               report.sessions, report.versions_min, report.versions_max, report.fields,
               report.bytes);
    fmt::print("damaged    {}\nset aside  {}\n", report.damaged.size(), report.set_aside.size());
    for (const auto& [id, reason] : report.damaged) {
      fmt::print("  {}: {}\n", Value::of(id).to_json(), reason);
    }
    for (const std::string& id : report.set_aside) {
      fmt::print("  {} was set aside\n", Value::of(id).to_json());
    }
  }
  if (!report.damaged.empty() || !report.set_aside.empty()) return kBroken;
  return report.complete ? kDone : kUnproved;
}

ExitStatus list(const StoreOptions& options) {
  const auto store = StoreAtRest::open(options.directory);
  if (!store) return store_failure(store.error());
  const auto sessions = (*store)->list(options.after, options.limit, options.prefix);
  if (!sessions) return store_failure(sessions.error());
  if (!options.json) fmt::print("{:>8} {:>8} {:>12}  id\n", "version", "fields", "bytes");
  for (const StoredSessionInfo& session : *sessions) {
    if (options.json) {
      fmt::print("{}\n", session.to_json());
      continue;
    }
    fmt::print("{:>8} {:>8} {:>12}  {}{}\n", session.version, session.fields, session.bytes,
               Value::of(session.id).to_json(), session.damage.empty() ? "" : "  damaged");
  }
  if (sessions->size() == options.limit) {
    fmt::print(stderr, "there may be more: --limit takes more, --after goes on behind an id\n");
  }
  return kDone;
}

void print_model(const StoredLanguageModel& model) {
  fmt::print("model       {}\nprovider    {}\napi_base    {}\n", Value::of(model.model).to_json(),
             Value::of(model.provider).to_json(),
             model.api_base.empty() ? "the provider's own" : Value::of(model.api_base).to_json());
  if (model.temperature) fmt::print("temperature {}\n", *model.temperature);
  if (model.had_key) fmt::print("api_key     not stored: set_lm must be called again\n");
}

ExitStatus show(const StoreOptions& options) {
  const auto store = StoreAtRest::open(options.directory);
  if (!store) return store_failure(store.error());
  const auto session = (*store)->show(options.id);
  if (!session) return store_failure(session.error());
  if (options.json) {
    fmt::print("{}\n", session->to_json());
    return kDone;
  }
  fmt::print("version     {}\noperations  {}\nbytes       {}\nttl         {} ms\nanswers     {}\n",
             session->info.version, session->operations, session->info.bytes,
             session->info.ttl.count(), session->answers);
  if (session->language_model) print_model(*session->language_model);
  const ValueView fields = session->fields;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    fmt::print("  {}: {}\n", Value::of(fields.key(i)).to_json(), fields[i].to_json());
  }
  return kDone;
}

ExitStatus export_to(const StoreOptions& options) {
  const auto store = StoreAtRest::open(options.directory);
  if (!store) return store_failure(store.error());
  std::ofstream file;
  const bool to_file = options.file != "-";
  if (to_file) file.open(options.file, std::ios::binary | std::ios::trunc);
  Shown shown("exported");
  const auto exported = (*store)->export_lines(to_file ? file : std::cout, shown.progress());
  shown.done();
  if (!exported) return store_failure(exported.error());
  for (const auto& [id, reason] : exported->damaged) {
    fmt::print(stderr, "left out {}: {}\n", Value::of(id).to_json(), reason);
  }
  fmt::print(stderr, "{} sessions exported, {} left out\n", exported->sessions,
             exported->damaged.size());
  if (!exported->damaged.empty()) return kBroken;
  return shown.stopped() ? kUnproved : kDone;
}

ExitStatus import_from(const StoreOptions& options) {
  std::ifstream file;
  const bool from_file = options.file != "-";
  if (from_file) file.open(options.file, std::ios::binary);
  if (from_file && !file) {
    fmt::print(stderr, "dspool: {} cannot be read: see that it is there\n", options.file);
    return kMisused;
  }
  Shown shown("imported");
  const auto imported = StoreAtRest::import_lines(
      options.directory, from_file ? file : std::cin,
      options.replace ? StoreAtRest::Existing::kReplace : StoreAtRest::Existing::kRefuse,
      shown.progress());
  shown.done();
  if (!imported) return store_failure(imported.error());
  if (options.json) {
    fmt::print("{{\"sessions\":{},\"replaced\":{}}}\n", imported->sessions, imported->replaced);
  } else {
    fmt::print("{} sessions imported, {} of them replaced\n", imported->sessions,
               imported->replaced);
  }
  return shown.stopped() ? kUnproved : kDone;
}

ExitStatus backup(const StoreOptions& options) {
  Shown shown("copied");
  const auto sessions = StoreAtRest::backup(options.directory, options.to, shown.progress());
  shown.done();
  if (!sessions) return shown.stopped() ? kUnproved : store_failure(sessions.error());
  if (options.json) {
    fmt::print("{{\"sessions\":{}}}\n", *sessions);
  } else {
    fmt::print("{} sessions copied to {}\n", *sessions, options.to);
  }
  return kDone;
}

using Run = ExitStatus (*)(const StoreOptions&);

CLI::App& add(CLI::App& store, const std::shared_ptr<StoreOptions>& options, int& status,
              const char* name, const char* what, Run run) {
  CLI::App* const command = store.add_subcommand(name, what);
  command->add_option("DIR", options->directory, "The store")->required()->type_name("");
  command->footer(kStoreFooter);
  command->callback([options, &status, run] { status = run(*options); });
  return *command;
}

}  // namespace

void add_store(CLI::App& program, int& status) {
  CLI::App* const store =
      program.add_subcommand("store", "Looks at a durable store, checks it and copies it");
  store->require_subcommand(1);
  store->footer(kStoreFooter);
  const auto options = std::make_shared<StoreOptions>();
  const auto with_json = [&](CLI::App& command, const char* what) {
    command.add_flag("--json", options->json, what);
  };
  with_json(add(*store, options, status, "check", "Reads every session to its end", check),
            "One JSON object on standard output");

  CLI::App& ls = add(*store, options, status, "ls", "Lists sessions, in the order of ids", list);
  ls.add_option("--prefix", options->prefix, "Of their ids")->type_name("TEXT");
  ls.add_option("--after", options->after, "Only ids behind this one")->type_name("ID");
  ls.add_option("--limit", options->limit, "At most so many [1000]");
  with_json(ls, "A JSON object a line");

  CLI::App& one = add(*store, options, status, "show", "Shows a session's fields", show);
  one.add_option("ID", options->id, "The session")->required()->type_name("");
  with_json(one, "One JSON object");

  add(*store, options, status, "export", "Writes sessions as JSON lines, without loss", export_to)
      .add_option("FILE", options->file, "Where to; - for standard output [-]")
      ->type_name("");

  CLI::App& in = add(*store, options, status, "import", "Reads what export wrote", import_from);
  in.add_option("FILE", options->file, "Where from; - for standard input [-]")->type_name("");
  in.add_flag("--replace", options->replace, "Sessions that are in the store already");
  with_json(in, "One JSON object");

  CLI::App& copy = add(*store, options, status, "backup",
                       "Copies a store, also one that an engine uses", backup);
  copy.add_option("TO", options->to, "A directory that does not exist yet")
      ->required()
      ->type_name("");
  with_json(copy, "One JSON object");
}

}  // namespace dspool::cli
