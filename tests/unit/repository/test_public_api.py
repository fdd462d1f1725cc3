"""What `import handrail` gives, and what it costs."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic.errors import PydanticSchemaGenerationError

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


@pytest.mark.parametrize(
    ("command", "needless"),
    [
        ("--help", "temporalio pydantic sqlalchemy handrail.client handrail.runtime"),
        ("inbox", "sqlalchemy handrail.ledger.ledger"),
        ("approve x --by a@b.c --why y", "sqlalchemy handrail.ledger.ledger"),
        ("cases", ""),
        ("show x:y", ""),
        ("agents", ""),
        ("workers", ""),
    ],
)
def test_a_command_imports_nothing_heavy_that_it_does_not_need(
    command: str, needless: str, tmp_path: Path
) -> None:
    """By the time it says that no server answers, it has imported all that asking takes."""
    never = (
        "temporalio.worker handrail.agent.workflow handrail.evidence.report handrail.guardrails "
        "handrail.policy.policy handrail.runtime.fleet regex structlog"
    )
    heavy = f"{never} {needless}".split()
    code = (
        "import sys; from datetime import timedelta; from handrail.cli import app, context; "
        "context.PATIENCE = timedelta(0); app.run(sys.argv[1:]); "
        f"print('loaded:', *({{*{heavy!r}}} & {{*sys.modules}}))"
    )
    lost = {"TEMPORAL_ADDRESS": "127.0.0.1:1", "HANDRAIL_HOME": str(tmp_path)}
    out = subprocess.run(
        [sys.executable, "-c", code, *command.split()],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | lost,
        cwd=tmp_path,
    )
    assert out.stdout.splitlines()[-1] == "loaded:", out.stderr


def test_models_are_built_when_a_worker_asks_and_those_of_users_as_they_are_defined() -> None:
    code = (
        "from handrail import Action\n"
        "from handrail.actions import Receipt\n"
        "from handrail.wire import build_models\n"
        "class Pay(Action):\n"
        "    amount: int\n"
        "print(Pay.__pydantic_complete__, Receipt.__pydantic_complete__)\n"
        "build_models()\n"
        "print(Receipt.__pydantic_complete__)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["True", "False", "True"]


def test_a_type_that_no_model_can_hold_is_an_error_where_an_action_is_defined() -> None:
    with pytest.raises(PydanticSchemaGenerationError):

        class _Odd(handrail.Action):  # pyright: ignore[reportUnusedClass]
            held: ast.AST
