"""`handrail new`: what it writes, and what it does not."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import pytest

from handrail.cli.new import new
from handrail.exceptions import InvalidRequest


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_file_is_named_and_filled_in(folder: Path) -> None:
    asyncio.run(new("late-refunds", owner="ana@example.com"))
    made = {str(path.relative_to(folder / "late-refunds")): path for path in folder.rglob("*.*")}
    assert {".env.example", ".github/workflows/ci.yml", "AGENTS.md", "Dockerfile"} <= {
        str(path.relative_to(folder / "late-refunds")) for path in folder.rglob("*")
    }
    code = {name: made[name] for name in made if name.endswith(".py")}
    assert {"activities/late_refunds.py", "workflows/late_refunds.py"} <= set(code)
    for path in code.values():
        ast.parse(path.read_text())
    assert "class LateRefundsAgent(AgentWorkflow)" in code["workflows/late_refunds.py"].read_text()
    assert "people: [ana@example.com]" in made["guardrails/late_refunds.yaml"].read_text()
    assert not [path for path in made.values() if path.is_file() and "@NAME@" in path.read_text()]


@pytest.mark.parametrize(
    "name", ["", "Refunds", "re funds", "../up", "workers", "class", "1st", "a" * 41]
)
def test_a_name_that_could_be_no_module_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match="fix: "):
        asyncio.run(new(name))
    assert list(folder.iterdir()) == []


def test_nothing_is_written_over(folder: Path) -> None:
    (folder / "refunds").mkdir()
    (folder / "refunds" / "mine.txt").touch()
    with pytest.raises(InvalidRequest, match="there already"):
        asyncio.run(new("refunds"))
    assert [path.name for path in (folder / "refunds").iterdir()] == ["mine.txt"]
