"""python -m checker DIRECTORY: judges a run. Returns 0 if all promises were kept, and 1 if not."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .evidence import UnreadableEvidenceError
from .judge import judge_directory, report


def main() -> int:
    parser = argparse.ArgumentParser(prog="checker", description=__doc__)
    parser.add_argument("directory", type=Path, help="what chaos_driver has written")
    directory: Path = parser.parse_args().directory
    try:
        violations = judge_directory(directory)
    except UnreadableEvidenceError as error:
        print(f"the evidence cannot be read: {error}", file=sys.stderr)
        return 2
    if violations:
        print(report(violations))
        return 1
    print("accepted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
