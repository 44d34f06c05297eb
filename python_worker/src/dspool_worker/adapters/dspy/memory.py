"""The conversation that a session remembers: its field `history`, a list of turns.

A turn is {"inputs": {...}, "outputs": {...}}, with its caller's names. Each is appended, so that
only itself is sent to the engine; what is read of the conversation is bounded.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dspool_worker import CommandError, Session
from dspool_worker.adapters.dspy.refusals import invalid_inputs
from dspool_worker.adapters.dspy.signatures import Signature
from dspool_worker.adapters.dspy.values import size_of, unusable

_KEY = "history"
_Turn = dict[str, Any]


class Memory:
    """Sends the last turns along, and appends new ones.

    Up to `turns` of them and `size_bytes` are sent. Twice as much is kept before what is older is
    dropped, in one go: from the front of a list nothing can be taken without sending the rest anew.
    """

    def __init__(self, turns: int, size_bytes: int) -> None:
        self._turns = turns
        self._size_bytes = size_bytes

    def begun(self, session: Session) -> bool:
        """Whether there are earlier turns."""
        return bool(session.get(_KEY, ()))

    def check(self, session: Session) -> None:
        """CommandError `invalid_history` unless a turn can be appended."""
        _turns_of(session)

    def messages(self, session: Session, signature: Signature) -> list[dict[str, Any]]:
        """What is sent of the conversation, each turn as a message of DSPy's History."""
        return [_message(turn, signature) for turn in self._last(_turns_of(session))]

    def remember(self, session: Session, inputs: _Turn, outputs: _Turn) -> None:
        """Appends a turn. One that alone is more than may be sent is not kept."""
        turn = {"inputs": inputs, "outputs": outputs}
        if size_of(turn) > self._size_bytes:
            return
        if _KEY not in session:
            session[_KEY] = [turn]
            return
        session[_KEY].append(turn)
        turns = _turns_of(session)
        if len(turns) > 2 * self._turns or sum(map(size_of, turns)) > 2 * self._size_bytes:
            session[_KEY] = self._last(turns)

    def forget(self, session: Session) -> int:
        """Ends the conversation; returns how many turns it had."""
        turns = session.pop(_KEY, ())
        return len(turns) if isinstance(turns, (list, tuple)) else 0

    def _last(self, turns: Sequence[_Turn]) -> list[_Turn]:
        kept, left = 0, self._size_bytes
        for turn in reversed(turns[-self._turns :]):
            left -= size_of(turn)
            if left < 0:
                break
            kept += 1
        return list(turns[len(turns) - kept :])


def given_messages(value: object) -> list[dict[str, Any]]:
    """A conversation that a caller sent: a list of turns, or {"messages": [...]}, each a mapping of
    the signature's names."""
    if isinstance(value, Mapping) and value.keys() == {"messages"}:
        value = value["messages"]
    if not isinstance(value, (list, tuple)) or not all(isinstance(turn, dict) for turn in value):
        raise invalid_inputs("a History is a list of turns, each a mapping of the fields' names")
    if (why := unusable(list(value))) is not None:
        raise invalid_inputs(f"the History {why}")
    return [{name: _harmless(item) for name, item in turn.items()} for turn in value]


def in_words(messages: Sequence[Mapping[str, Any]]) -> str:
    """A conversation as a text, for what cannot take it as messages of its own form."""
    return "\n\n".join(
        "\n".join(f"{name}: {_in_words(value)}" for name, value in message.items())
        for message in messages
    )


def _turns_of(session: Session) -> Sequence[_Turn]:
    turns = session.get(_KEY, ())
    if not isinstance(turns, (list, tuple)) or not all(map(_is_turn, turns)):
        raise CommandError(
            f"the session's field {_KEY} is no conversation: call reset_state, or keep what "
            "is your own under another name",
            code="invalid_history",
        )
    return turns


def _is_turn(turn: object) -> bool:
    return isinstance(turn, dict) and all(
        isinstance(turn.get(side), dict) for side in ("inputs", "outputs")
    )


def _message(turn: _Turn, signature: Signature) -> dict[str, Any]:
    message: dict[str, Any] = {}
    for said, fields in ((turn["inputs"], signature.inputs), (turn["outputs"], signature.outputs)):
        names = [field.name for field in fields if field.type.name != "History"]
        if all(name in names for name in said):
            message.update({name: _harmless(item) for name, item in said.items()})
        else:
            # Of another signature: what was said is told in words, so that nothing is lost.
            message[names[0]] = "\n".join(
                f"{name}: {_in_words(item)}" for name, item in said.items()
            )
    return message


def _in_words(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _harmless(value: Any) -> Any:
    # DSPy takes a mapping with this key for calls of tools.
    if isinstance(value, dict) and "tool_calls" in value:
        return _in_words(value)
    return value
