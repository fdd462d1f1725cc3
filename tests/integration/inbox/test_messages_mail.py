"""Mail of a gate: on the real Temporal server, through a real mail server."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from handrail.inbox.channels import workflow
from handrail.oversight import message_id
from handrail.testing import Human, Outside, Stage, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import LEAD, orders, policy
from tests.agents.orders_steps import Order
from tests.integration.inbox.messages_tools import BASE, follow, inbox, mail_server, settings

pytestmark = pytest.mark.integration

ANA, BO, CY = "ana@example.com", "bo@example.com", "cy@example.com"
ORDER = Order(number="1", amount=Decimal(300))
ESCALATING: dict[str, Any] = {
    "lead": LEAD | {"deadline": {"after": "8h", "then": "escalate", "to": "operations"}},
    "operations": {"people": [CY], "deadline": {"after": "24h", "then": "refuse"}},
}


async def test_everybody_who_is_asked_gets_one_mail_with_what_is_asked_and_links_that_show(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage, mail_server() as mail:
        async with inbox(stage, settings(tmp_path, mail)):
            gate = await (await stage.start("orders", ORDER)).gate()
            told = await follow(stage, gate)
            await told.until(f"asked {ANA} mail", f"asked {BO} mail")
            for _ in range(3):
                await told.nudge()
            await told.until(f"asked {ANA} mail", f"asked {BO} mail")
        assert len(mail.mails) == 2
        [to_ana] = mail.to(ANA)
    assert to_ana["Subject"] == "May this be done? Pay for an order. (orders:1)"
    assert to_ana["Auto-Submitted"] == "auto-generated"
    text = to_ana.get_body(("plain",))
    assert text is not None
    shown = text.get_content()
    assert "amount: 300" in shown
    assert "costs more than 200 EUR" in shown
    assert f"Read and decide: {BASE}/mail/" in shown
    assert "it expires: the write is not made" in shown


async def test_reminders_answer_the_first_mail_and_the_next_role_is_told_when_it_is_asked(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    fleet = orders(tmp_path, policy(roles=ESCALATING))
    async with run_fleet(fleet) as stage, mail_server() as mail:
        async with inbox(stage, settings(tmp_path, mail)):
            case = await stage.start("orders", ORDER)
            gate = await case.gate()
            told = await follow(stage, gate)
            asked = [f"asked {ANA} mail", f"asked {BO} mail"]
            await told.until(*asked)
            await case.pass_time(timedelta(hours=2, seconds=5))
            await told.pass_time(timedelta(hours=2, seconds=5))
            reminded = [f"reminder {ANA} mail", f"reminder {BO} mail"]
            await told.until(*asked, *reminded)
            await case.pass_time(timedelta(hours=6, seconds=5))
            await told.pass_time(timedelta(hours=6, seconds=5))
            passed = [f"passed_on {ANA} mail", f"passed_on {BO} mail"]
            await told.until(*asked, *reminded, *passed, f"asked {CY} mail")
            assert (await Human(CY).approve(case)).accepted
            await case.outcome()
            await told.nudge()
            done: Any = await told.handle.result()
        first, reminder, passed_on, over = mail.to(ANA)
    assert done["ended"] == "approved"
    assert reminder["In-Reply-To"] == first["Message-ID"] == passed_on["References"]
    assert reminder["Subject"] == f"Re: {first['Subject']}"
    assert f"Approved by {CY}" in _text(over)
    assert len(mail.to(CY)) == 1


async def test_a_dead_address_goes_to_the_next_channel_at_once_and_is_shown_when_there_is_none(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    fleet = orders(tmp_path, policy(roles=ESCALATING))
    async with run_fleet(fleet) as stage, mail_server() as mail:
        mail.dead = {ANA, BO}
        async with inbox(stage, settings(tmp_path, mail)):
            gate = await (await stage.start("orders", ORDER)).gate()
            told = await follow(stage, gate)
            said = (f"early {CY} mail", "owner boss@example.com mail")
            await told.until(*said, lost=[ANA, BO])
            assert mail.offered[ANA] == 1
            [found] = await eventually(lambda: _undelivered(stage))
            assert found == message_id(gate.gate)
            log = await told.book()
            assert log.view is not None
            assert (log.view.case, log.unreached()) == ("orders:1", (ANA, BO))
            [tried] = log.of(ANA)[0].tries
            assert "the mail server refuses it: 550 5.1.1 no such mailbox" in tried.why
        [to_owner] = mail.to("boss@example.com")
    assert "nobody of lead can be reached" in _text(to_owner)
    assert "/mail/" not in _text(to_owner)


async def _undelivered(stage: Stage) -> list[str]:
    """As docs/messages.md says that they are found."""
    found = stage.client.list_workflows("HandrailProblem = 'undelivered'")
    return [execution.id async for execution in found]


def _text(mail: Any) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return body.get_content()


async def test_a_server_that_is_busy_or_down_is_tried_again_until_it_takes_the_mail(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage, mail_server() as mail:
        mail.busy[BO] = 1
        async with inbox(stage, settings(tmp_path, mail)):
            await mail.stop()
            gate = await (await stage.start("orders", ORDER)).gate()
            told = await follow(stage, gate)
            await eventually(lambda: _tried(told))
            await mail.start()
            await told.until(f"asked {ANA} mail", f"asked {BO} mail")
        assert len(mail.mails) == 2
    assert mail.offered[BO] == 2


async def _tried(told: Any) -> bool:
    described = await told.handle.describe()
    return any(p.attempt > 1 for p in described.raw_description.pending_activities)


async def test_a_question_goes_to_the_colleague_and_its_answer_comes_back(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with (
        run_fleet(orders(tmp_path)) as stage,
        mail_server() as mail,
        inbox(stage, settings(tmp_path, mail)),
    ):
        case = await stage.start("orders", ORDER)
        gate = await case.gate()
        told = await follow(stage, gate)
        asked = [f"asked {ANA} mail", f"asked {BO} mail"]
        await told.until(*asked)
        assert (await Human(ANA).ask(case, "is the invoice theirs?", BO)).accepted
        await told.nudge()
        await told.until(*asked, f"question {BO} mail")
        [question] = (await case.gates())[0].asked
        said = await Human(BO).answer(case, "yes, I rang them", question=question.id)
        assert said.accepted
        await told.nudge()
        await told.until(*asked, f"question {BO} mail", f"answer {ANA} mail")
    assert f"{ANA} asks you: is the invoice theirs?" in _text(mail.to(BO)[1])
    assert "answers: yes, I rang them" in _text(mail.to(ANA)[1])
    assert mail.to(ANA)[1]["In-Reply-To"] == mail.to(ANA)[0]["Message-ID"]


async def test_who_let_its_time_pass_is_told_that_it_expired(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    roles = {"lead": {"people": [ANA], "deadline": {"after": "1h", "then": "refuse"}}}
    fleet = orders(tmp_path, policy(roles=roles))
    async with (
        run_fleet(fleet) as stage,
        mail_server() as mail,
        inbox(stage, settings(tmp_path, mail)),
    ):
        case = await stage.start("orders", ORDER)
        told = await follow(stage, await case.gate())
        await told.until(f"asked {ANA} mail")
        await case.pass_time(timedelta(hours=1, seconds=5))
        await case.outcome()
        await told.nudge()
        done: Any = await told.handle.result()
    assert done["ended"] == "expired"
    assert done["told"] == [f"{ANA}: asked", f"{ANA}: closed"]
    assert "nobody of lead answered in time" in _text(mail.to(ANA)[1])


async def test_junk_signals_wedge_nothing(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with (
        run_fleet(orders(tmp_path)) as stage,
        mail_server() as mail,
        inbox(stage, settings(tmp_path, mail)),
    ):
        case = await stage.start("orders", ORDER)
        told = await follow(stage, await case.gate())
        await told.until(f"asked {ANA} mail", f"asked {BO} mail")
        for name in ("look", "bounced", "nonsense"):
            for values in ([], [1, 2], [b"\x00"], [{"tag": 1}], ["x" * 1_000]):
                await told.handle.signal(name, args=values)
        assert (await Human(ANA).approve(case)).accepted
        await case.outcome()
        await told.nudge()
        done: Any = await told.handle.result()
    assert done["ended"] == "approved"
    assert [to for _, to, _ in mail.mails[2:]] == [BO]  # that it is over


async def test_a_broken_people_file_lets_everybody_get_mail_and_says_so(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with (
        run_fleet(orders(tmp_path)) as stage,
        mail_server() as mail,
        inbox(stage, settings(tmp_path, mail)),
    ):
        (tmp_path / "people.yaml").write_text("ana: [", encoding="utf-8")
        case = await stage.start("orders", ORDER)
        told = await follow(stage, await case.gate())
        book = await told.until(f"asked {ANA} mail", f"asked {BO} mail")
    assert "this is not YAML" in book.fault


async def test_a_long_history_goes_on_in_a_new_run_and_tells_nobody_twice(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        run_fleet(orders(tmp_path)) as stage,
        mail_server() as mail,
        inbox(stage, settings(tmp_path, mail)),
    ):
        case = await stage.start("orders", ORDER)
        told = await follow(stage, await case.gate())
        await told.until(f"asked {ANA} mail", f"asked {BO} mail")
        monkeypatch.setattr(workflow, "LONGEST", 10)
        before = (await told.handle.describe()).run_id
        await told.nudge()

        async def renewed() -> bool:
            return (await told.handle.describe()).run_id != before

        await eventually(renewed)
        monkeypatch.setattr(workflow, "LONGEST", 4_000)
        await told.until(f"asked {ANA} mail", f"asked {BO} mail")
        assert (await Human(ANA).approve(case)).accepted
        await case.outcome()
        await told.nudge()
        done: Any = await told.handle.result()
    assert done["ended"] == "approved"
    assert [to for _, to, _ in mail.mails[2:]] == [BO]  # that it is over


async def test_an_inbox_without_any_channel_tries_nothing_and_its_messages_end_at_once(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage, inbox(stage, settings(tmp_path)):
        gate = await (await stage.start("orders", ORDER)).gate()
        told = await follow(stage, gate)
        done: dict[str, Any] = await told.handle.result()
        book = await told.book()
    assert done["ended"] == "no channel is set up"
    assert book.letters == ()
