"""The benchmarks of what runs in a worker say whether their budgets are kept."""

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))

from bench.python import __main__ as bench
from bench.python.comparison import Comparison


@pytest.mark.parametrize(("ours_ns", "status"), [(110.0, 1), (101.0, 0)])
def test_a_budget_that_is_missed_is_the_exit_status(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    ours_ns: float,
    status: int,
) -> None:
    done = [
        Comparison("BM_A", ours_ns, 100.0, "bare", 1.02),
        Comparison("BM_B", 900.0, 100.0, "bare", None),
    ]
    monkeypatch.setattr(bench, "_comparisons", lambda _: iter(done))
    monkeypatch.setattr(sys, "argv", ["bench", "--json", str(tmp_path / "figures.json")])
    assert bench.main() == status
    assert ("MISSED" in capsys.readouterr().out) == (status == 1)
    written = json.loads((tmp_path / "figures.json").read_text())["benchmarks"]
    assert [each["within_budget"] for each in written] == [status == 0, True]
