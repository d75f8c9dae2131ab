"""Only worker/wire reaches into libraries: elsewhere a private part is one's own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import worker
from worker.wire.private_parts import PRIVATE_PARTS

ROOT = Path(worker.__file__).parent
OUTSIDE = sorted(path for path in ROOT.rglob("*.py") if ROOT / "wire" not in path.parents)
OF_THE_LANGUAGE = {"_replace", "_fields", "_asdict", "_make", "_value_"}
"""Public, in spite of their names (Python documentation, `collections.namedtuple` and `enum`)."""
UNDOCUMENTED = {"write_queue", "max_content_size", "CONTENT_FRAME_SIZE", "transport_factory"}
PRIVATE_NAMES = UNDOCUMENTED | {
    one.name for one in PRIVATE_PARTS if one.name.startswith("_") and one.name != "__init__"
}


def foreign_private_parts(source: str) -> list[str]:
    """Accesses to a `_name` that this module defines nowhere: it is another's."""
    nodes = list(ast.walk(ast.parse(source)))
    accesses = [one for one in nodes if isinstance(one, ast.Attribute)]
    own = {one.name for one in nodes if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
    own |= {one.attr for one in accesses if isinstance(one.ctx, ast.Store) and _is_of_self(one)}
    own |= {
        one.target.id
        for one in nodes
        if isinstance(one, ast.AnnAssign | ast.NamedExpr) and isinstance(one.target, ast.Name)
    }
    return [
        ast.unparse(one)
        for one in accesses
        if one.attr.startswith("_") and not one.attr.startswith("__")
        if one.attr not in own | OF_THE_LANGUAGE and not _is_of_self(one)
    ]


def _is_of_self(access: ast.Attribute) -> bool:
    return isinstance(access.value, ast.Name) and access.value.id in ("self", "cls")


def test_an_access_is_found() -> None:
    foreign = "class A:\n    def f(self, channel):\n        return channel._reader"
    assert foreign_private_parts(foreign) == ["channel._reader"]
    own = "class A:\n    def f(self, other):\n        self._x = other._x"
    assert foreign_private_parts(own) == []


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_private_part_of_another_is_used_outside_of_wire(path: Path) -> None:
    source = path.read_text()
    assert foreign_private_parts(source) == []
    assert not [name for name in PRIVATE_NAMES if name in source]
