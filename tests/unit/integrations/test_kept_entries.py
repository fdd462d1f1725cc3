"""What is kept in the intake: one entry that is poisoned stops none of the others."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.service import RPCError, RPCStatusCode
from typing_extensions import override

from handrail import Event, Ledger, Untrusted
from handrail.client import CALL_BACK
from handrail.integrations.triggers import RawEvent, Webhook
from handrail.integrations.triggers.receiver import Receiver
from handrail.ledger import IntakeRow, IntakeState
from handrail.oversight import CalledBack

NOW = datetime(2026, 3, 1, tzinfo=UTC)
BAD = "a:05"
NAMES = [f"a:{number:02}" for number in range(11)]
TOO_LARGE = RPCError("it is too large", RPCStatusCode.INVALID_ARGUMENT, b"")
LATE = TimeoutError("no answer")
AWAY = RPCError("away", RPCStatusCode.UNAVAILABLE, b"")


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncGenerator[Ledger]:
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


class Server:
    """A server that answers to signals, but for some cases."""

    def __init__(self, faults: dict[str, Exception]) -> None:
        self.faults, self.told = faults, list[str]()

    def get_workflow_handle(self, case: str) -> Any:
        async def signal(*_: object) -> None:
            self.told.append(case)
            if case in self.faults:
                raise self.faults[case]

        return SimpleNamespace(signal=signal)


def receiver(ledger: Ledger, server: Server) -> Receiver:
    async def connect() -> Any:
        return server

    fleet: Any = SimpleNamespace(agents={"a": SimpleNamespace(name="a")})
    return Receiver(fleet, ledger, connect)


async def keep(ledger: Ledger, **bodies: str) -> None:
    """A call-back for each case; the poisoned one comes in the middle."""
    for number, case in enumerate(NAMES):
        body = CalledBack(key=f"{case}/pay/1", body=number).model_dump_json()
        row = IntakeRow(
            id=case,
            agent="a",
            source=CALL_BACK,
            received=NOW + timedelta(seconds=number),
            state=IntakeState.WAITING,
            raw=False,
            body=bodies.get("poisoned", body) if case == BAD else body,
            headers={},
            requested_by="",
            why="",
            case=case,
        )
        assert await ledger.keep(row)


async def states(ledger: Ledger) -> dict[str, IntakeState]:
    return {row.id: row.state for row in await ledger.intake(every=True)}


@pytest.mark.parametrize(
    ("poisoned", "fault", "becomes", "raises"),
    [
        ("not JSON", None, IntakeState.WRONG, None),
        ("{}", None, IntakeState.WRONG, None),
        ("", TOO_LARGE, IntakeState.WRONG, None),
        ("", KeyError("x"), IntakeState.WRONG, None),
        ("", LATE, IntakeState.WAITING, TimeoutError),
    ],
)
async def test_one_poisoned_among_ten_is_told_alone(
    ledger: Ledger,
    poisoned: str,
    fault: Exception | None,
    becomes: IntakeState,
    raises: type[Exception] | None,
) -> None:
    await keep(ledger, **({"poisoned": poisoned} if poisoned else {}))
    taker = receiver(ledger, Server({BAD: fault} if fault else {}))
    agent = taker.fleet.agents["a"]
    if raises is None:
        await taker.resend_of(agent)
    else:
        with pytest.raises(raises):
            await taker.resend_of(agent)
    assert await states(ledger) == dict.fromkeys(NAMES, IntakeState.STARTED) | {BAD: becomes}


async def test_a_server_that_is_away_is_asked_twice(ledger: Ledger) -> None:
    await keep(ledger)
    server = Server(dict.fromkeys(NAMES, AWAY))
    taker = receiver(ledger, server)
    with pytest.raises(RPCError):
        await taker.resend_of(taker.fleet.agents["a"])
    assert server.told == NAMES[:2]
    assert set((await states(ledger)).values()) == {IntakeState.WAITING}


async def test_a_call_back_that_the_server_refuses_holds_up_no_sender(ledger: Ledger) -> None:
    taker = receiver(ledger, Server({BAD: TOO_LARGE}))
    assert (await taker.called_back(CalledBack(key=f"{BAD}/pay/1", body=7))).what == "kept"
    assert [row.state for row in await ledger.intake()] == [IntakeState.WRONG]
    assert not taker._away  # pyright: ignore[reportPrivateUsage]
    assert (await taker.called_back(CalledBack(key="a:01/pay/1", body=7))).what == "taken"


class Said(Event):
    """What somebody says: a mapping may put anything into it."""

    number: str
    text: Untrusted
    more: Any = None

    @property
    @override
    def key(self) -> str:
        return self.number


@pytest.mark.parametrize(
    "body",
    [
        # Cut in two by a sender that counts in UTF-16.
        rb'{"number": "1", "text": "Hello \ud83d"}',
        b'{"number": "1", "text": "", "more": ' + b"[" * 240 + b"]" * 240 + b"}",
        b'{"number": "1", "text": "", "more": ' + b"[" * 900 + b"]" * 900 + b"}",
    ],
)
async def test_an_event_that_no_case_can_be_told_is_kept_for_a_person(
    ledger: Ledger, body: bytes
) -> None:
    taker = receiver(ledger, Server({}))
    hook = Webhook(name="chat", event=lambda came: Said(**came.json()), secret="CHAT")  # noqa: S106
    agent: Any = SimpleNamespace(name="a", event=Said, triggers={"chat": hook})
    answer = await taker.delivery(agent, hook, RawEvent(body, {}))
    assert answer is not None
    assert answer.what == "kept"
    [row] = await ledger.intake()
    assert (row.state, row.body) == (IntakeState.WRONG, body.decode())
    assert row.why.startswith("no case can be told this Said: ")


def _finds_nothing(came: RawEvent) -> Event | None:
    return next(Said(**each) for each in came.json() if each["number"] == "2")


def _leaves(came: RawEvent) -> Event | None:
    sys.exit(f"no {came.json()}")


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        (_finds_nothing, "_finds_nothing raised StopIteration"),
        (_leaves, "_leaves raised SystemExit"),
    ],
)
async def test_a_mapping_that_finds_nothing_or_exits_keeps_what_came_and_holds_up_nobody(
    ledger: Ledger, mapping: Callable[[RawEvent], Event | None], says: str
) -> None:
    taker = receiver(ledger, Server({}))
    hook = Webhook(name="chat", event=mapping, secret="CHAT")  # noqa: S106
    agent: Any = SimpleNamespace(name="a", event=Said, triggers={"chat": hook})
    async with asyncio.timeout(5):
        answer = await taker.delivery(agent, hook, RawEvent(b"[]", {}))
    assert answer is not None
    assert answer.what == "kept"
    [row] = await ledger.intake()
    assert says in row.why
