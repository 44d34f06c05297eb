"""A worker process, which the engine starts with the descriptors of its channel.

By hand it says what is wrong with an adapter before that is deployed: --check package.module:Class.
"""

import sys

from dspool_worker.adapter import load_adapter
from dspool_worker.host import AdapterHost
from dspool_worker.worker import parse_arguments, prepare_process, read_settings, run_worker


def main() -> int:
    if sys.argv[1:2] == ["--check"]:
        from dspool_worker import check  # a worker has no use for it

        return check.main(sys.argv[2:])
    arguments = parse_arguments("dspool_worker", __doc__)
    prepare_process()
    return run_worker(
        arguments,
        lambda: AdapterHost(load_adapter(arguments.adapter, read_settings(arguments))),
    )


if __name__ == "__main__":
    sys.exit(main())
