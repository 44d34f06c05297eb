"""A worker process. The engine starts it; it is of no use by hand."""

import sys

from dspool_worker.adapter import load_adapter
from dspool_worker.host import AdapterHost
from dspool_worker.worker import parse_arguments, prepare_process, read_settings, run_worker


def main() -> int:
    arguments = parse_arguments("dspool_worker", __doc__)
    prepare_process()
    return run_worker(
        arguments,
        lambda: AdapterHost(load_adapter(arguments.adapter, read_settings(arguments))),
    )


if __name__ == "__main__":
    sys.exit(main())
