"""`handrail rulings`, `approvers` and `mandates`, on a real ledger with real keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from handrail.actions import Ruling
from handrail.cli.app import run
from handrail.cli.mandates import kept, most
from handrail.client import Bounds, Operator, Term
from handrail.exceptions import RequestError
from handrail.ledger import Intent, RulingRow
from handrail.oversight import (
    GateKind,
    GateView,
    Mandate,
    SigningKey,
    StageView,
    sign_ruling,
    verify_ruling,
)
from tests.unit.machine import Machine

ANA = "ana@example.com"
LONG_AGO = datetime(2025, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Desk(Machine):
    """The machine of somebody who may rule."""

    def keep(self, *rows: RulingRow) -> None:
        self.ledger(lambda ledger: ledger.record_rulings(rows))

    def alter(self, statement: str, **given: str) -> None:
        with sa.create_engine(self.url, poolclass=sa.NullPool).begin() as connection:
            connection.execute(sa.text(statement), given)


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Desk:
    monkeypatch.setenv("HANDRAIL_HOME", str(tmp_path))
    found = Desk(tmp_path, capsys)
    found.ledger(lambda ledger: ledger.effects("none"))
    return found


def row(key: SigningKey, at: datetime, verb: str = "approve", **more: Any) -> RulingRow:
    """A ruling as it was signed and recorded."""
    planted = more.pop("planted", None)
    said = {"gate": "g1", "digest": "d" * 64, "by": key.owner, **more}
    signed = sign_ruling(Ruling.model_validate(said), verb, "pay:1", key, at)
    proved = verify_ruling(signed, verb, "pay:1", {key.kid: key.public()}, at)
    return RulingRow.of(
        signed,
        verb=verb,
        case="pay:1",
        step="pay",
        digest="d" * 64,
        by=proved.by,
        jti=proved.jti,
        kid=proved.kid,
        at=proved.at,
        planted=planted,
    )


# Rulings


def test_rulings_prove_themselves_long_after_they_were_good_for_a_write(desk: Desk) -> None:
    key = desk.key()
    desk.keep(row(key, LONG_AGO, why="it is due", looked=7.5))
    (found,) = desk.json("rulings", "--verify")["rulings"]
    assert (found["by"], found["proven"], found["why"]) == (ANA, True, "")
    assert (found["verb"], found["via"], found["looked"]) == ("approve", "key", 7.5)
    assert Ruling.model_validate_json(found["ruling"]).why == "it is due"
    assert f"proven       by the key {key.kid}" in desk.run("rulings", "--verify")


def test_rulings_are_found_by_person_case_and_time(desk: Desk) -> None:
    ana, bo = desk.key(), desk.key("bo@example.com")
    now = datetime.now(UTC)
    desk.keep(row(ana, LONG_AGO), row(bo, now - HOUR), row(ana, now - 3 * HOUR))

    def count(*args: str) -> int:
        return len(desk.json("rulings", *args)["rulings"])

    assert count() == 3
    assert count("--by", "Bo@Example.com ") == 1
    assert count("--case", "pay:1") == 3
    assert count("--case", "pay:2") == 0
    assert count("--since", "2h") == 1
    assert count("--since", "2024-12-31") == 3
    assert count("--since", "2025-06-01") == 2
    assert count("--limit", "1") == 1
    assert "there may be more; --limit 10" in desk.run("rulings", "--limit", "1")
    assert "no signed rulings" in desk.run("rulings", "--since", "1s")


@pytest.mark.parametrize(
    ("altered", "why"),
    [
        ("by = 'eve@example.com'", "by is not what was signed"),
        ("at = at + 3600", "at is not what was signed"),
        ("at = at - 1", "at is not what was signed"),
        ("at = at - 3600", "which is not yet"),
        ("digest = 'e' || substr(digest, 2)", "digest is not what was signed"),
        ("verb = 'reject'", "its proof is for another verb"),
        ("case_id = 'pay:2'", "its proof is for another case"),
        ("looked = 99", "looked is not what was signed"),
        ("jti = 'another'", "jti is not what was signed"),
        ("agent = 'refunds'", "agent is not what was signed"),
        ("ruling = replace(ruling, 'it is due', 'it is not')", "changed after it was signed"),
        ("ruling = '{}'", "is no ruling any more"),
        ("kid = 'f' || kid", "kid is not what was signed"),
    ],
)
def test_a_row_that_was_altered_does_not_prove_itself(desk: Desk, altered: str, why: str) -> None:
    key = desk.key()
    desk.keep(row(key, LONG_AGO, why="it is due"), row(key, LONG_AGO + HOUR))
    good = desk.json("rulings", "--verify")["rulings"][0]["jti"]
    statement = f"update handrail_rulings set {altered} where jti <> :good"  # noqa: S608  # ours
    desk.alter(statement, good=good)
    found = desk.json("rulings", "--verify", code=1)["rulings"]
    faults = {each["jti"]: each["why"] for each in found}
    assert faults.pop(good) == ""
    (fault,) = faults.values()
    assert why in fault
    assert "1 of 2 do not prove themselves" in desk.run("rulings", "--verify", code=1)


def test_what_a_revoked_key_signed_is_proven_no_more(desk: Desk) -> None:
    key = desk.key()
    desk.keep(row(key, LONG_AGO))
    desk.run("keys", "revoke", key.kid, "--why", "it was stolen")
    assert desk.json("rulings")["rulings"][0]["kid"] == key.kid
    (found,) = desk.json("rulings", "--verify", code=1)["rulings"]
    assert "was revoked: it was stolen" in found["why"]


def test_without_a_ledger_it_says_where_one_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HANDRAIL_HOME", str(tmp_path / "none"))
    for command in (["rulings"], ["approvers"], ["mandates", "list"]):
        assert run(command) == 2
        assert "HANDRAIL_LEDGER_URL" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


# Approvers


def test_who_does_not_look_is_named_first(desk: Desk) -> None:
    ana, bo = desk.key(), desk.key("bo@example.com")
    now = datetime.now(UTC)
    desk.keep(
        *(row(bo, now - timedelta(minutes=n + 1), looked=0.5) for n in range(50)),
        row(bo, now, planted=True, looked=0.5),
        row(ana, now, "reject", planted=True, looked=20.0),
        row(ana, LONG_AGO, looked=20.0),
    )
    found = desk.json("approvers")["approvers"]
    assert [(each["person"], len(each["flags"])) for each in found] == [
        ("bo@example.com", 3),
        (ANA, 0),
    ]
    assert (found[0]["yes"], found[0]["looked"], found[0]["missed"]) == (1.0, 0.5, 1)
    assert (found[1]["decisions"], found[1]["caught"]) == (1, 1)
    assert desk.json("approvers", "--since", "2024-01-01")["approvers"][1]["decisions"] == 2
    said = desk.run("approvers")
    assert "approved 1 of 1 planted bad proposals" in said
    assert "1 of 1 caught" in said


def test_nobody_has_ruled(desk: Desk) -> None:
    assert "nobody has ruled" in desk.run("approvers")


# Mandates


def delegate(desk: Desk, *more: str, by: str = ANA, code: int = 0) -> Any:
    given = ["--agent", "pay", "--by", by, "--to", "bo@example.com"]
    return desk.json("mandates", "delegate", *given, *more, code=code)


def test_somebody_stands_in_for_a_time(desk: Desk) -> None:
    key = desk.key()
    made = delegate(desk, "--for", "10d", "--why", "out of office")
    assert (made["state"], made["kid"], made["used"]) == ("in force", key.kid, 0)
    said = made["mandate"]
    assert (said["by"], said["to"], said["why"]) == (ANA, "bo@example.com", "out of office")
    (listed,) = desk.json("mandates", "list")["mandates"]
    assert listed == made
    assert desk.json("mandates", "list", "--agent", "refunds")["mandates"] == []
    text = desk.run("mandates", "list")
    assert "bo@example.com answers in the place of ana@example.com for pay" in text
    later = delegate(desk, "--begins", "2040-01-01", "--ends", "2040-01-08T12:00")
    assert later["state"] == "not begun"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ([], "say when it ends"),
        (["--for", "8h", "--ends", "2040-01-01"], "say when it ends"),
        (["--for", "32d"], "31 days at most"),
        (["--ends", "2020-01-01"], "end at a time to come"),
    ],
)
def test_a_time_that_cannot_be_is_wrong_usage(desk: Desk, more: list[str], why: str) -> None:
    desk.key()
    assert why in delegate(desk, *more, code=2)["error"]["message"]


def test_nobody_gives_a_mandate_of_somebody_else(desk: Desk) -> None:
    desk.key()
    error = delegate(desk, "--for", "8h", by="cy@example.com", code=2)["error"]
    assert "holds no key of cy@example.com" in error["message"]
    assert "keys new --person cy@example.com" in error["message"]
    assert desk.json("mandates", "list", "--all")["mandates"] == []


def test_a_key_that_is_not_trusted_gives_none_that_counts(desk: Desk) -> None:
    desk.json("keys", "new", "--person", ANA)
    made = delegate(desk, "--for", "8h")
    assert made["state"] == "not proven"
    assert "is not in the keyring" in made["why"]
    assert made["mandate"] is None


def test_a_mandate_is_revoked_once_and_shows_what_it_was_used_for(desk: Desk) -> None:
    desk.key()
    made = delegate(desk, "--for", "8h")
    intent = Intent(
        key="pay:1/pay/1",
        case="pay:1",
        agent="pay",
        step="pay",
        digest="d" * 64,
        action={},
        policy="p",
        owner="me",
        deadline=datetime.now(UTC),
        mandates=((made["id"], 5),),
    )
    desk.ledger(lambda ledger: ledger.begin(intent))
    revoked = desk.json("mandates", "revoke", made["id"][:6], "--by", "Bo@example.com")
    assert (revoked["state"], revoked["revoked_by"]) == ("revoked", "bo@example.com")
    shown = desk.json("mandates", "show", made["id"])
    assert [use["effect"] for use in shown["uses"]] == ["pay:1/pay/1"]
    assert shown["statement"].count(".") == 2
    assert "pay:1/pay/1" in desk.run("mandates", "show", made["id"])
    assert "was revoked already" in desk.run("mandates", "revoke", made["id"], "--by", "x", code=1)
    assert desk.json("mandates", "list")["mandates"] == []
    assert "no mandates in force" in desk.run("mandates", "list")
    assert len(desk.json("mandates", "list", "--all")["mandates"]) == 1
    assert "is no mandate" in desk.run("mandates", "show", "nothing", code=2)
    delegate(desk, "--for", "8h")
    assert "it is no mandate" in desk.run("mandates", "show", "", code=2)
    begins = made["id"][0]
    while (
        sum(each["id"][0] == begins for each in desk.json("mandates", "list", "--all")["mandates"])
        < 2
    ):
        delegate(desk, "--for", "8h")
    assert "is the beginning of 2 mandates" in desk.run("mandates", "show", begins, code=2)


def test_a_mandate_that_was_altered_or_copied_is_not_proven(desk: Desk) -> None:
    desk.key()
    made = delegate(desk, "--for", "8h")
    desk.alter("update handrail_mandates set id = 'a' || id")
    (found,) = desk.json("mandates", "list", "--all")["mandates"]
    assert (found["state"], found["mandate"]) == ("not proven", None)
    assert f"was signed as {made['id']}" in found["why"]
    desk.alter("update handrail_mandates set id = :id, text = text || 'A'", id=made["id"])
    (found,) = desk.json("mandates", "list", "--all")["mandates"]
    assert found["state"] == "not proven"
    assert "not proven" in desk.run("mandates", "list", "--all")


def test_the_terminal_is_not_spoken_to_by_what_a_mandate_says(desk: Desk) -> None:
    desk.key()
    delegate(desk, "--for", "8h", "--why", "\x1b[2J\u202ehello")
    text = desk.run("mandates", "list")
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "hello" in text


# A standing approval, from a gate

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
GATE = GateView(
    gate="g1",
    case="shipments:AWB-1",
    kind=GateKind.WRITE,
    step="rebook",
    title="Move it",
    action={"shipment": "007", "carrier": "XY", "extra_cost": "50", "pieces": 3, "to": {"a": [1]}},
    digest="d" * 64,
    why="it costs",
    waiting_for=("lead",),
    people=(ANA, "cy@example.com"),
    opened=NOW,
    deadline=NOW + HOUR,
    then=(),
    risk="reversible",
    stages=(
        StageView(role="lead", people=("Ana@example.com",), until=NOW + HOUR),
        StageView(role="operations", people=("cy@example.com", ANA), until=NOW + 2 * HOUR),
    ),
)
ALLOW: dict[str, Any] = {
    "by": ANA,
    "up_to": ("extra_cost=50", "pieces=4"),
    "same": ("carrier=XY", "shipment", "to"),
    "uses": 20,
    "role": None,
    "term": Term(8 * HOUR),
}


async def allowed(shown: GateView, **more: Any) -> Mandate:
    """The mandate that comes of what was typed at a gate."""
    said = ALLOW | more
    key = SigningKey.new(said.pop("by"), LONG_AGO)
    bounds = Bounds(
        up_to=dict(map(most, said.pop("up_to"))),
        same=dict(kept(shown.action, each) for each in said.pop("same")),
        **said,
    )
    operator = Operator(None, signer=key, clock=lambda: NOW)
    mandate, _ = await operator._allowing(shown, bounds)  # pyright: ignore[reportPrivateUsage]
    return mandate


async def test_a_gate_is_allowed_such_as_it_is() -> None:
    mandate = await allowed(GATE)
    assert mandate.up_to == {"extra_cost": Decimal(50), "pieces": Decimal(4)}
    assert mandate.same == {"carrier": "XY", "shipment": "007", "to": {"a": [1]}}
    assert (mandate.agent, mandate.step, mandate.role) == ("shipments", "rebook", "lead")
    assert (mandate.begins, mandate.ends, mandate.uses) == (NOW, NOW + 8 * HOUR, 20)
    as_cy = await allowed(GATE, by="Cy@example.com")
    assert (as_cy.by, as_cy.role) == ("cy@example.com", "operations")
    assert (await allowed(GATE, role="operations")).role == "operations"


@pytest.mark.parametrize(
    ("gate", "said", "why"),
    [
        ({"risk": "irreversible"}, {}, "cannot be undone"),
        ({"kind": GateKind.IN_DOUBT}, {}, "only what a gate asks to be written"),
        ({"kind": GateKind.UNDO}, {}, "only what a gate asks to be written"),
        ({}, {"by": "eve@example.com"}, "not among the people of any role asked"),
        ({}, {"by": "cy@example.com", "role": "lead"}, "not among the people of lead"),
        ({"stages": ()}, {}, "asks no role"),
        ({}, {"up_to": ("extra_cost=49.99",)}, "would not be covered: extra_cost"),
        ({}, {"up_to": ("extra_cost",)}, "write field=number"),
        ({}, {"up_to": ("extra_cost=NaN",)}, "write field=number"),
        ({}, {"up_to": ("extracost=5",)}, "no field extracost"),
        ({}, {"same": ("carrier=ZZ",)}, "would not be covered: carrier"),
        ({}, {"same": ("carier",)}, "no field carier"),
        ({}, {"same": (), "up_to": ()}, "at least one field"),
        ({}, {"uses": 0}, "write a number from 1 to"),
        ({}, {"term": Term(timedelta(days=40))}, "31 days"),
    ],
)
async def test_what_may_not_be_allowed_in_advance_is_refused_when_it_is_said(
    gate: dict[str, Any], said: dict[str, Any], why: str
) -> None:
    with pytest.raises(RequestError, match=why):
        await allowed(GATE.model_copy(update=gate), **said)
