"""The worker of the design that dspool replaces: JSON, with its length before it, over two pipes.

It runs the same commands as a worker of dspool, of the adapter loadtest. A session's state is a
dict in this process, and in no other.
"""

import json
import os
import struct
import sys
import time
from typing import Any, BinaryIO

from dspool_worker.adapters.loadtest import LoadTest

_LENGTH = struct.Struct(">I")


def main() -> int:
    # Duplicates, so that what a command prints cannot get between the answers.
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    adapter = LoadTest()
    sessions: dict[str, dict[str, Any]] = {}
    while (request := _read(requests)) is not None:
        _write(answers, _answer(adapter, sessions, request))
    return 0


def _answer(
    adapter: LoadTest, sessions: dict[str, dict[str, Any]], request: dict[str, Any]
) -> dict[str, Any]:
    answer = {"id": request["id"], "timestamp": time.time()}
    try:
        args = request["args"]
        session = sessions.setdefault(args.pop("session_id"), {})
        result = getattr(adapter, request["command"])(session, **args)
    except Exception as error:
        return answer | {"success": False, "error": str(error)}
    return answer | {"success": True, "result": result}


def _read(stream: BinaryIO) -> dict[str, Any] | None:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    request: dict[str, Any] = json.loads(stream.read(length))
    return request


def _write(stream: BinaryIO, answer: dict[str, Any]) -> None:
    body = json.dumps(answer).encode()
    stream.write(_LENGTH.pack(len(body)) + body)
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
