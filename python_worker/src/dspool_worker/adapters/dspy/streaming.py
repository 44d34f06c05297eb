"""A language model's text as it comes, told by field.

DSPy hands what it reads to `send_stream`, from a thread of anyio. Its own `streamify` shares a
limit of eight such threads between event loops, whose waiters one loop cannot wake in another; so
each call has a loop and a thread of its own here.
"""

import asyncio
import re
from collections.abc import Callable, Collection
from typing import Any

import dspy

from dspool_worker.adapters.dspy.running import LOOK_S, Running

_MARK = "[[ ## "
_HEADER = re.compile(r"\n[ \t]*\[\[ ## ([^\n\]]{1,64}?) ## \]\]")
_LONGEST_HEADER = 96
_LINE_BREAK = "\n"  # a header begins a line, and so does an answer

Emit = Callable[[dict[str, str]], None]


class FieldSplitter:
    """Finds the fields in an answer of DSPy's chat format, and emits {field, text} of each.

    As DSPy does, it leaves out white space around a field's text. What may be the beginning of the
    next field's header is held back until it is known.
    """

    def __init__(self, emit: Emit, fields: Collection[str] | None) -> None:
        """`fields` are those to emit; None: all."""
        self._emit = emit
        self._fields = fields
        self._text = _LINE_BREAK
        self._field: str | None = None
        self._begun = False

    def feed(self, text: str) -> None:
        self._text += text
        while (header := _HEADER.search(self._text)) is not None:
            self._put(self._text[: header.start()].rstrip())
            self._field = header[1] if self._is_wanted(header[1]) else None
            self._begun = False
            self._text = self._text[header.end() :]
        ready = len(self._text) - _held_back(self._text)
        self._put(self._text[:ready])
        self._text = self._text[ready:]

    def end(self) -> None:
        """The answer has ended; the next text is of another one."""
        self._put(self._text.rstrip())
        self._text = _LINE_BREAK
        self._field = None
        self._begun = False

    def _is_wanted(self, field: str) -> bool:
        return field != "completed" and (self._fields is None or field in self._fields)

    def _put(self, text: str) -> None:
        if not self._begun:
            text = text.lstrip()
        if text and self._field is not None:
            self._begun = True
            self._emit({"field": self._field, "text": text})


def _held_back(text: str) -> int:
    """How much of the end may be a header, or white space before one."""
    line_break = text.rfind("\n")
    line = text[line_break + 1 :].lstrip(" \t")
    may_be_header = line.startswith(_MARK) or _MARK.startswith(line)
    if line_break >= 0 and may_be_header and len(line) <= _LONGEST_HEADER:
        return len(text) - len(text[:line_break].rstrip())
    return len(text) - len(text.rstrip())


class _Sink:
    """What DSPy sends chunks to. It waits where the caller of the pool does."""

    def __init__(self, splitter: FieldSplitter) -> None:
        self._splitter = splitter

    async def send(self, chunk: Any) -> None:
        for choice in getattr(chunk, "choices", ()):
            text = getattr(choice.delta, "content", None)
            if text:
                self._splitter.feed(text)
            if choice.finish_reason is not None:
                self._splitter.end()


def run_streaming(
    run: Callable[[], Any], emit: Emit, fields: Collection[str] | None, running: Running
) -> Any:
    """Runs a program in a thread, emits on this one what its language models say, and returns what
    it returns. What `emit` raises ends it, and where its call ends, so do its requests."""
    import anyio

    async def main() -> Any:
        with dspy.context(send_stream=_Sink(FieldSplitter(emit, fields))):
            limiter = anyio.CapacityLimiter(1)
            program = asyncio.ensure_future(anyio.to_thread.run_sync(run, limiter=limiter))
            try:
                while not program.done():
                    await asyncio.wait((program,), timeout=running.wait_s())
            except BaseException:
                await _end_requests(program)
                if program.cancelled():
                    raise
            return program.result()

    return asyncio.run(main())


async def _end_requests(program: "asyncio.Future[Any]") -> None:
    """Cancels what a program's thread has the loop do for it, until the program has ended."""
    ours = {program, asyncio.current_task()}
    while not program.done():
        for request in asyncio.all_tasks() - ours:
            request.cancel()
        await asyncio.wait((program,), timeout=LOOK_S)
