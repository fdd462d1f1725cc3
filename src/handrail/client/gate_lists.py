"""The open gates as a list: searched, filtered, sorted, counted, and read once for all who look."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pydantic import Field
from temporalio.service import RPCError

from handrail.agent import execution_infos, is_paused, read_execution
from handrail.client.permissions import may_rule
from handrail.client.views import Document
from handrail.exceptions import CaseError, HandrailError, InvalidRequest
from handrail.oversight import GateView

if TYPE_CHECKING:
    from temporalio.api.workflow.v1 import WorkflowExecutionInfo
    from temporalio.client import Client, WorkflowExecution

SORTS: Final = ("deadline", "newest", "oldest", "unsure")
"""Orders of a list; any other word is a field of the action, of which the largest comes first."""

_EVERY: Final = 2.0
"""Seconds for which a list that was read is as good as another."""

_QUICK: Final = 0.05
"""A look that took no longer is waited for by whoever opens a page."""

_OLDEST: Final = 5.0
"""Seconds after which nobody is shown it any more: the next one is waited for."""

_SILENT: Final = 3.0
"""Seconds without a word from the server, after which people see the list that is kept."""

_FIRST: Final = 1.0
"""Seconds for which people wait for the very first list, before they hear how far it is."""

_AT_A_TIME: Final = 50
"""Executions that are read before anybody else gets a turn."""

_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_DECIMAL: Final = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")


class StillReading(HandrailError):
    """No list was read yet, and this takes a while. `read`: how many cases were, of `total`."""

    def __init__(self, read: int, total: int | None) -> None:
        of = "" if total is None else f" of {total:,}"
        super().__init__(f"the questions are being read for the first time: {read:,}{of} cases")
        self.read, self.total = read, total


class UnreadableCase(Document):
    """A case that asks, and whose questions cannot be read; `why` says so, and what to do."""

    case: str
    why: str


class FieldTotal(Document):
    """What a field of the actions comes to, over those of a list that have it.

    `currency`: what it is in: of money its currency, else the unit of the field.
    """

    field: str
    currency: str
    total: Decimal
    gates: int


class GateList(Document):
    """Open gates, the first to expire first. `paused`: the cases that Temporal's Pause holds.

    `total`, `counts` (by agent, role, risk and kind) and `totals` are of all that a filter
    found, beyond the limit too.
    """

    gates: tuple[GateView, ...]
    total: int
    unreadable: tuple[UnreadableCase, ...] = ()
    paused: tuple[str, ...] = ()
    counts: Mapping[str, Mapping[str, int]] = Field(default_factory=dict[str, dict[str, int]])
    totals: tuple[FieldTotal, ...] = ()


@dataclass(frozen=True)
class GateFilter:
    """Which gates, in which order; what is empty lets all pass. `text`: words that are in them.

    Raises:
        InvalidRequest: if the order can be none.
    """

    role: str | None = None
    person: str | None = None
    agent: str | None = None
    case: str | None = None
    text: str = ""
    risk: str | None = None
    kind: str | None = None
    sort: str = "deadline"

    def __post_init__(self) -> None:
        """See that the order can be one."""
        if not self.sort.isidentifier():
            known = ", ".join(SORTS)
            raise InvalidRequest(f"sort by {known}, or by a field of the action", "sort")

    def select(self, gates: Iterable[GateView]) -> list[GateView]:
        """Those that pass, in this order; of one rank the first to expire first."""
        words = self.text.casefold().split()
        found = [g for g in gates if self._passes(g) and (not words or _holds(g, words))]
        if self.sort != "deadline":
            found.sort(key=self._rank)
        return found

    def _passes(self, gate: GateView) -> bool:
        return (
            (self.agent is None or gate.case.startswith(f"{self.agent}:"))
            and (self.case is None or gate.case == self.case)
            and (self.role is None or self.role in gate.waiting_for)
            and (self.risk is None or gate.risk == self.risk)
            and (self.kind is None or gate.kind == self.kind)
            and (self.person is None or may_rule(gate, self.person))
        )

    def _rank(self, gate: GateView) -> float | Decimal:
        match self.sort:
            case "newest":
                return -gate.opened.timestamp()
            case "oldest":
                return gate.opened.timestamp()
            case "unsure":
                return 2 if gate.confidence is None else gate.confidence
            case _:
                found = _number(gate.action.get(self.sort))
                return Decimal("Infinity") if found is None else -found


def _holds(gate: GateView, words: Sequence[str]) -> bool:
    said = [
        gate.case,
        gate.gate,
        gate.title,
        gate.summary,
        gate.step,
        gate.why,
        gate.requester or "",
    ]
    said += [*gate.waiting_for, *gate.people, gate.rationale]
    whole = " ".join([*said, json.dumps(gate.action, ensure_ascii=False)]).casefold()
    return all(word in whole for word in words)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not _DECIMAL.fullmatch(str(value)):
        return None
    return Decimal(str(value))


def deadline_first(gates: Iterable[GateView]) -> list[GateView]:
    """The gates in the order of a list."""
    return sorted(gates, key=lambda gate: (gate.deadline or _NEVER, gate.case, gate.gate))


def counted(gates: Sequence[GateView]) -> dict[str, Any]:
    """The `total`, `counts` and `totals` of gates, as a `GateList` has them."""
    counts: dict[str, Counter[str]] = {
        "agent": Counter(gate.case.partition(":")[0] for gate in gates),
        "role": Counter(role for gate in gates for role in gate.waiting_for),
        "risk": Counter(gate.risk for gate in gates if gate.risk),
        "kind": Counter(gate.kind.value for gate in gates),
    }
    return {
        "total": len(gates),
        "counts": {name: dict(count.most_common()) for name, count in counts.items()},
        "totals": totals(gates),
    }


def amounts(gate: GateView) -> dict[tuple[str, str], Decimal]:
    """The amounts of an action, by field and unit: decimals that are written as text."""
    if gate.kind != "write":
        return {}
    currency = gate.action.get("currency")
    unit = currency if isinstance(currency, str) and len(currency) <= 3 else ""  # noqa: PLR2004
    return {
        (name, gate.units.get(f"action.{name}", unit)): Decimal(value)
        for name, value in gate.action.items()
        if isinstance(value, str) and _DECIMAL.fullmatch(value)
    }


def totals(gates: Iterable[GateView]) -> tuple[FieldTotal, ...]:
    """What each amount comes to. Text that never has a point is a number of something."""
    sums: dict[tuple[str, str], Decimal] = {}
    seen: Counter[tuple[str, str]] = Counter()
    pointed: set[tuple[str, str]] = set()
    for gate in gates:
        for name, value in amounts(gate).items():
            sums[name] = sums.get(name, Decimal(0)) + value
            seen[name] += 1
            if value.as_tuple().exponent:
                pointed.add(name)
    return tuple(
        FieldTotal(field=name, currency=unit, total=total, gates=seen[name, unit])
        for (name, unit), total in sorted(sums.items())
        if (name, unit) in pointed
    )


Found: TypeAlias = tuple[tuple[GateView, ...], str]
"""The gates of one case, or why they cannot be read."""


@dataclass
class GateReader:
    """Reads the open gates of every case, and keeps them for all who look.

    However many look, Temporal is asked once in some seconds, and a case is read again only
    when what it publishes has changed. `current` is the same object until something has.
    """

    client: Client
    query: str
    read: Callable[[WorkflowExecution], Awaitable[list[GateView]]]
    _known: dict[str, tuple[object, Found, bool]] = field(default_factory=dict[str, Any])
    _told: dict[str, tuple[float, tuple[GateView, ...]]] = field(default_factory=dict[str, Any])
    _list: GateList | None = None
    _at: float = 0.0
    _took: float = 0.0
    _looking: asyncio.Task[GateList] | None = None
    _heard: float = 0.0
    _seen: datetime | None = None
    _number: int = 0
    _total: int | None = None

    async def shown(self, *, opening: bool = False) -> tuple[GateList, datetime | None]:
        """The list; where the server does not answer, the one that is kept, and of when it is.

        Raises:
            RPCError: if the server does not answer, and none is kept.
            StillReading: if the very first one takes long.
        """
        asked = asyncio.ensure_future(self.current(opening=opening))
        began = time.monotonic()
        while True:
            # Nothing that was read in part is shown: it would pass for all that waits.
            first = self._list is None
            done, _ = await asyncio.wait({asked}, timeout=_FIRST if first else _SILENT)
            if done:
                try:
                    return asked.result(), None
                except RPCError:
                    if self._list is None:
                        raise
                    return self._list, self._seen
            now = time.monotonic()
            if self._list is None and self._total is not None:
                asked.cancel()  # the look goes on: it is nobody's own
                raise StillReading(self._number, self._total)
            silent = now - max(self._heard, began) >= _SILENT or now - began >= 2 * _SILENT
            if silent and self._list is not None:
                asked.cancel()
                return self._list, self._seen

    async def current(self, *, opening: bool = False) -> GateList:
        """The list as it was some seconds ago at most.

        `opening`: somebody opens a page, which nothing does by itself; they see it as it is now
        where that is quickly read.

        Raises:
            RPCError: if the server does not answer.
        """
        age = time.monotonic() - self._at
        quick = opening and self._took < _QUICK
        if self._list is not None and age < (10 * self._took if quick else _EVERY):
            return self._list
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self.look())
            # Whoever waits for the next one hears of it.
            self._looking.add_done_callback(lambda task: task.cancelled() or task.exception())
        # Of very many a look takes long: people wait for none that is under way.
        if self._list is not None and age < _OLDEST + 2 * self._took and not quick:
            return self._list
        # One who goes away must not take the look from the others.
        return await asyncio.shield(self._looking)

    def told(self, case: str, gates: Iterable[GateView]) -> None:
        """Take it from a case itself which gates it has: the server lists that a moment later."""
        self._told[case] = (time.monotonic(), tuple(gates))
        if self._list is not None:
            self._list = self._made(self._list.unreadable, self._list.paused, self._list.gates)

    async def look(self) -> GateList:
        """The list as it is now.

        Raises:
            RPCError: if the server does not answer.
        """
        began, self._number = time.monotonic(), 0
        if self._list is None:
            self._total = None  # as long as the server has not answered
            self._total = (await self.client.count_workflows(self.query)).count
        seen: dict[str, tuple[object, Found, bool]] = {}
        async for info in execution_infos(self.client, self.query):
            self._heard = time.monotonic()
            if not self._number % _AT_A_TIME:
                await asyncio.sleep(0)
            case, mark = info.execution.workflow_id, _mark(info)
            known = self._known.get(case)
            seen[case] = known if known and known[0] == mark else await self._read(info, mark)
            self._number += 1
        self._told = {c: t for c, t in self._told.items() if began - t[0] < _OLDEST}
        if self._list is None or seen != self._known or self._told:
            self._known = seen
            unreadable = tuple(
                UnreadableCase(case=case, why=why) for case, (_, (_, why), _) in seen.items() if why
            )
            paused = tuple(case for case, (_, _, held) in seen.items() if held)
            gates = (gate for _, (views, _), _ in seen.values() for gate in views)
            self._list = self._made(unreadable, paused, gates)
        self._at, self._seen = time.monotonic(), datetime.now(UTC)
        self._took = self._at - began
        return self._list

    def _made(
        self,
        unreadable: tuple[UnreadableCase, ...],
        paused: tuple[str, ...],
        gates: Iterable[GateView],
    ) -> GateList:
        told = [gate for _, gates in self._told.values() for gate in gates]
        listed = [gate for gate in gates if gate.case not in self._told]
        found = deadline_first([*listed, *told])
        return GateList(gates=tuple(found), total=len(found), unreadable=unreadable, paused=paused)

    async def _read(self, info: WorkflowExecutionInfo, mark: object) -> Any:
        execution = read_execution(info, self.client)
        held = is_paused(execution)
        try:
            return mark, (tuple(await self.read(execution)), ""), held
        except CaseError as error:
            return mark, ((), str(error)), held


def _mark(info: WorkflowExecutionInfo) -> object:
    """What changes when the gates of a case do: compared before any of it is read."""
    waits = info.search_attributes.indexed_fields.get("HandrailWaitingFor")
    gates = info.memo.fields.get("gates")
    return (
        info.execution.run_id,
        info.status,
        waits.data if waits else b"",
        gates.data if gates else b"",
    )
