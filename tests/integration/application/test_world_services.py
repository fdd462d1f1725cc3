"""The outside systems as processes: over HTTP and SMTP, killed and started again."""

import asyncio
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
import httpx2
import pytest

from tests.integration.application.systems import System
from world import mailbox
from world.consignments import generate
from world.feed import DelayAlert, alerts, publish
from world.flights import load_flights
from world.score import read

FLIGHTS = load_flights()
ALERTS = list(alerts(FLIGHTS, generate(FLIGHTS).values()))


class Bookings:
    """The booking service, restartable on the same file and port."""

    def __init__(self, db: Path) -> None:
        self.db = db
        self._process = System("bookings", "--db", str(db), "--port", "0", "--faults")
        self._port = self._process.port

    def client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self._process.url, timeout=10)

    def kill(self) -> None:
        self._process.kill()

    def died(self) -> bool:
        return self._process.wait() == -signal.SIGKILL

    def start(self) -> None:
        options = ("--db", str(self.db), "--port", str(self._port), "--faults")
        self._process = System("bookings", *options)

    def end(self) -> None:
        self._process.end()


@pytest.fixture
def bookings(tmp_path: Path) -> Iterator[Bookings]:
    service = Bookings(tmp_path / "bookings.db")
    yield service
    service.end()


async def an_order(client: httpx2.AsyncClient) -> tuple[DelayAlert, dict[str, str]]:
    """Publish alerts until one leaves an offer with room; returns it and an order for that."""
    for alert in ALERTS:
        await publish(client, alert)
        consignment = (await client.get(f"/consignments/{alert.consignment}")).json()
        offers = await client.get("/offers", params={"consignment": alert.consignment})
        for offer in offers.json()["offers"]:
            if offer["free_kg"] >= consignment["kg"]:
                order = {name: offer[name] for name in ("flight", "extra_cost")}
                return alert, {"consignment": alert.consignment, **order}
    raise AssertionError("no alert leaves an offer")


async def book(client: httpx2.AsyncClient, order: dict[str, str], key: str) -> httpx2.Response:
    return await client.post("/bookings", json=order, headers={"Idempotency-Key": key})


async def effects(client: httpx2.AsyncClient) -> list[str]:
    calls: list[dict[str, Any]] = (await client.get("/calls")).json()
    return [call["effect"] for call in calls if call["effect"]]


async def test_books_once_for_a_key_and_cancels(bookings: Bookings) -> None:
    async with bookings.client() as client:
        alert, order = await an_order(client)
        first = await book(client, order, "k")
        again = await book(client, order, "k")
        assert (first.status_code, again.status_code) == (201, 200)
        assert again.json() == {**first.json(), "replayed": True}
        assert (await client.get("/bookings", params={"key": "k"})).json()[0]["flight"]
        path = f"/bookings/{first.json()['id']}"
        for _ in range(2):
            assert (await client.delete(path)).json()["status"] == "cancelled"
        assert (await client.get(path)).json()["status"] == "cancelled"
        tracked = (await client.get(f"/consignments/{alert.consignment}")).json()
        assert tracked["current_flight"] == alert.flight
        assert await effects(client) == [first.json()["id"], first.json()["id"]]


