"""Slack: buttons, dialogues and locks, against a local Slack that checks every call.

Proof is required here: what is pressed is signed with the inbox's key, and the case and the
door prove it. The case itself has its people told.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import web
from slack_sdk.signature import SignatureVerifier
from temporalio.client import Client

from handrail import State
from handrail.client import case_view
from handrail.oversight import CaseView, GateView, message_id
from handrail.testing import CaseHandle, Outside, Stage, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import LEAD, orders, policy
from tests.agents.orders_steps import Order
from tests.integration.inbox.messages_tools import (
    SIGNING,
    Buttons,
    MailServer,
    Told,
    buttons,
    elements,
    inbox,
    mail_server,
    people,
    settings,
    texts,
    trusting,
)
from tests.integration.inbox.slack_tools import Made, SlackServer, slack_server

pytestmark = pytest.mark.integration

ANA, BO = "ana@example.com", "bo@example.com"
UANA, UBO, UEVE = "U012ANA", "U012BO", "U012EVE"
ORDER = Order(number="1", amount=Decimal(300))
BOTH = {"lead": LEAD | {"quorum": 2}}


@dataclass
class Office:
    """Everything at work: a case that asks, the inbox, Slack and the buttons."""

    stage: Stage
    slack: SlackServer
    mail: MailServer
    buttons: Buttons

    async def asked(self, order: Order = ORDER) -> tuple[CaseHandle, GateView, Told]:
        """A case that asks, its gate, and its messages when all have gone out."""
        case = await self.stage.start("orders", order)
        gate = await case.gate()
        told = Told(self.stage, gate)
        await eventually(lambda: self._out(told))
        return case, gate, told

    async def _out(self, told: Told) -> bool:
        with contextlib.suppress(Exception):
            return len(await told.said()) >= 2
        return False

    def shown(self, user: str) -> tuple[str, dict[str, Any]]:
        """The room of a user, and the first message in it."""
        room = f"D{user[1:]}"
        return room, next(m for (r, _), m in self.slack.messages.items() if r == room)

    async def press(self, user: str, action: str, by: str | None = None, **how: Any) -> int:
        """Press a button of a user's message; `by` somebody else, if named."""
        room, shown = self.shown(user)
        pressed = self.buttons.press(by or user, shown, room, action)
        return await self.buttons.post(pressed, **how)

    async def whispers(self, count: int = 1) -> list[str]:
        """What only one user was told, when that many have been."""

        async def look() -> list[str]:
            said = [call.form["text"] for call in self.slack.of("chat.postEphemeral")]
            return said if len(said) >= count else []

        return await eventually(look)


