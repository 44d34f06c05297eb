#include "tests/model/explore.h"

namespace dspool::model {
namespace {

// The next path in order, depth first. false: that was the last.
bool advance(Path& path) {
  while (!path.empty() && path.back().taken + 1 == path.back().count) path.pop_back();
  if (path.empty()) return false;
  ++path.back().taken;
  return true;
}

}  // namespace

Verdict explore(const std::function<void(Execution&)>& set_up) {
  Path path;
  Explored explored;
  Verdict verdict;
  do {
    Execution execution(path, explored);
    set_up(execution);
    execution.run();
    ++verdict.executions;
    verdict.failure = execution.failure();
  } while (verdict.failure.empty() && advance(path));
  verdict.states = explored.states.size();
  return verdict;
}

}  // namespace dspool::model
