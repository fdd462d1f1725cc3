"""The invoices agent on the real server, with the payables service as a process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from decimal import Decimal
from pathlib import Path

import httpx2
import pytest

from activities.invoices import InvoiceReceived, disconnect
from handrail import State, Untrusted
from handrail.testing import Human, Stage, eventually
from handrail.testing.fixtures import RunFleet
from tests.integration.application.systems import System
from workers.fleets.invoices import fleet
from world.invoices.generate import Paper, clean, faulty, orders, suppliers

pytestmark = pytest.mark.integration

ORDERS = [o for o in orders(suppliers(), 60) if o.total <= Decimal(10_000)]
CLEO = Human("cleo@example.com")


class Payables:
    """The payables service: killed, and started again on its port."""

    def __init__(self, db: Path) -> None:
        self._db = db
        self.port = 0
        self.start()

    def start(self) -> None:
        self.process = System("invoices.service", "--db", str(self._db), "--port", str(self.port))
        self.port = self.process.port

    def get(self, path: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = httpx2.get(f"{self.process.url}{path}", timeout=10).json()
        return found


@pytest.fixture
async def payables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Payables]:
    system = Payables(tmp_path / "payables.db")
    monkeypatch.setenv("INVOICES_PAYABLES_URL", system.process.url)
    await disconnect()
    yield system
    await disconnect()
    system.process.kill()


def event(paper: Paper, name: str = "") -> InvoiceReceived:
    return InvoiceReceived(id=name or paper.id, xml=Untrusted(untrusted=paper.xml))


async def test_what_is_right_is_paid_once_and_what_is_not_is_sent_back_or_asked(
    run_fleet: RunFleet, payables: Payables
) -> None:
    good, second = clean(ORDERS[0], 1), clean(ORDERS[1], 2)
    async with run_fleet(fleet) as stage:
        payables.process.kill()  # away when the first one comes
        first = await stage.start("invoices", event(good))
        payables.start()
        assert (await first.outcome()).status is State.DONE
        wrong = await stage.start("invoices", event(faulty(ORDERS[2], 3, "vat")))
        assert (await wrong.outcome()).why.startswith("sent back: BR-CO-14")
        again = await stage.start("invoices", event(good, "DOC-again"))
        assert (await again.outcome()).why == f"sent back: {good.order.number} is paid already"
        await the_same_twice(stage, second)
        changed = await stage.start("invoices", event(faulty(ORDERS[3], 4, "changed iban")))
        asked = await changed.gate()
        assert "another account" in asked.why
        assert asked.action["iban"] == ORDERS[3].supplier.iban
        assert (await CLEO.reject(changed, asked)).accepted
        assert (await changed.outcome()).status is State.REJECTED
        paid = payables.get("/payments")
        calls = payables.get("/calls")
    assert sorted(each["order"] for each in paid) == [ORDERS[0].number, ORDERS[1].number]
    assert {each["amount"] for each in paid} == {str(ORDERS[0].total), str(ORDERS[1].total)}
    assert len({each["key"] for each in calls}) == 2


async def the_same_twice(stage: Stage, paper: Paper) -> None:
    """Two papers of one order at the same moment: one is paid, the other refused or asked about."""
    cases = [await stage.start("invoices", event(paper, f"TWIN-{n}")) for n in range(2)]

    async def settled() -> bool:
        views = [await case.view() for case in cases]
        rests = {State.DONE, State.WAITING, State.REFUSED}
        return all(view.state in rests for view in views)

    await eventually(settled)
    views = [await case.view() for case in cases]
    assert sum(len(view.receipts) for view in views) == 1
