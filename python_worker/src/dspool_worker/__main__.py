"""A worker process. The engine starts it; it is of no use by hand."""

import argparse
import faulthandler
import gc
import os
import platform
import signal
import sys
import threading
import traceback

from dspool_worker._native import Channel, Hello, RequestLoop
from dspool_worker.adapter import AdapterError, load_adapter
from dspool_worker.errors import ErrorReport, report_exception, summary
from dspool_worker.host import AdapterHost
from dspool_worker.session import Session


def main() -> int:
    arguments = _parse_arguments()
    _prepare_process()
    try:
        channel = Channel(arguments.spin_us)
    except RuntimeError as error:
        print(f"a worker is started by the engine: {error}", file=sys.stderr)
        return 2
    hello = channel.hello()
    try:
        host = AdapterHost(load_adapter(arguments.adapter))
        host.adapter.start()
    except BaseException as error:
        channel.fail(_start_report(arguments.adapter, error))
        return 1
    # What was imported lives as long as the worker: collections need not look at it again.
    gc.collect()
    gc.freeze()
    channel.ready(f"{platform.python_version()} ({sys.executable})", list(host.commands))
    if _serve(channel, host, hello):
        host.adapter.stop()
    return 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dspool_worker", description=__doc__)
    parser.add_argument("--adapter", required=True, metavar="package.module:Class")
    parser.add_argument(
        "--spin-us", type=int, metavar="N", help="look for work this long before sleeping"
    )
    return parser.parse_args()


def _prepare_process() -> None:
    # A worker that is stuck is killed with SIGABRT, and says then where its threads are.
    faulthandler.enable(all_threads=True)
    # A terminal's Ctrl-C is the engine's to handle; it drains its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]


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


def _start_report(adapter: str, error: BaseException) -> ErrorReport:
    if isinstance(error, AdapterError):
        advice = str(error)
    elif isinstance(error, ModuleNotFoundError):
        advice = (
            f"{summary(error)}: install it for {sys.executable}, or add its folder to "
            "worker.python_path"
        )
    else:
        advice = f"{summary(error)}: see the traceback"
    return report_exception(
        error,
        category="initialization",
        code="adapter_failed",
        message=f"adapter {adapter} could not be started: {advice}",
    )


if __name__ == "__main__":
    sys.exit(main())
