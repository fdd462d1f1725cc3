"""The faces of rooms: each name of one is imported when it is first asked for.

A face names all that its room shows, and whoever takes one name of it needs no more than the
module of that name: all of them together cost a second, which every command would pay.

    if TYPE_CHECKING:
        from handrail.ledger.intake_rows import IntakeRow
    else:
        __getattr__ = on_demand(__name__)

Type checkers, editors and the contracts of the rooms read the imports as they stand.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any

from handrail.syntax import syntax_tree


def on_demand(face: str) -> Callable[[str], Any]:
    """The `__getattr__` of a face: imports a name from where the face's own text says it is."""

    @functools.cache
    def homes() -> dict[str, tuple[str, str]]:
        tree = syntax_tree(inspect.getsource(sys.modules[face]))
        imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
        return {
            a.asname or a.name: (node.module or "", a.name) for node in imports for a in node.names
        }

    def get(name: str) -> Any:
        if name.startswith("__") or name not in homes():
            raise AttributeError(f"module {face!r} has no attribute {name!r}")
        module, original = homes()[name]
        found = getattr(importlib.import_module(module), original)
        setattr(sys.modules[face], name, found)
        return found

    return get
