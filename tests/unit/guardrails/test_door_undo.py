"""Data checks judge the world before a write; its undo stands in the world after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from handrail import Action, Effect, Ledger, check, write
from handrail.actions import Kind, Undoes, digest_of
from handrail.guardrails.context import WriteContext
from handrail.guardrails.door import Door
from handrail.policy import AgentShape, Facts, PolicyFile, WriteShape
from handrail.wire import Attempt


class Move(Action):
    """Move something."""

    number: str


@write(idempotent=True)
async def put_back(action: Move, effect: Effect) -> None: ...


@write(undo=put_back, idempotent=True)
async def move(action: Move, effect: Effect) -> None: ...


@check
async def not_moved_yet(action: Move) -> str | None:
    return f"{action.number} has been moved"


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
    ("step", "undoes", "kind"),
    [
        ("move", None, Kind.REFUSE),
        ("put_back", Undoes(key="movers:1/move/1"), Kind.PASS),
        # No undo, whatever whoever attempts it says.
        ("move", Undoes(key="movers:1/move/1"), Kind.REFUSE),
    ],
)
async def test_what_refuses_a_second_write_does_not_refuse_its_undo(
    tmp_path: Path, step: str, undoes: Undoes | None, kind: Kind
) -> None:
    path = tmp_path / "movers.yaml"
    path.write_text(POLICY)
    action = Move(number="1")
    digest = digest_of(step, action.model_dump(mode="json"))
    attempt = Attempt(case="movers:1", key="k", digest=digest, undoes=undoes)
    facts = Facts(step, action, None, None, case="movers:1", requester=None)
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        policy = PolicyFile(path, SHAPE)
        door = Door("movers", SHAPE, [move, put_back], policy, ledger, [not_moved_yet])
        verdict = (
            await door.pipeline.judge(WriteContext("movers", policy.current(), facts, attempt))
        ).verdict
    assert verdict.kind is kind
