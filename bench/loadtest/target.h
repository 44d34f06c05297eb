// What a load test drives: the part of Engine that it needs, so that its own tests can put pools in
// its place that break their promises.
#pragma once

#include <string_view>

#include "dspool/call.h"
#include "dspool/engine.h"
#include "dspool/error.h"
#include "dspool/stats.h"
#include "dspool/value.h"

namespace dspool::loadtest {

class Target {
 public:
  virtual ~Target() = default;

  // Both as Engine's.
  virtual void submit(std::string_view id, std::string_view command, Value args, Completion done,
                      const CallOptions& options) = 0;
  [[nodiscard]] virtual Result<SessionInfo> get_session(std::string_view id) const = 0;
};

class EngineTarget : public Target {
 public:
  // REQUIRES: `engine` outlives *this.
  explicit EngineTarget(Engine& engine) : engine_(engine) {}

  void submit(std::string_view id, std::string_view command, Value args, Completion done,
              const CallOptions& options) override {
    engine_.submit(id, command, std::move(args), std::move(done), options);
  }
  [[nodiscard]] Result<SessionInfo> get_session(std::string_view id) const override {
    return engine_.get_session(id);
  }

 private:
  Engine& engine_;
};

}  // namespace dspool::loadtest
