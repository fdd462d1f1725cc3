"""`handrail new --like`: each agent as a project of its own, checked where it stands."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from handrail.cli import like
from tests.integration.cli.cli_tools import Project, environment

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
UV = Path(sys.executable).with_name("uv")
AGENTS = (
    "support",
    "invoices",
    "maintenance",
    "reconciliation",
    "routes",
    "leads",
    "inspection",
    "onboarding",
    "sales",
    "alerts",
    "research",
)


def run(folder: Path, *words: str, **env: str) -> str:
    argv = [sys.executable, "-m", *words]
    given = environment(**env)
    done = subprocess.run(argv, check=False, cwd=folder, env=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def new(folder: Path, name: str, agent: str) -> Path:
    """A project like an agent, written by a fork of a process that has imported the command."""
    made = Project(folder, environment()).run("new", name, "--like", agent)
    assert made.returncode == 0, made
    return folder / name


def test_each_agent_that_has_a_demonstration_may_be_written() -> None:
    assert set(AGENTS) < set(like.agents(like.sources()))


@pytest.mark.parametrize("agent", AGENTS)
def test_it_runs_under_its_own_name_where_nothing_else_is(agent: str, tmp_path: Path) -> None:
    checked = Project(new(tmp_path, "our-own", agent), environment()).run("check")
    assert re.search(r"^our_own  ", checked.stdout, re.MULTILINE), checked
    assert "no faults" in checked.stdout


@pytest.mark.parametrize("agent", ["support", "inspection", "sales"])
def test_its_programs_and_tests_find_all_that_they_import(agent: str, tmp_path: Path) -> None:
    project = new(tmp_path, "our-own", agent)
    names = [str(p.relative_to(project)) for p in project.glob("tests/**/test_*.py")]
    assert names
    assert "error" not in run(project, "pytest", "--collect-only", "-q", *names)


@pytest.mark.parametrize("agent", AGENTS)
def test_what_functions_import_is_there_too(agent: str, tmp_path: Path) -> None:
    like.written_like(agent, "our-own", tmp_path)
    for path in tmp_path.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(like.ROOTS):
                at = tmp_path.joinpath(*(node.module or "").split("."))
                init = at / "__init__.py"
                face = init.read_text("utf-8") if init.exists() else ""
                for name in (each.name for each in node.names):
                    files = (at.with_suffix(".py"), at / f"{name}.py", at / name / "__init__.py")
                    there = name in face or any(map(Path.exists, files))
                    assert there, f"{path}: {node.module}.{name}"


@pytest.mark.parametrize("agent", [*AGENTS, "retraining"])
def test_its_readme_has_an_event_that_the_agent_takes(agent: str, tmp_path: Path) -> None:
    folder = new(tmp_path, "our-own", agent)
    readme = (folder / "README.md").read_text("utf-8")
    [(name, given)] = re.findall(r"^handrail start (\S+) '(.*)' --wait$", readme, re.MULTILINE)
    look = (
        "import sys; from workers.fleet import fleet\n"
        "print(fleet.agent(sys.argv[1]).parse_event(sys.argv[2]).key)"
    )
    argv = [sys.executable, "-c", look, name, given]
    done = subprocess.run(
        argv, check=False, cwd=folder, env=environment(), capture_output=True, text=True
    )
    assert done.stdout.strip(), done.stderr
    [who] = re.findall(r"^handrail inbox --person (\S+)$", readme, re.MULTILINE)
    assert who in (folder / "guardrails" / "our_own.yaml").read_text("utf-8")


@pytest.mark.parametrize("agent", AGENTS)
def test_its_own_tests_come_along_and_speak_of_it_by_its_new_name(
    agent: str, tmp_path: Path
) -> None:
    like.written_like(agent, "our-own", tmp_path)
    tests = [*tmp_path.rglob("test_*.py")]
    assert {path.name.startswith(f"test_{agent}") for path in tests} == {True}, tests
    old = rf'/agents/{agent}/|"{agent}:(?![a-z]+")\w|== \["{agent}"|"{agent}", ("\w+"\)|datetime\()'
    for path in tmp_path.rglob("*.py"):
        found = re.search(old, path.read_text("utf-8"))
        assert found is None or "world" in path.parts, f"{path}: {found}"


@pytest.mark.parametrize("agent", ["alerts", "inspection", "reconciliation", "sales"])
def test_the_programs_of_its_outside_systems_are_there(agent: str, tmp_path: Path) -> None:
    like.written_like(agent, "our-own", tmp_path)
    look = (
        "from importlib.util import find_spec; from workers.fleet import systems\n"
        "programs = [each.argv[2] for each in systems]; assert programs\n"
        "assert len({each.name for each in systems}) == len(systems), systems\n"
        "assert all(map(find_spec, programs)), programs"
    )
    argv = [sys.executable, "-c", look]
    done = subprocess.run(
        argv, check=False, cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_word_that_is_no_agent_keeps_its_meaning(tmp_path: Path) -> None:
    like.written_like("inspection", "our-own", tmp_path)
    assert 'part == "inspection"' in (tmp_path / "workflows/maintenance.py").read_text("utf-8")
    assert 'HandsTo("maintenance"' in (tmp_path / "workers/fleets/our_own.py").read_text("utf-8")


def test_its_own_tests_pass_there(tmp_path: Path) -> None:
    project = new(tmp_path, "prospects", "leads")
    assert " passed" in run(project, "pytest", "-q", "tests/unit")


def test_the_wheel_brings_them(tmp_path: Path) -> None:
    command = [
        UV,
        "build",
        "--quiet",
        "--wheel",
        "--no-build-isolation",
        "--python",
        sys.executable,
    ]
    subprocess.run([*command, "--out-dir", tmp_path, ROOT], check=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "installed")
    run(
        tmp_path, "handrail", "new", "a", "--like", "routes", PYTHONPATH=str(tmp_path / "installed")
    )
    new(tmp_path, "b", "routes")
    written = [
        {path.relative_to(each): path.read_bytes() for path in each.rglob("*.yaml")}
        for each in (tmp_path / "a", tmp_path / "b")
    ]
    assert len(written[0]) == len(written[1]) >= 1
    assert "no faults" in run(tmp_path / "a", "handrail", "check")
