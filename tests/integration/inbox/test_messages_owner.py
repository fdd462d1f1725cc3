"""The owner of a policy is told of one event, once: on the real server, by real mail and chat."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import ActivityFailureError, WorkflowHandle
from temporalio.testing import ActivityEnvironment, TimeSkipper

from handrail.agent import PROBLEM_ATTRIBUTE
from handrail.guardrails.breakers import alert_owner, incident_alert
from handrail.guardrails.recorder import Recorder
from handrail.inbox.channels.alerts import AlertRequest
from handrail.ledger import SpendRow
from handrail.oversight import MESSAGE_QUEUE, Alert, alert_id
from handrail.testing import Outside, Stage, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders, policy
from tests.integration.inbox.messages_tools import (
    BASE,
    OWNER,
    MailServer,
    inbox,
    mail_server,
    people,
    settings,
)
from tests.integration.inbox.slack_tools import slack_server

pytestmark = pytest.mark.integration

NEWS = Alert(
    agent="orders",
    what="breaker",
    id="breaker-1",
    title="A breaker of orders has tripped\r\nBcc: eve@example.com",
    lines=("orders is stopped: 5 refusals in an hour", "handrail lift orders"),
    at=datetime(2026, 1, 1, 12, tzinfo=UTC),
)


async def told(stage: Stage, news: Alert = NEWS, base: str = BASE) -> bool:
    """As a worker's activity does it."""
    return await ActivityEnvironment(client=stage.client).run(alert_owner, news, base)


def flow(stage: Stage, news: Alert = NEWS) -> WorkflowHandle[Any, Any]:
    return stage.client.get_workflow_handle(alert_id(news))


async def test_the_owner_gets_one_mail_for_one_event_however_often_it_is_told(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage, mail_server() as mail:
        async with inbox(stage, settings(tmp_path, mail)):
            assert await told(stage)
            assert await told(stage)
            done = await flow(stage).result()
            assert await told(stage)
        assert done == {"told": "mail", "tries": []}
        assert len(mail.mails) == 1
        [found] = mail.to(OWNER)
    assert found["Bcc"] is None
    assert found["Subject"].startswith("A breaker of orders has tripped")
    body = found.get_body(("plain",))
    assert body is not None
    assert "You own the policy of orders." in body.get_content()
    assert "5 refusals in an hour" in body.get_content()
    # Whoever owns a policy may have no shell.
    page = found.get_body(("html",))
    assert page is not None
    assert "/stops" in page.get_content().partition("Open the page")[0]


async def test_nothing_is_begun_where_there_is_no_inbox_and_the_inbox_is_silent_without_a_channel(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        assert not await told(stage, base="")
        async with inbox(stage, settings(tmp_path)):
            assert await told(stage)
            assert await flow(stage).result() == {"told": "", "tries": []}


async def test_who_does_not_own_the_policy_is_never_told(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    stolen = AlertRequest(news=NEWS, owner="eve@example.com", channel="mail")
    async with (
        run_fleet(orders(tmp_path)) as stage,
        mail_server() as mail,
        inbox(stage, settings(tmp_path, mail)),
    ):
        handle = await stage.client.start_activity(
            "owner.tell",
            stolen,
            id="stolen",
            task_queue=MESSAGE_QUEUE,
            start_to_close_timeout=timedelta(seconds=30),
        )
        with pytest.raises(ActivityFailureError) as failure:
            await handle.result()
    assert "does not own the policy of orders" in str(failure.value.cause)
    assert mail.mails == []


async def test_what_one_channel_does_not_take_goes_by_the_next_and_again_after_an_hour(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage, mail_server() as mail:
        mail.dead.add(OWNER)
        async with slack_server() as slack:
            people(tmp_path, boss={"slack": "U0000000001", "channels": ["mail", "slack"]})
            async with inbox(stage, settings(tmp_path, mail, slack)):
                assert await told(stage)
                done = await flow(stage).result()
                people(tmp_path)
                late = NEWS.model_copy(update={"id": "breaker-2"})
                assert await told(stage, late)
                await eventually(lambda: _risk(stage, late), what="a mark that it was not told")
                mail.dead.clear()
                skipper = TimeSkipper(stage.client)
                await skipper.fast_forward(flow(stage, late), timedelta(hours=1, seconds=5))
                again = await flow(stage, late).result()
        assert done["told"] == "slack"
        assert "no such mailbox" in done["tries"][0]
        assert slack.faults == []
        [said] = slack.messages.values()
        assert said["text"].startswith("A breaker of orders has tripped")
    assert again["told"] == "mail"
    assert len(mail.to(OWNER)) == 1


async def test_a_budget_that_nears_its_end_is_told_once_and_an_incident_too(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    document = policy(budgets={"tokens": "1000 per day"})
    async with run_fleet(orders(tmp_path, document)) as stage, mail_server() as mail:
        under = stage.fleet.agents["orders"]
        given = under.policy_file.current()
        books = Recorder("orders", stage.ledger, BASE)
        world = ActivityEnvironment(client=stage.client)
        async with inbox(stage, settings(tmp_path, mail)):
            await world.run(books.require_budget, given, "choose")
            await stage.ledger.spend(spent(850))
            for _ in range(3):
                await world.run(books.require_budget, given, "choose")
            wrong = incident_alert(
                "orders", "orders:1", "orders:1/pay/1!verify", "it is 5", NEWS.at
            )
            assert await told(stage, wrong)
            await eventually(lambda: _mails(mail, 2), what="two mails")
    said = {str(each["Subject"]) for each in mail.to(OWNER)}
    assert said == {"A budget of orders nears its end", "Something is wrong with a write of orders"}
    assert len(mail.mails) == 2


def spent(tokens: int) -> SpendRow:
    return SpendRow(
        id="orders:1/choose/1",
        agent="orders",
        case="orders:1",
        step="choose",
        # The activity's own time is long ago in a test.
        at=datetime(1970, 1, 1, tzinfo=UTC),
        tokens=tokens,
        cost=Decimal(0),
        currency="EUR",
        model="",
    )


async def _mails(mail: MailServer, count: int) -> bool:
    return len(mail.mails) >= count


async def _risk(stage: Stage, news: Alert) -> bool:
    described = await flow(stage, news).describe()
    return described.typed_search_attributes.get(PROBLEM_ATTRIBUTE) == "undelivered"
