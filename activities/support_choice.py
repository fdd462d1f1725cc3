"""How the support agent understands a message: its classifier, and what speaks for a person."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import threading
from collections.abc import Sequence

import httpx2

from activities.models import chosen
from activities.support_facts import Handling, Known, Order
from activities.support_intents import Classifier, fit
from activities.support_systems import PATIENCE

DAYS = 30
"""So long after its delivery an order is refunded or replaced."""

ANSWERS = {
    "how_to_return": "Print a label at shop.example.com/returns, within 30 days; it costs nothing.",
    "shipping_cost": "Shipping is 4.90 EUR, 9.90 EUR abroad, and free from 60 EUR on.",
}
"""What everybody is told who asks for it."""

OTHER = "other"
"""What people call a message that is about none of the intents."""

_ORDER = re.compile(r"\bR\d{4,7}\b")
_MANY = re.compile(r"\b(all|every\w*|each|both|twice|orders)\b", re.IGNORECASE)
_ACCOUNT = re.compile(r"\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b")
_PART = re.compile(r"[.!?\n]+\s+|\s+(?=[Aa]lso\b)")
_WORDS = 4
"""From so many words on a part of a message has to say the same as the whole."""

_fitting = threading.Lock()


def about(text: str, known: Known) -> tuple[Order | None, str]:
    """The one order of the customer's own that a message names, or why there is none."""
    if known.customer is None:
        return None, "nobody known wrote it"
    named = set(_ORDER.findall(text.upper()))
    own = {order.id: order for order in known.orders}
    if named & set(known.spoilt):
        return None, "the shop's record of the order is wrong"
    if named - set(own):
        return None, "it names an order that is not theirs"
    if len(named) != 1:
        return None, "it does not name one order"
    return own[named.pop()], ""


def doubts(text: str, intent: str, confidence: float, model: Classifier) -> str:
    """Why a person should read a message; empty: nothing speaks against it."""
    if confidence < model.threshold:
        return f"not sure enough ({model.threshold:.0%})"
    if _MANY.search(text) or _ACCOUNT.search(text):
        return "it wants something of several orders, or names an account"
    parts = [each for each in _PART.split(text) if len(each.split()) >= _WORDS]
    others = [each for each in model.guess(parts) if each.intent != intent] if parts else []
    if any(each.confidence >= model.threshold / 2 for each in others):
        return "it wants two things"
    return ""


def handled(intent: str, order: Order | None) -> tuple[Handling, str]:
    """What is due for an intent that is sure, and why."""
    if intent in ANSWERS:
        return "answer", "what everybody is told"
    if order is None or intent not in {"refund", "replace", "status"}:
        return "people", "it is for people"
    if intent == "status":
        return "answer", f"{order.id} is {order.status}"
    if order.refunded or order.replaced:
        return "people", f"{order.id} was refunded or replaced already"
    if order.status != "delivered" or order.days > DAYS:
        return "people", f"{order.id} is {order.status}, {order.days} days ago"
    if intent == "refund":
        return "refund", f"{order.id} came {order.days} days ago"
    if order.stock <= 0:
        return "people", f"there is no {order.article} any more"
    return "replace", f"{order.stock} of {order.article} are in stock"


def classifier(shop: str) -> Classifier:
    """The classifier in use, fitted to what people of the desk have labelled; once in a process.

    Raises:
        httpx2.HTTPError: if the shop cannot say now what that is.
    """
    with _fitting:  # the first message pays, those that come meanwhile wait
        found = chosen("support", lambda: labelled(shop))
        return _fitted(labelled(shop)) if found is None else fitted(*found)


@functools.cache
def labelled(shop: str) -> bytes:
    """What people had labelled when the shop opened: what a first classifier is fitted to."""
    answer = httpx2.get(f"{shop}/history", timeout=PATIENCE.total_seconds()).raise_for_status()
    return packed([(row["text"], row["intent"]) for row in answer.json()])


def packed(rows: Sequence[tuple[str, str]]) -> bytes:
    """A classifier as it is kept: the messages that it is fitted to, which is the same each time.

    No pickle: whoever may write to where it is kept could have any code run by it.
    """
    return json.dumps(rows, ensure_ascii=False).encode()


@functools.lru_cache(maxsize=4)
def fitted(version: str, kept: bytes) -> Classifier:
    """A classifier that was kept."""
    return dataclasses.replace(_fitted(kept), version=version)


@functools.lru_cache(maxsize=4)
def _fitted(kept: bytes) -> Classifier:
    rows: list[tuple[str, str]] = json.loads(kept)
    inside = [row for row in rows if row[1] != OTHER]
    outside = [text for text, intent in rows if intent == OTHER]
    return fit([t for t, _ in inside], [i for _, i in inside], outside=outside)
