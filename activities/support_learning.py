"""How the support agent's classifier is learnt anew: from what people of the desk have labelled."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import date
from typing import Any

from pydantic import JsonValue

from activities.learners import Learner, held_back
from activities.support import choose, look_up
from activities.support_choice import classifier, labelled, packed
from activities.support_facts import Known, Message, Refund, Replace
from activities.support_intents import Classifier
from activities.support_systems import get_shop, shop_url
from handrail import Action, Untrusted
from handrail.actions import as_json
from handrail.evidence import ChosenAction, PastDecision

_WORD = re.compile(r"[^\W\d_]{2,}")


async def learn(until: date) -> bytes:
    """A classifier of the history, and of what was labelled until a day."""
    rows = await get_shop("/labelled", until=str(until))
    new = [(row["text"], row["intent"]) for row in rows if not held_back(row["number"])]
    return await asyncio.to_thread(_with_history, new)


def _with_history(new: list[tuple[str, str]]) -> bytes:
    return packed([*json.loads(labelled(shop_url())), *new])


async def seen(until: date) -> list[tuple[date, dict[str, Any]]]:
    """How messages look to the classifier in use: how sure it is, of what, by words it knows."""
    rows = await get_shop("/came", until=str(until))
    return await asyncio.to_thread(_looks, rows)


def _looks(rows: list[dict[str, Any]]) -> list[tuple[date, dict[str, Any]]]:
    model = classifier(shop_url())
    guesses = model.guess([row["text"] for row in rows])
    return [
        (
            date.fromisoformat(row["day"]),
            {
                "confidence": round(guess.confidence, 3),
                "intent": guess.intent,
                "known words": round(_known_words(row["text"], model), 3),
            },
        )
        for row, guess in zip(rows, guesses, strict=True)
    ]


def _known_words(text: str, model: Classifier) -> float:
    words = _WORD.findall(text.lower())
    return sum(word in model.words for word in words) / max(1, len(words))


async def past(until: date) -> list[tuple[date, PastDecision]]:
    """Labelled messages that nothing is learnt from, and what people did with each."""
    rows = await get_shop("/labelled", until=str(until))
    found: list[tuple[date, PastDecision]] = []
    for row in (row for row in rows if held_back(row["number"])):
        message = as_message(row)
        known = await look_up(message)
        action = _action(row, known)
        people = ChosenAction.of(action, _answers(row, action))
        given = {"message": as_json(message), "known": as_json(known)}
        each = PastDecision(case=f"support:{row['number']}", given=given, people=people)
        found.append((date.fromisoformat(row["day"]), each))
    return found


def as_message(row: dict[str, Any]) -> Message:
    """A message as it came in."""
    text = Untrusted(untrusted=row["text"])
    if row["channel"] == "shop":
        return Message(number=row["number"], channel="shop", account=row["from"], text=text)
    sender = Untrusted(untrusted=row["from"])
    return Message(number=row["number"], channel="mail", sender=sender, text=text)


def _action(row: dict[str, Any], known: Known) -> Action | None:
    order = next((each for each in known.orders if each.id == row["order"]), None)
    if order is None or row["came"] not in {"refunded", "replaced"}:
        return None
    if row["came"] == "refunded":
        return Refund(order=order.id, amount=order.total)
    return Replace(order=order.id, article=order.article)


def _answers(row: dict[str, Any], action: Action | None) -> dict[str, JsonValue]:
    """How people handled it; where they answered, of what it was about, too."""
    if action is not None:
        return {"handling": "refund" if isinstance(action, Refund) else "replace"}
    if row["came"] == "answered":
        return {"handling": "answer", "intent": row["intent"]}
    return {"handling": "people"}


def acts(choice: ChosenAction) -> bool:
    """Whether it refunds, replaces or answers: all but to leave it to people."""
    return choice.answers.get("handling") != "people"


SUPPORT = Learner("support", choose, learn=learn, seen=seen, past=past, acts=acts)
