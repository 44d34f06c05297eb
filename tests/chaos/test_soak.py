"""A soak that stays flat is accepted, and one in which anything grows is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from checker.soak import QUANTITIES, Quantity, TooFewSamplesError, judge_soak, trends

SECONDS = 60
FLAT = 1000.0


def samples(of: Callable[[str, int], float]) -> list[dict[str, float]]:
    columns = [quantity.column for quantity in QUANTITIES]
    return [
        {"time_s": 7.0 + second} | {column: of(column, second) for column in columns}
        for second in range(SECONDS)
    ]


def grows_in(grown: str) -> Callable[[str, int], float]:
    return lambda column, second: FLAT * (1 + second * 1000 * (column == grown))


def write_run(directory: Path, of: Callable[[str, int], float], **left: object) -> None:
    taken = samples(of)
    lines = [",".join(taken[0]), *(",".join(map(str, each.values())) for each in taken)]
    (directory / "samples.csv").write_text("\n".join(lines) + "\n")
    (directory / "run.json").write_text('{"pool_size":2}')
    at_rest = dict.fromkeys(
        ("attempts_in_flight", "waiting_calls", "state_bytes", "active_sessions"), 0
    )
    held = {"descriptors_before": 9, "descriptors_after": 9}
    held |= {"mappings_before": 0, "mappings_after": 0}
    rest = {"processes": [], "active_workers": 2} | at_rest | held | left
    (directory / "rest.json").write_text(json.dumps(rest))


def test_a_flat_run_is_accepted_and_drawn(tmp_path: Path) -> None:
    write_run(tmp_path, lambda _column, second: FLAT + second % 3)
    assert judge_soak(tmp_path) == []
    picture = ElementTree.fromstring((tmp_path / "soak.svg").read_text())  # noqa: S314 - ours
    lines = [each for each in picture if each.tag.endswith("polyline")]
    assert len(lines) == len(QUANTITIES)
    assert len(lines[0].attrib["points"].split()) == SECONDS


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda quantity: quantity.column)
def test_whatever_grows_is_told(tmp_path: Path, quantity: Quantity) -> None:
    write_run(tmp_path, grows_in(quantity.column))
    [wrong] = judge_soak(tmp_path)
    assert quantity.what in wrong


def test_what_grows_while_it_warms_up_is_no_growth() -> None:
    early = samples(lambda _column, second: FLAT * 1e6 * min(second, SECONDS // 5))
    assert not any(trend.grows for trend in trends(early))


def test_what_is_left_is_told(tmp_path: Path) -> None:
    write_run(tmp_path, lambda _column, _second: FLAT, processes=["sleep (7)"])
    [wrong] = judge_soak(tmp_path)
    assert "sleep" in wrong
    (tmp_path / "rest.json").unlink()
    [wrong] = judge_soak(tmp_path)
    assert "did not get to its end" in wrong


def test_what_a_fault_found_is_told(tmp_path: Path) -> None:
    write_run(tmp_path, lambda _column, _second: FLAT)
    (tmp_path / "findings.jsonl").write_text(
        '{"rule":"secrets","what":"the key is in engine.log"}\n'
    )
    assert judge_soak(tmp_path) == ["the key is in engine.log"]


def test_a_short_run_shows_nothing() -> None:
    with pytest.raises(TooFewSamplesError):
        list(trends(samples(lambda _column, _second: FLAT)[:5]))
