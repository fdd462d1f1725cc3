"""Events from other systems: each becomes one case, and nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import os
import signal
import smtplib
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx2
import pytest

from handrail.agent import secrets_given
from handrail.client import Operator
from handrail.exceptions import InvalidRequest
from handrail.failpoints import INTAKE
from handrail.integrations.callbacks import SECRET, token_of
from handrail.integrations.triggers import Folder
from handrail.integrations.triggers.folder import LARGEST_EVENT, watch
from handrail.runtime import EmbeddedServer, TokenFile, keep_in_step
from handrail.states import State
from handrail.testing import Outside, Stage, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.triggered import message, triggered
from tests.integration.integrations.senders import EVENTS, KEY, Sender, serving, signed

pytestmark = pytest.mark.integration

ANA = "ana@example.com"
OTHER = "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@pytest.fixture(scope="module")
def handrail_server(scheduling_server: EmbeddedServer) -> EmbeddedServer:
    return scheduling_server


@pytest.fixture(autouse=True)
def shop_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHOP", "CHAT"):
        monkeypatch.setenv(f"HANDRAIL_SECRET_{name}", KEY)


async def test_each_request_has_the_answer_that_says_what_became_of_it(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(triggered(tmp_path)) as stage, serving(stage) as shop:
        # Started, and there already; a key may be whatever an id may be.
        key = "a b/ü?#1"
        first = await shop.send({"number": key})
        assert (first.status_code, first.json()["outcome"]) == (202, "started")
        case = first.json()["case"]
        assert case == f"orders:{key}"
        assert first.json()["link"].startswith("http://ui/namespaces/")
        again = await shop.send({"number": key})
        assert (again.status_code, again.json()["outcome"]) == (200, "there")
        await stage.case(case).outcome()
        seen = await shop.http.get(first.json()["status"], headers=shop.bearing())
        assert (seen.status_code, seen.json()["case"]) == (200, case)
        assert (await stage.case(case).view()).requester == "shop"
        other = await shop.send({"number": key, "amount": 7})
        assert other.status_code == 409
        # What is wrong, by its field, and never the value.
        bad = await shop.send({"amount": "s3cret", "parts": ["s3cret"]})
        assert bad.status_code == 422
        assert set(bad.json()["error"]["fields"]) == {"number", "amount", "parts.0"}
        assert "s3cret" not in bad.text.replace("parts", "")
        for key_of_none in ("", "x" * 5_000, "a\nb"):
            none = await shop.send({"number": key_of_none})
            assert (none.status_code, set(none.json()["error"]["fields"])) == (422, {"key"})
        headers = shop.bearing() | {"content-type": "application/json"}
        for no_json in (b"{", b"\xff", b"[" * 5_000, b"null"):
            assert (
                await shop.http.post(EVENTS, content=no_json, headers=headers)
            ).status_code == 422
        # Who may.
        narrow = shop.file.new("narrow", ("others",))
        for path, token, status in (
            (EVENTS, "", 401),
            (EVENTS, "hr_wrong", 401),
            (EVENTS, narrow, 403),
            ("/agents/others/events", narrow, 404),
            ("/agents/none/events", shop.token, 404),
        ):
            given = shop.bearing(token) if token else {}
            refused = await shop.http.post(path, json={"number": "2"}, headers=given)
            assert (refused.status_code, refused.json()["error"]["fields"]) == (status, {}), path
        await _outcomes(shop, case)
        missing = await shop.http.get("/agents/orders/cases/none", headers=shop.bearing())
        assert missing.status_code == 404
    assert len(outside.effects("pay")) == 1


async def _outcomes(shop: Sender, case: str) -> None:
    """What people did comes in by token: kept once, and what is none is named by its number."""
    to = "/agents/orders/outcomes"
    paid = {"order": "1", "amount": "12.50"}
    did = {"case": case, "step": "pay", "at": "2026-11-28T14:30:00Z", "action": paid}
    first, again = await shop.send(did, to), await shop.send([did], to)
    assert (first.status_code, first.json()["new"]) == (200, 1)
    assert (again.status_code, again.json()["new"], again.json()["known"]) == (200, 0, 1)
    nothing = did | {"case": "another", "action": None}
    half = await shop.send([nothing, did | {"step": "fly"}, 7, did | {"at": "soon"}], to)
    assert half.status_code == 422
    assert set(half.json()["error"]["fields"]) == {"1", "2", "3"}
    content = json.dumps(did | {"action": {"\ud83d": 1}})
    headers = shop.bearing() | {"content-type": "application/json"}
    odd = await shop.http.post(to, content=content, headers=headers)
    assert (odd.status_code, odd.json()["error"]["fields"]) == (
        422,
        {"0": "\ufffd: Pay has no such"},
    )
    rows = await shop.stage.ledger.outcomes("orders")
    assert {(row.case, row.source) for row in rows} == {
        (case, "api:shop"),
        ("orders:another", "api:shop"),
    }
    narrow = shop.bearing(shop.file.new("narrower", ("others",)))
    assert (await shop.http.post(to, json=did, headers=narrow)).status_code == 403
    assert (await shop.http.post(to, json=did)).status_code == 401
    assert (await shop.http.post(to, content=b"{", headers=shop.bearing())).status_code == 415


async def test_what_is_wrong_about_a_request_and_an_absent_server_are_said(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_fleet(triggered(tmp_path)) as stage, serving(stage) as shop:
        narrow = shop.file.new("narrow", ("others",))
        headers = shop.bearing() | {"content-type": "application/json"}
        # What it is, for those who may send.
        assert (await shop.http.get("/openapi.json")).status_code == 401
        document = (await shop.http.get("/openapi.json", headers=shop.bearing())).json()
        paths = {EVENTS, "/agents/orders/outcomes", "/agents/orders/cases/{key}"}
        assert set(document["paths"]) == paths
        hidden = (await shop.http.get("/openapi.json", headers=shop.bearing(narrow))).json()
        assert hidden["paths"] == {}
        # Too large, with and without a length that says so; no JSON by its own words.
        large = b" " * (LARGEST_EVENT + 1)

        async def parts() -> AsyncIterator[bytes]:
            for _ in range(5):
                yield large[: len(large) // 4]

        for content in (large, parts()):
            sent = await shop.http.post(EVENTS, content=content, headers=headers)
            assert sent.status_code == 413
        text = await shop.http.post(EVENTS, content=b"{}", headers=shop.bearing())
        assert text.status_code == 415
        # Kept while the server is away; refused when it cannot even be kept.
        shop.away = True
        kept = await shop.send({"number": "kept"})
        assert (kept.status_code, kept.json()["outcome"]) == (202, "kept")
        with monkeypatch.context() as patched:
            patched.setattr("handrail.ledger.intake.MOST_KEPT", 0)
            lost = await shop.send({"number": "lost"})
        assert (lost.status_code, lost.headers["retry-after"]) == (503, "5")
        shop.away = False
        await eventually(lambda: _ended(stage))
        await stage.case("orders:kept").outcome()
        shop.file.revoke("shop")
        assert (await shop.send({"number": "3"})).status_code == 401
    assert len(outside.effects("pay")) == 1


async def test_one_agent_by_event_by_time_and_by_person_is_one_case_for_one_key(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(triggered(tmp_path)) as stage, serving(stage) as shop:
        ana = Operator(stage.client, stage.ledger, by=ANA, agents=stage.fleet.agents)
        await keep_in_step(stage.client, stage.fleet.agents["orders"])
        await ana.pause_schedule("orders/timer")
        # A time of its own may just have come: in the same second it would be its case.
        await asyncio.sleep(1)
        timed = (await ana.trigger_schedule("orders/timer")).runs[0].case
        sent = (await shop.hook(message("event"))).json()["case"]
        asked = (await ana.ask_agent("orders", {"number": "person"})).case
        cases = {timed: ANA, sent: "hook:shop", asked: ANA}
        for case, requester in cases.items():
            assert (await stage.case(case).outcome()).status is State.DONE
            assert (await stage.case(case).view()).requester == requester
            # And each again by the ways that it did not come by.
            number = case.removeprefix("orders:")
            assert (await shop.hook(message(number))).json()["outcome"] == "there"
            assert (await shop.send({"number": number})).json()["outcome"] == "there"
            assert (await ana.ask_agent("orders", {"number": number})).duplicate
    paid = Counter(key.partition("/")[0] for key in outside.effects("pay"))
    assert cases.keys() <= paid.keys()
    assert set(paid.values()) == {1}


async def test_a_delivery_is_taken_by_its_signature_and_mended_by_a_person(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(triggered(tmp_path)) as stage, serving(stage) as shop:
        assert (await shop.hook(message("1"))).status_code == 202
        assert (await shop.hook(message("1"))).status_code == 200
        assert (
            await shop.hook(message("1"), "AAAAQ9r8GKYqrTwjUPD8ILPZIo2LaLaS")
        ).status_code == 401
        assert (await shop.http.post("/hooks/none", content=b"")).status_code == 404
        challenge = b'{"type": "url_verification", "challenge": "abc"}'
        at = str(int(time.time()))
        made = hmac.new(KEY.encode(), f"v0:{at}:".encode() + challenge, "sha256").hexdigest()
        headers = {"x-slack-request-timestamp": at, "x-slack-signature": f"v0={made}"}
        answer = await shop.http.post("/hooks/chat", content=challenge, headers=headers)
        assert answer.json() == {"challenge": "abc"}
        assert (await shop.hook(json.dumps({"type": "order.seen"}).encode())).status_code == 204
        # Of a good sender: no order, no JSON, and another order under a number that is there.
        for body in (message("2", amount="s3cret"), b"{", message("1", amount=7)):
            kept = await shop.hook(body)
            assert (kept.status_code, kept.json()["outcome"]) == (202, "kept")
        ana = Operator(stage.client, stage.ledger, by=ANA, agents=stage.fleet.agents)
        wrong = {each.why: each for each in (await ana.intake()).entries}
        assert {each.state for each in wrong.values()} == {"wrong"}
        assert "its mapping failed: Order: amount: " in " ".join(wrong), wrong
        assert "s3cret" not in " ".join(wrong)
        assert all(not each.body for each in wrong.values())
        [first, second, third] = wrong.values()
        assert "s3cret" in (await ana.intake_entry(first.id[:12])).body
        with pytest.raises(InvalidRequest, match="amount"):
            await ana.mend_intake(first.id, {"number": "2", "amount": "s3cret"})
        await ana.mend_intake(first.id, {"number": "2", "amount": 5})
        await ana.retry_intake(third.id)
        await ana.drop_intake(second.id, "it was a test of theirs")
        with pytest.raises(InvalidRequest, match="ended"):
            await ana.retry_intake(second.id)
        await stage.case("orders:1").outcome()

        async def tried() -> bool:
            left = (await ana.intake()).entries
            return [each.state for each in left] == ["wrong"]

        await eventually(tried)
        mended = await ana.intake_entry(first.id)
        assert (mended.state, mended.case, mended.body) == ("started", "orders:2", "")
        # Who worded it asked for it, and approves nothing of it.
        await stage.case("orders:2").outcome()
        assert (await stage.case("orders:2").view()).requester == ANA
    assert len(outside.effects("pay")) == 2


async def test_the_files_of_a_folder_become_cases_and_are_moved(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(triggered(tmp_path)) as stage, serving(stage) as shop:
        agent = stage.fleet.agents["orders"]
        drop, csv = (agent.triggers[name] for name in ("drop", "csv"))
        assert isinstance(drop, Folder)
        assert isinstance(csv, Folder)
        drop.path.mkdir()
        (drop.path / "before.json").write_text('{"number": "1"}')
        watching = [
            asyncio.ensure_future(watch(shop.receiver, agent, each)) for each in (drop, csv)
        ]
        await eventually(lambda: _is_there(drop.path / "done" / "before.json"))
        (tmp_path / "passwords").write_text("root:hunter2")
        (drop.path / "leak.json").symlink_to(tmp_path / "passwords")
        lines = ['{"number": "2"}', '{"number": "s3cret"', "", '{"number": "3"}', '{"number": "2"}']
        (drop.path / ".lines").write_text("\n".join(lines))
        (drop.path / ".lines").rename(drop.path / "lines.jsonl")
        (csv.path / ".row").write_text("4,20\n")
        (csv.path / ".row").rename(csv.path / "row.csv")
        # Of a name that is there already, and of a crash before its move: the same cases.
        (drop.path / "before.json").write_text('{"number": "1"}')
        await eventually(lambda: _is_there(drop.path / "failed" / "lines.jsonl"))
        await eventually(lambda: _is_there(csv.path / "done" / "row.csv"))

        async def both() -> bool:
            return len(list((drop.path / "done").glob("before*"))) == 2

        await eventually(both)
        reason = (drop.path / "failed" / "lines.jsonl.reason.txt").read_text()
        assert reason.startswith("line 2: kept in the intake as ")
        assert reason.count("\n") == 1
        # What a link leads to is not read, and so not kept.
        leak = drop.path / "failed" / "leak.json"
        await eventually(lambda: _is_there(leak))
        assert leak.is_symlink()
        assert "it is a link" in leak.with_name("leak.json.reason.txt").read_text()
        [wrong] = await stage.ledger.intake()
        assert (wrong.state, wrong.source, wrong.id in reason) == ("wrong", "folder:drop", True)
        await asyncio.gather(*(stage.case(f"orders:{n}").outcome() for n in range(1, 5)))
        for each in watching:
            each.cancel()
    assert len(outside.effects("pay")) == 4


async def _is_there(path: Path) -> bool:
    return path.exists()  # noqa: ASYNC240  # as quick as it gets


async def test_a_thousand_duplicates_of_eight_senders_are_one_case_for_each_key(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    keys = [f"order-{number}" for number in range(5)]
    answers: Counter[tuple[str, str]] = Counter()
    async with run_fleet(triggered(tmp_path)) as stage, serving(stage) as shop:

        async def sends(sender: int) -> None:
            for number in range(125):
                key = keys[number % 5]
                by_hook = (sender + number) % 2
                said = await (shop.hook(message(key)) if by_hook else shop.send({"number": key}))
                assert said.status_code in {200, 202}, said.text
                answers[key, said.json()["outcome"]] += 1

        await asyncio.gather(*(sends(sender) for sender in range(8)))
        await asyncio.gather(*(stage.case(f"orders:{key}").outcome() for key in keys))
    assert answers == {(key, "started"): 1 for key in keys} | {(key, "there"): 199 for key in keys}
    assert len(outside.effects("pay")) == 5


async def _ended(stage: Stage) -> bool:
    return not await stage.ledger.intake()


# As a process that is killed, while the server is away


def post_mail(port: int, number: str) -> None:
    """Mail to an agent."""
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as server:
        made = EmailMessage()
        made["From"], made["To"], made["Message-ID"] = "ida@x", "desk@example.com", f"<{number}>"
        server.send_message(made, "ida@x.example", ["desk@example.com"])
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            server.send_message(made, "ida@x.example", ["eve@example.com"])


class Process:
    """`handrail serve`, started again where it died."""

    def __init__(
        self, stage: Stage, port: int, server_port: int, mail_port: int, metrics_port: int
    ) -> None:
        home, self.mail_port = stage.directory, mail_port
        self._home = home
        own = {k: v for k, v in os.environ.items() if not k.startswith(("HANDRAIL_", "TEMPORAL_"))}
        self._environment = (
            own
            | {
                "TRIGGERED": str(home),
                "HANDRAIL_FLEET": "tests.agents.triggered:fleet",
                "HANDRAIL_HOME": str(home / "home"),
                "HANDRAIL_LEDGER_URL": f"sqlite:///{home}/ledger.db",
                "HANDRAIL_PAYLOAD_DIR": str(home / "payloads"),
                "HANDRAIL_INBOX_PORT": str(port),
                "HANDRAIL_INBOX_DEV": "1",
                "HANDRAIL_INBOX_METRICS_PORT": str(metrics_port),
                "HANDRAIL_BOUNCE_PORT": str(mail_port),
                "HANDRAIL_SECRET_CALLBACKS": KEY,
                "HANDRAIL_INBOX_POLICIES": str(home),
                "TEMPORAL_ADDRESS": f"127.0.0.1:{server_port}",
                "TEMPORAL_NAMESPACE": stage.client.namespace,
                "PYTHONPATH": str(Path.cwd()),
            }
            | {f"HANDRAIL_SECRET_{name}": KEY for name in ("SHOP", "GIT", "PAY", "CHAT", "OWN")}
        )
        self._given = json.dumps(
            {
                "fired": str(home),
                "crashes": [{"boundary": each} for each in INTAKE],
            }
        )
        self.token = TokenFile(home / "home" / "keys" / "tokens.json").new("shop", ("orders",))

    def token_for(self, key: str) -> str:
        with pytest.MonkeyPatch.context() as patched, secrets_given((SECRET,)):
            patched.setenv("HANDRAIL_SECRET_CALLBACKS", KEY)
            return token_of(key)

    async def start(self) -> None:
        script = str(Path(__file__).with_name("serve_process.py"))
        with (self._home / "serve.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, script, self._given),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._environment,
            )
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        assert b"serve is ready" in line, (line, (self._home / "serve.log").read_text())

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), 30)


@contextlib.asynccontextmanager
async def forwarding(port: int, target: str) -> AsyncGenerator[None]:
    """The server is back: what comes to a port goes to it."""
    host, _, target_port = target.rpartition(":")
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(host, int(target_port))
        tasks.update(
            {
                asyncio.ensure_future(pump(reader, there[1])),
                asyncio.ensure_future(pump(there[0], writer)),
            }
        )

    listening = await asyncio.start_server(joined, "127.0.0.1", port)
    yield
    listening.close()
    for each in tasks:
        each.cancel()


async def test_nothing_acknowledged_is_lost_when_it_is_killed_and_the_server_is_away(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, unused_tcp_port_factory: Any
) -> None:
    port, server_port, metrics = (unused_tcp_port_factory() for _ in range(3))
    async with run_fleet(triggered(tmp_path)) as stage:
        serve = Process(stage, port, server_port, unused_tcp_port_factory(), metrics)
        url = f"http://127.0.0.1:{port}"
        bearing = {"authorization": f"Bearer {serve.token}"}
        async with httpx2.AsyncClient(base_url=url, timeout=30, headers=bearing) as http:
            await serve.start()
            with pytest.raises(httpx2.TransportError):
                await http.post(EVENTS, json={"number": "0"})
            assert await serve.ended() == -signal.SIGKILL
            await serve.start()
            # It is sent again by its sender, as others are for the first time.
            for number in range(5):
                kept = await http.post(EVENTS, json={"number": str(number)})
                assert (kept.status_code, kept.json()["outcome"]) == (202, "kept")
            body = message("5")
            assert (await http.post("/hooks/shop", content=body, headers=signed(body))).is_success
            assert len(await stage.ledger.intake()) == 6
            address = stage.client.service_client.config.target_host
            async with forwarding(server_port, address):
                # Killed between a start and its note.
                assert await serve.ended() == -signal.SIGKILL
                assert len(await stage.ledger.intake()) == 6
                await serve.start()
                await eventually(lambda: _ended(stage))
                said = await http.post(EVENTS, json={"number": "5"})
                assert (said.status_code, said.json()["outcome"]) == (200, "there")

                async def inbox() -> bool:
                    page = await http.get("/", headers={"host": f"localhost:{port}"})
                    return page.status_code in {200, 303}

                await eventually(inbox)

                async def gauges() -> bool:
                    shown = await http.get(f"http://127.0.0.1:{metrics}/metrics")
                    return 'handrail_agent_state{agent="orders"' in shown.text

                await eventually(gauges)
                # The listener that takes mail which comes back takes mail to agents, too.
                await asyncio.to_thread(post_mail, serve.mail_port, "6@shop.example")
                await stage.case("orders:6@shop.example").outcome()
                # A call-back, killed before its case is told, and before its sender is.
                held = await http.post(EVENTS, json={"number": "held", "amount": 300})
                await stage.case(held.json()["case"]).gate()
                path = f"/callbacks/{serve.token_for('orders:held/pay/1')}"
                for _ in ("call-back:due", "call-back:told"):
                    with pytest.raises(httpx2.TransportError):
                        await http.post(path, json={"free": True})
                    assert await serve.ended() == -signal.SIGKILL
                    await serve.start()
                told = await http.post(path, json={"free": True})
                assert (told.status_code, told.json()["outcome"]) == (200, "taken")
                log = (await stage.case("orders:held").view()).log
                assert [each.text for each in log].count("called back for orders:held/pay/1") == 2
                await stage.case("orders:held").send("stop")
                serve.process.terminate()
                assert await serve.ended() == 0
        await asyncio.gather(*(stage.case(f"orders:{n}").outcome() for n in range(6)))
    assert len(outside.effects("pay")) == 7
