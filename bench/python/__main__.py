"""Benchmarks of what runs in a worker: `./dev bench python [--filter RE] [--json FILE]`.

Exits with 1 where a budget is missed.
"""

import argparse
import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterator

from . import dspy_bench, session_bench
from .comparison import Comparison


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench python", description=__doc__)
    parser.add_argument("--filter", default=".", metavar="RE", help="only those that it finds")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    arguments = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}")
    print(f"{'benchmark':32} {'ours':>12} {'bare':>12} {'ratio':>8}  budget")
    done = []
    for comparison in _comparisons(re.compile(arguments.filter)):
        done.append(comparison)
        budget = "" if comparison.at_most is None else f"<= {comparison.at_most:g}"
        verdict = "" if comparison.within_budget else "  MISSED"
        print(
            f"{comparison.name:32} {comparison.ours_ns:9.0f} ns {comparison.bare_ns:9.0f} ns "
            f"{comparison.ratio:8.3f}  {budget}{verdict}  over {comparison.bare}",
            flush=True,
        )
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"benchmarks": [each.as_dict() for each in done]}, file, indent=2)
    return 0 if all(each.within_budget for each in done) else 1


def _comparisons(wanted: re.Pattern[str]) -> Iterator[Comparison]:
    if wanted.search("BM_Session BM_Command"):
        yield from (each for each in session_bench.comparisons() if wanted.search(each.name))
    if not wanted.search(" ".join(dspy_bench.NAMES)):
        return
    if importlib.util.find_spec("dspy") is None:
        print(f"{', '.join(dspy_bench.NAMES)}: DSPy is not installed")
        return
    yield from (each for each in dspy_bench.comparisons() if wanted.search(each.name))


if __name__ == "__main__":
    sys.exit(main())