async def test_twenty_at_once_under_one_key_book_once(bookings: Bookings) -> None:
    async with bookings.client() as client:
        _, order = await an_order(client)
        answers = await asyncio.gather(*(book(client, order, "k") for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
        assert len(await effects(client)) == 1


async def test_killed_between_commit_and_answer_the_retry_finds_it_done(
    bookings: Bookings,
) -> None:
    async with bookings.client() as client:
        _, order = await an_order(client)
        await client.post("/faults", json={"on": "bookings", "at": "after", "then": "kill"})
        with pytest.raises(httpx2.TransportError):
            await book(client, order, "k")
    assert bookings.died()
    bookings.start()
    async with bookings.client() as client:
        again = await book(client, order, "k")
        assert (again.status_code, again.json()["replayed"]) == (200, True)
        assert await effects(client) == [again.json()["id"]]


async def test_killed_before_commit_nothing_happened_but_the_call(bookings: Bookings) -> None:
    async with bookings.client() as client:
        _, order = await an_order(client)
        await client.post("/faults", json={"on": "bookings", "at": "before", "then": "kill"})
        with pytest.raises(httpx2.TransportError):
            await book(client, order, "k")
    assert bookings.died()
    bookings.start()
    async with bookings.client() as client:
        assert (await client.get("/bookings", params={"key": "k"})).json() == []
        (call,) = (await client.get("/calls")).json()
        assert (call["key"], call["status"], call["effect"]) == ("k", None, None)
        assert (await book(client, order, "k")).status_code == 201


async def test_clock_goes_on_across_a_kill(bookings: Bookings) -> None:
    alert = ALERTS[0]
    path = f"/consignments/{alert.consignment}"
    async with bookings.client() as client:
        assert await publish(client, alert)
        before = (await client.get(path)).json()["now"]
    bookings.kill()
    bookings.start()
    async with bookings.client() as client:
        assert not await publish(client, alert)
        assert before < (await client.get(path)).json()["now"]


@pytest.mark.parametrize(("then", "status"), [("error", 500), ("drop", None)])
async def test_lost_answer_after_commit_is_an_effect_all_the_same(
    bookings: Bookings, then: str, status: int | None
) -> None:
    async with bookings.client() as client:
        _, order = await an_order(client)
        fault = {"on": "bookings", "at": "after", "then": then, "delay": 0.05}
        assert (await client.post("/faults", json=fault)).status_code == 201
        if status is None:
            with pytest.raises(httpx2.RemoteProtocolError):
                await book(client, order, "k")
        else:
            assert (await book(client, order, "k")).status_code == status
        assert (await book(client, order, "k")).json()["replayed"]
        assert len(await effects(client)) == 1
        assert (await client.get("/faults")).json() == []


async def test_a_note_is_written_by_anybody_and_told(bookings: Bookings) -> None:
    async with bookings.client() as client:
        path = "/consignments/AWB-1001"
        written = await client.post(f"{path}/notes", json={"text": "Vorsicht, Glas \u26a0"})
        assert (written.status_code, written.json()["note"]) == (201, "Vorsicht, Glas \u26a0")
        assert (await client.get(path)).json()["note"] == "Vorsicht, Glas \u26a0"
        for wrong in ({}, {"text": ""}, {"text": "x" * 1_001}):
            assert (await client.post(f"{path}/notes", json=wrong)).status_code == 422
        unknown = await client.post("/consignments/AWB-1/notes", json={"text": "x"})
        assert unknown.status_code == 404


async def test_with_a_token_nobody_books_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOKINGS_TOKEN", "a-token-of-ours")
    service = Bookings(tmp_path / "bookings.db")
    try:
        async with service.client() as client:
            _, order = await an_order(client)
            assert (await book(client, order, "k")).status_code == 401
            for token, status in (("another", 401), ("a-token-of-ours", 201)):
                client.headers["Authorization"] = f"Bearer {token}"
                assert (await book(client, order, "k")).status_code == status
            await client.post("/faults", json={"on": "bookings", "at": "before", "then": "echo"})
            echoed = await book(client, order, "k2")
            assert (echoed.status_code, len(await effects(client))) == (400, 1)
            assert "Bearer a-token-of-ours" in echoed.json()["detail"]
    finally:
        service.end()


async def test_a_booking_may_be_confirmed_and_then_put_on_another_flight(
    bookings: Bookings,
) -> None:
    async with bookings.client() as client:
        alert, order = await an_order(client)
        await client.post("/faults", json={"on": "bookings", "at": "after", "then": "rearrange"})
        made = (await book(client, order, "k")).json()
        assert made["flight"] == order["flight"]
        [now] = (await client.get("/bookings", params={"key": "k"})).json()
        tracked = (await client.get(f"/consignments/{alert.consignment}")).json()
        assert now["flight"] == tracked["current_flight"] != made["flight"]
        assert await effects(client) == [made["id"]]


async def test_fault_aims_at_one_surface_and_consignment(bookings: Bookings) -> None:
    async with bookings.client() as client:
        fault = {"on": "stickers", "at": "before", "then": "error", "consignment": "AWB-1002"}
        await client.post("/faults", json=fault)
        order = {"consignment": "AWB-1001", "text": "keep cool"}
        assert (await client.post("/stickers", json=order)).status_code == 201
        aimed = {**order, "consignment": "AWB-1002"}
        assert (await client.post("/pickups", json={"consignment": "AWB-1002"})).is_success
        assert (await client.post("/stickers", json=aimed)).status_code == 500
        assert (await client.post("/stickers", json=aimed)).status_code == 201


async def test_stickers_double_and_pickups_cannot_be_looked_up(bookings: Bookings) -> None:
    async with bookings.client() as client:
        sticker = {"consignment": "AWB-1001", "text": "keep cool", "reference": "r"}
        for _ in range(2):
            assert (await client.post("/stickers", json=sticker)).status_code == 201
        found = await client.get("/stickers", params={"consignment": "AWB-1001", "reference": "r"})
        assert [item["id"] for item in found.json()] == ["ST-1", "ST-2"]
        assert (await client.post("/pickups", json={"consignment": "AWB-1001"})).status_code == 201
        assert (await client.get("/pickups")).status_code == 405
        assert await effects(client) == ["ST-1", "ST-2", "PU-1"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 422, "Invalid JSON"),
        (b'{"consignment": "AWB-1001"}', 422, "flight: Field required"),
        (b'{"consignment": "AWB-0", "flight": "x", "extra_cost": "1.00"}', 404, "AWB-0"),
        (b'{"consignment": "AWB-1001", "flight": "x", "extra_cost": "1.00"}', 404, "GET /offers"),
        (b'{"consignment": "AWB-1001", "flight": "x", "extra_cost": "NaN"}', 422, "extra_cost"),
        (b"x" * 70_000, 413, "65536"),
    ],
)
async def test_bad_order_is_told_what_to_do(
    bookings: Bookings, body: bytes, status: int, said: str
) -> None:
    async with bookings.client() as client:
        answer = await client.post("/bookings", content=body, headers={"Idempotency-Key": "k"})
        assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text
        assert await effects(client) == []


