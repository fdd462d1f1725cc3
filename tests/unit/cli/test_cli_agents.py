"""How agents, and what they handed to each other, are shown."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from rich.text import Text

from handrail import State, Usage
from handrail.actions import HandedCase, Receipt
from handrail.cli import agents, cases
from handrail.client import AgentStatus, ChainedCase, WorkerView

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def shown(text: Text | str) -> str:
    return text.plain if isinstance(text, Text) else text


def test_an_agent_is_one_line() -> None:
    worker = WorkerView(identity="7@host", build="b2", seen=NOW)
    each = AgentStatus(
        agent="payer",
        state="stopped",
        levels={"pay": "full", "ship": "pilot"},
        workers=(worker, worker),
        open=7,
        waiting=2,
        paused=1,
        incidents=3,
        last_write=NOW,
        stopped="ana@example.com",
    )
    line = [shown(cell) for cell in agents.cells(each, NOW)]
    assert line[:7] == [
        *("payer", "stopped by ana@example.com", "full, pilot"),
        *("2 (b2)", "7, 1 paused", "2", "3"),
    ]
    assert agents.cells(each.model_copy(update={"incidents": None}), NOW)[6] == ""


def test_a_chain_is_shown_with_its_states() -> None:
    each = ChainedCase(case="payer:P", agent="payer", state=State.DONE, parent="desk:1", depth=1)
    assert shown(cases.chained(each, "payer:P")) == "  payer:P  done"
    gone = each.model_copy(update={"state": None})
    assert "not known to Temporal" in shown(cases.chained(gone, "desk:1"))


def test_what_was_handed_on_is_shown_with_what_it_wrote_and_cost() -> None:
    receipt = Receipt(key="payer:P/pay/1", step="pay", digest="0", at=NOW)
    known = HandedCase(
        agent="payer",
        case="payer:P",
        status=State.DONE,
        receipts=(receipt,),
        usage=Usage(cost=Decimal("0.5")),
    )
    assert shown(cases.handed(known)) == "payer:P  done, 1 receipts, cost 0.5 EUR"
    assert shown(cases.handed(HandedCase(agent="payer", case="payer:Q"))) == "payer:Q  handed on"
