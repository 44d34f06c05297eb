"""Makes the table of errors in engine/README.md from error_codes.cc.

    python3 engine/api/error_table.py            writes the table
    python3 engine/api/error_table.py --check    says what is missing or stale, and fails

Every code that a source can give an error must have its row in error_codes.cc, and every row must
be of such a code.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "engine" / "README.md"
CODES = ROOT / "engine" / "api" / "error_codes.cc"
BEGIN = "<!-- error_table.py: begin -->\n"
END = "<!-- error_table.py: end -->\n"

TEXT = r'"(?:[^"\\]|\\.)*"'
TEXTS = rf"{TEXT}(?:\s+{TEXT})*"
ROW = re.compile(rf"\{{k(\w+),\s*({TEXTS}),\s*({TEXTS}),\s*({TEXTS})\}}")

# How sources say a code.
IN_CC = (
    re.compile(r"\.code = ((?:\w+ \? )?\"[a-z_]+\"(?: : \"[a-z_]+\")?)"),
    re.compile(r"python_error\(\s*(\"[a-z_]+\")"),
    re.compile(r"ErrorCategory::k\w+, (\"[a-z_]+\")"),
)
IN_PY = (
    re.compile(r"\bcode(?:: str)? ?= ?(\"[a-z_]+\")"),
    re.compile(r"refusal\(\s*(\"[a-z_]+\")"),
    re.compile(r"_Kind\(\"[a-z_]+\", (\"[a-z_]+\")"),
)
WORD = re.compile(r'"([a-z_]+)"')


def rows() -> list[tuple[str, str, str, str]]:
    """Category, code, cause and cure, as they stand in the source."""
    found = []
    for match in ROW.finditer(CODES.read_text()):
        category = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", match[1]).lower()
        code, cause, cure = (ast.literal_eval(f"({text})") for text in match.groups()[1:])
        found.append((category, code, cause, cure))
    return found


def used_codes() -> Iterator[tuple[str, Path]]:
    """Each code that a source gives to an error, and where."""
    for folder in ("engine", "python_worker/native", "python_worker/src"):
        for path in sorted((ROOT / folder).rglob("*")):
            patterns = {".cc": IN_CC, ".h": IN_CC, ".py": IN_PY}.get(path.suffix)
            if patterns is None or path.is_relative_to(CODES.parent / "error_table.py"):
                continue
            text = "\n".join(
                line for line in path.read_text().splitlines() if not line.lstrip().startswith("//")
            )
            for pattern in patterns:
                for match in pattern.finditer(text):
                    for word in WORD.findall(match[1]):
                        yield word, path.relative_to(ROOT)


def table() -> str:
    lines = ["| category | code | cause | cure |", "| --- | --- | --- | --- |"]
    for category, code, cause, cure in rows():
        lines.append(f"| {category} | `{code}` | {cause} | {cure} |")
    return "\n".join(lines) + "\n"


def with_table(readme: str) -> str:
    before, _, rest = readme.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        sys.exit(f"{README}: there is no place for the table: {BEGIN.strip()} and {END.strip()}")
    return before + BEGIN + table() + END + after


def mistakes() -> list[str]:
    known = {code for _, code, _, _ in rows()}
    used = dict(used_codes())
    wrong = [
        f"{path}: the code {code!r} has no row in {CODES.relative_to(ROOT)}"
        for code, path in sorted(used.items())
        if code not in known
    ]
    wrong += [
        f"{CODES.relative_to(ROOT)}: nothing gives an error the code {code!r}"
        for code in sorted(known - used.keys())
    ]
    if README.read_text() != with_table(README.read_text()):
        wrong.append(f"{README.relative_to(ROOT)}: its table is stale: run {Path(__file__).name}")
    return wrong


def main() -> int:
    if "--check" not in sys.argv[1:]:
        README.write_text(with_table(README.read_text()))
    wrong = mistakes()
    for each in wrong:
        print(each)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
