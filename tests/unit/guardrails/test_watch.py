"""The watch over a real ledger: what teaches what is normal, what is flagged, and what it costs."""

from __future__ import annotations

import json
import random
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from handrail import Ledger
from handrail.actions import Action, Basis, Finding, Kind
from handrail.guardrails.anomaly.watch import AnomalyDetector
from handrail.ledger import VerdictRow
from handrail.ledger.tables import effects, incidents, reviews
from handrail.policy import AgentShape, Facts, Policy, WriteShape, parse_policy

NOW = datetime(2026, 11, 20, 14, 5, tzinfo=UTC)  # a Friday
ANA = "ana@example.com"
WHOLE = "[amount, confidence, hour, rate, mix, target: customer]"


class Pay(Action):
    amount: Decimal
    customer: str


def policy(watch: str = WHOLE, learn: int = 30) -> Policy:
    text = f"""
agent: a
version: 1
owner: {ANA}
for: lead
actions:
  pay:
    autonomy: full
    irreversible: for the test of it
    normal: {{learn: {learn}, watch: {watch}}}
  post: {{autonomy: full, irreversible: for the test of it}}
roles:
  lead: {{people: [{ANA}], deadline: {{after: 8h, then: refuse}}}}
"""
    shapes = {name: WriteShape(name, Pay) for name in ("pay", "post")}
    return parse_policy(text, "a.yaml", AgentShape("a", shapes))


POLICY = policy()


@pytest.fixture
async def ledger(url: str) -> AsyncGenerator[Opened]:
    async with Opened(url) as opened:
        yield opened


