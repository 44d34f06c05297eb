"""Runs the chaos driver on a mix of faults for long, and sees whether anything grows.

    python -m checker.soak --driver build/dev/tests/chaos/chaos_driver --seconds 600 --into DIR

After a warm-up the medians of the first and the last third of all samples are compared. The driver
writes neither calls nor events, which would grow; `python -m checker` cannot judge such a run.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from .campaign import LONGEST_END, TOO_MUCH, list_faults
from .rest import check_at_rest, check_leftovers

LEAST_SAMPLES = 15
WARM_UP = 0.25  # of the samples

PANEL_WIDTH, PANEL_HEIGHT, MARGIN = 860, 110, 34


@dataclass(frozen=True)
class Quantity:
    """A column of samples.csv, and how much more of it the last third may have than the first."""

    column: str
    what: str
    ratio: float
    slack: float  # beside the ratio: what comes and goes with the faults


QUANTITIES = (
    Quantity("engine_kib", "the engine's own memory, KiB", 1.1, 16 * 1024),
    Quantity("engine_shared_kib", "shared memory that the engine uses, KiB", 1.1, 16 * 1024),
    Quantity("workers_kib", "the workers' own memory, KiB", 1.25, 32 * 1024),
    Quantity("state_bytes", "fields of sessions, bytes", 1.25, 2 * 1024 * 1024),
    Quantity("sessions", "sessions", 1.25, 4),
    Quantity("descriptors", "the engine's descriptors", 1.0, 12),
    Quantity("mappings", "the engine's mappings of channels", 1.0, 12),
    Quantity("processes", "processes below the engine", 1.25, 12),
)


class TooFewSamplesError(Exception):
    """A run was too short to tell anything from."""


@dataclass(frozen=True)
class Trend:
    quantity: Quantity
    times_s: Sequence[float]
    values: Sequence[float]  # warm-up included
    first: float  # the medians of thirds
    last: float

    @property
    def grows(self) -> bool:
        return self.last > self.first * self.quantity.ratio + self.quantity.slack

    def __str__(self) -> str:
        verdict = "GROWS" if self.grows else "flat"
        return f"{self.quantity.what:<42} {self.first:>12.0f} -> {self.last:<12.0f} {verdict}"


def read_samples(path: Path) -> list[dict[str, float]]:
    with path.open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def trends(samples: Sequence[dict[str, float]]) -> Iterator[Trend]:
    if len(samples) < LEAST_SAMPLES:
        raise TooFewSamplesError(
            f"{len(samples)} samples show no trend: let it run for {LEAST_SAMPLES + 5} s or more"
        )
    warm = samples[int(len(samples) * WARM_UP) :]
    third = len(warm) // 3
    begin = samples[0]["time_s"]
    for quantity in QUANTITIES:
        values = [sample[quantity.column] for sample in warm]
        yield Trend(
            quantity,
            [sample["time_s"] - begin for sample in samples],
            [sample[quantity.column] for sample in samples],
            median(values[:third]),
            median(values[-third:]),
        )


def draw(shown: Sequence[Trend]) -> str:
    """An SVG with a panel for each quantity, all from 0 on."""
    height = len(shown) * (PANEL_HEIGHT + MARGIN) + MARGIN
    width = PANEL_WIDTH + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for index, trend in enumerate(shown):
        top = index * (PANEL_HEIGHT + MARGIN) + MARGIN
        most = max(*trend.values, 1.0)
        longest = max(trend.times_s[-1], 1.0)
        points = " ".join(
            f"{MARGIN + PANEL_WIDTH * time / longest:.1f},"
            f"{top + PANEL_HEIGHT * (1 - value / most):.1f}"
            for time, value in zip(trend.times_s, trend.values, strict=True)
        )
        colour = "#b00020" if trend.grows else "#1a5fb4"
        parts += [
            f'<text x="{MARGIN}" y="{top - 6}">{trend.quantity.what}: up to {most:.0f}, median '
            f"{trend.first:.0f}, then {trend.last:.0f}; {longest:.0f} s</text>",
            f'<rect x="{MARGIN}" y="{top}" width="{PANEL_WIDTH}" height="{PANEL_HEIGHT}" '
            'fill="none" stroke="#cccccc"/>',
            f'<polyline points="{points}" fill="none" stroke="{colour}"/>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _what_faults_found(directory: Path) -> list[str]:
    findings = directory / "findings.jsonl"
    lines = findings.read_text().splitlines() if findings.exists() else []
    return [json.loads(line)["what"] for line in lines]


def _what_is_left(directory: Path) -> list[str]:
    rest_file = directory / "rest.json"
    if not rest_file.exists():
        return ["the driver did not get to its end: see engine.log"]
    rest = json.loads(rest_file.read_text())
    if rest.get("calls_that_hang", 0):
        return [f"{rest['calls_that_hang']} calls hang"]
    run = json.loads((directory / "run.json").read_text())
    return [each.what for each in (*check_at_rest(run, rest), *check_leftovers(rest))]


def judge_soak(directory: Path) -> list[str]:
    """Prints the trends, draws them, and returns what is wrong."""
    shown = list(trends(read_samples(directory / "samples.csv")))
    for trend in shown:
        print(trend)
    picture = directory / "soak.svg"
    picture.write_text(draw(shown))
    print(f"drawn in {picture}")
    wrong = [f"{trend.quantity.what}: it grows" for trend in shown if trend.grows]
    return wrong + _what_faults_found(directory) + _what_is_left(directory)


def main() -> int:
    parser = argparse.ArgumentParser(prog="checker.soak")
    parser.add_argument("--driver", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--fault", help="instead of the mix; several with commas")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--into", type=Path, required=True, help="a directory that is not there")
    options = parser.parse_args()
    mix = (fault for fault in list_faults(options.driver) if fault not in TOO_MUCH)
    command = [str(options.driver), "--fault", options.fault or ",".join(mix)]
    command += ["--soak", "--seconds", str(options.seconds)]
    command += [] if options.seed is None else ["--seed", str(options.seed)]
    limit = options.seconds + LONGEST_END
    done = subprocess.run([*command, str(options.into)], timeout=limit, check=False)  # noqa: S603
    if done.returncode != 0:
        print(f"the driver returned {done.returncode}")
        return 1
    try:
        wrong = judge_soak(options.into)
    except TooFewSamplesError as error:
        wrong = [str(error)]
    for each in wrong:
        print(each)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
