"""Runs the chaos driver once for each fault, or planted bug, and has each run judged.

    python -m checker.campaign --driver build/dev/tests/chaos/chaos_driver --seconds 5
    python -m checker.campaign --driver .../planted_driver --bug leak_slot

The evidence of a run that is not as it should be stays in the directory that is printed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from .evidence import UnreadableEvidenceError
from .judge import judge_directory, report
from .planted import BUGS
from .violation import Violation

LONGEST_END = 180  # seconds that the driver may take beyond its run
MOST_TRIES = 4  # for a bug to show, each twice as long as the one before
# Among others: nothing, more than there is, and what leaves nobody to work.
TOO_MUCH = frozenset({"none", "overload", "hot_session", "import_error", "file_limit", "sigterm"})
AS_DEPLOYED = ["--forks", "--breaks", "--max-in-flight", "4", "--callers", "12"]


@dataclass
class Trial:
    """One run of the driver, and what it shows."""

    name: str
    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    directory: Path = Path()
    output: str = ""
    ended_well: bool = False
    violations: list[Violation] = field(default_factory=list)
    unreadable: str = ""

    def run(self, driver: Path, seconds: float, into: Path) -> None:
        self.directory = into / self.name.replace(",", "+")
        command = [str(driver), *self.arguments, "--seconds", str(seconds), str(self.directory)]
        try:
            done = subprocess.run(  # noqa: S603 - our own program
                command,
                env=os.environ | self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=seconds + LONGEST_END,
                check=False,
            )
            self.output, self.ended_well = done.stdout, done.returncode == 0
        except subprocess.TimeoutExpired as expired:
            self.output = f"{expired.stdout!r}\nit did not end"
        try:
            self.violations = judge_directory(self.directory)
        except UnreadableEvidenceError as error:
            self.unreadable = str(error)

    @property
    def accepted(self) -> bool:
        return self.ended_well and not self.unreadable and not self.violations

    def explain(self) -> str:
        return "\n".join(
            part
            for part in (self.output.rstrip(), self.unreadable, report(self.violations))
            if part
        )


def list_faults(driver: Path) -> list[str]:
    listed = subprocess.run([str(driver), "--list"], stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    return [line.split()[0] for line in listed.stdout.splitlines() if line]


def _fault_trials(driver: Path, chosen: list[str] | None, common: list[str]) -> list[Trial]:
    if chosen:
        return [Trial(fault, [*common, "--fault", fault]) for fault in chosen]
    faults = list_faults(driver)
    trials = [Trial(fault, [*common, "--fault", fault]) for fault in faults]
    mixed = [*common, "--fault", ",".join(fault for fault in faults if fault not in TOO_MUCH)]
    trials.append(Trial("mixed", mixed))
    if "--durable" not in common:
        trials.append(Trial("mixed_durable", [*mixed, "--durable"]))
    if "--forks" not in common:
        trials.append(Trial("mixed_as_deployed", [*mixed, *AS_DEPLOYED]))
    return trials


def _run_faults(trials: list[Trial], driver: Path, seconds: float, into: Path) -> list[str]:
    failed: list[str] = []
    for trial in trials:
        began = time.monotonic()
        trial.run(driver, seconds, into)
        verdict = "accepted" if trial.accepted else "NOT ACCEPTED"
        print(f"{trial.name:<16} {time.monotonic() - began:5.1f} s  {verdict}", flush=True)
        if not trial.accepted:
            failed.append(trial.name)
            print(f"{trial.explain()}\nthe evidence is in {trial.directory}", flush=True)
    return failed


def _run_bug(name: str, driver: Path, seconds: float, into: Path, common: list[str]) -> list[str]:
    bug = BUGS[name]
    arguments = [*common, "--fault", bug.fault, "--patience", "5"]
    for number in range(MOST_TRIES):
        trial = Trial(f"{name}-{number}", arguments, {"DSPOOL_PLANTED": name})
        trial.run(driver, seconds * 2**number, into)
        rules = sorted({each.rule for each in trial.violations})
        print(f"{name}: {', '.join(rules) or 'accepted'}", flush=True)
        if bug.rule in rules:
            print(report([each for each in trial.violations if each.rule == bug.rule]))
            return []
        print(trial.explain())
    print(f"it was to break the rule {bug.rule!r}; the evidence is in {into}")
    return [name]


def main() -> int:
    parser = argparse.ArgumentParser(prog="checker.campaign")
    parser.add_argument("--driver", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=2, help="for each")
    parser.add_argument("--fault", action="append", help="only this one; several with commas")
    parser.add_argument("--bug", choices=sorted(BUGS), help="must be rejected, by its rule")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--durable", action="store_true", help="with a durable store")
    parser.add_argument(
        "--as-deployed",
        action="store_true",
        help="workers are forked and have threads, and there is a circuit breaker",
    )
    options = parser.parse_args()
    into = Path(tempfile.mkdtemp(prefix="chaos-"))
    common = [] if options.seed is None else ["--seed", str(options.seed)]
    common += ["--durable"] if options.durable else []
    common += AS_DEPLOYED if options.as_deployed else []
    if options.bug:
        failed = _run_bug(options.bug, options.driver, options.seconds, into, common)
    else:
        trials = _fault_trials(options.driver, options.fault, common)
        failed = _run_faults(trials, options.driver, options.seconds, into)
    if failed:
        print(f"not as it should be: {', '.join(failed)}")
        return 1
    shutil.rmtree(into, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
