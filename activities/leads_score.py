"""How likely a customer buys again within the next 39 weeks: nine sums of the orders, weighted.

A logistic regression, learnt once by ``python -m benchmarks.agents.leads --fit`` from 70 % of
CDNOW's customers (those with crc32(id) % 10 < 7); the weights below are what it came to.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from pydantic import BaseModel, Field

from activities.models import chosen

VERSION = "cdnow-1"
QUALIFIED = 0.69
"""A customer from here on is a lead: the top tenth of those it was learnt from."""

_SEASON, _MONTH = 13, 5
"""Weeks within which purchases are counted once more."""

BASE = -1.1094
WEIGHTS = (1.0023, 0.0517, -0.4070, 0.0646, 0.1271, 0.0224, 0.0645, 0.0199, -0.1988)


LEAST, TOP = 0.6, 0.9
"""A customer whose score is lower is never a lead, nor whose score is not in the top tenth."""


class Weights(NamedTuple):
    """What a score goes by. `qualified`: from where on a customer is a lead."""

    version: str
    base: float
    weights: tuple[float, ...]
    qualified: float


CDNOW = Weights(VERSION, BASE, WEIGHTS, QUALIFIED)


class Order(BaseModel, frozen=True):
    """What a customer bought on a day."""

    day: date
    items: int = Field(ge=0)
    amount: Decimal = Field(ge=0)


def facts(orders: Sequence[Order], on: date) -> list[float]:
    """What the orders until a day say of the customer; nothing where there are none."""
    known = [order for order in orders if order.day <= on]
    days = sorted({order.day for order in known})
    if not days:
        return []
    since, age = _weeks(days[-1], on), _weeks(days[0], on)
    gap = _weeks(days[0], days[-1]) / (len(days) - 1) if len(days) > 1 else age
    lately = [_weeks(day, on) for day in days]
    return [
        math.log(len(days)),
        math.log1p(since),
        since / 10,
        age / 10,
        math.log1p(float(sum(order.amount for order in known))),
        math.log1p(sum(order.items for order in known)),
        math.log1p(sum(weeks < _SEASON for weeks in lately)),
        math.log1p(sum(weeks < _MONTH for weeks in lately)),
        math.log1p(since / (gap + 1)),
    ]


def score(orders: Sequence[Order], on: date, by: Weights = CDNOW) -> float:
    """The probability that the customer buys again; 0 of one who never bought."""
    seen = facts(orders, on)
    if not seen:
        return 0.0
    return 1 / (1 + math.exp(-by.base - sum(w * x for w, x in zip(by.weights, seen, strict=True))))


def weights() -> Weights:
    """The weights in use: those above, until others are put into use."""
    found = chosen("leads", lambda: packed(CDNOW))
    return CDNOW if found is None else unpacked(*found)


def packed(known: Weights) -> bytes:
    """Weights as they are kept; their version is the digest of it."""
    return json.dumps(known[1:]).encode()


def unpacked(version: str, kept: bytes) -> Weights:
    """Weights that were kept."""
    base, each, qualified = json.loads(kept)
    return Weights(version, base, tuple(each), qualified)


def fit(rows: Sequence[Sequence[float]], buys: Sequence[bool]) -> Weights:
    """Weights for facts of which it is known whether the customer bought again.

    Raises:
        ValueError: if all did, or none.
    """
    import numpy as np  # noqa: PLC0415  # only where something is learnt
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    if len(set(buys)) != 2:  # noqa: PLR2004  # who did, and who did not
        raise ValueError(f"{sum(buys)} of {len(buys)} bought again; fix: give it both kinds")
    model: Any = LogisticRegression(max_iter=5000)
    given = np.array(rows)
    learnt = model.fit(given, np.array(buys))
    top = float(np.quantile(learnt.predict_proba(given)[:, 1], TOP))
    each = tuple(round(float(weight), 4) for weight in learnt.coef_[0])
    return Weights("", round(float(learnt.intercept_[0]), 4), each, round(max(top, LEAST), 2))


def _weeks(first: date, last: date) -> float:
    return (last - first).days / 7
