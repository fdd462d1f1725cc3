"""Cases whose steps are made of an OpenAPI document, with the real server."""

from __future__ import annotations

import asyncio
import shutil
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncGenerator, Generator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from handrail import Final, Fleet, State
from handrail.integrations.connectors import OpenAPI
from handrail.testing import (
    Crash,
    call_write,
    crashing_worker,
    eventually,
    free_ports,
    secrets_given,
)
from handrail.testing.fixtures import RunFleet
from tests.agents import billing
from tests.agents.billing_flow import fleet_in
from tests.agents.billing_service import TOKEN, BillingService, billing_service

pytestmark = [pytest.mark.integration, pytest.mark.slow]

DOCUMENT = Path(billing.__file__).with_name("billing.json")
FLEET = "tests.agents.billing_flow:fleet_in"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Generator[BillingService]:
    with billing_service() as made:
        monkeypatch.setenv("HANDRAIL_SECRET_BILLING_TOKEN", TOKEN)
        monkeypatch.setenv("BILLING_URL", made.url)
        yield made


def test_check_finds_no_fault(service: BillingService, tmp_path: Path) -> None:
    assert isinstance(fleet := fleet_in(str(tmp_path)), Fleet)
    assert fleet.agent("billing").faults() == []


@pytest.mark.parametrize("transferred", [False, True])
async def test_killed_between_effect_and_receipt_it_is_paid_once(
    run_fleet: RunFleet,
    service: BillingService,
    tmp_path: Path,
    *,
    transferred: bool,
) -> None:
    async with run_fleet(fleet_in(str(tmp_path)), workers=False) as stage:
        crash = Crash(boundary="write:after-effect")
        async with crashing_worker(stage, FLEET, crash, arguments=[str(tmp_path)]) as worker:
            bill = billing.Bill(number="INV-1", transferred=transferred)
            case = await stage.start("billing", bill)
            await worker.crashed()
            await worker.restart()
            async with asyncio.timeout(40):
                outcome = await case.outcome()
    assert outcome.status is State.DONE, outcome.why
    assert [p["times"] for p in service.payments.values()] == [1]
    assert outcome.receipts[0].how == ("found" if transferred else "written")


# Prism is a server that nobody here wrote: it answers by a document, and refuses what is not so.


@pytest.fixture
async def prism() -> AsyncGenerator[str]:
    local = Path(sys.prefix) / "prism" / "node_modules" / ".bin" / "prism"
    program = str(local) if local.exists() else shutil.which("prism")
    if program is None:
        pytest.skip(f"no Prism here: npm install --prefix {sys.prefix}/prism @stoplight/prism-cli")
    port, _ = free_ports()
    running = await asyncio.create_subprocess_exec(
        *(program, "mock", "--errors", "-p", str(port), str(DOCUMENT)), stdout=DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        await eventually(lambda: _answers(url), within=timedelta(seconds=40))
        yield url
    finally:
        running.terminate()
        await running.wait()


async def _answers(url: str) -> bool:
    try:
        async with httpx2.AsyncClient() as client:
            await client.get(url)
    except httpx2.HTTPError:
        return False
    return True


async def test_what_is_sent_satisfies_a_server_that_holds_every_request_against_the_document(
    prism: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDRAIL_SECRET_BILLING_TOKEN", TOKEN)
    made = OpenAPI(DOCUMENT, billing.DIGEST, base_url=prism, auth="BILLING_TOKEN")
    pay = made.write("createPayment", idempotency_header="Idempotency-Key")
    transfer = made.write("createTransfer", key_field="reference")
    look = made.read("getInvoice")
    lines = [{"sku": "a", "count": 2}, {"sku": "b"}]
    with secrets_given(["BILLING_TOKEN"]):
        found = look.adapter.validate_python(await look("INV-1", ["lines", "notes"]))
        action = pay.action(invoice="INV-1", amount=2.5, pay_on="2026-11-28", lines=lines)
        paid = pay.adapter.validate_python(await call_write(pay, action))
        await call_write(transfer, transfer.action(amount=1))
    assert found.state in {"open", "paid"}
    assert paid.id.text
    # And it does refuse what is not so.
    unsigned = OpenAPI(DOCUMENT, billing.DIGEST, base_url=prism).write(
        "createPayment", idempotency_header="Idempotency-Key"
    )
    with pytest.raises(Final, match="answered 401"):
        await call_write(unsigned, unsigned.action(invoice="INV-1", amount=2.5))
