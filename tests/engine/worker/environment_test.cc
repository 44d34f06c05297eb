#include "engine/worker/environment.h"

#include <gmock/gmock.h>

namespace dspool::worker {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ContainsRegex;
using testing::IsSupersetOf;
using testing::Not;
using testing::UnorderedElementsAre;

TEST(WorkerEnvironmentTest, HasNothingOfTheEnginesThatIsNotNeeded) {
  const char* const engine[] = {"HOME=/root",
                                "LC_ALL=C",
                                "https_proxy=http://p",
                                "LESS=-R",
                                "DATABASE_URL=db:5",
                                "PYTHONHASHSEED=0",
                                "broken",
                                nullptr};
  EXPECT_THAT(
      worker_environment({}, engine),
      UnorderedElementsAre("HOME=/root", "LC_ALL=C", "https_proxy=http://p", "PYTHONHASHSEED=0",
                           "PYTHONUNBUFFERED=1", "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1",
                           "MKL_NUM_THREADS=1", "NUMEXPR_NUM_THREADS=1", "RAYON_NUM_THREADS=1"));
}

TEST(WorkerEnvironmentTest, HasWhatIsNamedAndWhatIsSet) {
  WorkerConfig config;
  config.pass_environment = {"DATABASE_URL", "AWS_*", "HF_TOKEN"};
  config.environment = {"MODE=fast=er", "HOME=/elsewhere"};
  const char* const engine[] = {"HOME=/root",    "DATABASE_URL=db:5", "DATABASE=no",
                                "AWS_REGION=eu", "HF_TOKEN=t",        nullptr};
  EXPECT_THAT(worker_environment(config, engine),
              AllOf(IsSupersetOf({"DATABASE_URL=db:5", "AWS_REGION=eu", "MODE=fast=er",
                                  "HOME=/elsewhere", "HF_TOKEN=t"}),
                    Not(Contains("DATABASE=no")), Not(Contains("HOME=/root"))));
}

TEST(WorkerEnvironmentTest, HasNoSecretThatIsNotNamedInFull) {
  WorkerConfig config;
  config.pass_environment = {"AWS_*", "O*"};
  const char* const engine[] = {"OPENAI_API_KEY=sk-1",     "LITELLM_MASTER_KEY=m",
                                "DSPOOL_DB_PASSWORD=p",    "PYTHON_KEYRING_TOKEN=t",
                                "AWS_SECRET_ACCESS_KEY=a", nullptr};
  EXPECT_THAT(worker_environment(config, engine),
              Not(Contains(ContainsRegex("OPENAI|LITELLM|DSPOOL|KEYRING|AWS"))));
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
  config.environment = {"PYTHONPATH=/set"};
  EXPECT_THAT(worker_environment(config, engine), Contains("PYTHONPATH=/ours:/too:/set"));
}

}  // namespace
}  // namespace dspool::worker
