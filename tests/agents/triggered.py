"""An agent that fulfils orders, which come by every way: HTTP, webhooks, files and time."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from pathlib import Path

from handrail import Event, Fleet, Schedule
from handrail.integrations.triggers import (
    Folder,
    HmacHeader,
    IncomingMail,
    Mail,
    RawEvent,
    Webhook,
)
from tests.agents.fleets import orders
from tests.agents.orders_steps import Order


def of_shop(came: RawEvent) -> Event | None:
    """The order of a shop's message: of others there is nothing to do."""
    said = came.json()
    if said["type"] != "order.paid":
        return None
    return Order(number=said["data"]["id"], amount=said["data"].get("amount", 50))


def of_csv(came: RawEvent) -> Event | None:
    number, _, amount = came.body.decode().strip().partition(",")
    return Order.model_validate({"number": number, "amount": amount})


def of_mail(mail: IncomingMail) -> Order:
    return Order(number=mail.id)


def of_time(at: datetime) -> Order:
    return Order(number=f"{at:%Y%m%dT%H%M%S}")


OWN = HmacHeader(header="X-Shop-Hmac", encoding="base64")
HOOKS = [
    Webhook(name="shop", event=of_shop, secret="SHOP"),  # noqa: S106  # a name
    Webhook(name="git", event=of_shop, secret="GIT", signed="github"),  # noqa: S106
    Webhook(name="pay", event=of_shop, secret="PAY", signed="stripe"),  # noqa: S106
    Webhook(name="chat", event=of_shop, secret="CHAT", signed="slack"),  # noqa: S106
    Webhook(name="own", event=of_shop, secret="OWN", signed=OWN),  # noqa: S106
]


def triggered(directory: Path) -> Fleet:
    """The fleet, with its policy and its folders in a directory."""
    folders = [
        Folder(name="drop", path=directory / "drop"),
        Folder(name="csv", path=directory / "csv", event=of_csv),
    ]
    desk = Mail(name="desk", address="desk@example.com", event=of_mail)
    timer = Schedule(name="timer", event=of_time, every=timedelta(seconds=2), overlap="allow_all")
    return orders(directory, triggers=[*HOOKS, *folders, timer, desk])


def message(number: str, **more: object) -> bytes:
    """What the shop sends of an order."""
    return json.dumps({"type": "order.paid", "data": {"id": number, **more}}).encode()


if "TRIGGERED" in os.environ:
    fleet = triggered(Path(os.environ["TRIGGERED"]))
