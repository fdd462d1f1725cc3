"""Messages that are lost on the way: mail that comes back, an inbox that is killed."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
from aiohttp import web

from handrail.inbox.channels.alerts import SCHEDULE
from handrail.ledger import RulingRow
from handrail.runtime import EmbeddedServer
from handrail.testing import Outside, Stage, eventually, free_ports, running
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders
from tests.agents.orders_steps import Order
from tests.integration.inbox.messages_tools import (
    BASE,
    OWNER,
    SECRET,
    MailServer,
    follow,
    inbox,
    mail_server,
    people,
    settings,
)
from tests.integration.inbox.slack_tools import web_server

pytestmark = pytest.mark.integration

ANA, BO = "ana@example.com", "bo@example.com"
ORDER = Order(number="1", amount=Decimal(300))


def report(to: str, *, action: str = "failed", status: str = "5.1.1") -> bytes:
    """A delivery report as mail servers write them (RFC 3464)."""
    return (
        f"From: MAILER-DAEMON@mx.example.net\r\nTo: {to}\r\nSubject: Undelivered\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type="delivery-status"; '
        'boundary="cut"\r\n\r\n'
        "--cut\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
        "--cut\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.example.net\r\n\r\n"
        f"Final-Recipient: rfc822; ana@example.com\r\nAction: {action}\r\nStatus: {status}\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 mailbox unavailable\r\n\r\n"
        "--cut--\r\n"
    ).encode()


async def _send(port: int, to: str, content: bytes) -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as smtp:
        await smtp.sendmail("", [to], content)


async def test_mail_that_comes_back_is_shown_and_goes_the_next_way(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    heard: list[Any] = []

    async def hook(request: web.Request) -> web.Response:
        heard.append(await request.json())
        return web.json_response({})

    port, _ = free_ports()
    async with (
        web_server(hook) as hooked,
        run_fleet(orders(tmp_path)) as stage,
        mail_server() as mail,
    ):
        people(tmp_path, ana={"also": [f"json://127.0.0.1:{hooked}/"]})
        given = settings(tmp_path, mail, bounce_port=port, bounce_domain="bounce.example.com")
        async with inbox(stage, given):
            gate = await (await stage.start("orders", ORDER)).gate()
            told = await follow(stage, gate)
            await told.until(f"asked {ANA} mail", f"asked {BO} mail")
            paths = {to: path for path, to, _ in mail.mails}
            assert paths[ANA].endswith("@bounce.example.com")
            assert paths[ANA] != paths[BO]
            forged = f"b-{gate.gate}-{'0' * 16}@bounce.example.com"
            await _send(port, forged, report(forged))
            await _send(port, paths[ANA], b"Subject: I am on holiday\r\n\r\nBack on Monday.\r\n")
            await _send(port, paths[ANA], report(paths[ANA], action="delayed", status="4.4.1"))
            with pytest.raises(aiosmtplib.SMTPRecipientsRefused, match="no such address"):
                await _send(port, "boss@example.com", report("boss@example.com"))
            await _send(port, paths[ANA], report(paths[ANA]))
            book = await told.until(f"asked {ANA} also 1", f"asked {BO} mail")
            await _send(port, paths[BO], report(paths[BO]))
            await told.until(f"asked {ANA} also 1", lost=[BO])
    [first] = [each for each in book.letters if each.due.person == ANA]
    assert "it came back: 5.1.1 550 5.1.1 mailbox unavailable" in first.tries[0].why
    [message] = heard
    assert f"{BASE}/gates/orders:1/{gate.gate}" in message["message"]
    assert "/mail/" not in message["message"]


async def test_an_inbox_killed_right_after_a_mail_went_out_goes_on_and_tells_each_person_once(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage, mail_server() as mail:
        process = await inbox_process(stage, mail, tmp_path)

        async def kill() -> None:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.wait()

        mail.kept = kill
        gate = await (await stage.start("orders", ORDER)).gate()
        told = await follow(stage, gate)
        await eventually(lambda: _gone(process))
        mail.kept = None
        async with inbox(stage, settings(tmp_path, mail)):
            book = await told.until(f"asked {ANA} mail", f"asked {BO} mail")
    assert len(book.letters) == 2
    for who in (ANA, BO):
        # What was sent twice is one message to a mail program: it has one id.
        assert len({each["Message-ID"] for each in mail.to(who)}) == 1


async def _gone(process: asyncio.subprocess.Process) -> bool:
    return process.returncode is not None


async def inbox_process(stage: Stage, mail: MailServer, home: Path) -> asyncio.subprocess.Process:
    given = {
        "address": stage.client.service_client.config.target_host,
        "namespace": stage.client.namespace,
        "home": str(home),
        "secret": SECRET,
        "base": BASE,
        "settings": {
            "home": str(home),
            "smtp_url": mail.url,
            "mail_from": "handrail@example.com",
        },
    }
    root = Path(__file__).parents[3]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("inbox_process.py")),
        json.dumps(given),
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


async def test_owners_are_told_once_of_approvers_who_do_not_look(
    scheduling_server: EmbeddedServer, outside: Outside, tmp_path: Path
) -> None:
    fleet = orders(tmp_path)
    async with running(fleet, scheduling_server, tmp_path) as stage, mail_server() as mail:
        await stage.ledger.record_rulings([_row(number) for number in range(12)])
        given = settings(tmp_path, mail)
        for _ in range(2):
            async with inbox(stage, given, ledger=stage.ledger):
                handle = stage.client.get_schedule_handle(SCHEDULE)
                before = (await handle.describe()).info.num_actions
                await handle.trigger()
                await eventually(functools.partial(_ran, handle, before))
        [mailed] = mail.mails
    _, to, message = mailed
    assert to == OWNER
    body = message.get_body(("plain",))
    assert body is not None
    text = body.get_content()
    assert "orders: ana@example.com looked for 1.5 s in the median of 12" in text


async def _ran(handle: Any, before: int) -> bool:
    info = (await handle.describe()).info
    return info.num_actions > before and not info.running_actions


def _row(number: int) -> RulingRow:
    return RulingRow(
        jti=f"{number:032x}",
        case=f"orders:{number}",
        gate=f"{number:016x}",
        by=ANA,
        stands_for=None,
        verb="approve" if number % 2 else "reject",
        kid="k",
        via="inbox",
        looked=1.5,
        at=datetime.now(UTC),
        digest="0" * 64,
        agent="orders",
        step="pay",
        text="{}",
    )
