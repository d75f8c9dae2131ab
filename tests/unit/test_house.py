"""The shape of the code: a file holds one idea, and a class what a reader keeps in mind."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
WORKER: Final = ROOT / "worker"
ARCHITECTURE: Final = (ROOT / "docs" / "architecture.md").read_text()
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


def _section(heading: str) -> str:
    """Of the page of the architecture, up to the next heading."""
    return ARCHITECTURE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


def _quoted(text: str, shape: str) -> set[str]:
    return set(re.findall(rf"`({shape})`", text))


def _named_here(text: str) -> set[str]:
    """What is quoted and looks like the name of a module; `judge_` is the beginning of one."""
    return _quoted(text, r"[a-z][a-z_]*[a-z]")


def _defined(path: Path) -> set[str]:
    """Names that a file, or a file of the folder, gives to classes, functions and values."""
    names: set[str] = set()
    for file in path.glob("*.py") if path.is_dir() else [path]:
        for node in ast.parse(file.read_text()).body:
            match node:
                case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                    names.add(name)
                case ast.AnnAssign(target=ast.Name(id=name)):
                    names.add(name)
                case ast.Assign(targets=targets):
                    names |= {one.id for one in targets if isinstance(one, ast.Name)}
    return names


def test_every_file_and_folder_that_the_architecture_names_is_there() -> None:
    named = _quoted(ARCHITECTURE, r"[\w/.-]+\.(?:py|lua|toml)|[\w/]+/")
    named = {one for one in named if not one.startswith(".")}
    assert {"broker/message.py", "delivery/", "pyproject.toml"} <= named, "names are found"
    inner = {f"{one.parent.name}/" for one in WORKER.rglob("__init__.py")}
    places = (WORKER, ROOT)
    gone = {one for one in named - inner if not any((root / one).exists() for root in places)}
    assert gone == set()


def test_every_module_that_the_rooms_are_told_by_is_there() -> None:
    modules = {path.stem for path in _sources()}
    told = [one for one in re.findall(r"^## (.+)$", ARCHITECTURE, re.MULTILINE) if "rooms" in one]
    assert len(told) == 4
    named = set().union(*(_named_here(_section(one)) for one in told))
    assert {"letter_events", "receipting", "credentials"} <= named, "names are found"
    assert named - modules == set()


def test_a_package_names_only_what_is_in_it() -> None:
    gone, named = {}, 0
    for path in WORKER.rglob("__init__.py"):
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
        inside = {one.stem for one in path.parent.glob("*.py")} | _defined(path.parent)
        named += len(_named_here(docstring))
        if missing := _named_here(docstring) - inside:
            gone[str(path.relative_to(WORKER))] = missing
    assert named > 5, "names are found"
    assert gone == {}


def test_every_protocol_and_constant_stands_in_the_file_that_its_table_names() -> None:
    elsewhere, seen = set(), 0
    for line in (_section("Protocols") + _section("Tuned constants")).splitlines():
        if not line.startswith("| `"):
            continue
        names, places = (_quoted(cell, r"[\w/.]+") for cell in line.split("|")[1:3])
        defined = set().union(*(_defined(WORKER / one) for one in places))
        seen += len(names)
        elsewhere |= {f"{name}: {', '.join(places)}" for name in names - defined}
    assert seen > 100, "rows are found"
    assert elsewhere == set()


def test_the_order_within_delivery_is_that_of_the_import_contract() -> None:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    layers = next(
        one["layers"] for one in contracts if one.get("containers") == ["worker.delivery"]
    )
    drawn = _section("The rooms of delivery").split("```")[1].strip().splitlines()
    assert [one.removeprefix("→ ") for one in drawn] == [one.replace(" |", ",") for one in layers]
