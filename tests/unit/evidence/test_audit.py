"""Orders in an audit: each is of whom it names, also where its row keeps less than was signed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter

from handrail.actions import LedgerMark
from handrail.evidence import chained, proof_faults
from handrail.ledger import OrderRow
from handrail.oversight import ORDER_STATEMENT, Order, SigningKey, ledger_order, order_row

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ANA, EVE = (SigningKey.new(f"{name}@example.com", NOW) for name in ("ana", "eve"))
KEYS = {ANA.kid: ANA.public()}
BY = "ana@example.com"
RAMP: Any = {"deployment": "d", "build": "b", "to": "shares", "shares": (10_000,)}
ORDERS = {
    "ledger": ledger_order("shipments", LedgerMark(id="l" * 12, height=3), BY, NOW, "put back"),
    "rollout": Order(id="r" * 12, kind="rollout", agent="*", by=BY, at=NOW, why="b", ramp=RAMP),
}


def faults(row: OrderRow) -> list[str]:
    return proof_faults(
        chained([("order", row.at, TypeAdapter(OrderRow).dump_python(row, mode="json"))]), KEYS
    )


@pytest.mark.parametrize("kind", ORDERS)
def test_what_is_signed_of_a_ledger_or_a_rollout_is_of_whom_it_names(kind: str) -> None:
    order = ORDERS[kind]
    row = order_row(order, [ORDER_STATEMENT.sign(order, ANA, NOW)])
    assert faults(row) == []
    changes: list[dict[str, Any]] = [{"by": "eve@example.com"}, {"why": "x"}, {"agent": "leads"}]
    for change in changes:
        (fault,) = faults(replace(row, **change))
        assert fault.endswith("is not shown to have given it")
    theirs = order.model_copy(update={"by": "eve@example.com"})
    (fault,) = faults(replace(row, proofs=(ORDER_STATEMENT.sign(theirs, EVE, NOW),)))
    assert EVE.kid in fault
