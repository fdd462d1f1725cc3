"""The live view of a demo: its cases by state, what each waits for, and its receipts."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.table import Table
from rich.text import Text
from temporalio.client import Client, WorkflowExecution

from handrail.agent import handed_to
from handrail.cli.output import Output, state_text, time_left
from handrail.client import CaseSummary, case_summary, cases_query, outcome_of, why_ended
from handrail.ledger import EffectState, Ledger
from handrail.states import ENDS, State
from handrail.text import escape_terminal as plain

if TYPE_CHECKING:
    from handrail.actions import Outcome

AT_REST = ENDS | {State.WAITING, State.PAUSED, State.SETTLING}
"""States in which nothing happens by itself for now."""

_PROGRESS = timedelta(seconds=2)
_AT_ONCE = 8
_FRAME = 6
_LEAST_ROWS = 3


class CaseRow(CaseSummary):
    """One case of the board. `receipts` counts the writes that were proven to happen.

    `handed`: the cases that it has handed work to.
    """

    why: str = ""
    receipts: int = 0
    handed: tuple[str, ...] = ()

    @classmethod
    def of(cls, execution: WorkflowExecution, **more: Any) -> CaseRow:
        """A row of what the server lists."""
        return cls(**(dict(case_summary(execution)) | more))


@dataclass
class Board:
    """The cases of some agents, as they are now."""

    client: Client
    ledger: Ledger
    agents: tuple[str, ...]
    rows: list[CaseRow] = field(default_factory=list[CaseRow])
    _ended: dict[str, tuple[str | None, Outcome | None]] = field(
        default_factory=dict[str, "tuple[str | None, Outcome | None]"]
    )

    async def refresh(self) -> list[CaseRow]:
        """Look at all cases again: those that wait first, then the newest."""
        queries = map(cases_query, self.agents)
        found = [e for query in queries async for e in self.client.list_workflows(query)]
        some = asyncio.Semaphore(_AT_ONCE)
        rows = await asyncio.gather(*(self._row(execution, some) for execution in found))
        self.rows = sorted(rows, key=_order)
        return self.rows

    async def _row(self, execution: WorkflowExecution, some: asyncio.Semaphore) -> CaseRow:
        row = CaseRow.of(execution, why=why_ended(execution))
        async with some:
            if row.closed is not None:
                outcome = await self._outcome(execution)
                if outcome is None:
                    return row
                return CaseRow.of(execution, why=outcome.why, receipts=len(outcome.receipts))
            effects = await self.ledger.effects(row.case)
        done = sum(effect.state is EffectState.DONE for effect in effects)
        handed = await handed_to(execution)
        return row.model_copy(update={"receipts": done, "handed": handed})

    async def _outcome(self, execution: WorkflowExecution) -> Outcome | None:
        run, outcome = self._ended.get(execution.id, ("", None))
        if run != execution.run_id:
            handle = self.client.get_workflow_handle(execution.id, run_id=execution.run_id)
            outcome = await outcome_of(handle)
            self._ended[execution.id] = (execution.run_id, outcome)
        return outcome

    @property
    def rests(self) -> bool:
        """Whether no case moves by itself now."""
        known = {row.case: row for row in self.rows}
        return all(_rests(row, known) for row in self.rows)


def _rests(row: CaseRow, known: Mapping[str, CaseRow]) -> bool:
    """Whether a case rests: by itself, or because those rest that it waits for."""
    if row.state in AT_REST:
        return True
    handed = [known[each] for each in row.handed if each in known and known[each].closed is None]
    return bool(handed) and all(_rests(each, known) for each in handed)


def _order(row: CaseRow) -> tuple[int, float]:
    first = (State.WAITING, State.PAUSED)
    rank = first.index(row.state) if row.state in first else len(first)
    latest = max((at.timestamp() for at in (row.started, row.closed) if at), default=0)
    return rank, -latest


def counts(rows: Sequence[CaseRow]) -> str:
    """How many cases are in which state, in words."""
    found = Counter(row.state for row in rows)
    parts = [f"{found[state]} {state.replace('_', ' ')}" for state in State if found[state]]
    receipts = sum(row.receipts for row in rows)
    return f"{len(rows)} cases: {', '.join(parts) or 'none yet'}; {receipts} receipts"


def table(rows: Sequence[CaseRow], note: str, height: int) -> Table:
    """As many of the rows as fit into `height` lines."""
    room = max(height - _FRAME, _LEAST_ROWS)
    now = datetime.now(UTC)
    found = Table(
        title=Text(counts(rows), "bold"), caption=Text(note, "dim"), expand=True, box=None
    )
    found.add_column("case", no_wrap=True, ratio=3)
    found.add_column("state", no_wrap=True, width=12)
    found.add_column("waits for, or why", no_wrap=True, overflow="ellipsis", ratio=5)
    found.add_column("receipts", no_wrap=True, justify="right", width=8)
    for row in rows[:room]:
        waits = plain(", ".join(row.waiting_for))
        left = time_left(row.deadline, now)
        about = f"{waits}, {left}" if waits else plain(row.why)
        found.add_row(plain(row.case), state_text(row.state), about, str(row.receipts))
    if len(rows) > room:
        found.add_row("...", "", f"and {len(rows) - room} more", "")
    return found


class View:
    """Shows the board: live on a terminal, else a line now and then."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._live: Live | None = None
        self._said = ""
        self._when = 0.0

    @contextlib.contextmanager
    def open(self) -> Generator[None]:
        """Show it while in this context."""
        if self._out.json or not self._out.console.is_terminal:
            yield
            return
        with Live(console=self._out.console, auto_refresh=False) as self._live:
            yield
        self._live = None

    def update(self, rows: Sequence[CaseRow], note: str, above: int = 0) -> None:
        """Show these rows. `above`: lines that were printed, and shall stay in sight."""
        if self._live is not None:
            height = self._out.console.size.height - above
            self._live.update(table(rows, note, height), refresh=True)
            return
        line = counts(rows)
        if line != self._said and time.monotonic() - self._when > _PROGRESS.total_seconds():
            self._said, self._when = line, time.monotonic()
            self._out.show(line)
