"""The extension is what its stub says: the stub is the golden copy of its interface."""

import ast
from pathlib import Path

import dspool_worker
from dspool_worker import _native

STUB = Path(dspool_worker.__file__).with_name("_native.pyi")
INHERITED = frozenset(dir(object)) | {"__module__", "__weakref__", "__dict__"}


def stub_names() -> dict[str, set[str]]:
    names: dict[str, set[str]] = {}
    for node in ast.parse(STUB.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            names[node.name] = set()
        elif isinstance(node, ast.ClassDef):
            members = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
            names[node.name] = members - INHERITED
    return names


def native_names() -> dict[str, set[str]]:
    names: dict[str, set[str]] = {}
    for name, value in vars(_native).items():
        if name.startswith("_"):
            continue
        own = set(vars(value)) - INHERITED if isinstance(value, type) else set()
        names[name] = {member for member in own if not member.startswith("_pybind11")}
    return names


def test_the_stub_and_the_extension_have_the_same_names() -> None:
    assert native_names() == stub_names()


def test_the_stub_and_the_extension_have_the_same_words() -> None:
    module = ast.parse(STUB.read_text())
    assert ast.get_docstring(module) == _native.__doc__
    for node in module.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        told = ast.get_docstring(node)
        if told:
            said = getattr(_native, node.name).__doc__ or ""
            assert " ".join(told.split()) in " ".join(said.split())
