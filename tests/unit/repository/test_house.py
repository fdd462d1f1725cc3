"""The rules of the house that the import contracts cannot hold: budgets, names, faces, the map."""

from __future__ import annotations

import ast
import importlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

from tests.architecture import ENGINE, PAGE, ROOT, page

BUDGETS = {
    "ground": 1_983,
    "policy": 4_489,
    "ledger": 7_063,
    "oversight": 4_704,
    "agent": 10_505,
    "guardrails": 6_050,
    "evidence": 5_555,
    "client": 8_487,
    "runtime": 8_089,
    "integrations": 6_669,
    "inbox": 10_055,
    "testing": 1_253,
    "cli": 9_527,
}
"""Lines of Python in each room. Who needs more splits the room, or cuts; growth is decided here."""

LONGEST = 500
"""Lines of one file."""

USUAL = 400
"""More than nine in ten files have fewer lines: a cut is due before one has no room left."""

SITTING = 350
"""Lines of an agent of this repository: its workflow and its steps together."""

WAIVED = 2
"""Checks of a tool that a comment waives, in 1,000 lines."""

INSIDE = 31
"""Imports of tests into the insides of a room that is not theirs. It may only fall."""

FACES = Path(__file__).with_name("faces.json")
"""What each room gives to the others: a name that comes or goes is meant to."""

TESTS = ROOT / "tests"
PLUGIN = ["testing", "fixtures"]
ROOMS = sorted(set(BUDGETS) - {"ground"})


def modules(room: str) -> list[Path]:
    found = ENGINE.glob("*.py") if room == "ground" else (ENGINE / room).rglob("*.py")
    return sorted(found)


def lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def classes() -> Iterator[tuple[str, Path]]:
    for path in ENGINE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield node.name, path.relative_to(ENGINE)


def reaches_inside(path: Path) -> Iterator[str]:
    """What a test of one room takes from the insides of another, past its face."""
    own = path.relative_to(TESTS).parts[1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        for module in modules_of(node):
            parts = module.split(".")
            deep = parts[0] == "handrail" and len(parts) > 2 and parts[1] in ROOMS
            if deep and parts[1] != own and parts[1:] != PLUGIN:
                yield f"{path.relative_to(TESTS)}: {module}"


def modules_of(node: ast.AST) -> set[str]:
    """The modules that an import names, also as names of the package that they are in."""
    if not isinstance(node, ast.ImportFrom) or node.module is None:
        return set()
    folder = ENGINE.parent / node.module.replace(".", "/")
    inner = {f"{node.module}.{a.name}" for a in node.names if (folder / f"{a.name}.py").exists()}
    return {node.module, *inner}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ENGINE.parent).with_suffix("").parts)


def test_every_file_lies_in_a_room_that_has_a_budget() -> None:
    rooms = {path.name for path in ENGINE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert rooms == set(ROOMS)


@pytest.mark.parametrize("room", sorted(BUDGETS))
def test_a_room_keeps_to_its_budget(room: str) -> None:
    used = sum(map(lines, modules(room)))
    assert used <= BUDGETS[room], f"{room} has {used} lines: split it, or cut"


def test_no_file_is_longer_than_a_person_reads() -> None:
    long = {
        str(p.relative_to(ENGINE)): lines(p) for p in ENGINE.rglob("*.py") if lines(p) > LONGEST
    }
    assert long == {}


def test_nine_files_in_ten_have_room_left() -> None:
    sizes = sorted(map(lines, ENGINE.rglob("*.py")))
    assert sizes[len(sizes) * 9 // 10] < USUAL, "cut one of the long ones where it has two things"


def test_an_agent_is_read_in_a_sitting() -> None:
    agents = [p.name for p in (ROOT / "workflows").glob("[a-z]*.py")]
    used = {
        n: sum(lines(ROOT / folder / n) for folder in ("workflows", "activities")) for n in agents
    }
    assert {name: count for name, count in used.items() if count > SITTING} == {}


def test_few_checks_of_the_tools_are_waived() -> None:
    text = [line for p in ENGINE.rglob("*.py") for line in p.read_text("utf-8").splitlines()]
    waived = [line for line in text if re.search(r"# (noqa|type: ignore|pyright: ignore)", line)]
    assert len(waived) * 1_000 <= WAIVED * len(text), f"{len(waived)}: mend what they waive"


@pytest.mark.parametrize("room", ROOMS)
def test_a_file_name_is_there_once_in_a_room(room: str) -> None:
    names = Counter(path.name for path in modules(room) if path.name != "__init__.py")
    assert [name for name, count in names.items() if count > 1] == []


def test_a_class_name_is_there_once_in_the_tree() -> None:
    names = Counter(name for name, _ in classes())
    twice = {name for name, count in names.items() if count > 1}
    assert {name: [str(p) for n, p in classes() if n == name] for name in twice} == {}


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Nor for types alone, nor late in a function: a reader follows these just the same."""
    every = {module_of(path): path for path in ENGINE.rglob("*.py") if path.stem != "__init__"}
    graph = {
        name: {
            module
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            for module in modules_of(node) & every.keys()
        }
        for name, path in every.items()
    }
    TopologicalSorter(graph).prepare()


def test_the_faces_are_what_was_agreed() -> None:
    agreed: dict[str, Any] = json.loads(FACES.read_text("utf-8"))
    found = {room: importlib.import_module(f"handrail.{room}").__all__ for room in ROOMS}
    for room, names in found.items():
        assert len(names) == len(set(names)), room
    assert found == agreed, f"write it into {FACES.name} if it is meant"


def test_a_face_is_a_docstring_imports_and_all() -> None:
    for room in ROOMS:
        tree = ast.parse((ENGINE / room / "__init__.py").read_text("utf-8"))
        on_demand = [node for node in tree.body if isinstance(node, ast.If)]
        assert all(ast.unparse(node.test) == "TYPE_CHECKING" for node in on_demand), room
        kinds = {type(node) for node in tree.body if node not in on_demand}
        assert kinds <= {ast.Expr, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign}, room


def test_tests_know_the_insides_of_their_own_room_only() -> None:
    paths = [path for kind in ("unit", "integration") for path in (TESTS / kind).glob("*/*.py")]
    found = sorted(each for path in paths for each in reaches_inside(path))
    assert len(found) <= INSIDE, found


def test_every_file_that_the_page_names_is_there() -> None:
    named = re.findall(r"`([a-z_]+(?:/[a-z_]*)*(?:/|\.py))`", PAGE.read_text("utf-8"))
    assert len(named) > 30
    assert [
        each for each in named if not ((ENGINE / each).exists() or (ROOT / each).exists())
    ] == []


def test_the_drawing_is_of_the_contract() -> None:
    assert PAGE.read_text("utf-8") == page(), "stale: make map"