class Opened(Ledger):
    """A ledger into which a test writes a past."""

    async def put(self, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
        """Put rows there as the database has them."""
        raw = sa.table(table.name, *map(sa.column, rows[0]))
        await self._run(lambda c: c.execute(sa.insert(raw), list(rows)))

    async def change(self, statement: sa.Update) -> None:
        await self._run(lambda c: c.execute(statement))


def row(key: str, at: datetime, amount: object = "100", **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "key": key,
        "case_id": f"a:{key}",
        "agent": "a",
        "step": "pay",
        "digest": "d" * 64,
        "action": json.dumps({"amount": str(amount), "customer": "c1"}),
        "policy": "a v1",
        "state": "done",
        "owner": "one",
        "deadline": at.timestamp(),
        "begun": at.timestamp(),
        "ended": at.timestamp(),
        "confidence": 0.9,
    }
    return given | more


def hours(count: int, before: datetime = NOW, least: int = 8, most: int = 18) -> list[datetime]:
    """Moments of working hours, some an hour, the last ones before `before`."""
    at, found, rng = before, list[datetime](), random.Random(7)  # noqa: S311  # seeded
    while len(found) < count:
        at -= timedelta(minutes=rng.expovariate(1 / 12))
        if least <= at.hour < most:
            found.append(at)
    return found[::-1]


def past(count: int = 400, before: datetime = NOW) -> list[dict[str, Any]]:
    rng = random.Random(8)  # noqa: S311  # seeded
    return [
        row(
            f"k{number}",
            at,
            round(rng.lognormvariate(4, 0.5), 2),
            confidence=0.85 + rng.random() / 10,
            action=json.dumps(
                {
                    "amount": str(round(rng.lognormvariate(4, 0.5), 2)),
                    "customer": f"c{rng.randrange(8)}",
                }
            ),
        )
        for number, at in enumerate(hours(count, before))
    ]


def facts(
    amount: object = 55, customer: str = "c1", sure: float = 0.9, case: str = "a:new"
) -> Facts:
    action = Pay(amount=Decimal(str(amount)), customer=customer)
    basis = Basis(confidence=sure)
    return Facts("pay", action, basis, None, case, None)


async def flags(
    ledger: Ledger, given: Facts, now: datetime = NOW, under: Policy = POLICY
) -> list[Finding]:
    return await AnomalyDetector("a", ledger).findings(under, given, now)


def names(findings: Sequence[Finding]) -> list[str]:
    return [each.check for each in findings]


async def test_a_write_like_those_before_is_not_flagged(ledger: Opened) -> None:
    await ledger.put(effects, past())
    assert await flags(ledger, facts()) == []


@pytest.mark.parametrize(
    ("given", "check", "said"),
    [
        (facts(amount=5_000), "normal: amount", "5000 is far above what is normal: the median"),
        (facts(sure=0.3), "normal: confidence", "confidence 0.3000 is far below"),
        (facts(amount=150, customer="x"), "normal: target customer", "never in the last 400"),
    ],
)
async def test_what_is_outside_is_held_with_its_figures(
    ledger: Opened, given: Facts, check: str, said: str
) -> None:
    await ledger.put(effects, past())
    [found] = await flags(ledger, given)
    assert (found.check, found.kind) == (check, Kind.HOLD)
    assert said in found.why


async def test_an_amount_is_held_against_those_of_its_currency(ledger: Opened) -> None:
    class Send(Pay):
        currency: str

    def paid(key: int, at: datetime, amount: int, currency: str) -> dict[str, Any]:
        action = {"amount": f"{amount}.00", "customer": "c1", "currency": currency}
        return row(str(key), at, action=json.dumps(action))

    times = hours(150)
    few, most = times[:40], times[40:]
    await ledger.put(effects, [paid(n, at, 15_000 + 10 * n, "JPY") for n, at in enumerate(most)])
    await ledger.put(effects, [paid(500 + n, at, 90 + n, "EUR") for n, at in enumerate(few)])
    await ledger.put(effects, [paid(900, few[0], 90, "CHF")])
    watch = AnomalyDetector("a", ledger)

    async def held(amount: str, currency: str) -> list[str]:
        sent = facts(amount="100")
        action = Send(amount=Decimal(amount), customer="c1", currency=currency)
        found = await watch.findings(policy("[amount]"), replace(sent, action=action), NOW)
        return [each.why for each in found]

    assert await held("15500.00", "JPY") == []
    assert await held("100.00", "EUR") == []
    assert "far above what is normal" in (await held("15500.00", "EUR"))[0]
    (why,) = await held("90.00", "CHF")
    assert why == "1 of the 151 writes that are known are in CHF"
    assert len(await held("15500.00", "KWD")) == 1


async def test_a_write_at_night_is_held(ledger: Opened) -> None:
    await ledger.put(effects, past())
    night = NOW.replace(hour=3) + timedelta(days=1)
    [found] = await flags(ledger, facts(), night)
    assert found.check == "normal: hour"
    assert "it is 03:05 UTC, when it does not write" in found.why


async def test_a_burst_is_held_at_once_although_the_ledger_was_read_before_it(
    ledger: Opened,
) -> None:
    await ledger.put(effects, past())
    watch = AnomalyDetector("a", ledger)
    found = [
        names(await watch.findings(POLICY, facts(case=f"a:{number}"), NOW)) for number in range(60)
    ]
    assert found[0] == []
    assert found[-1] == ["normal: rate per hour"]
    again = await watch.findings(POLICY, facts(case="a:0"), NOW)
    assert names(again) == ["normal: rate per hour"]


async def test_nothing_is_flagged_while_it_learns(ledger: Opened) -> None:
    rows = past(30)
    await ledger.put(effects, rows[:29])
    odd = facts(amount=1_000_000, sure=0.01)
    assert await flags(ledger, odd) == []
    await ledger.put(effects, rows[29:])
    assert "normal: amount" in names(await flags(ledger, odd))


async def test_nothing_is_watched_that_the_policy_does_not_name(ledger: Opened) -> None:
    await ledger.put(effects, past())
    assert await flags(ledger, facts(sure=0.1), under=policy("[amount]")) == []
    other = Facts("post", facts().action, None, None, "a:1", None)
    assert await flags(ledger, other) == []


async def _larger(ledger: Opened, rows: Sequence[dict[str, Any]], **more: Any) -> bool:
    """Whether writes of 5000 are flagged after half of the past was of that size."""
    large = [r | {"action": json.dumps({"amount": "5000", "customer": "c1"})} for r in rows[::2]]
    await ledger.put(effects, [*rows[1::2], *(each | more for each in large)])
    return "normal: amount" in names(await flags(ledger, facts(amount=5_000)))


async def test_what_was_done_and_never_called_wrong_teaches(ledger: Opened) -> None:
    assert not await _larger(ledger, past())


@pytest.mark.parametrize("state", ["intended", "not_done", "taken_back"])
async def test_what_was_not_done_does_not_teach(ledger: Opened, state: str) -> None:
    assert await _larger(ledger, past(), state=state)


@pytest.mark.parametrize(("answer", "teaches"), [("right", True), ("wrong", False), (None, True)])
async def test_what_a_review_called_wrong_does_not_teach(
    ledger: Opened, answer: str | None, *, teaches: bool
) -> None:
    rows = past()
    await ledger.put(
        reviews,
        [
            {
                "key": each["key"],
                "agent": "a",
                "step": "pay",
                "case_id": each["case_id"],
                "at": each["begun"],
                "why": "drawn",
                "share": 1.0,
                "role": "lead",
                "people": "[]",
                "answer": answer,
            }
            for each in rows[::2]
        ],
    )
    assert await _larger(ledger, rows) is not teaches


async def test_what_was_taken_back_does_not_teach(ledger: Opened) -> None:
    rows = past()
    undone = [each | {"key": f"{each['key']}/undo", "step": "unpay"} for each in rows[::2]]
    await ledger.put(effects, undone)
    assert await _larger(ledger, rows)


async def test_what_was_found_otherwise_when_it_was_read_back_does_not_teach(
    ledger: Opened,
) -> None:
    rows = past()
    found = [
        {
            "id": each["key"],
            "agent": "a",
            "step": "pay",
            "case_id": each["case_id"],
            "key": each["key"],
            "kind": "verify",
            "what": "it is 50",
            "at": each["begun"],
        }
        for each in rows[::2]
    ]
    await ledger.put(incidents, found)
    assert await _larger(ledger, rows)


async def test_what_is_found_wrong_later_is_forgotten_by_a_watch_that_knew_it(
    ledger: Opened,
) -> None:
    rows = past(60)
    await ledger.put(effects, [*rows[:40], *(r | LARGE for r in rows[40:])])
    watch = AnomalyDetector("a", ledger, fresh=timedelta(0))
    assert await watch.findings(policy("[amount]"), facts(amount=5_000), NOW) == []
    taken = effects.c.key.in_([each["key"] for each in rows[40:]])
    await ledger.change(sa.update(effects).where(taken).values(state="taken_back"))
    found = await watch.findings(policy("[amount]"), facts(amount=5_000), NOW)
    assert names(found) == ["normal: amount"]


LARGE = {"action": json.dumps({"amount": "5000", "customer": "c1"})}


# Shares of verdicts


def verdict(case: str, step: str = "pay", kind: Kind = Kind.PASS, check: str = "") -> VerdictRow:
    finding = Finding(check=check, kind=kind, why="no")
    return VerdictRow(
        case=case,
        agent="a",
        step=step,
        key=f"{case}/{step}/1",
        digest="d" * 64,
        at=NOW,
        kind=kind,
        findings=(finding,) if check else (),
        policy="a v1",
        autonomy="full",
        pilot=False,
        action={},
        basis=None,
        requester=None,
    )


async def verdicts(ledger: Ledger, rows: Sequence[VerdictRow]) -> None:
    for each in rows:
        await ledger.record_verdict(each)


async def test_a_write_that_becomes_the_most_of_what_it_does_is_held(ledger: Opened) -> None:
    await ledger.put(effects, past(40))
    await verdicts(ledger, [verdict(f"a:{n}", "post" if n % 20 else "pay") for n in range(300)])
    assert await flags(ledger, facts(), under=policy("[mix]")) == []
    await verdicts(ledger, [verdict(f"a:m{n}", "pay", Kind.HOLD) for n in range(25)])
    [found] = await flags(ledger, facts(), under=policy("[mix]"))
    assert found.check == "normal: mix"
    assert "of the last 50 writes were pay: normal is 5.2 %" in found.why


async def test_many_refusals_by_rules_are_held_but_not_what_autonomy_holds(ledger: Opened) -> None:
    await ledger.put(effects, past(40))
    await verdicts(ledger, [verdict(f"a:{n}") for n in range(200)])
    held = [verdict(f"a:h{n}", kind=Kind.HOLD, check="autonomy") for n in range(50)]
    await verdicts(ledger, held)
    assert await flags(ledger, facts(), under=policy("[mix]")) == []
    refused = [verdict(f"a:r{n}", kind=Kind.REFUSE, check="rule: x") for n in range(15)]
    await verdicts(ledger, refused)
    [found] = await flags(ledger, facts(), under=policy("[mix]"))
    assert "15 of the last 50 proposals of pay were held or refused by a rule" in found.why


# Bad data, and cost


@pytest.mark.parametrize(
    "action", ['{"amount": null}', '{"amount": "NaN", "customer": 3}', "[]", "{}", '"text"']
)
async def test_odd_rows_of_the_past_are_passed_over(ledger: Opened, action: str) -> None:
    odd = [row(f"odd{n}", NOW - timedelta(hours=n), action=action) for n in range(50)]
    await ledger.put(effects, [*past(), *odd])
    assert "normal: amount" in names(await flags(ledger, facts(amount=5_000)))


async def test_no_more_than_the_latest_2000_writes_are_kept_in_memory(ledger: Opened) -> None:
    await ledger.put(effects, past(2_500))
    watch = AnomalyDetector("a", ledger)
    pattern = await watch.normal(POLICY, "pay", NOW)
    assert pattern is not None
    assert pattern.learned == 2_000
    assert "of the last 2000" not in str(pattern.figures()[0])


async def test_a_look_between_two_readings_costs_microseconds(ledger: Opened) -> None:
    """Judged as a ratio: reading the history again costs a hundred times as much at least."""
    await ledger.put(effects, past(2_000))
    watch = AnomalyDetector("a", ledger)
    begin = time.perf_counter()
    await watch.findings(POLICY, facts(), NOW)
    first = time.perf_counter() - begin
    begin = time.perf_counter()
    for _ in range(100):
        await watch.findings(POLICY, facts(), NOW)
    assert (time.perf_counter() - begin) / 100 < first / 50


async def test_the_figures_say_what_is_normal_and_what_would_be_flagged(ledger: Opened) -> None:
    await ledger.put(effects, past())
    pattern = await AnomalyDetector("a", ledger).normal(POLICY, "pay", NOW)
    assert pattern is not None
    figures = {each.what: each for each in pattern.figures()}
    assert (figures["amount"].of, pattern.since) == (400, hours(400)[0])
    assert figures["amount"].flags == "below 0 or above 448.53"
    assert figures["hour"].usual == "06:45 to 18:45 UTC"
    assert figures["hour"].flags == "22:00 to 03:45 UTC"
    assert figures["rate per hour"].flags.startswith("more than ")
    assert figures["rate per day"].flags == ""
    assert figures["target: customer"].usual.startswith("8 different")
