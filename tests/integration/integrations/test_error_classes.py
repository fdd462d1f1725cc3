"""Errors of steps by class: what an outside system refuses, answers wrongly, or has changed."""

from __future__ import annotations

import copy
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from handrail.testing import eventually
from handrail.testing.fixtures import RunFleet
from tests.agents import billing
from tests.agents.billing_flow import fleet_in
from tests.agents.billing_service import TOKEN, BillingService, billing_service

pytestmark = pytest.mark.integration


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Generator[BillingService]:
    with billing_service() as made:
        monkeypatch.setenv("HANDRAIL_SECRET_BILLING_TOKEN", TOKEN)
        monkeypatch.setattr(billing.billing._requests, "base_url", made.url)  # pyright: ignore[reportPrivateUsage]
        yield made


def invoice() -> Response:
    return JSONResponse({"id": "INV-1", "total": 12.5, "state": "open", "note": "n"})


def refusal() -> Response:
    return JSONResponse({"detail": "no such field"}, 422)


def other() -> Response:
    return JSONResponse({"number": "INV-1", "sum": "12.50"})


def without(document: Any, path: str) -> Any:
    """What the system says of itself once it has moved a path."""
    changed = copy.deepcopy(document)
    changed["paths"]["/v2" + path] = changed["paths"].pop(path)
    return changed


MET: dict[str, tuple[list[Response], str, tuple[str, str]]] = {
    "refused": ([invoice(), refusal()], "", ("create_payment", "refused_by_system")),
    "moved": ([invoice(), refusal()], "/payments", ("create_payment", "contract_changed")),
    "elsewhere": ([invoice(), refusal()], "/scans", ("create_payment", "refused_by_system")),
    "wrong": ([other()], "", ("get_invoice", "bad_data")),
    "renamed": ([other()], "/invoices/{id}", ("get_invoice", "contract_changed")),
}
"""What it answers, which of its paths it has moved, and the step and class of what comes of it."""


async def test_each_error_is_kept_under_its_class(
    run_fleet: RunFleet, service: BillingService, tmp_path: Path
) -> None:
    before = service.document
    async with run_fleet(fleet_in(str(tmp_path))) as stage:
        for name, (answers, moved, _) in MET.items():
            service.answers = list(answers)
            service.document = without(before, moved) if moved else before
            case = await stage.start("billing", billing.Bill(number=f"INV-{name}"))
            await case.outcome()
        ids = {f"billing:INV-{name}": name for name in MET}

        async def all_kept() -> bool:
            return len(await stage.ledger.runs_recorded(list(ids))) == len(ids)

        await eventually(all_kept)
        records = await stage.ledger.case_records(list(ids))
    found = {ids[c]: [(e.step, e.kind) for e in r.errors] for c, r in records.items()}
    assert found == {name: [met] for name, (_, _, met) in MET.items()}
    (error,) = records["billing:INV-moved"].errors
    assert "no such field" in error.what
    assert "POST /payments is gone" in error.what
