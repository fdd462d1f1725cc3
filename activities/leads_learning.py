"""How the leads agent's score is learnt anew: from customers whom people of sales have judged."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

from activities.leads import qualify
from activities.leads_facts import Entry, OpenLead, Visit
from activities.leads_quality import Record, normal
from activities.leads_score import Order, Weights, facts, fit, packed, score, weights
from activities.leads_systems import ask
from activities.learners import Learner, held_back
from handrail.actions import as_json
from handrail.evidence import ChosenAction, PastDecision

LATELY = timedelta(days=28)
"""What people said longer ago is not learnt from: it is of how customers bought then."""


async def learn(until: date) -> bytes:
    """Weights of what people of sales said lately of customers."""
    rows = (await ask("/labelled", until=str(until))).json()
    known = [row for row in rows if _day(row) > until - LATELY and not held_back(row["customer"])]
    given = [facts(_orders(row), _day(row)) for row in known]
    return packed(await asyncio.to_thread(fit, given, [row["worth"] for row in known]))


async def seen(until: date) -> list[tuple[date, dict[str, Any]]]:
    """How customers look to the score in use: how likely, how often, how lately, for how much."""
    by = await asyncio.to_thread(weights)
    rows = (await ask("/came", until=str(until))).json()
    return [(_day(row), _look(_orders(row), _day(row), by)) for row in rows]


def _look(orders: list[Order], on: date, by: Weights) -> dict[str, Any]:
    return {
        "score": round(score(orders, on, by), 3),
        "days with orders": len({order.day for order in orders}),
        "days since": (on - max(order.day for order in orders)).days,
        "amount": float(sum(order.amount for order in orders)),
    }


async def past(until: date) -> list[tuple[date, PastDecision]]:
    """Customers that nothing is learnt from, and whether people of sales had them called."""
    rows = (await ask("/labelled", until=str(until))).json()
    found: list[tuple[date, PastDecision]] = []
    for row in (row for row in rows if held_back(row["customer"])):
        entry = Entry(name=row["name"], mail=row["mail"], city=row["city"])
        who = normal(Record(code="", name=entry.name, mail=entry.mail, city=entry.city))
        lead = OpenLead(customer=row["customer"], name=who.name, mail=who.mail, city=who.city)
        given: dict[str, Any] = {
            "visit": as_json(Visit(on=_day(row), customer=row["customer"])),
            "orders": row["orders"],
            "entry": as_json(entry),
            "on_file": [],
        }
        people = ChosenAction.of(lead if row["worth"] else None)
        each = PastDecision(case=f"leads:{row['customer']}", given=given, people=people)
        found.append((_day(row), each))
    return found


def _day(row: dict[str, Any]) -> date:
    return date.fromisoformat(row["day"])


def _orders(row: dict[str, Any]) -> list[Order]:
    return [Order(**order) for order in row["orders"]]


LEADS = Learner("leads", qualify, learn=learn, seen=seen, past=past)
