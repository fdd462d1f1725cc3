"""Many questions in one mail, and quiet hours: on the real Temporal server, through real mail."""

from __future__ import annotations

import asyncio
import functools
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
from temporalio.testing import TimeSkipper

from handrail.inbox.channels.digests import DigestBook, digest_name
from handrail.oversight import message_id
from handrail.testing import Human, Outside, Stage, eventually, free_ports
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders, policy
from tests.agents.orders_steps import Order
from tests.integration.inbox.messages_tools import (
    BASE,
    MailServer,
    Told,
    follow,
    inbox,
    mail_server,
    people,
    settings,
)
from tests.integration.inbox.test_messages_lost import inbox_process, report

pytestmark = pytest.mark.integration

ANA, BO, CY = "ana@example.com", "bo@example.com", "cy@example.com"
DIGEST: dict[str, Any] = {"digest": "10m"}


async def ask(stage: Stage, *numbers: int) -> list[tuple[Any, Told]]:
    found: list[tuple[Any, Told]] = []
    for number in numbers:
        case = await stage.start("orders", Order(number=str(number), amount=Decimal(300)))
        found.append((case, await follow(stage, await case.gate())))
    return found


def digest_of(stage: Stage, who: str = ANA) -> Any:
    return stage.client.get_workflow_handle(message_id(digest_name(who)))


async def book(stage: Stage) -> DigestBook:
    return await digest_of(stage).query("digest", result_type=DigestBook)


async def waits(stage: Stage, count: int) -> bool:
    try:
        return len((await book(stage)).waiting) == count
    except Exception:  # noqa: BLE001  # it has not begun, or no worker runs it now
        return False


async def pass_time(stage: Stage, length: timedelta) -> None:
    await TimeSkipper(stage.client).fast_forward(digest_of(stage), length)


async def mailed(mail: MailServer, who: str, count: int) -> bool:
    return len(mail.to(who)) >= count


def text(mail: Any) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return body.get_content()


