"""An operator at the shell who follows the runbook: its pages, and how each one is rehearsed."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from handrail import Fleet, State
from handrail.cli.app import run
from handrail.testing import CaseHandle, Outside, Stage, eventually
from tests.agents.orders_steps import Order

DOCS = Path(__file__).parents[3] / "docs"
RULES = DOCS.parent / "deploy" / "prometheus-rules.yaml"
PAGE = (DOCS / "runbook.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
APART = frozenset(
    {
        "A worker is gone or frozen",
        "The clock of a machine is wrong",
        "Messages do not go out",
        "A case does not replay",
        "Temporal lost its database",
        "The ledger was put back from a backup",
    }
)
"""What is rehearsed in a world of its own, most of it by workers that are processes."""
LOOKS = 20
"""How often somebody looks before they do not see it."""


def typed(section: str) -> list[list[str]]:
    """The blocks of a page: the first is what is looked at, the others are what is done."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", SECTIONS[section], re.MULTILINE | re.DOTALL)
    return [block.splitlines() for block in blocks]


@dataclass
class Fault:
    """What is wrong. `seen`: what is to be read; `by_hand`: lines of others' programs, done so."""

    seen: str
    case: CaseHandle | None = None
    words: Mapping[str, str] = field(default_factory=dict[str, str])
    by_hand: Mapping[str, Callable[[], Awaitable[Any]]] = field(
        default_factory=dict[str, Callable[[], Awaitable[Any]]]
    )
    mended: Callable[[], object] = lambda: None


@dataclass
class Night:
    """An operator at the shell."""

    stage: Stage
    outside: Outside
    capsys: pytest.CaptureFixture[str]
    number: int = 0

    async def start(self, *parts: str, **more: Any) -> CaseHandle:
        self.number += 1
        order = {"number": f"n{self.number}", "parts": parts or ("pay",), **more}
        return await self.stage.start("orders", Order.model_validate(order))

    async def type(self, line: str, fault: Fault) -> tuple[str, int]:
        # Nobody sits here for half a minute.
        line = line.partition("  #")[0].strip().replace("--for 30s", "--for 0s")
        for name, value in {"CASE": fault.case and fault.case.id, **fault.words}.items():
            line = re.sub(rf"\b{name}\b", str(value), line)
        program, *argv = shlex.split(line)
        if program != "handrail":
            await fault.by_hand[line]()
            return "", 0
        self.capsys.readouterr()
        code = await asyncio.to_thread(run, argv)
        said = self.capsys.readouterr()
        return f"$ {line}\n{said.out}{said.err}", code

    async def follow(self, section: str, fault: Fault) -> None:
        looks, *orders = typed(section)

        said = ""
        for _ in range(LOOKS):
            said = "".join([(await self.type(line, fault))[0] for line in looks])
            if re.search(fault.seen, said):
                break
            await asyncio.sleep(0.2)
        else:
            raise AssertionError(f"{section}: nowhere {fault.seen!r} in\n{said}")
        fault.mended()
        for block in orders:
            for line in block:
                for _ in range(LOOKS):
                    said, code = await self.type(line, fault)
                    if code == 0:
                        break
                    assert "until it ends with 0" in line, said
                    await asyncio.sleep(0.2)

    async def id_of_incident(self, case: CaseHandle) -> str:
        async def found() -> Any:
            return await self.stage.ledger.incidents(case=case.id)

        return str((await eventually(found))[0].id)


Rehearsal = Callable[[Night], contextlib.AbstractAsyncContextManager[Fault]]
REHEARSALS: dict[str, Rehearsal] = {}


def rehearses(section: str) -> Callable[[Callable[[Night], AsyncGenerator[Fault]]], Rehearsal]:
    def kept(fn: Callable[[Night], AsyncGenerator[Fault]]) -> Rehearsal:
        REHEARSALS[section] = contextlib.asynccontextmanager(fn)
        return REHEARSALS[section]

    return kept


async def ends(case: CaseHandle, state: State = State.DONE) -> None:
    assert (await case.outcome()).status is state


def at(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", stage.client.service_client.config.target_host)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", stage.client.namespace)


def typing_as(fleet: Fleet, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands find a fleet, and the files of one machine."""
    module = ModuleType("night")
    vars(module)["fleet"] = fleet
    monkeypatch.setitem(sys.modules, "night", module)
    monkeypatch.setenv("HANDRAIL_FLEET", "night:fleet")
    monkeypatch.setenv("HANDRAIL_HOME", str(directory / "home"))
    monkeypatch.setenv("HANDRAIL_KEYRING", str(directory / "trusted.json"))
    monkeypatch.setenv("HANDRAIL_LEDGER_URL", f"sqlite:///{directory}/ledger.db")
