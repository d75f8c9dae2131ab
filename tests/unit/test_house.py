"""The shape of the code: a file holds one idea, and a class what a reader keeps in mind."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

WORKER: Final = Path(__file__).parents[2] / "worker"
MOST_LINES: Final = 250
"""In a file."""
MOST_METHODS: Final = 15
"""In a class, properties and `__init__` included."""


def _sources() -> list[Path]:
    return sorted(WORKER.rglob("*.py"))


def _classes(path: Path) -> Iterator[ast.ClassDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            yield node


def _methods(one: ast.ClassDef) -> int:
    """How many a class defines itself, in whatever branch of its body."""
    return sum(1 for statement in one.body for _ in _functions(statement))


def _functions(node: ast.stmt) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Those that it defines; neither what is inside of them nor the methods of an inner class."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.stmt):
            yield from _functions(inner)


def test_no_file_is_too_long() -> None:
    lengths = {
        str(path.relative_to(WORKER)): len(path.read_text().splitlines()) for path in _sources()
    }
    assert lengths
    assert {name: count for name, count in lengths.items() if count > MOST_LINES} == {}


def test_no_class_has_too_many_methods() -> None:
    counts = {
        f"{path.relative_to(WORKER)}: {one.name}": _methods(one)
        for path in _sources()
        for one in _classes(path)
    }
    assert counts["service/process.py: Service"] > 2, "methods are found"
    assert {name: count for name, count in counts.items() if count > MOST_METHODS} == {}


def test_every_module_and_package_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(WORKER))
        for path in _sources()
        if ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert silent == []