async def test_the_first_question_comes_at_once_and_all_that_follow_in_one_mail(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    people(tmp_path, ana=DIGEST)
    async with run_fleet(orders(tmp_path)) as stage, mail_server() as mail:
        async with inbox(stage, settings(tmp_path, mail)):
            [first] = await ask(stage, 1)
            await first[1].until(f"asked {ANA} mail", f"asked {BO} mail")
            cases = await ask(stage, 2, 3, 4, 5)
            await eventually(functools.partial(waits, stage, 4))
            # What was ruled meanwhile is not said any more.
            assert (await Human(BO).approve(cases[3][0])).accepted
            await cases[3][0].outcome()
            await cases[3][1].nudge()
        async with inbox(stage, settings(tmp_path, mail)):
            await pass_time(stage, timedelta(minutes=11))
            for _, told in cases[:3]:
                await told.until(f"asked {ANA} mail", f"asked {BO} mail")
        alone, many = mail.to(ANA)
        # Nobody else has a digest: one mail each, and none about what they ruled themselves.
        assert len(mail.to(BO)) == 5
    assert alone["Subject"] == "May this be done? Pay for an order. (orders:1)"
    assert many["Subject"] == "3 questions of agents: 3 wait for you"
    said = text(many)
    assert [f"orders:{n}" in said for n in range(1, 6)] == [False, True, True, True, False]
    assert f"All that waits: {BASE}/" in said
    assert said.count(f"{BASE}/mail/") == 3


async def test_a_digest_killed_right_after_it_went_out_loses_nothing_and_is_one_to_mail_programs(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    people(tmp_path, ana=DIGEST | {"digest from": 1})
    async with run_fleet(orders(tmp_path)) as stage, mail_server() as mail:
        process = await inbox_process(stage, mail, tmp_path)
        cases = await ask(stage, 1, 2, 3)
        await eventually(functools.partial(waits, stage, 3))
        for _, told in cases:
            await told.until(f"asked {BO} mail")

        async def kill() -> None:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.wait()

        mail.kept = kill
        passing = asyncio.ensure_future(pass_time(stage, timedelta(minutes=11)))
        await eventually(functools.partial(mailed, mail, ANA, 1))
        await process.wait()
        mail.kept = None
        async with inbox(stage, settings(tmp_path, mail)):
            await passing
            for _, told in cases:
                await told.until(f"asked {ANA} mail", f"asked {BO} mail")
            kept = await book(stage)
    assert (len(kept.waiting), len(kept.sent)) == (0, 3)
    # Sent twice is one: it has one id, and says the same.
    assert len({each["Message-ID"] for each in mail.to(ANA)}) == 1
    assert all(f"orders:{n}" in text(each) for each in mail.to(ANA) for n in (1, 2, 3))
    assert Counter(to for _, to, _ in mail.mails)[BO] == 3


def quiet() -> dict[str, Any]:
    """Quiet hours that began an hour ago and last three more."""
    now = datetime.now(UTC)
    begins, ends = (f"{now + timedelta(hours=n):%H:%M}" for n in (-1, 3))
    return {"quiet": {"from": begins, "to": ends}}


async def test_in_quiet_hours_what_can_wait_comes_when_they_are_over(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    people(tmp_path, ana=quiet())
    async with run_fleet(orders(tmp_path)) as stage, mail_server() as mail:
        async with inbox(stage, settings(tmp_path, mail)):
            [(_, told)] = await ask(stage, 1)
            await told.until(f"asked {BO} mail")
            await eventually(functools.partial(waits, stage, 1))
            assert mail.to(ANA) == []
            await pass_time(stage, timedelta(hours=3, minutes=1))
            await told.until(f"asked {ANA} mail", f"asked {BO} mail")
        [alone] = mail.to(ANA)
    assert "amount: 300" in text(alone)


async def test_a_deadline_and_an_escalation_within_quiet_hours_reach_somebody_at_once(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    roles: dict[str, Any] = {
        "lead": {"people": [ANA], "deadline": {"after": "90m", "then": "escalate", "to": "ops"}},
        "ops": {"people": [CY], "deadline": {"after": "24h", "then": "refuse"}},
    }
    people(tmp_path, ana=quiet(), cy=quiet())
    fleet = orders(tmp_path, policy(roles=roles))
    async with (
        run_fleet(fleet) as stage,
        mail_server() as mail,
        inbox(stage, settings(tmp_path, mail)),
    ):
        [(case, told)] = await ask(stage, 1)
        await told.until(f"asked {ANA} mail")
        await case.pass_time(timedelta(minutes=90, seconds=5))
        await told.pass_time(timedelta(minutes=90, seconds=5))
        await eventually(functools.partial(mailed, mail, CY, 1))
    assert "nobody of lead answered in time" in text(mail.to(CY)[0])


async def test_one_mail_says_that_it_is_over_to_whom_another_was_faster(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with (
        run_fleet(orders(tmp_path)) as stage,
        mail_server() as mail,
        inbox(stage, settings(tmp_path, mail)),
    ):
        [(case, told)] = await ask(stage, 1)
        await told.until(f"asked {ANA} mail", f"asked {BO} mail")
        assert (await Human(ANA).approve(case)).accepted
        await case.outcome()
        await told.nudge()
        done: Any = await told.handle.result()
    assert done["told"] == [f"{ANA}: asked", f"{BO}: asked", f"{BO}: closed"]
    asked, over = mail.to(BO)
    assert over["In-Reply-To"] == asked["Message-ID"]
    assert f"Approved by {ANA}" in text(over)
    assert len(mail.to(ANA)) == 1


async def test_that_many_are_over_is_one_mail_too_and_the_last_one_is_not_lost(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    people(tmp_path, bo=DIGEST | {"digest from": 5})
    async with (
        run_fleet(orders(tmp_path)) as stage,
        mail_server() as mail,
        inbox(stage, settings(tmp_path, mail)),
    ):
        cases = await ask(stage, 1, 2, 3)
        for _, told in cases:
            await told.until(f"asked {ANA} mail", f"asked {BO} mail")
        for case, told in cases:
            assert (await Human(ANA).approve(case)).accepted
            await case.outcome()
            await told.nudge()

        async def held() -> bool:
            found = await digest_of(stage, BO).query("digest", result_type=DigestBook)
            return len(found.waiting) == 2 and len(mail.to(BO)) == 4

        await eventually(held)
        await TimeSkipper(stage.client).fast_forward(digest_of(stage, BO), timedelta(minutes=11))
        for _, told in cases:
            done: Any = await told.handle.result()
            assert f"{BO}: closed" in done["told"]
    last = mail.to(BO)[-1]
    assert last["Subject"] == "2 questions are over"
    assert text(last).count(f"Approved by {ANA}") == 2


async def test_a_digest_that_comes_back_or_is_refused_goes_the_next_way_for_each_question(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    people(tmp_path, ana=DIGEST | {"digest from": 1}, bo=DIGEST | {"digest from": 1})
    port, _ = free_ports()
    async with run_fleet(orders(tmp_path)) as stage, mail_server() as mail:
        mail.dead = {BO}
        given = settings(tmp_path, mail, bounce_port=port, bounce_domain="bounce.example.com")
        async with inbox(stage, given):
            cases = await ask(stage, 1, 2)
            await eventually(functools.partial(waits, stage, 2))
            skipper = TimeSkipper(stage.client)
            for who in (ANA, BO):
                await skipper.fast_forward(digest_of(stage, who), timedelta(minutes=11))
            await eventually(functools.partial(mailed, mail, ANA, 1))
            for _, told in cases:
                await told.until(f"asked {ANA} mail", lost=[BO])
            [path] = [path for path, to, _ in mail.mails if to == ANA]
            assert path.startswith("b-digest-")
            async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as smtp:
                await smtp.sendmail("", [path], report(path))
            for _, told in cases:
                await told.until("owner boss@example.com mail", lost=[ANA, BO])
