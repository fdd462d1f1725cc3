"""What came in is started, or kept: nothing is acknowledged that is neither.

A start is idempotent by the event's key, so that whatever is sent again, by a sender, or from the
intake after a crash between kept and started, is the same case.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

import structlog
from pydantic import ValidationError
from pydantic_core import from_json
from temporalio.service import RPCError, RPCStatusCode

from handrail.agent import in_thread
from handrail.client import ALSO_ASKED, CALL_BACK, case_id
from handrail.exceptions import CaseError, LedgerUnavailable, ServerUnavailable
from handrail.failpoints import reached
from handrail.integrations.triggers.source import EventSource, RawEvent
from handrail.ledger import IntakeRow, IntakeState, intake_id
from handrail.oversight import CALL_BACK_SIGNAL, CalledBack
from handrail.text import decode_text, first_fault, one_line

if TYPE_CHECKING:
    from pydantic import BaseModel

    from handrail.actions import Event
    from handrail.client import Connect
    from handrail.ledger import Ledger
    from handrail.runtime import Agent, Fleet

PATIENCE: Final = timedelta(seconds=5)
"""How long a sender waits for a start before what they sent is kept instead."""

AGAIN: Final = timedelta(seconds=2)
"""How often what is kept is tried again. In between a server that was away is taken for away."""

AT_ONCE: Final = 200
"""Entries that are tried again in one go, the oldest first."""

_AWAY = (RPCError, ServerUnavailable, LedgerUnavailable, TimeoutError, OSError)

log = structlog.get_logger("handrail.triggers")


@dataclass(frozen=True)
class Answer:
    """What became of what came in. `entry`: of the intake, where it is `kept`."""

    what: Literal["started", "there", "taken", "changed", "kept"]
    case: str = ""
    entry: str = ""


@dataclass(frozen=True)
class Origin:
    """By which way something came, and who asks by it: they approve nothing of it."""

    source: str
    by: str


class Receiver:
    """Starts the cases of what comes in, and keeps what cannot be started."""

    def __init__(self, fleet: Fleet, ledger: Ledger, connect: Connect) -> None:
        """`connect`: gives the client, which may be away for now."""
        self.fleet = fleet
        self.ledger = ledger
        self.connect = connect
        self._away = 0.0

    async def event(self, agent: Agent, event: Event, of: Origin) -> Answer:
        """Start the case of an event, or keep it while the server is away.

        Raises:
            CaseError: if its key cannot be part of an id.
            LedgerUnavailable: if it can neither be started nor kept.
        """
        case = case_id(agent.name, _key_of(event), type(event).__name__)
        why = "the server was away a moment before"
        if time.monotonic() >= self._away:
            try:
                return await self._start(agent, event, of.by)
            except _AWAY as error:
                if not _is_its_own(error):
                    self._is_away()
                why = one_line(str(error) or type(error).__name__, 500)
        body = event.model_dump_json(by_alias=False)
        return await self._keep(agent, of, body, why, case=case)

    async def delivery(self, agent: Agent, by: EventSource, given: RawEvent) -> Answer | None:
        """Make an event of what came, and start its case. What becomes none is kept for a person.

        Returns None if it is not for us.

        Raises:
            LedgerUnavailable: if it can neither be started nor kept.
        """
        of = origin(by)
        try:
            event = await _mapped(agent, by, given)
            answer = None if event is None else await self.event(agent, event, of)
        except CaseError as error:
            return await self._keep_raw(agent, of, given, str(error))
        if answer is not None and answer.what == "changed":
            return await self._keep_raw(agent, of, given, _of_another(answer.case))
        return answer

    async def called_back(self, said: CalledBack) -> Answer:
        """Tell a case what another system answers to its write; what comes too late is kept.

        Raises:
            CaseError: if the agent of the write is not served here.
            LedgerUnavailable: if it can neither be told nor kept.
        """
        case = said.key.rpartition("/")[0].rpartition("/")[0]
        agent = self.fleet.agents.get(case.partition(":")[0])
        if agent is None:
            raise CaseError(f"no agent of {case} is served here")
        of, text = Origin(CALL_BACK, CALL_BACK), said.model_dump_json()
        reached("call-back:due", case)
        try:
            over = await self._tell(case, said)
        except _AWAY as error:
            why = one_line(str(error) or type(error).__name__, 500)
            own = _is_its_own(error)
            if not own:
                self._is_away()
            return await self._keep(agent, of, text, why, case=case, raw={} if own else None)
        if over:
            return await self._keep(agent, of, text, over, case=case, raw={})
        reached("call-back:told", case)
        return Answer("taken", case)

    async def _tell(self, case: str, said: CalledBack) -> str:
        """Signal a call-back to its case; why that has ended, if it has."""
        async with asyncio.timeout(PATIENCE.total_seconds()):
            client = await self.connect()
            try:
                await client.get_workflow_handle(case).signal(CALL_BACK_SIGNAL, said)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                return f"{case} has ended: its call-back came too late"
        return ""

    async def resend(self) -> None:
        """Try what is kept again and again, until cancelled."""
        while True:
            for agent in self.fleet.agents.values():
                try:
                    await self.resend_of(agent)
                except _AWAY as error:
                    self._is_away()
                    log.warning("what is kept waits", why=one_line(str(error), 300))
            await asyncio.sleep(AGAIN.total_seconds())

    async def resend_of(self, agent: Agent) -> None:
        """Try what is kept for one agent, once; one entry that fails stops no other.

        Raises:
            RPCError: if the server is away; and as `event` does.
        """
        away: BaseException | None = None
        for row in await self.ledger.intake(agent.name, IntakeState.WAITING, limit=AT_ONCE):
            try:
                await self._retry(agent, row)
            except _AWAY as error:
                if _is_its_own(error):
                    await self._wrong(row, str(error))
                elif away is not None:
                    raise  # two of them: it is not for what they are
                else:
                    away = error
            # What somebody sent, and an author's code, may fail in any way.
            except Exception as error:  # noqa: BLE001
                why = "" if isinstance(error, CaseError) else f"{type(error).__name__}: "
                await self._wrong(row, f"{why}{error}")
        if away is not None:
            raise away

    async def _retry(self, agent: Agent, row: IntakeRow) -> None:
        if row.source == CALL_BACK:
            case = row.case or ""
            over = await self._tell(case, CalledBack.model_validate_json(row.body))
            if over:
                await self._wrong(row, over)
            else:
                await self.ledger.end_intake(row.id, IntakeState.STARTED, _now(), case=case)
            return
        event = await self._event_of(agent, row)
        if event is None:
            why = "it is not for this agent"
            await self.ledger.end_intake(row.id, IntakeState.DROPPED, _now(), why=why)
            return
        answer = await self._start(agent, event, row.requested_by)
        # Whoever sent what another has mended asked for it as well.
        for also in () if row.raw else filter(None, row.headers.get(ALSO_ASKED, "").split("\n")):
            await self._start(agent, event, also)
        if answer.what == "changed":
            await self._wrong(row, _of_another(answer.case))
            return
        reached("intake:started", answer.case)
        await self.ledger.end_intake(row.id, IntakeState.STARTED, _now(), case=answer.case)
        log.info("started what was kept", case=answer.case, source=row.source)

    async def _event_of(self, agent: Agent, row: IntakeRow) -> Event | None:
        if not row.raw:
            return parsed(agent, row.body.encode())
        by = agent.triggers.get(row.source.partition(":")[2])
        if not isinstance(by, EventSource):
            raise CaseError(f"{agent.name} declares no {row.source} any more; mend it, or drop it")
        return await _mapped(agent, by, RawEvent(row.body.encode(), row.headers))

    async def _wrong(self, row: IntakeRow, why: str) -> None:
        await self.ledger.change_intake(row.id, state=IntakeState.WRONG, why=why[:2_000])

    async def _start(self, agent: Agent, event: Event, by: str) -> Answer:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            client = await self.connect()
            started = await self.fleet.start(
                client, agent.name, event, requested_by=by, ledger=self.ledger
            )
        self._away = 0.0
        if not started.duplicate:
            return Answer("started", started.case)
        if started.changed:
            return Answer("taken" if started.taken else "changed", started.case)
        return Answer("there", started.case)

    def _is_away(self) -> None:
        # Until the next try of what is kept has ended: senders need not wait for the same.
        self._away = time.monotonic() + (AGAIN + PATIENCE).total_seconds()

    async def _keep_raw(self, agent: Agent, of: Origin, given: RawEvent, why: str) -> Answer:
        body = decode_text(given.body)
        return await self._keep(agent, of, body, why, raw=given.kept_headers())

    async def _keep(
        self,
        agent: Agent,
        of: Origin,
        body: str,
        why: str,
        *,
        case: str = "",
        raw: dict[str, str] | None = None,
    ) -> Answer:
        row = IntakeRow(
            id=intake_id(agent.name, of.source, body),
            agent=agent.name,
            source=of.source,
            received=_now(),
            state=IntakeState.WAITING if raw is None else IntakeState.WRONG,
            raw=raw is not None,
            body=body,
            headers=raw or {},
            requested_by=of.by,
            why=why[:2_000],
            case=case or None,
        )
        await self.ledger.keep(row)
        reached("intake:kept", case)
        log.warning("kept", entry=row.id, source=of.source, why=one_line(why, 300))
        return Answer("kept", case, row.id)


def _is_its_own(error: BaseException) -> bool:
    """Whether the server refuses this one alone. The search attributes come with a worker."""
    refused = isinstance(error, RPCError) and error.status is RPCStatusCode.INVALID_ARGUMENT
    return refused and "search attribute" not in str(error).lower()


def origin(by: EventSource) -> Origin:
    """Where what a trigger takes comes from."""
    source = f"{by.source}:{by.name}"
    return Origin(source, source)


def parsed(agent: Agent, body: bytes) -> Event:
    """An event of an agent, from its JSON.

    Raises:
        CaseError: if it is none, caused by the `ValidationError` if that says why.
    """
    try:
        event = agent.parse_event(body)
    except CaseError:
        raise
    # The author's own validators.
    except Exception as error:
        raise CaseError(f"this is no {agent.event.__name__}: {type(error).__name__}") from error
    _require_startable(agent, event)
    return event


async def _mapped(agent: Agent, by: EventSource, given: RawEvent) -> Event | None:
    """The event of what came.

    Raises:
        CaseError: if there is none, whatever its mapping raised.
    """
    if (make := by.mapping) is None:
        return parsed(agent, given.body)
    try:
        event = await in_thread(make, given)
    except ValidationError as error:
        raise CaseError(f"its mapping failed: {error.title}: {first_fault(error)}") from error
    # The author's own code.
    except Exception as error:
        raise CaseError(f"its mapping failed: {type(error).__name__}: {error}") from error
    if event is None:
        return None
    if not isinstance(event, agent.event):
        raise CaseError(f"its mapping made {type(event).__name__}, not {agent.event.__name__}")
    _require_startable(agent, event)
    return event


def _require_startable(agent: Agent, event: Event) -> None:
    """See that an event has a key that may be in an id, and is told to a case whole.

    Raises:
        CaseError: if not.
    """
    case_id(agent.name, _key_of(event), type(event).__name__)
    require_sendable(event)


def require_sendable(made: BaseModel) -> None:
    """See that something has a JSON, which can be read again: half a character has none.

    Raises:
        CaseError: if not. It would end neither started nor kept.
    """
    try:
        from_json(made.model_dump_json())
    except (ValueError, RecursionError) as error:
        why = one_line(str(error), 200)
        raise CaseError(f"no case can be told this {type(made).__name__}: {why}") from None


def _key_of(event: Event) -> str:
    try:
        return event.key
    # The author's own code.
    except Exception as error:
        raise CaseError(f"{type(event).__name__}.key failed: {error}") from error


def _of_another(case: str) -> str:
    return f"{case} is there already, of another event under the same key"


def _now() -> datetime:
    return datetime.now(UTC)
