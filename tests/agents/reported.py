"""Cases of the shipments agent by the hundred, made by a seed: what a report is tried on."""

from __future__ import annotations

import random
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from handrail import Ledger
from handrail.actions import Kind, Ruling
from handrail.ledger import (
    AlertRow,
    CaseRecord,
    CaseRow,
    DecisionRow,
    EffectState,
    ErrorRow,
    IncidentRow,
    QuestionRow,
    RulingRow,
    tables,
)
from handrail.ledger.evidence_tables import outcomes
from handrail.ledger.marking import mark
from handrail.oversight import Opinion, ReviewAnswer, SigningKey, is_drawn, signed_answer

AGENT = "shipments"
WORTH = """\
value: {done: 18 EUR, written: 3 EUR, wrong: -60 EUR, late: {after: 1h, worth: -5 EUR}}
prices: {human minute: 0.80 EUR, infrastructure: 90 EUR per month}
metrics:
  on time: {unit: "%", rate: done, within: 1h}
  moved a day: {unit: cases, count: done, per: day, action: Rebook}
  time to done: {unit: min, mean: minutes, of: done}
"""
_ENDS = ("done", "refused", "rejected", "expired", "failed", "piloted")
_DIGEST = "d" * 64
_ODDS = (80, 6, 5, 2, 4, 3)
_KINDS = ("time_out", "refused_by_system", "bad_data", "model")


def keep_policy(url: str, text: str, at: datetime, version: int = 2) -> None:
    """Have a policy be the one in force."""
    row: dict[str, Any] = {
        "agent": AGENT,
        "sha": f"{version:064}",
        "version": version,
        "label": f"{AGENT} v{version}",
        "text": text,
        "first": at,
        "loaded": at,
    }
    _insert(url, tables.policies, [row])