@pytest.fixture
async def office(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncGenerator[Office]:
    people(
        tmp_path,
        ana={"slack": UANA, "channels": ["slack", "mail"]},
        bo={"slack": UBO, "channels": ["slack", "mail"]},
    )
    trust, key = trusting(tmp_path)
    fleet = orders(tmp_path, policy(roles=getattr(request, "param", None)))
    async with (
        run_fleet(fleet, trust=trust) as stage,
        mail_server() as mail,
        slack_server() as slack,
    ):
        given = settings(tmp_path, mail, slack)
        async with inbox(stage, given), buttons(stage, given, key, slack) as pressed:
            yield Office(stage, slack, mail, pressed)


async def test_one_press_approves_and_every_message_is_locked_with_who_and_when(
    office: Office,
) -> None:
    case, _, told = await office.asked()
    _, shown = office.shown(UANA)
    assert [e["action_id"] for e in elements(shown)] == [
        *("approve", "approve_why", "amend", "reject", "open")
    ]
    assert "amount\\n300" in texts(shown)
    assert await office.press(UANA, "approve") == 200
    outcome = await case.outcome()
    assert outcome.status is State.DONE
    [ruled] = outcome.rulings
    assert (ruled.by, ruled.via, ruled.proven, ruled.accepted) == (ANA, "slack", True, True)
    done: Any = await told.handle.result()
    assert done["ended"] == "approved"
    for user in (UANA, UBO):
        _, locked = office.shown(user)
        assert elements(locked) == []
        assert f"Approved by {ANA} at 20" in texts(locked)
    assert not office.mail.mails


async def test_rejecting_asks_for_a_reason_which_the_agent_can_read(office: Office) -> None:
    case, _, _ = await office.asked()
    assert await office.press(UBO, "reject") == 200

    async def dialogue() -> Any:
        return office.slack.of("views.open")

    [call] = await eventually(dialogue)
    view = json.loads(call.form["view"])
    assert await office.buttons.post(office.buttons.submit(UBO, view, "too dear")) == 200
    outcome = await case.outcome()
    assert outcome.status is State.REJECTED
    assert "too dear" in outcome.why


async def test_an_unknown_user_may_not_and_nobody_else_is_told_so(office: Office) -> None:
    case, gate, _ = await office.asked()
    assert await office.press(UANA, "approve", by=UEVE) == 200
    assert await office.press(UANA, "reject", by=UEVE) == 200
    for said in await office.whispers(2):
        assert said.startswith("You may not")
    assert not office.slack.of("views.open")
    assert [g.gate for g in await case.gates()] == [gate.gate]
    assert not (await case.view()).rulings


async def test_bad_signatures_old_and_repeated_requests_change_nothing(office: Office) -> None:
    case, gate, _ = await office.asked()
    room, shown = office.shown(UANA)
    pressed = office.buttons.press(UANA, shown, room, "approve")
    post = office.buttons.post
    assert await post(pressed, secret="another") == 401  # noqa: S106
    assert await post(pressed, age=timedelta(minutes=6)) == 401
    assert await post(pressed, age=-timedelta(minutes=6)) == 401
    assert await post(pressed, signature="v0=" + "0" * 64) == 401
    assert await post(pressed, at="yesterday") == 401
    assert await post(pressed, at="9" * 5_000) == 401
    assert await office.buttons.raw("payload=%7B%7D", "", "") == 401
    assert await post(pressed, at="1" * 10) == 401
    assert [g.gate for g in await case.gates()] == [gate.gate]
    assert not (await case.view()).rulings


async def test_an_approval_takes_a_reason_and_every_message_says_it_at_the_end(
    office: Office,
) -> None:
    case, _, told = await office.asked()
    await office.press(UANA, "approve_why")
    [opened] = await eventually(lambda: _opened(office))
    view = json.loads(opened.given["view"])
    assert view["title"]["text"] == "Approve"
    assert not (await case.view()).rulings
    assert await office.buttons.post(office.buttons.submit(UANA, view, "as agreed by phone")) == 200
    outcome = await case.outcome()
    assert outcome.status is State.DONE
    [ruling] = [each for each in outcome.rulings if each.accepted]
    assert ruling.why == "as agreed by phone"
    done: Any = await told.handle.result()
    assert done["ended"] == "approved"
    for user in (UANA, UBO):
        assert f"Approved by {ANA} at 20" in texts(office.shown(user)[1])
        assert [e["action_id"] for e in elements(office.shown(user)[1])] == []


async def _opened(office: Office) -> list[Made]:
    return office.slack.of("views.open")


async def test_a_request_that_is_sent_again_is_refused(office: Office) -> None:
    await office.asked()
    room, shown = office.shown(UANA)
    pressed = office.buttons.press(UANA, shown, room, "open")
    body = urlencode({"payload": json.dumps(pressed)})
    stamp = str(int(time.time()))
    signed = SignatureVerifier(SIGNING).generate_signature(timestamp=stamp, body=body)
    answers = [await office.buttons.raw(body, stamp, signed or "") for _ in range(3)]
    assert answers == [200, 401, 401]


def test_a_call_that_leaves_slacks_description_is_found() -> None:
    slack = SlackServer()
    if slack.described is None:
        pytest.skip(
            "Slack's description of its Web API is not here: set HANDRAIL_TEST_SLACK_OPENAPI to "
            "slack_web_openapi_v2.json of github.com/slackapi/slack-api-specs"
        )
    good = Made(
        method="chat.update",
        verb="POST",
        content_type="application/x-www-form-urlencoded",
        authorization="",
        query={},
        form={"channel": "D1", "ts": "1.2", "text": "x"},
    )
    assert list(slack.undescribed(good)) == []
    for changed in (
        {"verb": "GET"},
        {"method": "chat.updated"},
        {"content_type": "text/plain"},
        {"form": {"channel": "D1", "text": "x"}},
        {"form": good.form | {"colour": "red"}},
    ):
        assert list(slack.undescribed(dataclasses.replace(good, **changed)))
    post = dataclasses.replace(good, method="chat.postMessage", form={"channel": "D1"})
    assert list(slack.undescribed(post)) == []
    wrong = dataclasses.replace(post, form={"channel": "D1", "mrkdwn": "no"})
    assert list(slack.undescribed(wrong))


async def test_a_double_click_counts_once_and_says_what_became_of_it(
    office: Office,
) -> None:
    case, _, _ = await office.asked()
    room, shown = office.shown(UANA)
    pressed = office.buttons.press(UANA, shown, room, "approve")
    first, second = await asyncio.gather(office.buttons.post(pressed), office.buttons.post(pressed))
    assert (first, second) == (200, 200)
    outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert len([r for r in outcome.rulings if r.accepted]) == 1
    [said] = await office.whispers()
    assert "Not accepted" in said


@pytest.mark.parametrize("office", [BOTH], indirect=True)
async def test_who_has_said_yes_sees_it_while_the_others_are_still_asked(office: Office) -> None:
    case, _, told = await office.asked()
    await office.press(UANA, "approve")

    async def locked() -> bool:
        return not elements(office.shown(UANA)[1])

    await eventually(locked)
    assert "You said approve at 20" in texts(office.shown(UANA)[1])
    assert elements(office.shown(UBO)[1])
    await office.press(UBO, "approve")
    assert (await case.outcome()).status is State.DONE
    await told.handle.result()
    assert f"Approved by {ANA}, {BO}" in texts(office.shown(UANA)[1])


async def test_how_it_closed_is_said_although_nobody_answers_at_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    unheard = 3

    async def heard(client: Client, case: str) -> CaseView | None:
        nonlocal unheard
        seen = await case_view(client, case)
        if seen is None or seen.gates or not unheard:
            return seen
        unheard -= 1
        await client.get_workflow_handle(case).result()
        return None

    monkeypatch.setattr("handrail.inbox.channels.activities.case_view", heard)
    case, _, told = await office.asked()
    await office.press(UANA, "approve")
    assert (await case.outcome()).status is State.DONE
    await told.handle.result()
    assert f"Approved by {ANA}" in texts(office.shown(UANA)[1])


async def test_a_button_of_another_action_is_refused(office: Office) -> None:
    case, gate, _ = await office.asked()
    room, shown = office.shown(UANA)
    pressed = office.buttons.press(UANA, shown, room, "approve")
    value = json.loads(pressed["actions"][0]["value"])
    for changed in ({"digest": "0" * 64}, {"gate": "0" * 16}, {"case": "orders:2"}):
        pressed["actions"][0]["value"] = json.dumps(value | changed)
        assert await office.buttons.post(pressed) == 200
    pressed["actions"][0]["value"] = json.dumps(value | {"by": BO})
    assert await office.buttons.post(pressed) == 200
    assert all("Not accepted" in said for said in await office.whispers(3))
    assert [g.gate for g in await case.gates()] == [gate.gate]
    assert not [r for r in (await case.view()).rulings if r.accepted]


async def test_a_message_deleted_meanwhile_is_answered_below_where_it_was(
    office: Office,
) -> None:
    case, _, told = await office.asked()
    room, shown = office.shown(UBO)
    del office.slack.messages[room, shown["ts"]]
    await office.press(UANA, "approve")
    await case.outcome()
    await told.handle.result()
    [left] = [m for (r, _), m in office.slack.messages.items() if r == room]
    assert left["thread_ts"] == shown["ts"]
    assert "Approved by" in left["text"]


async def test_what_slack_refuses_for_good_goes_by_mail_and_what_was_lost_is_not_doubled(
    office: Office,
) -> None:
    office.slack.fails["chat.postMessage"] = ["lost", "user_disabled"]
    _, _, told = await office.asked()
    book = await told.book()
    sent = {e.due.person: e.ref.channel for e in book.letters if e.ref}
    assert sorted(sent.values()) == ["mail", "slack"]
    [mailed] = [who for who, way in sent.items() if way == "mail"]
    assert len(office.mail.to(mailed)) == 1
    assert len(office.slack.messages) == 1
    assert office.slack.of("conversations.history")


async def test_a_slack_that_asks_to_wait_is_left_alone_for_that_long(office: Office) -> None:
    wait = web.json_response(
        {"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": "1"}
    )
    office.slack.fails["chat.postMessage"] = [wait]
    _, gate, told = await office.asked()
    assert sorted(await told.said()) == [f"asked {ANA} slack", f"asked {BO} slack"]
    assert len(office.slack.messages) == 2
    assert told.handle.id == message_id(gate.gate)


async def test_a_reminder_is_in_the_thread_and_its_buttons_are_locked_too(office: Office) -> None:
    case, _, told = await office.asked()
    await case.pass_time(timedelta(hours=2, seconds=5))
    await told.nudge()
    asked = [f"asked {ANA} slack", f"asked {BO} slack"]
    await told.until(*asked, f"reminder {ANA} slack", f"reminder {BO} slack")
    room, first = office.shown(UANA)
    threads = [m for (r, _), m in office.slack.messages.items() if r == room and m["thread_ts"]]
    assert [reminder["thread_ts"] for reminder in threads] == [first["ts"]]
    pressed = office.buttons.press(UANA, threads[0], room, "approve")
    assert await office.buttons.post(pressed) == 200
    assert (await case.outcome()).status is State.DONE
    await told.handle.result()
    for message in office.slack.messages.values():
        assert elements(message) == []
        assert f"Approved by {ANA}" in texts(message)
