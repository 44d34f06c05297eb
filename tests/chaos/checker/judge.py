"""All rules together."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from .calls import check_calls
from .evidence import Evidence, read_evidence
from .history import check_history
from .rest import check_rest
from .sessions import check_sessions
from .violation import RULES, Violation, violation

MOST_SHOWN = 3  # violations of each rule
MOST_LINE = 400  # characters


def judge(evidence: Evidence) -> list[Violation]:
    """What is broken, in no order; nothing: the run is accepted."""
    return [
        *check_calls(evidence),
        *check_sessions(evidence),
        *check_history(evidence),
        *check_rest(evidence),
        *(violation(rule, what) for rule, what in evidence.findings),
    ]


def judge_directory(directory: Path) -> list[Violation]:
    return judge(read_evidence(directory))


def report(violations: list[Violation]) -> str:
    """What is broken, rule by rule, with the lines that show it."""
    by_rule: dict[str, list[Violation]] = defaultdict(list)
    for each in violations:
        by_rule[each.rule].append(each)
    lines: list[str] = []
    for rule, found in sorted(by_rule.items()):
        lines.append(f"{rule}: {RULES[rule]}: broken {len(found)} times")
        for each in found[:MOST_SHOWN]:
            lines.append(f"  {each.what}")
            for shown in each.shown:
                lines.append(f"    {shown[:MOST_LINE]}")
    return "\n".join(lines)