def _insert(url: str, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        if rows:
            connection.execute(sa.insert(table), rows)
    engine.dispose()


async def keep_cases(  # how many of them, when
    ledger: Ledger, url: str, number: int, until: datetime, *, days: int = 60, seed: int = 1
) -> None:
    """Keep so many cases of the days before, in the order in which they began."""
    chance, made = random.Random(seed), list[CaseRecord]()  # noqa: S311  # a seed, no secret
    effects, verdicts = list[dict[str, Any]](), list[dict[str, Any]]()
    for n in range(number):
        begun = until - timedelta(days=days * (1 - (n + chance.random()) / number))
        record = _record(chance, n, begun, until)
        made.append(record)
        verdicts.append(_verdict(record))
        if record.case.state in {"done", "failed"}:
            effects.append(_effect(record))
    for at in range(0, number, 5_000):
        await ledger.record_cases(made[at : at + 5_000])
    _insert(url, tables.effects, effects)
    _insert(url, tables.verdicts, verdicts)
    for each in made[:: max(number // 7, 1)]:
        key, at = f"{each.case.case}/rebook/1", each.case.begun
        await ledger.incident(
            IncidentRow(f"{key}|x", AGENT, "rebook", each.case.case, key, "mismatch", "other", at)
        )


def keep_pilot(
    url: str, number: int, until: datetime, apart: timedelta = timedelta(minutes=1)
) -> None:
    """Keep so many proposals of a pilot, with what people did: in one of 20 something else."""
    proposed, done = list[dict[str, Any]](), list[dict[str, Any]]()
    for n in range(number):
        case, at = f"{AGENT}:P{n}", until - apart * (number - n)
        action = {"shipment": f"P{n}", "extra_cost": "9.00", "refund": None}
        verdict: dict[str, Any] = {
            "case_id": case,
            "agent": AGENT,
            "step": "rebook",
            "key": f"{case}/rebook/1",
            "digest": "d",
            "at": at,
            "kind": Kind.PASS,
            "findings": (),
            "policy": "p",
            "autonomy": "pilot",
            "pilot": True,
            "action": action,
        }
        proposed.append(verdict)
        changed = {"extra_cost": "8.00"} if n % 20 == 0 else {}
        outcome: dict[str, Any] = {"id": f"o{n}", "received": at, "source": "log", "by": "b"}
        told = {name: verdict[name] for name in ("agent", "case_id", "step", "at")}
        done.append(outcome | told | {"action": action | changed, "raw": ""})
    _insert(url, tables.verdicts, proposed)
    _insert(url, outcomes, done)
    with sa.create_engine(url).begin() as connection:
        mark(connection, ((AGENT, row["case_id"], row["step"]) for row in proposed))


def keep_rulings(url: str, number: int, until: datetime) -> None:
    """Keep what four people ruled on every seventh of so many cases of 60 days; one only agrees."""
    rows = list[dict[str, Any]]()
    for n in range(0, number, 7):
        case, by = f"{AGENT}:{n}", ("ana", "bo", "dee", "eli")[n % 4]
        ruling = Ruling(
            gate=f"g{n}",
            digest=_DIGEST,
            by=f"{by}@example.com",
            why="as the carrier says" if n % 3 else "",
            via="key",
            looked=2.0 + n % 90,
            proof="p" * 900,
        )
        verb = "reject" if by != "bo" and n % 5 == 0 else "approve"
        at, jti = until - timedelta(days=60 * (1 - n / number)), f"{n:032x}"
        said = {"case": case, "digest": _DIGEST, "by": ruling.by, "jti": jti, "kid": "0" * 16}
        row = RulingRow.of(ruling, verb=verb, step="rebook", at=at, planted=n % 50 == 0, **said)
        kept = {name: value for name, value in asdict(row).items() if name not in {"case", "text"}}
        used = f"{case}/rebook/1" if verb == "approve" else None
        rows.append(kept | {"case_id": case, "ruling": row.text, "effect": used})
    _insert(url, tables.rulings, rows)


async def keep_reviews(ledger: Ledger, url: str, key: SigningKey, now: datetime) -> None:
    """Put what was drawn of the cases before a human, who signs what they say of most of it."""
    rows, answers = list[dict[str, Any]](), list[dict[str, Any]]()
    drawn = await ledger.drawn_writes(AGENT, None, is_drawn)
    for n, each in enumerate(drawn):
        row: dict[str, Any] = {
            "key": each.key,
            "agent": AGENT,
            "step": each.step,
            "case_id": each.key.partition("/")[0],
            "at": each.begun,
            "why": "it was drawn at random",
            "share": each.share,
            "role": "logistics-lead",
            "people": ("ana@example.com",),
        }
        if n < len(drawn) - 3:
            answer = ReviewAnswer.WRONG if n % 40 == 39 else ReviewAnswer.RIGHT
            said = Opinion(
                key=each.key, digest=_DIGEST, answer=answer, by=key.person or "", at=now, why="so"
            )
            signed = asdict(signed_answer(said, key, now))
            answers.append(signed | {"number": 1})
            row |= {name: signed[name] for name in ("answer", "by", "note", "proof")}
            row["answered"] = now
        rows.append(row)
    # A statement of several rows takes the columns of the first.
    waiting = [row for row in rows if "answer" not in row]
    _insert(url, tables.reviews, [row for row in rows if "answer" in row])
    _insert(url, tables.reviews, waiting)
    _insert(url, tables.review_answers, answers)


async def keep_alerts(ledger: Ledger, number: int, now: datetime) -> None:
    """Keep so many alerts, of which the last two last, one of them seen."""
    for n in range(number):
        began, rest = now - timedelta(hours=number - n), number - n
        row = AlertRow(
            id=f"{n:032x}",
            agent=AGENT,
            rule=("failures", "waiting")[n % 2],
            began=began,
            value=("7.4% (37 of 500)", "5h 12min")[n % 2],
            limit=("over 3% in 30m", "over 4h")[n % 2],
            cases=(f"{AGENT}:{n}", f"{AGENT}:{n + 1}"),
            told=began,
            acknowledged=began if rest != 1 else None,
            acknowledged_by="ana@example.com" if rest != 1 else None,
            ended=None if rest < 3 else began + timedelta(hours=1),
        )
        await ledger.begin_alert(row)


def _record(chance: random.Random, n: int, begun: datetime, until: datetime) -> CaseRecord:
    case, state = f"{AGENT}:{n}", chance.choices(_ENDS, _ODDS)[0]
    took = timedelta(seconds=chance.expovariate(1 / 1_800))
    questions = _questions(chance, case, begun)
    took += (questions[0].ended or begun) - questions[0].asked if questions else timedelta(0)
    ended = begun + took if begun + took < until else None
    errors = tuple(
        ErrorRow(
            case, k, AGENT, "rebook", begun, chance.choice(_KINDS), chance.randint(1, 4), "502"
        )
        for k in range(chance.choices((0, 1, 2), (93, 5, 2))[0])
    )
    own = str(Decimal(chance.randint(1, 3_000)) / 100) if chance.random() < 0.2 else None
    row = CaseRow(
        case=case,
        run_id=f"run-{n}",
        agent=AGENT,
        build="2026.11",
        policy=f"{AGENT} v2",
        trigger="event",
        event_digest="d",
        requester=None,
        parent=f"{AGENT}:{(n - 1) // 8 * 8}" if n and chance.random() < 0.03 else None,
        begun=begun,
        ended=ended,
        state=state if ended else "working",
        cost=str(Decimal(chance.randint(0, 90_000)) / 1_000_000),
        currency="EUR" if chance.random() < 0.95 else "USD",
        value=own if state == "done" and ended else None,
        pilot=state == "piloted",
        writes=int(n % 4 > 0),
        questions=sum(each.kind != "planted" for each in questions),
        escalated=sum(each.escalated is not None for each in questions),
        errors=len(errors),
    )
    decided = DecisionRow(case, 1, AGENT, "choose", begun, "i", _kind(chance), None, 0.9)
    # One of twelve ended before it decided anything.
    return CaseRecord(row, (decided,) if n % 12 else (), questions, errors)


def _kind(chance: random.Random) -> str | None:
    return "Rebook" if chance.random() < 0.8 else None


def _questions(chance: random.Random, case: str, begun: datetime) -> tuple[QuestionRow, ...]:
    if chance.random() > 0.2:
        return ()
    end = begun + timedelta(seconds=chance.lognormvariate(6.5, 1))
    planted = chance.random() < 0.3
    return (
        QuestionRow(
            case=case,
            gate=f"gate-{case}",
            agent=AGENT,
            step="rebook",
            kind="planted" if planted else "write",
            roles=("logistics-lead",),
            asked=begun,
            escalated=end if chance.random() < 0.1 and not planted else None,
            ended=end,
            how="approved",
            by=("ana@example.com",),
            proven=True,
            looked=chance.expovariate(1 / 40) if chance.random() < 0.9 else None,
        ),
    )


def _effect(record: CaseRecord) -> dict[str, Any]:
    case = record.case
    failed = case.state == "failed"
    return {
        "key": f"{case.case}/rebook/1",
        "case_id": case.case,
        "agent": AGENT,
        "step": "rebook",
        "digest": _DIGEST,
        "action": {},
        "policy": "p",
        "state": EffectState.NOT_DONE if failed else EffectState.DONE,
        "owner": "o",
        "deadline": case.begun,
        "begun": case.begun,
        "ended": case.ended,
        "attempt": 1,
        "alone": not case.questions,
        "share": 0.05,
    }


def _verdict(record: CaseRecord) -> dict[str, Any]:
    case = record.case
    refused = Kind.REFUSE if case.state == "refused" else Kind.PASS
    return {
        "case_id": case.case,
        "agent": AGENT,
        "step": "rebook",
        "key": f"{case.case}/rebook/1",
        "digest": "d",
        "at": case.begun,
        "kind": Kind.HOLD if case.questions else refused,
        "findings": (),
        "policy": "p",
        "autonomy": "full",
        "pilot": case.pilot,
        "action": {},
    }
