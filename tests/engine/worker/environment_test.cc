#include "engine/worker/environment.h"

#include <gmock/gmock.h>

namespace dspool::worker {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Not;

TEST(WorkerEnvironmentTest, LeavesSecretsOut) {
  const char* const engine[] = {"OPENAI_API_KEY=sk-1", "GH_TOKEN=t", "DB_PASSWORD=p", "HOME=/root",
                                nullptr};
  EXPECT_THAT(worker_environment({}, engine),
              AllOf(Contains("HOME=/root"), Not(Contains("OPENAI_API_KEY=sk-1")),
                    Not(Contains("GH_TOKEN=t")), Not(Contains("DB_PASSWORD=p"))));
}

TEST(WorkerEnvironmentTest, NumericLibrariesGetOneThreadUnlessToldOtherwise) {
  const char* const engine[] = {"OMP_NUM_THREADS=3", nullptr};
  EXPECT_THAT(worker_environment({}, engine),
              AllOf(Contains("OMP_NUM_THREADS=3"), Not(Contains("OMP_NUM_THREADS=1")),
                    Contains("OPENBLAS_NUM_THREADS=1")));
}

TEST(WorkerEnvironmentTest, PutsItsOwnFoldersBeforePythonsPath) {
  WorkerConfig config;
  config.python_path = {"/ours", "/too"};
  const char* const engine[] = {"PYTHONPATH=/theirs", nullptr};
  EXPECT_THAT(worker_environment(config, engine), Contains("PYTHONPATH=/ours:/too:/theirs"));
}

}  // namespace
}  // namespace dspool::worker
