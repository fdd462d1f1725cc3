"""The sales agent on the real server, a real Tryton, Radicale and mail; its worker dies."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from activities.sales import assign, forget, give_back, move, move_back, remind
from activities.sales_facts import Assign, Close, Move, Remind, Visit
from activities.sales_rules import Deal, Due
from activities.sales_systems import OPPORTUNITY, deal_of, tasks_in
from activities.tryton import SECRETS, disconnect
from guardrails.sales import customer_said_so, owner_is_next, stage_is_what_happened
from handrail import Final, State
from handrail.actions import Undoes
from handrail.testing import (
    Crash,
    Human,
    Stage,
    call_write,
    crashing_worker,
    free_ports,
    secrets_given,
)
from handrail.testing.fixtures import RunFleet
from tests.integration.application.systems import started
from workers import tryton
from workers.demos import sales
from workers.fleets.sales import fleet
from world import mailbox
from world.sales import pipeline
from world.sales.pipeline import START, Noted

pytestmark = pytest.mark.integration

FLEET = "workers.fleets.sales:fleet"
KEY = "for-tests-of-sales"
SAM = Human("sam@example.com")
CLEO = Human("cleo@example.com")
MADE = pipeline.made()[0]


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Generator[dict[str, str]]:
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRYTON_KEY", KEY)
        home = tmp_path_factory.mktemp("sales")
        erp = started(stack, "tryton.service", "--dir", str(home / "tryton"), "--port", "0")
        place = ("--dir", str(home / "cal"), "--port", str(free_ports()[0]))
        calendar = started(stack, "maintenance.calendar_server", *place)
        mail = started(stack, "mailbox", "--dir", str(home / "mail"), "--port", "0")
        yield {
            "TRYTON_URL": erp,
            "SALES_CALENDAR_URL": calendar.replace("//", "//sales:sales@") + "/sales/",
            "SALES_SMTP": mail.removeprefix("smtp://"),
            "HANDRAIL_SECRET_TRYTON_KEY": KEY,
            "SALES_MAIL_DIR": str(home / "mail"),
        }


@pytest.fixture
async def systems(serving: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[None]:
    for name, value in serving.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sales, "played", list)
    await sales.filled()
    yield
    await disconnect()


async def put_in(code: str, *notes: tuple[int, str], **other: object) -> None:
    """Put a deal into Tryton, with what happened so many days before the start."""
    happened = tuple(Noted(START - timedelta(days=ago), kind, "as said") for ago, kind in notes)
    usual = {
        "code": code,
        "notes": happened,
        "created": START - timedelta(days=30),
        "postal_code": "01234",
        "owner": "NORA",
        "stage": "new",
        "amount": 4800,
    }
    company, currency = await tryton.company()
    staff = await sales.hired(company)
    await sales.opened(replace(MADE, **{**usual, **other}), company, currency, staff)


def visit(code: str, what: str, since: date = START) -> Visit:
    return Visit(on=START, due=Due.model_validate({"deal": code, "what": what, "since": since}))


async def now(code: str) -> Deal:
    with secrets_given(SECRETS):
        return await deal_of(code)


async def sold() -> list[str]:
    """Of which deals Tryton has a sale."""
    found = await tryton.search("sale.sale", [["origin", "like", f"{OPPORTUNITY},%"]], "origin")
    return [each["origin"] for each in found]


def mails() -> list[str]:
    return [str(each.subject) for each in mailbox.read(Path(os.environ["SALES_MAIL_DIR"]))]


@pytest.mark.usefixtures("systems")
async def test_a_worker_killed_after_each_write_leaves_each_effect_once(
    run_fleet: RunFleet,
) -> None:
    await put_in(
        "new-9001", (9, "meeting"), (8, "offer"), owner=None, postal_code="78901", amount=900
    )
    await put_in("new-9002", (4, "offer"), (2, "order"), stage="offered")
    asked = visit("new-9001", "assign"), visit("new-9002", "close")
    # An owner, a stage, a task, a mail (the one before is done again first); and later an end.
    kills = [Crash(boundary="write:after-effect", arrival=n) for n in (1, 2, 2, 2)]
    async with run_fleet(fleet, workers=False) as stage:
        case = await stage.start("sales", asked[0])
        for number, crash in enumerate(kills):
            async with crashing_worker(stage, FLEET, crash, name=f"w{number}") as worker:
                await worker.crashed()
        last = Crash(boundary="write:after-effect", case=f"sales:{asked[1].key}")
        async with crashing_worker(stage, FLEET, last, name="last") as worker:
            # A mail server cannot be asked, so a person is: it did go out.
            seen = await case.gate()
            assert (seen.kind, seen.step) == ("in_doubt", "follow_up")
            assert (await SAM.answer(case, "happened", seen, result='"<it@example.com>"')).accepted
            outcome = await case.outcome()
            assert outcome.status is State.DONE, outcome.why
            await _closed_by_a_person(stage, asked[1])
            await worker.crashed()
            await worker.restart()
            ended = await stage.case(f"sales:{asked[1].key}").outcome()
            assert ended.status is State.DONE, ended.why
    first, second = await now("new-9001"), await now("new-9002")
    assert (first.owner, first.state, first.stage) == ("WANDA", "opportunity", "offered")
    assert [task.deal for task in await tasks_in(["WANDA", "WIM", "LENA"])] == ["new-9001"]
    assert mails() == ["Our offer new-9001"]
    assert second.state == "converted"
    assert len(await sold()) == 1
    assert [each.how for each in (*outcome.receipts, *ended.receipts)] == [
        *("written", "written", "written", "confirmed", "found")
    ]


async def _closed_by_a_person(stage: Stage, asked: Visit) -> None:
    case = await stage.start("sales", asked)
    seen = await case.gate()
    assert "no deal under 10,000 EUR is closed without approval" in seen.why
    assert (await now("new-9002")).state == "opportunity"
    assert await sold() == []
    assert (await SAM.approve(case)).accepted


@pytest.mark.usefixtures("systems")
async def test_a_round_hands_on_what_is_due_once_and_a_refused_deal_stays_open(
    run_fleet: RunFleet,
) -> None:
    await put_in("renewal-9101", (3, "declined"))
    await put_in("renewal-9102", (1, "call"))
    await put_in("renewal-9103", (2, "meeting"), stage="new")
    async with run_fleet(fleet) as stage:
        for day in range(2):
            round_of = Visit(on=START + timedelta(days=day), pipeline="renewal")
            came = await (await stage.start("sales", round_of)).outcome()
            assert came.why == f"{2 - day} due of 3 open deals"
            moved = stage.case(f"sales:renewal-9103-move-{START - timedelta(days=2)}")
            assert (await moved.outcome()).why == "moved to qualified"
        asked = stage.case(f"sales:renewal-9101-close-{START - timedelta(days=3)}")
        await asked.gate()
        assert (await SAM.reject(asked, why="I call them once more")).accepted
        assert (await asked.outcome()).status is State.REJECTED
    assert [(await now(f"renewal-910{n}")).state for n in (1, 2, 3)] == [
        *("lead", "lead", "opportunity")
    ]


@pytest.mark.usefixtures("systems")
async def test_each_write_repeated_is_one_and_an_undo_is_exact() -> None:
    await put_in("new-9201", (9, "offer"))
    with secrets_given(SECRETS):
        await _twice_and_back()


async def _twice_and_back() -> None:
    given = Assign(deal="new-9201", was="NORA", owner="NILS")
    moved = Move(deal="new-9201", was="new", to="offered")
    for _ in range(2):
        await call_write(assign, given, key="a")
        await call_write(move, moved, key="m")
    one = await now("new-9201")
    assert (one.owner, one.state, one.stage) == ("NILS", "opportunity", "offered")
    for _ in range(2):
        await call_write(move_back, moved, undoes=Undoes(key="m"))
        await call_write(give_back, given, undoes=Undoes(key="a"))
    assert await now("new-9201") == one.model_copy(
        update={"owner": "NORA", "state": "lead", "probability": 0.1}
    )
    await call_write(assign, given.model_copy(update={"owner": "WIM"}), key="b")
    with pytest.raises(Final, match="somebody has given new-9201 to WIM"):
        await call_write(assign, given, key="c")

    task = Remind(deal="new-9201", calendar="LENA", due=START, days=9)
    uids = {await call_write(remind, task, key="r") for _ in range(2)}
    assert (len(uids), len(await tasks_in(["LENA"]))) == (1, 1)
    for _ in range(2):
        await call_write(forget, task, undoes=Undoes(key="r"))
        assert await tasks_in(["LENA"]) == []


@pytest.mark.usefixtures("systems")
async def test_the_checks_look_again_right_before_a_write() -> None:
    await put_in("new-9301", (4, "offer"), (2, "order"), stage="offered", amount=9900)
    close = Close(deal="new-9301", ending="won", amount=9900)  # type: ignore[arg-type]
    assert await customer_said_so(close) is None
    assert "9900" in str(await customer_said_so(close.model_copy(update={"amount": 99000})))
    assert "said lost" in str(await customer_said_so(close.model_copy(update={"ending": "lost"})))
    assert "not of north" in str(
        await owner_is_next(Assign(deal="new-9301", was=None, owner="WIM"))
    )
    back = Move(deal="new-9301", was="new", to="qualified")
    assert "not qualified by now" in str(await stage_is_what_happened(back))
