"""`python -m tests.replay.messages`: plays what the inbox's worker runs, and records it.

Do that only for a change that is meant to be incompatible: workflows that are open wedge on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import temporalio.workflow
from temporalio.client import WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.service import RPCError

from handrail.actions import Wire
from handrail.guardrails.breakers import incident_alert
from handrail.inbox.channels import again, workflow
from handrail.ledger import RulingRow
from handrail.oversight import MESSAGE_QUEUE, OWNER_WORKFLOW, Alert, alert_id
from handrail.testing import Human, Outside, Stage, eventually, record, running, server
from tests.agents.fleets import LEAD, orders, policy
from tests.agents.orders_steps import Order
from tests.integration.inbox.messages_tools import (
    OWNER,
    MailServer,
    follow,
    inbox,
    mail_server,
    people,
    settings,
)
from tests.integration.inbox.slack_tools import SlackServer, slack_server

HISTORIES = Path(__file__).parent / "messages"
ANA, BO, CY = "ana@example.com", "bo@example.com", "cy@example.com"
SCHEDULE = "handrail-approvers"
ROLES: dict[str, Any] = {
    "lead": LEAD | {"deadline": {"after": "8h", "then": "escalate", "to": "operations"}},
    "operations": {"people": [CY], "deadline": {"after": "24h", "then": "refuse"}},
}


class Played(Wire):
    """Where a history stands."""

    workflow: str
    run: str | None = None


@dataclasses.dataclass(frozen=True)
class World:
    """What a scene is played with."""

    stage: Stage
    mail: MailServer
    slack: SlackServer
    directory: Path


async def gate(world: World, number: str) -> tuple[Any, Any]:
    """A case with an open gate, and those who are told of it."""
    case = await world.stage.start("orders", Order(number=number, amount=Decimal(300)))
    return case, await follow(world.stage, await case.gate())


async def gate_closed(world: World) -> Played:
    """Two are asked, by Slack and by mail; one rules."""
    people(world.directory, ana={"slack": "U0000000001", "channels": ["slack", "mail"]})
    case, told = await gate(world, "1")
    await told.until(f"asked {ANA} slack", f"asked {BO} mail")
    await told.nudge()
    await Human(ANA).approve(case)
    await case.outcome()
    with contextlib.suppress(RPCError):  # it may have looked by itself
        await told.nudge()
    await told.handle.result()
    return Played(workflow=told.handle.id)


async def gate_closed_and_all_are_told(world: World) -> Played:
    """Two are asked by mail, and one rules: the other is told that it is over."""
    people(world.directory)
    case, told = await gate(world, "3")
    await told.until(f"asked {ANA} mail", f"asked {BO} mail")
    await Human(ANA).approve(case)
    await case.outcome()
    with contextlib.suppress(RPCError):  # it may have looked by itself
        await told.nudge()
    await told.handle.result()
    return Played(workflow=told.handle.id)


async def gate_waiting_and_one_is_not_reached(world: World) -> Played:
    """Nobody of a role can be reached: the next one and the owner are told. It is still open."""
    people(world.directory)
    world.mail.dead.update({ANA, BO})
    _, told = await gate(world, "2")
    await told.until(f"early {CY} mail", f"owner {OWNER} mail", lost=[ANA, BO])
    world.mail.dead.clear()
    return Played(workflow=told.handle.id)


async def gate_told_again(world: World) -> Played:
    """The mail server is away for longer than a message is tried; it is told when it is back."""
    people(world.directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workflow, "TRIES", RetryPolicy(maximum_attempts=1))
        world.mail.busy[ANA] = 1
        _, told = await gate(world, "3")
        await told.until(f"asked {BO} mail", lost=[ANA])
        await told.pass_time(again.AGAIN + timedelta(seconds=5))
        await told.until(f"asked {BO} mail", f"asked {ANA} mail")
    return Played(workflow=told.handle.id)


async def gate_told_once_of_old(world: World) -> Played:
    """As it was before that: whom the mail server did not take then is not told."""
    people(world.directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workflow, "TRIES", RetryPolicy(maximum_attempts=1))
        patch.setattr(temporalio.workflow, "patched", _before_again)
        world.mail.busy[ANA] = 1
        _, told = await gate(world, "4")
        await told.until(f"asked {BO} mail", lost=[ANA])
        await told.nudge()
    return Played(workflow=told.handle.id)


def _before_again(asked: str) -> bool:
    return asked != workflow.AGAIN_PATCH


async def owner_told(world: World) -> Played:
    """The second channel takes it."""
    people(world.directory, boss={"slack": "U0000000002", "channels": ["mail", "slack"]})
    world.mail.dead.add(OWNER)
    told = await alert(world, "1")
    await told.result()
    world.mail.dead.clear()
    return Played(workflow=told.id)


async def owner_waiting(world: World) -> Played:
    """No channel takes it: all are tried again in an hour."""
    people(world.directory)
    world.mail.dead.add(OWNER)
    told = await alert(world, "2")

    async def asleep() -> bool:
        history = await told.fetch_history()
        return any(event.HasField("timer_started_event_attributes") for event in history.events)

    await eventually(asleep)
    world.mail.dead.clear()
    return Played(workflow=told.id)


async def alert(world: World, number: str) -> WorkflowHandle[Any, Any]:
    """An owner is told of an incident."""
    news: Alert = incident_alert("orders", f"orders:{number}", number, "it is 5", datetime.now(UTC))
    return await world.stage.client.start_workflow(
        OWNER_WORKFLOW, news, id=alert_id(news), task_queue=MESSAGE_QUEUE
    )


async def approvers_unreached(world: World) -> Played:
    """The owner cannot be told of an approver who does not look."""
    people(world.directory)
    rows = [_row(number) for number in range(12)]
    await world.stage.ledger.record_rulings(rows)
    world.mail.dead.add(OWNER)
    played = await reported(world)
    world.mail.dead.clear()
    return played


async def approvers_told(world: World) -> Played:
    """The same once more: the owner is told now."""
    return await reported(world)


async def approvers_with_nothing_new(world: World) -> Played:
    """The day after: nothing is told again."""
    return await reported(world)


async def approvers_of_two_owners(world: World) -> Played:
    """Whoever cannot be told keeps no other owner waiting."""
    rows = [_row(number, "patient") for number in range(20, 32)]
    more = [_row(number, "orders", BO) for number in range(40, 52)]
    await world.stage.ledger.record_rulings([*rows, *more])
    world.mail.dead.add(OWNER)
    played = await reported(world)
    world.mail.dead.clear()
    return played


async def reported(world: World) -> Played:
    """The report of approvers, now."""
    handle = world.stage.client.get_schedule_handle(SCHEDULE)
    before = (await handle.describe()).info.num_actions
    await handle.trigger()

    async def ran() -> Any:
        info = (await handle.describe()).info
        over = info.num_actions > before and not info.running_actions
        return info.recent_actions[-1].action if over else None

    action = await eventually(ran)
    return Played(workflow=action.workflow_id, run=action.first_execution_run_id)


def _row(number: int, agent: str = "orders", by: str = ANA) -> RulingRow:
    return RulingRow(
        jti=f"{number:032x}",
        case=f"{agent}:{number}",
        gate=f"{number:016x}",
        by=by,
        stands_for=None,
        verb="approve" if number % 2 else "reject",
        kid="k",
        via="inbox",
        looked=1.5,
        at=datetime.now(UTC),
        digest="0" * 64,
        agent=agent,
        step="pay",
        text="{}",
    )


SCENES: dict[str, Callable[[World], Awaitable[Played]]] = {
    scene.__name__: scene
    for scene in (
        gate_closed,
        gate_closed_and_all_are_told,
        gate_waiting_and_one_is_not_reached,
        gate_told_again,
        gate_told_once_of_old,
        owner_told,
        owner_waiting,
        approvers_unreached,
        approvers_told,
        approvers_with_nothing_new,
        approvers_of_two_owners,
    )
}


async def main() -> None:
    """Record them all."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        outside = Outside(directory / "outside.db")
        started = server(directory / "server")
        await started.start()
        try:
            with outside.installed():
                async with (
                    running(orders(directory, policy(roles=ROLES)), started, directory) as stage,
                    mail_server() as mail,
                    slack_server() as slack,
                    inbox(
                        stage,
                        settings(directory, mail, slack),
                        ledger=stage.ledger,
                        owners={"patient": CY, "orders": OWNER}.__getitem__,
                    ),
                ):
                    world = World(stage, mail, slack, directory)
                    for scene, play in SCENES.items():
                        # One that is there is what open workflows live by.
                        if (HISTORIES / f"{scene}.json").exists():
                            continue
                        played = await play(world)
                        client = stage.client
                        handle = client.get_workflow_handle(played.workflow, run_id=played.run)
                        await record(handle, HISTORIES / f"{scene}.json")
        finally:
            await started.stop()


if __name__ == "__main__":
    asyncio.run(main())
    os._exit(0)
