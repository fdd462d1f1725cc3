"""What `import handrail` gives, and what it costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import handrail


def test_every_public_name_is_there_and_is_what_type_checkers_take_it_for() -> None:
    tree = ast.parse(Path(handrail.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    typed = {a.name: n.module for n in imports for a in n.names if n.module}
    for name in handrail.__all__:
        found = getattr(handrail, name)
        home = sys.modules[typed[name] or ""]
        assert getattr(home, name) is found


def test_the_public_names_are_sorted_and_each_there_once() -> None:
    assert handrail.__all__ == sorted(set(handrail.__all__))


def test_a_misspelt_name_is_an_ordinary_error() -> None:
    with pytest.raises(ImportError, match="Agnet"):
        exec("from handrail import Agnet")  # noqa: S102  # the statement under test


def test_importing_handrail_alone_imports_neither_temporal_nor_sqlalchemy() -> None:
    heavy = "import sys, handrail; print({'temporalio', 'sqlalchemy', 'pydantic'} & {*sys.modules})"
    out = subprocess.run(
        [sys.executable, "-c", heavy], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == "set()"


def test_what_people_and_workers_import_builds_no_grammar_of_rules() -> None:
    heavy = "import sys, handrail.cli.processes, handrail.client, handrail.inbox, handrail.runtime"
    out = subprocess.run(
        [sys.executable, "-c", f"{heavy}; print('rule_engine' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert out.strip() == "False"
