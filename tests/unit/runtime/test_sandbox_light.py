"""What the sandbox has in place of the SDK's own answers the same, and keeps what was loaded."""

import builtins
import datetime as dt
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from temporalio.worker.workflow_sandbox import SandboxRestrictions
from temporalio.workflow import _definition  # pyright: ignore[reportPrivateUsage]

from handrail import AgentWorkflow
from handrail.runtime import ContextFreeSandbox
from handrail.runtime.interceptors import QuickBuiltin, is_method_of

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


def test_a_method_is_of_the_class_in_whose_body_it_is() -> None:
    class Base:
        def run(self) -> None: ...

    class Own(Base):
        def go(self) -> None: ...

    ContextFreeSandbox()
    assert _definition._is_unbound_method_on_cls is is_method_of  # pyright: ignore[reportPrivateUsage]
    assert is_method_of(AgentWorkflow.done, AgentWorkflow)
    assert not is_method_of(AgentWorkflow.done, Own)
    assert not is_method_of(Own().go, Own)
    # As the SDK has it: one that is defined within a function is of no class of that name.
    assert not is_method_of(Own.go, Own)
    assert not is_method_of(len, AgentWorkflow)
