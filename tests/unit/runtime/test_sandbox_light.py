"""What the sandbox has in place of the SDK's own answers the same, and keeps what was loaded."""

import builtins
import datetime as dt
import importlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from temporalio.worker.workflow_sandbox import SandboxRestrictions
from temporalio.workflow import _definition  # pyright: ignore[reportPrivateUsage]

from handrail import Outcome
from handrail.runtime import ContextFreeSandbox
from handrail.runtime.sandbox import QuickBuiltin, SandboxEntrance

_importer: Any = importlib.import_module("temporalio.worker.workflow_sandbox._importer")
_restrictions: Any = importlib.import_module("temporalio.worker.workflow_sandbox._restrictions")
NAME = "loaded_by_a_sandbox"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of a project, which nothing outside of a sandbox has imported."""
    monkeypatch.syspath_prepend(str(tmp_path))  # pyright: ignore[reportUnknownMemberType]
    yield tmp_path / f"{NAME}.py"
    sys.modules.pop(NAME, None)


def entered() -> Any:
    """A sandbox as it is for one case."""
    context = _restrictions.RestrictionContext()
    return _importer.Importer(SandboxRestrictions.default, context, workflow_module_name=NAME)


def write(path: Path, word: str) -> None:
    """Write the module; its bytecode is of another time."""
    path.write_text(f"WORD = {word!r}\n")
    later = path.stat().st_mtime + len(word)
    os.utime(path, (later, later))
    importlib.invalidate_caches()


def word() -> str:
    with entered().applied():
        module: ModuleType = importlib.import_module(NAME)
        return module.WORD


def test_a_file_that_is_changed_is_not_loaded_before_another_worker_is_made(own: Path) -> None:
    ContextFreeSandbox()
    write(own, "one")
    assert word() == "one"
    write(own, "another")
    assert word() == "one"
    own.unlink()
    assert word() == "one"
    write(own, "another")
    ContextFreeSandbox()
    assert word() == "another"


def test_each_sandbox_has_its_own_module(own: Path) -> None:
    ContextFreeSandbox()
    write(own, "one")
    with entered().applied():
        first = importlib.import_module(NAME)
        assert sys.modules[NAME] is first
    with entered().applied():
        second = importlib.import_module(NAME)
    assert first is not second
    assert NAME not in sys.modules


def test_what_is_imported_outside_of_a_sandbox_is_read_from_its_file(own: Path) -> None:
    ContextFreeSandbox()
    write(own, "one")
    assert word() == "one"
    write(own, "another")
    assert importlib.import_module(NAME).WORD == "another"


def test_isinstance_sees_through_what_the_sandbox_proxies() -> None:
    ContextFreeSandbox()
    day = dt.date(2026, 11, 29)
    with entered().applied():
        assert type(builtins.isinstance) is QuickBuiltin
        date = builtins.__import__("datetime").date
        assert type(date) is _restrictions._RestrictedProxy
        assert isinstance(day, date)
        assert not isinstance("2026-11-29", date)
        assert issubclass(dt.datetime, date)
        assert not issubclass(str, date)
        assert isinstance(True, int | str)
        assert isinstance(3, (int, str))
        with pytest.raises(TypeError):
            isinstance(3, "int")  # type: ignore[arg-type]
    assert type(builtins.isinstance) is not QuickBuiltin


def both() -> list[Any]:
    """A sandbox as the SDK enters it, and as a case's is entered."""
    return [lambda: entered().applied(), lambda: SandboxEntrance(entered()).applied()]


@pytest.mark.parametrize("enter", both(), ids=["sdk", "ours"])
def test_a_sandbox_is_entered_in_its_thread_alone_and_within_another(enter: Any) -> None:
    ContextFreeSandbox()
    modules, imports, opens = sys.modules, builtins.__import__, builtins.open
    seen: list[bool] = []

    def elsewhere() -> None:
        seen.append("handrail" in sys.modules)
        seen.append(_importer.Importer.current_importer() is None)

    with enter():
        outer = _importer.Importer.current_importer()
        assert NAME not in sys.modules
        sys.modules[NAME] = ModuleType(NAME)
        with enter():
            assert _importer.Importer.current_importer() is not outer
            assert NAME not in sys.modules
        assert _importer.Importer.current_importer() is outer
        assert NAME in sys.modules
        assert builtins.__import__ is not imports
        other = threading.Thread(target=elsewhere)
        other.start()
        other.join()
    assert seen == [True, True]
    assert NAME not in sys.modules
    assert _importer.Importer.current_importer() is None
    assert (sys.modules, builtins.__import__, builtins.open) == (modules, imports, opens)


@pytest.mark.parametrize("enter", both(), ids=["sdk", "ours"])
def test_who_leaves_first_leaves_the_other_in_its_sandbox(enter: Any) -> None:
    ContextFreeSandbox()
    imports = builtins.__import__
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with enter():
            inside.set()
            leave.wait(10)

    other = threading.Thread(target=stay)
    other.start()
    assert inside.wait(10)
    with enter(), pytest.raises(ZeroDivisionError), enter():
        raise ZeroDivisionError
    assert builtins.__import__ is not imports
    leave.set()
    other.join()
    assert builtins.__import__ is imports


AGENT = """
from temporalio import workflow
from handrail import AgentWorkflow, Outcome

@workflow.defn(name="Poked")
class Agent(AgentWorkflow):
    @workflow.run
    async def run(self, event: str) -> Outcome:
        return self.done(event)
"""
SIGNAL = """
    @workflow.signal
    def poke(self) -> None: ...
"""


OF_BASE = AGENT.replace(
    "@workflow.defn", f"class Base(AgentWorkflow):{SIGNAL}\n@workflow.defn"
).replace("Agent(AgentWorkflow)", "Agent(Base)")


def defined(passed: SandboxRestrictions) -> Any:
    """The agent's class and its definition, as they are for one more case."""
    sandbox = _importer.Importer(passed, _restrictions.RestrictionContext(), NAME)
    with SandboxEntrance(sandbox).applied():
        agent = importlib.import_module(NAME).Agent
    return agent, _definition._Definition.must_from_class(agent)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("source", [AGENT, AGENT + SIGNAL, OF_BASE], ids=["none", "own", "base"])
def test_an_agent_is_defined_again_as_the_sdk_defines_it(own: Path, source: str) -> None:
    ContextFreeSandbox()
    own.write_text(source)
    passed = SandboxRestrictions.default.with_passthrough_modules("handrail")
    (first, found), (second, again) = defined(passed), defined(passed)
    assert again.run_fn is second.run is not first.run
    assert _definition._Definition.must_from_run_fn(second.run) is again  # pyright: ignore[reportPrivateUsage]
    assert (again.name, again.arg_types, again.ret_type) == ("Poked", [str], Outcome)
    assert again.sandboxed is found.sandboxed is True
    for name in ("signals", "queries", "updates"):
        assert getattr(again, name).keys() == getattr(found, name).keys()
    assert again.signals
    assert again.queries
    assert ("poke" in again.signals) is ("poke" in source)
    if "poke" in source:
        assert again.signals["poke"].fn is second.poke is not first.poke


def test_what_is_no_workflow_is_refused_in_a_sandbox_too(own: Path) -> None:
    ContextFreeSandbox()
    own.write_text(AGENT.replace("@workflow.run", ""))
    passed = SandboxRestrictions.default.with_passthrough_modules("handrail")
    with pytest.raises(ValueError, match=r"Missing @workflow\.run"):
        defined(passed)
