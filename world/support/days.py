"""Days of messages at the shop, from a seed; on one of them customers begin to write otherwise.

Until then they write as in the history. From the day on which the shop has an app, seven in ten
of the plain wishes come as people type into one. Every second message is looked at by people of
the desk by its evening, who say what it was about and what was right: that is all that may be
learnt from.
"""

import random
import zlib
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from world.support import messages
from world.support.messages import Said

BEGIN = date(2026, 3, 2)
DAYS, A_DAY = 42, 24
CHANGED = BEGIN + timedelta(days=21)
"""The day from which on customers have the app."""

APP_SHARE = 0.7
APP: Mapping[str, tuple[str, ...]] = {
    "refund": (
        "{a} not for me, cash back pls {o}",
        "sent it off monday, when do i see my cash {o}",
        "want my dough for {o}, {a} is meh",
        "{o} went back to u, pay up pls",
    ),
    "replace": (
        "{a} dead on arrival!! {o} need another asap",
        "{o} lid snapped off, swap?",
        "{a} kaputt, new 1 pls {o}",
        "{o} half the {a} missing, resend",
    ),
    "status": (
        "{o} any eta",
        "yo is {o} on the way or what",
        "{o} tracking stuck since tues",
        "still nothing at my door {o} ??",
    ),
    "how_to_return": (
        "wanna send stuff back how",
        "qr code for dropping the {a} off?",
        "returns??",
        "label wont print, how do i give the {a} back",
    ),
    "shipping_cost": (
        "delivery fee?",
        "u charge for sending to graz?",
        "free ship over how much",
        "whats p&p on the {a}",
    ),
    "cancel": (
        "nvm dont want {o} anymore",
        "{o} kill it pls",
        "wrong size, bin {o} b4 it ships",
        "scrap {o}",
    ),
    "address": (
        "moved flat, drop {o} at the new one",
        "new door nr 14 not 41",
        "{o} to my work pls",
        "wrong postcode on my profile",
    ),
    "complaint": (
        "ur app is trash and so is support",
        "driver chucked my parcel smh",
        "3 chats 0 help, im done",
        "worst shop ever tbh",
    ),
}
"""How customers with the app say each wish."""


class Came(NamedTuple):
    """A message of a day. `labelled`: people have looked at it by the evening."""

    day: date
    said: Said
    labelled: bool


def came(
    people: Sequence[Mapping[str, Any]],
    orders: Sequence[Mapping[str, Any]],
    changed: date = CHANGED,
    seed: int = 17,
) -> list[Came]:
    """All messages of the days, with their truth."""
    of = random.Random(f"days/{seed}")  # noqa: S311 - seeded, not secret
    owned = {order["id"]: order for order in orders}
    found: list[Came] = []
    for number, said in enumerate(messages.said(people, orders, DAYS * A_DAY, seed)):
        day, told = BEGIN + timedelta(days=number // A_DAY), said._replace(number=f"D{number}")
        intent, order = said.truth.intent, owned.get(said.truth.order or "")
        by_app = of.random() < APP_SHARE and day >= changed
        if said.truth.kind == "plain" and order is not None and by_app:
            text = of.choice(APP[intent]).format(o=order["id"], a=order["article"])
            told = told._replace(text=messages.typed(of, text))
        found.append(Came(day, told, zlib.crc32(told.number.encode()) % 2 == 0))
    return found