async def test_missing_key_and_missing_question_are_told(bookings: Bookings) -> None:
    async with bookings.client() as client:
        _, order = await an_order(client)
        assert "Idempotency-Key" in (await client.post("/bookings", json=order)).json()["detail"]
        assert "consignment=" in (await client.get("/offers")).json()["detail"]
        assert (await client.get("/nowhere")).json()["detail"] == "Not Found"


async def test_locked_database_is_503_and_changes_nothing(bookings: Bookings) -> None:
    async with bookings.client() as client:
        _, order = await an_order(client)
        lock = sqlite3.connect(bookings.db, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        refused = await book(client, order, "k")
        lock.close()
        assert (refused.status_code, "try again" in refused.json()["detail"]) == (503, True)
        assert (await book(client, order, "k")).status_code == 201


async def test_answers_do_not_wait_for_acknowledgements(bookings: Bookings) -> None:
    async with bookings.client() as client:
        times = [(await client.get("/health")).elapsed for _ in range(21)]
    assert sorted(times)[10] < timedelta(milliseconds=30)


async def test_score_is_read_while_the_service_runs(bookings: Bookings) -> None:
    async with bookings.client() as client:
        _, order = await an_order(client)
        await book(client, order, "k")
        published = len((await client.get("/alerts")).json())
    result = read(bookings.db)
    assert (result.consignments, result.rebooked) == (published, 1)
    assert str(result.extra_cost) == order["extra_cost"]


@pytest.mark.parametrize("module", ["bookings", "mailbox"])
def test_taken_port_says_so(module: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        taken = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        place = {"bookings": "--db", "mailbox": "--dir"}[module]
        port = str(taken.getsockname()[1])
        run = subprocess.run(
            [sys.executable, "-m", f"world.{module}", place, str(tmp_path / "x"), "--port", port],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    assert run.returncode == 1
    assert "choose --port" in run.stderr


@pytest.fixture
def post(tmp_path: Path) -> Iterator[System]:
    process = System("mailbox", "--dir", str(tmp_path / "mail"), "--port", "0")
    yield process
    assert process.end() == 0


def a_mail(message_id: str = "<shipments.1@example.com>") -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "freight@example.com"
    mail["To"] = "harbor.tools@example.com"
    mail["Subject"] = "AWB-1001 travels on another flight"
    mail["Date"] = "Fri, 08 Mar 2013 12:00:00 +0000"
    mail["Message-ID"] = message_id
    mail.set_content("It arrives on time - grüße.\n.\nEnd.")
    return mail


async def test_mail_arrives_and_is_shown(post: System, tmp_path: Path) -> None:
    for _ in range(2):
        await aiosmtplib.send(a_mail(), hostname="127.0.0.1", port=post.port)
    kept = list(mailbox.read(tmp_path / "mail"))
    assert len(kept) == 2
    assert kept[0].to == ("harbor.tools@example.com",)
    assert {mail.message_id for mail in kept} == {"<shipments.1@example.com>"}
    assert kept[0].text == "It arrives on time - grüße.\n.\nEnd.\n"


async def test_show_lists_what_arrived(post: System, tmp_path: Path) -> None:
    await aiosmtplib.send(a_mail(), hostname="127.0.0.1", port=post.port)
    options = ("--dir", str(tmp_path / "mail"), "--show")
    show = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "world.mailbox", *options, stdout=asyncio.subprocess.PIPE
    )
    shown, _ = await show.communicate()
    assert shown.decode() == (
        "2013-03-08 12:00:00+0000  freight@example.com -> harbor.tools@example.com"
        "  AWB-1001 travels on another flight  <shipments.1@example.com>\n"
    )


async def test_mail_is_kept_when_the_server_dies_before_its_answer(tmp_path: Path) -> None:
    options = ("--dir", str(tmp_path / "mail"), "--port", "0", "--answer-after", "30")
    process = System("mailbox", *options)
    sending = asyncio.create_task(
        aiosmtplib.send(a_mail(), hostname="127.0.0.1", port=process.port)
    )
    while not list(mailbox.read(tmp_path / "mail")):  # noqa: ASYNC110 - another process fills it
        await asyncio.sleep(0.01)
    process.kill()
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await sending
    assert len(list(mailbox.read(tmp_path / "mail"))) == 1


def test_no_mail_is_no_error(tmp_path: Path) -> None:
    assert list(mailbox.read(tmp_path / "nowhere")) == []
