"""The wheel of python_worker: built, looked into, installed where nothing else is, and used.

    python wheel.py build SCRATCH        for this interpreter, with what it has installed
    python wheel.py pythons SCRATCH      for each of DSPOOL_PYTHONS (paths, separated by colons), or
                                         each python3.10 to 3.13 on the PATH, as a user would with
                                         pip; each also runs the worker's Python tests, and with
                                         DSPy those of its adapter

Exits with 77 where that cannot be done here.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "python_worker"
PACKAGE = PROJECT / "src" / "dspool_worker"
# Those that need neither DSPy nor a process that has this interpreter's tree in its environment.
PURE_TESTS = ("adapter", "check", "native_stub", "session", "session_list", "testing", "values")
DSPY_TESTS = ROOT / "tests" / "python" / "dspy_adapter"
SKIPPED = 77


def attempt(*command: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(  # noqa: S603
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def run(*command: object, cwd: Path = ROOT) -> str:
    """What the command prints; if it fails, all that it printed, and the end of this process."""
    done = attempt(*command, cwd=cwd)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}\nfailed: {' '.join(map(str, command))}")
    return done.stdout


def build(python: str, scratch: Path, *, isolated: bool) -> Path:
    wheels = scratch / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    arguments = ["--no-deps", f"--config-settings=build-dir={scratch}/{{wheel_tag}}"]
    if not isolated:
        # Fast to build, as nothing here depends on how fast it runs.
        arguments += ["--no-build-isolation", "--no-index"]
        arguments += ["--config-settings=cmake.define.CMAKE_CXX_FLAGS_RELEASE=-O0"]
        arguments += ["--config-settings=cmake.define.CMAKE_INTERPROCEDURAL_OPTIMIZATION=OFF"]
    run(python, "-m", "pip", "wheel", "--quiet", *arguments, "--wheel-dir", wheels, PROJECT)
    (wheel,) = wheels.glob("*.whl")
    return wheel


def check_content(wheel: Path) -> None:
    """The package, its extension, and what a wheel says of itself: nothing else."""
    version = re.search(r"project\(dspool VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())
    assert version is not None
    sources = {
        f"dspool_worker/{path.relative_to(PACKAGE)}"
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix in (".py", ".pyi", ".typed")
    }
    names = set(zipfile.ZipFile(wheel).namelist())
    others = {name for name in names - sources if ".dist-info/" not in name}
    assert not sources - names, f"missing in {wheel.name}: {sources - names}"
    assert len(others) == 1, f"in {wheel.name} for no reason: {others}"
    assert re.fullmatch(r"dspool_worker/_native\..*\.so", others.pop())
    assert {"dspool_worker/py.typed", "dspool_worker/_native.pyi"} <= names
    assert wheel.name.startswith(f"dspool_worker-{version[1]}-"), (
        f"{wheel.name} is not {version[1]}"
    )


def install(python: str, wheel: Path, scratch: Path) -> Path:
    """An interpreter that has the wheel and nothing else."""
    environment = scratch / "venv"
    shutil.rmtree(environment, ignore_errors=True)
    run(python, "-m", "venv", environment)
    installed = environment / "bin" / "python"
    run(installed, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", wheel)
    return installed


def use(python: Path) -> None:
    elsewhere = python.parent
    told = run(
        python, "-m", "dspool_worker", "--check", "dspool_worker.adapters.loadtest:LoadTest",
        cwd=elsewhere,
    )  # fmt: skip
    assert "0 errors, 0 warnings" in told, told
    program = (
        "import sys\n"
        "from dspool_worker import testing\n"
        "pool = testing.Pool('dspool_worker.adapters.loadtest:LoadTest')\n"
        "assert pool.session('s').call('increment', by=2)['value'] == 2\n"
        "assert pool.session('s').call('increment')['value'] == 3\n"
    )
    run(python, "-c", program, cwd=elsewhere)


def says_what_is_missing(scratch: Path) -> None:
    """A build without one of the Debian packages names it."""
    configured = subprocess.run(  # noqa: S603
        [
            *("cmake", "-G", "Ninja", "-S", ROOT, "-B", scratch / "missing"),
            *("-D", "DSPOOL_WORKER_ONLY=ON", "-D", f"Python3_EXECUTABLE={sys.executable}"),
            *("-D", "CMAKE_DISABLE_FIND_PACKAGE_Boost=ON"),
            *("-D", "CMAKE_DISABLE_FIND_PACKAGE_tl-expected=ON"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert configured.returncode != 0
    told = " ".join(configured.stderr.split())
    assert "apt-get install libboost-dev libexpected-dev" in told, configured.stderr


def run_tests(python: Path) -> None:
    run(python, "-m", "pip", "install", "--quiet", "pytest>=8")
    tests = [ROOT / "tests" / "python" / f"test_{name}.py" for name in PURE_TESTS]
    print(pytest(python, *tests), flush=True)
    installed = install_dspy(python)
    print(f"{pytest(python, DSPY_TESTS)}, with {installed}", flush=True)


def pytest(python: Path, *tests: Path) -> str:
    """How many have passed."""
    return run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests).splitlines()[-1]


def install_dspy(python: Path) -> str:
    """DSPy and all that it needs, and what of them: the lock file's, which is made for one Python
    and may name what another has not, or else what pip chooses for the same DSPy."""
    lock = PROJECT / "requirements.lock"
    pip = (python, "-m", "pip", "install", "--quiet")
    if attempt(*pip, "--require-hashes", "-r", lock).returncode == 0:
        return "the locked DSPy"
    version = re.search(r"^dspy==(\S+)", lock.read_text(), re.MULTILINE)
    assert version is not None
    run(*pip, version[0])
    return f"{version[0]} and what pip chooses for it"


def pythons() -> list[str]:
    named = os.environ.get("DSPOOL_PYTHONS")
    if named:
        return named.split(":")
    found = [shutil.which(f"python3.{minor}") for minor in range(10, 14)]
    return [python for python in found if python is not None]


def main() -> int:
    what, scratch = sys.argv[1], Path(sys.argv[2]).resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    if what == "build":
        missing = [
            name
            for name in ("pip", "scikit_build_core", "pybind11")
            if importlib.util.find_spec(name) is None
        ]
        if missing:
            print(f"skipped: {sys.executable} has no {', '.join(missing)}: ./dev setup")
            return SKIPPED
        wheel = build(sys.executable, scratch, isolated=False)
        check_content(wheel)
        use(install(sys.executable, wheel, scratch))
        says_what_is_missing(scratch)
        return 0
    found = pythons()
    if not found:
        print("skipped: there is no python3.10 to python3.13 on the PATH, and no DSPOOL_PYTHONS")
        return SKIPPED
    for python in found:
        print(f"{python}: {run(python, '--version').strip()}", flush=True)
        wheel = build(python, scratch, isolated=True)
        check_content(wheel)
        installed = install(python, wheel, scratch)
        use(installed)
        run_tests(installed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
