"""A worker's life, however its process began: attach, start the adapter, serve, stop."""

import argparse
import faulthandler
import gc
import os
import platform
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

from dspool_worker import command_log
from dspool_worker._native import (
    Channel,
    Hello,
    RequestLoop,
    decode,
    keep_private,
    protocol_version,
)
from dspool_worker.adapter import AdapterError
from dspool_worker.errors import (
    ErrorReport,
    out_of_memory_advice,
    refusal,
    report_exception,
    summary,
)
from dspool_worker.host import AdapterHost
from dspool_worker.session import Session

_EXAMPLES = """
examples, by hand:
  python -m dspool_worker --check my_app.cart:Cart
  python -m dspool_worker --check my_app.cart:Cart --settings pool.toml --json
  python -m dspool_worker --check --help
"""


def parse_arguments(module: str, description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--adapter", required=True, metavar="package.module:Class")
    parser.add_argument(
        "--spin-us", type=int, metavar="N", help="look for work this long before sleeping"
    )
    parser.add_argument(
        "--settings", type=int, metavar="N", help="the descriptor to read the adapter's settings of"
    )
    return parser.parse_args()


def read_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The adapter's settings. Closes their descriptor: nothing that the adapter starts has it."""
    if arguments.settings is None:
        return {}
    with open(arguments.settings, "rb") as file:
        file.seek(0)
        settings: dict[str, Any] = decode(file.read())
    return settings


def prepare_process() -> None:
    """To be called before anything secret is read, which the adapter's settings may be."""
    keep_private()
    # A worker that is stuck is killed with SIGABRT, and says then where its threads are.
    faulthandler.enable(all_threads=True)
    # A terminal's Ctrl-C is the engine's to handle; it drains its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    command_log.install()


def run_worker(arguments: argparse.Namespace, make_host: Callable[[], AdapterHost]) -> int:
    """Serves the channel that the engine left in this process; returns its exit status."""
    try:
        channel = Channel(arguments.spin_us)
    except RuntimeError as error:
        print(f"a worker is started by the engine: {error}", file=sys.stderr)
        return 2
    hello = channel.hello()
    if hello.protocol != protocol_version():
        channel.fail(version_mismatch(hello.protocol))
        return 1
    try:
        host = make_host()
        host.adapter.start()
    except BaseException as error:
        channel.fail(start_report(arguments.adapter, error))
        return 1
    # What was imported lives as long as the worker: collections need not look at it again.
    gc.collect()
    gc.freeze()
    channel.ready(f"{platform.python_version()} ({sys.executable})", list(host.commands))
    if _serve(channel, host, hello):
        host.adapter.stop()
    return 0


def version_mismatch(engine: int) -> ErrorReport:
    """What an engine is told that speaks another protocol."""
    return refusal(
        "version_mismatch",
        f"the engine speaks protocol {engine}, and the package in {os.path.dirname(__file__)} "
        f"protocol {protocol_version()}: install the dspool_worker of the engine's version for "
        f"{sys.executable}, or name its folder first in worker.python_path",
        category="initialization",
    )


def start_report(adapter: str, error: BaseException) -> ErrorReport:
    """Why the adapter cannot be used, as the engine's start tells it."""
    if isinstance(error, AdapterError):
        advice = str(error)
    elif isinstance(error, ModuleNotFoundError):
        advice = (
            f"{summary(error)}: install it for {sys.executable}, or add its folder to "
            "worker.python_path"
        )
    elif isinstance(error, MemoryError):
        advice = f"{summary(error)}: {out_of_memory_advice()}"
    else:
        advice = f"{summary(error)}: see the traceback"
    return report_exception(
        error,
        category="initialization",
        code="adapter_failed",
        message=f"adapter {adapter} could not be started: {advice}",
    )


def _serve(channel: Channel, host: AdapterHost, hello: Hello) -> bool:
    """Runs commands on `max_in_flight` threads; False: the engine is gone."""
    loop = RequestLoop(channel, host, Session, host.commands, hello)
    others = [
        threading.Thread(target=_run, args=(loop,), name=f"command-{number}", daemon=True)
        for number in range(1, hello.max_in_flight)
    ]
    for thread in others:
        thread.start()
    drained = _run(loop)
    for thread in others:
        thread.join()
    return drained


def _run(loop: RequestLoop) -> bool:
    try:
        return loop.serve()
    except BaseException:
        # Its request would never be answered: the engine has to see a death, at once, also while it
        # drains the worker and whatever threads the adapter has.
        try:
            traceback.print_exc()
        finally:
            os._exit(1)
