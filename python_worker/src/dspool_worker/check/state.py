"""Whether commands change the adapter itself, which belongs to one worker."""

import ast
import inspect
import textwrap
from collections.abc import Iterator

from dspool_worker.adapter import Adapter
from dspool_worker.check.finding import WARNING, Finding, place_of

_MUTATORS = frozenset(
    [
        "add",
        "append",
        "appendleft",
        "clear",
        "discard",
        "extend",
        "insert",
        "pop",
        "popitem",
        "popleft",
        "remove",
        "setdefault",
        "update",
    ]
)


def state_findings(adapter: type[Adapter]) -> Iterator[Finding]:
    """Of all methods but constructors and hooks."""
    for name in sorted(dir(adapter)):
        method = inspect.getattr_static(adapter, name)
        if name.startswith("__") or hasattr(Adapter, name) or not inspect.isfunction(method):
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(method))))
        except (OSError, SyntaxError, TypeError):  # no source is at hand
            continue
        function = tree.body[0]
        if not isinstance(function, ast.FunctionDef) or not function.args.args + (
            function.args.posonlyargs
        ):
            continue
        me = (function.args.posonlyargs + function.args.args)[0].arg
        for changed in sorted(_changed(function, me)):
            yield Finding(
                WARNING,
                "state_on_self",
                place_of(method),
                f"changes `{me}.{changed}`, which is this worker's alone: no other worker sees it, "
                "and with max_in_flight above 1 several threads change it at once",
                "keep in the session what belongs to it; for what may be lost, such as a cache, "
                "use a lock (with self._lock: ...)",
            )


def _changed(node: ast.AST, me: str) -> set[str]:
    """Attributes of `me` that are assigned, deleted or changed in place, without a lock."""
    changed: set[str | None] = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.With) and any(
            _attribute_of(item.context_expr, me) for item in child.items
        ):
            continue
        if isinstance(child, ast.Attribute | ast.Subscript) and not isinstance(child.ctx, ast.Load):
            changed.add(_attribute_of(child, me))
        elif (
            isinstance(child, ast.Call)
            and isinstance(child.func, ast.Attribute)
            and child.func.attr in _MUTATORS
        ):
            changed.add(_attribute_of(child.func.value, me))
        changed |= _changed(child, me)
    return {name for name in changed if name is not None}


def _attribute_of(node: ast.AST, me: str) -> str | None:
    """`count` for `self.count`, `self.count[key]`, `self.count.more`."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        inner = node.func if isinstance(node, ast.Call) else node.value
        if isinstance(node, ast.Attribute) and isinstance(inner, ast.Name) and inner.id == me:
            return node.attr
        node = inner
    return None
