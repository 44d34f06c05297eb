"""Programs as a worker has them built: those of records, of questions, and the deployment's own."""

import functools
import hashlib
from collections.abc import Mapping
from typing import Any

from dspool_worker import CommandError
from dspool_worker._native import encode
from dspool_worker.adapters.dspy import signatures
from dspool_worker.adapters.dspy.copies import copy_for_call
from dspool_worker.adapters.dspy.deployment import BUILT_IN_KINDS, import_programs, import_tools
from dspool_worker.adapters.dspy.field_types import type_name
from dspool_worker.adapters.dspy.lru import Lru
from dspool_worker.adapters.dspy.modules import Live, build, check_config
from dspool_worker.adapters.dspy.program_state import load_state, parse_state
from dspool_worker.adapters.dspy.refusals import clip, invalid_config, invalid_signature
from dspool_worker.adapters.dspy.settings import Settings
from dspool_worker.adapters.dspy.signatures import Signature
from dspool_worker.errors import nearest

# What a program is built from; the rest of its record is told, and not used.
_BUILT_FROM = ("program_type", "signature", "config", "tools", "state")


class Library:
    """Builds programs, and keeps those that were used last, by the content of their records: so one
    that is kept is never of another content than the session's. Thread-safe; what it returns is
    shared, except for copies of the deployment's own modules.
    """

    def __init__(self, settings: Settings) -> None:
        self._tools = import_tools(settings.tools)
        self._registered = {
            name: Live(module) for name, module in import_programs(settings.programs).items()
        }
        self._kept: Lru[Any, Live] = Lru(settings.live_programs)

    @property
    def registered(self) -> list[str]:
        """The deployment's programs."""
        return sorted(self._registered)

    @property
    def size(self) -> int:
        """How many programs are kept built."""
        return len(self._kept)

    def make_record(
        self,
        program_type: str,
        signature: object,
        config: object,
        tools: object,
        state: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        """What is kept of a program. CommandErrors say what about it cannot be built."""
        if self.is_registered(program_type):
            if signature is not None:
                raise invalid_signature(f"{program_type} is the deployment's own and has its own")
            if config or tools:
                raise invalid_config(f"{program_type} is the deployment's own and takes none")
            return {"program_type": program_type, "signature": None, "state": state}
        if program_type not in BUILT_IN_KINDS:
            known = [*BUILT_IN_KINDS, *self._registered]
            raise CommandError(
                f"there is no program_type {clip(program_type)}: "
                f"{nearest(str(program_type)[:64], known)}",
                code="invalid_program_type",
            )
        return {
            "program_type": program_type,
            "signature": signatures.parse(signature).record(),
            "config": check_config({} if config is None else config, program_type),
            "tools": self._check_tools(program_type, tools),
            "state": state,
        }

    def program(self, record: Mapping[str, Any]) -> Live:
        """The program of a record."""
        content = {key: record.get(key) for key in _BUILT_FROM}
        key = hashlib.blake2b(encode(content), digest_size=16).digest()
        return self._kept.get(key, functools.partial(self._build, record))

    def own_program(self, name: str, record: Mapping[str, Any] | None) -> Live:
        """A copy, for one call, of a program of the deployment's own."""
        live = self._registered[name] if record is None else self.program(record)
        return Live(copy_for_call(live.module))

    def is_registered(self, program_type: object) -> bool:
        return isinstance(program_type, str) and program_type in self._registered

    def question(self, inputs: Mapping[str, Any], *, with_history: bool) -> Live:
        """What answers inputs that came without a signature."""
        # Their values are looked at by whoever asks with them.
        key = (tuple((name, type_name(value)) for name, value in inputs.items()), with_history)
        return self._kept.get(
            key,
            lambda: build("predict", signatures.of_inputs(inputs), with_history=with_history),
        )

    def signature(self, signature: object) -> Signature:
        """A caller's signature, parsed."""
        if isinstance(signature, str):
            return _parse_text(signature)
        return signatures.parse(signature)

    def prediction(self, parsed: Signature, *, with_history: bool) -> Live:
        """What answers inputs of a signature."""
        return self._kept.get(
            (parsed.key, with_history),
            functools.partial(build, "predict", parsed, with_history=with_history),
        )

    def _build(self, record: Mapping[str, Any]) -> Live:
        # Read as if a caller had sent it: an application may write a session's fields, too.
        program_type, state = record["program_type"], record.get("state")
        if self.is_registered(program_type):
            live = Live(copy_for_call(self._registered[program_type].module))
        elif program_type in BUILT_IN_KINDS:
            live = build(
                program_type,
                signatures.parse(record.get("signature")),
                config=check_config(record.get("config") or {}, program_type),
                tools=self._find_tools(self._check_tools(program_type, record.get("tools"))),
            )
        else:
            raise CommandError(
                f"the program is of the type {clip(program_type)}, which this deployment does not "
                "have any more",
                code="invalid_program_type",
            )
        if state is not None:
            load_state(live, parse_state(state))
        return live

    def _check_tools(self, program_type: str, tools: object) -> list[str]:
        if program_type != "react":
            if tools:
                raise invalid_config(f"{program_type} uses no tools: use react")
            return []
        if tools is None:
            return sorted(self._tools)
        if not isinstance(tools, list) or not all(isinstance(name, str) for name in tools):
            raise invalid_config("tools is a list of names")
        self._find_tools(tools)
        return sorted(set(tools))

    def _find_tools(self, names: Any) -> list[Any]:
        for name in names:
            if name not in self._tools:
                raise CommandError(
                    f"the deployment has no tool {clip(name)}: "
                    f"{nearest(str(name)[:64], self._tools)}",
                    code="tool_not_found",
                )
        return [self._tools[name] for name in names]


@functools.lru_cache(256)
def _parse_text(signature: str) -> Signature:
    return signatures.parse(signature)
