"""Faces give each name when it is asked for, and it is what type checkers take it for."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import handrail

ENGINE = Path(handrail.__file__).parent
FACES = sorted(
    path.parent.name
    for path in ENGINE.glob("*/__init__.py")
    if "on_demand(__name__)" in path.read_text(encoding="utf-8")
)


def test_there_are_such_faces() -> None:
    assert {"agent", "client", "ledger", "oversight", "policy", "runtime"} <= {*FACES}


@pytest.mark.parametrize("room", FACES)
def test_each_name_of_a_face_is_that_of_the_module_which_its_import_names(room: str) -> None:
    face = importlib.import_module(f"handrail.{room}")
    tree = ast.parse((ENGINE / room / "__init__.py").read_text(encoding="utf-8"))
    homes = {
        each.asname or each.name: (node.module or "", each.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for each in node.names
    }
    for name in face.__all__:
        home, original = homes[name]
        assert getattr(face, name) is getattr(importlib.import_module(home), original)


@pytest.mark.parametrize("room", FACES)
def test_no_name_of_a_face_is_the_name_of_one_of_its_modules(room: str) -> None:
    """Whoever imported the module first would have the module for the name."""
    modules = {path.stem for path in (ENGINE / room).iterdir()}
    assert not modules & {*importlib.import_module(f"handrail.{room}").__all__}


def test_a_name_that_a_face_has_not_is_an_ordinary_error() -> None:
    with pytest.raises(ImportError, match="Ledgre"):
        exec("from handrail.ledger import Ledgre")  # noqa: S102  # the statement under test
