"""Checks an adapter in this process, which should have nothing else to do."""

import argparse
import contextlib
import inspect
import json
import os
import sys
import traceback
from collections.abc import Mapping
from typing import Any, NoReturn

from dspool_worker.adapter import Adapter, AdapterError, construct_adapter, find_adapter
from dspool_worker.check.commands import command_findings
from dspool_worker.check.finding import ERROR, WARNING, CheckReport, Finding, Usage
from dspool_worker.check.state import state_findings
from dspool_worker.errors import summary
from dspool_worker.fork_safety import fork_hindrance, own_children
from dspool_worker.host import AdapterHost

_THREADS_PATIENCE_S = 0.5
_EXAMPLES = """
exit status: 0 it can be deployed, 1 it cannot, 2 it could not be checked

examples:
  python -m dspool_worker --check my_app.cart:Cart
  python -m dspool_worker --check my_app.cart:Cart --settings pool.toml
  python -m dspool_worker --check my_app.cart:Cart --json | jq '.findings[]'
"""


def main(argv: list[str]) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m dspool_worker --check",
        description="Imports and constructs an adapter, and says what is wrong with it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("adapter", metavar="package.module:Class")
    parser.add_argument(
        "--settings",
        metavar="FILE",
        help="what the adapter's __init__ gets: JSON, or TOML; of a pool's configuration its table "
        "[worker.settings]",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    module, _, name = arguments.adapter.partition(":")
    if not module or not name.isidentifier():
        parser.error(f"{arguments.adapter!r} does not name an adapter: package.module:Class")
    settings = _settings_of(arguments.settings, parser)
    # What the adapter prints is not what is asked for.
    with contextlib.redirect_stdout(sys.stderr):
        report = check_adapter(arguments.adapter, settings)
    print(json.dumps(report.as_dict(), indent=2) if arguments.json else report.as_text())
    sys.stdout.flush()
    return 0 if report.ok else 1


def check_adapter(name: str, settings: Mapping[str, Any] | None = None) -> CheckReport:
    """Imports, looks at and constructs the adapter `package.module:Class`; does not start it."""
    report = CheckReport(name)
    try:
        found = find_adapter(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        report.findings.append(_import_finding(name, error))
        return report
    report.findings += command_findings(found)
    report.findings += state_findings(found)
    try:
        host = AdapterHost(construct_adapter(found, settings))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if report.ok or not isinstance(error, AdapterError):
            report.findings.append(_construction_finding(found, error))
        return report
    report.findings += _fork_findings(found)
    for command in host.commands:
        doc = inspect.getdoc(host.commands[command]) or ""
        report.commands.append(Usage(command, host.usage(command), doc.partition("\n")[0]))
    return report


def _import_finding(name: str, error: BaseException) -> Finding:
    module = name.partition(":")[0]
    if isinstance(error, AdapterError):
        told, _, fix = str(error).rpartition(": ")
        return Finding(ERROR, "no_adapter", name, told, fix)
    if isinstance(error, ModuleNotFoundError):
        missing = error.name or ""
        if module == missing or module.startswith(missing + "."):
            fix = (
                f"check it where {missing.partition('.')[0]} can be imported: in its folder, or "
                "with that in PYTHONPATH; in a pool, add it to worker.python_path"
            )
        else:
            fix = f"install it for {sys.executable}, or add its folder to worker.python_path"
        return Finding(ERROR, "import_failed", module, summary(error), fix)
    fix = "the module has to be importable by itself, in a process without arguments"
    return Finding(ERROR, "import_failed", _raised_at(error, module), summary(error), fix)


def _construction_finding(found: type[Adapter], error: BaseException) -> Finding:
    name = found.__qualname__
    if isinstance(error, AdapterError):
        told, _, fix = str(error).rpartition(": ")
        return Finding(ERROR, "no_adapter", name, told, fix)
    return Finding(
        ERROR,
        "construction_failed",
        _raised_at(error, name),
        f"{name}() raised {summary(error)}",
        "give it its settings by --settings, or move to start() what only a worker can do",
    )


def _fork_findings(found: type[Adapter]) -> list[Finding]:
    hindrance = own_children() or fork_hindrance(_THREADS_PATIENCE_S)
    if hindrance is None:
        return []
    return [
        Finding(
            WARNING,
            "cannot_be_forked",
            found.__qualname__,
            f"when it was imported and constructed, {hindrance}",
            'use worker.start_method = "spawn", or do that in start(), which runs in each worker',
        )
    ]


def _raised_at(error: BaseException, otherwise: str) -> str:
    """`cart.py:12`: the line outside of this package and of importlib that raised."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{os.path.basename(error.filename)}:{error.lineno}"
    own = os.path.dirname(os.path.dirname(__file__))
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((own + os.sep, "<frozen "))
        and os.path.basename(os.path.dirname(frame.filename)) != "importlib"
    ]
    return f"{os.path.basename(frames[0].filename)}:{frames[0].lineno}" if frames else otherwise


def _settings_of(path: str | None, parser: argparse.ArgumentParser) -> dict[str, Any]:
    if path is None:
        return {}

    def refuse(why: object) -> NoReturn:
        parser.error(f"{path}: {why}")

    try:
        with open(path, "rb") as file:
            content = file.read()
        if path.endswith(".toml"):
            if sys.version_info < (3, 11):
                refuse("this Python reads no TOML: use 3.11 or later, or give settings as JSON")
            else:
                import tomllib

                settings = tomllib.loads(content.decode("utf-8"))
            settings = settings["worker"].get("settings", {}) if "worker" in settings else settings
        else:
            settings = json.loads(content)
    except (OSError, ValueError, AttributeError) as error:
        refuse(summary(error))
    if not isinstance(settings, dict):
        refuse("settings are a table, or a JSON object")
    return settings
