"""What the client answers is a contract: its names, its JSON and the page that shows it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from handrail import client
from handrail.client import MandateView, Operator, StartedCase, StopView, schema
from handrail.client.mandates import Term
from handrail.client.orders import share_of
from handrail.client.rulings import amended, ruling_of
from handrail.client.views import Document
from handrail.exceptions import InvalidRequest, RequestError
from handrail.oversight import GateKind, GateView, Mandate

DOCS = Path(__file__).parents[3] / "docs"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_what_is_public_is_sorted_and_there() -> None:
    names = client.__all__
    assert len(names) == len(set(names))
    assert all(getattr(client, name) is not None for name in names)
    by_kind = sorted(names, key=lambda name: (not name.isupper(), name[0].islower(), name))
    assert names == by_kind


def test_the_published_schema_is_the_one_of_the_code() -> None:
    published = json.loads((DOCS / "client.schema.json").read_text(encoding="utf-8"))
    fix = "from handrail.client import schema, and write it to docs/client.schema.json"
    assert published == schema(), fix


def test_every_document_bears_a_version_and_the_schema_takes_it() -> None:
    mandate = Mandate(
        id="m" * 32,
        kind="standing",
        by="ana@example.com",
        agent="pay",
        begins=NOW,
        ends=NOW + timedelta(hours=1),
        step="pay",
        role="lead",
        up_to={"amount": Decimal("50.00")},
        uses=2,
    )
    shown = MandateView(id=mandate.id, state="in force", mandate=mandate)
    document = json.loads(shown.model_dump_json())
    assert document["version"] == 1
    assert document["mandate"]["begins"] == "2026-03-01T12:00:00Z"
    assert document["mandate"]["up_to"] == {"amount": "50.00"}
    jsonschema.validate(document, schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"version": 2, "case": "a:1", "duplicate": False}, schema())


def test_times_are_utc_whatever_they_came_in() -> None:
    fields: dict[str, Any] = dict.fromkeys(StopView.model_fields, None)
    east = NOW.astimezone(timezone(timedelta(hours=3)))
    words = dict.fromkeys(("id", "what", "agent", "by", "why"), "x")
    stop = StopView.model_validate(fields | words | {"proven": True, "at": east, "version": 1})
    assert stop.model_dump(mode="json")["at"] == "2026-03-01T12:00:00Z"


def test_a_document_cannot_be_changed() -> None:
    started = StartedCase(case="pay:1", duplicate=False)
    assert isinstance(started, Document)
    with pytest.raises(ValueError, match="frozen"):
        started.case = "pay:2"


def test_the_page_shows_the_program_that_is_run() -> None:
    page = (DOCS / "client.md").read_text(encoding="utf-8")
    program = (DOCS / "examples" / "approve.py").read_text(encoding="utf-8")
    assert f"```py\n{program}```" in page
    assert len(program.splitlines()) <= 40


def test_the_page_names_every_act() -> None:
    page = (DOCS / "client.md").read_text(encoding="utf-8")
    acts = [n for n in dir(Operator) if not n.startswith("_")]
    within = {"ledger", "temporal", "order_cases", "runs"}
    assert [name for name in acts if name not in within and f"`{name}`" not in page] == []


# What is said is whole


def gate(kind: GateKind = GateKind.WRITE, **more: Any) -> GateView:
    fields: dict[str, Any] = {
        "gate": "g" * 12,
        "case": "pay:1",
        "kind": kind,
        "step": "pay",
        "title": "pay",
        "action": {"amount": "3.00", "to": {"iban": "DE1"}},
        "digest": "d" * 64,
        "why": "large",
        "waiting_for": ("lead",),
        "people": ("ana@example.com",),
        "opened": NOW,
        "deadline": NOW,
        "then": (),
    }
    return GateView(**fields | more)


def test_an_answer_to_a_doubt_is_one_of_three_and_only_what_happened_has_a_result() -> None:
    doubt = gate(GateKind.IN_DOUBT)
    assert ruling_of(doubt, "answer", "ana", answer="do-it").answer == "do it"
    assert ruling_of(doubt, "answer", "ana", answer="happened", result="B-9").result == "B-9"
    for said in ({"answer": "perhaps"}, {"answer": "drop", "result": 1}, {}):
        with pytest.raises(InvalidRequest):
            ruling_of(doubt, "answer", "ana", **said)
    with pytest.raises(InvalidRequest, match="does not take `approve`"):
        ruling_of(doubt, "approve", "ana")


def test_fields_within_fields_are_amended_and_others_are_named() -> None:
    action = gate().action
    assert amended(action, {"to.iban": "DE2"})["to"] == {"iban": "DE2"}
    assert action["to"] == {"iban": "DE1"}
    for name, words in (
        ("amuont", "mean amount"),
        ("amount.x", "has no fields"),
        ("z", "there are"),
    ):
        with pytest.raises(InvalidRequest, match=words) as caught:
            amended(action, {name: 1})
        assert caught.value.field == name


def test_what_is_too_long_is_no_ruling() -> None:
    with pytest.raises(InvalidRequest, match="this is no ruling: why"):
        ruling_of(gate(), "approve", "ana", why="x" * 5_000)


def test_a_share_is_in_percent_and_a_term_is_to_come() -> None:
    assert [share_of(each) for each in (None, "25%", "0.5", Decimal(100))] == [
        None,
        2_500,
        50,
        10_000,
    ]
    begins, ends = Term(lasts=timedelta(hours=1), begins=NOW - timedelta(days=9)).span(NOW)
    assert (begins, ends) == (NOW, NOW + timedelta(hours=1))
    # As people type it: of the zone where they are.
    assert Term(ends=datetime(2100, 1, 1)).span(NOW)[1] == datetime(2100, 1, 1).astimezone(UTC)  # noqa: DTZ001
    assert issubclass(InvalidRequest, RequestError)
