#include <cstdlib>
#include <iostream>

#include "dspool/engine.h"

int main() {
  dspool::Config config;
  config.pool_size = 1;
  config.worker.python_path = {DSPOOL_PYTHON_DIR};
  if (const char* python = std::getenv("DSPOOL_PYTHON")) config.worker.python = python;
  auto engine = dspool::Engine::start(config);
  if (!engine) {
    std::cerr << engine.error().describe() << '\n';
    return 1;
  }
  const auto answer = (*engine)->execute_in_session("first", "echo", {{"greeting", "hello"}});
  if (!answer) {
    std::cerr << answer.error().describe() << '\n';
    return 1;
  }
  std::cout << answer->value.to_json() << '\n';
  return answer->value["greeting"].as_string() == "hello" ? 0 : 1;
}
