"""A write that ends with `Final`: what is known of it, and what is not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from unittest.mock import sentinel

import pytest

from handrail import Action, Effect, Final, Ledger, write
from handrail.actions import digest_of
from handrail.guardrails.door import Door
from handrail.policy import AgentShape, PolicyFile, WriteShape
from handrail.wire import Attempt, WriteResultKind
from tests.agents.activity import activity_of

ERRORS: list[Exception] = []


class Move(Action):
    """Move something."""

    number: str


@write(idempotent=True)
async def put_back(action: Move, effect: Effect) -> None: ...


@write(undo=put_back, idempotent=True)
async def move(action: Move, effect: Effect) -> None:
    raise ERRORS.pop(0)


SHAPE = AgentShape(
    agent="movers",
    writes={
        "move": WriteShape("move", Move, undo="put_back"),
        "put_back": WriteShape("put_back", Move, undoes=frozenset({"move"})),
    },
)
POLICY = """\
agent: movers
version: 1
owner: boss@example.com
actions: {move: {autonomy: full}}
roles: {lead: {people: [ana@example.com], deadline: {after: 1h, then: refuse}}}
"""


@pytest.mark.parametrize(
    ("errors", "state"),
    [([Final("no room")], "not done"), ([RuntimeError("no answer"), Final("no room")], "unknown")],
)
async def test_only_a_first_try_that_fails_certainly_did_nothing(
    tmp_path: Path, errors: list[Exception], state: str
) -> None:
    ERRORS[:] = errors
    path = tmp_path / "movers.yaml"
    path.write_text(POLICY)
    action = Move(number="1")
    digest = digest_of("move", action.model_dump(mode="json"))
    attempt = Attempt(case="movers:1", key="movers:1/move/1", digest=digest)
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        door = Door("movers", SHAPE, [move, put_back], PolicyFile(path, SHAPE), ledger)
        while len(ERRORS) > 1:
            with pytest.raises(RuntimeError):
                await activity_of("movers:1").run(door.write, move, action, attempt)
        answer = await activity_of("movers:1").run(door.write, move, action, attempt)
    assert (answer.kind, answer.why) == (WriteResultKind.FAILED, "no room")
    assert bool(answer.token) == (state == "unknown")


async def test_what_has_begun_is_carried_to_its_end_however_often_it_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its case, and once more by a server that took it for over."""
    ends = asyncio.Event()

    async def writing(*_: object) -> object:
        await ends.wait()
        return sentinel.receipt

    monkeypatch.setattr(Door, "write", writing)
    (path := tmp_path / "movers.yaml").write_text(POLICY)
    door = Door("movers", SHAPE, [move], PolicyFile(path, SHAPE), sentinel.ledger)
    carried = asyncio.ensure_future(door._carried(move, None, sentinel.attempt))  # pyright: ignore[reportPrivateUsage]
    for _ in range(3):
        await asyncio.sleep(0)
        carried.cancel()
    await asyncio.sleep(0)
    ends.set()
    assert await carried is sentinel.receipt
