"""The steps of the support agent, which answers what customers of a shop write.

It talks to the shop over HTTP (`SUPPORT_SHOP_URL`), to the desk's Roundup (`SUPPORT_DESK_URL`,
with the secret `DESK_PASSWORD`), and to a mail server (`SUPPORT_SMTP`). What a message is about
says a classifier that was fitted to what people have labelled; everything else is arithmetic.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import quote

from pydantic import ValidationError

from activities.support_choice import ANSWERS, about, classifier, doubts, handled
from activities.support_facts import (
    Came,
    Customer,
    File,
    Known,
    Made,
    Message,
    Order,
    Record,
    Refund,
    Replace,
    Seen,
)
from activities.support_systems import (
    PATIENCE,
    content,
    desk,
    get_shop,
    send,
    shop,
    shop_url,
    write_headers,
)
from handrail import Decision, Effect, Final, current_effect, decide, notify, read, write

CONFLICT = 409


# Reading


@read
async def look_up(message: Message) -> Known:
    """Read who wrote, and what they bought; what the shop has wrong is set aside and named."""
    said = message.account or (message.sender.text if message.sender else "")
    found = await get_shop("/customers", email=said.strip().lower()[:200])
    if not found:
        return Known()
    customer = Customer.model_validate(found[0])
    orders, spoilt = list[Order](), list[str]()
    for each in await get_shop("/orders", customer=customer.id):
        try:
            orders.append(Order.model_validate(each))
        except ValidationError:
            spoilt.append(str(each["id"]))
    return Known(customer=customer, orders=tuple(orders), spoilt=tuple(spoilt))


async def order_now(order: str) -> Order:
    """An order as it is now.

    Raises:
        Final: if there is none, or its record is wrong.
        httpx2.HTTPError: if the shop cannot answer now.
    """
    try:
        return Order.model_validate(await get_shop(f"/orders/{quote(order, safe='')}"))
    except ValidationError as error:
        raise Final(f"the shop's record of {order} is wrong") from error


@read
async def refunds_by() -> Literal["shop", "refunds"]:
    """Who gives money back: the shop, or the refunds agent (`SUPPORT_REFUNDS_BY`)."""
    return "refunds" if os.environ.get("SUPPORT_REFUNDS_BY") == "refunds" else "shop"


# Deciding


@decide(local=True, timeout=timedelta(seconds=60))
def choose(message: Message, known: Known) -> Decision[Refund | Replace, Seen]:
    """Say what a message is about, and what is due; people get what is not sure."""
    text, model = message.text.text, classifier(shop_url())
    guess = model.guess([text])[0]
    order, why = about(text, known)
    doubt = doubts(text, guess.intent, guess.confidence, model) or (why if order is None else "")
    if guess.intent in ANSWERS and known.customer is not None:
        doubt = doubts(text, guess.intent, guess.confidence, model)
    handling, reason = ("people", doubt) if doubt else handled(guess.intent, order)
    action: Refund | Replace | None = None
    if handling == "refund" and order is not None:
        action = Refund(order=order.id, amount=order.total)
    elif handling == "replace" and order is not None:
        action = Replace(order=order.id, article=order.article)
    seen = Seen(
        intent=guess.intent, handling=handling, channel=message.channel, model=model.version
    )
    if known.customer is not None:
        seen = seen.of(known.customer, order)
    why = f"{guess.intent} ({guess.confidence:.0%}): {reason}"
    return Decision(action=action, rationale=why, confidence=guess.confidence, evidence=seen)


@decide
def file_as(
    message: Message, known: Known, order: str | None, came: Came, record: Record
) -> Decision[File, Seen]:
    """Say what the desk keeps of a message."""
    who = known.customer
    own = next((each.id for each in known.orders if each.id == order), None)
    action = File(
        record=record,
        number=message.number,
        customer=who.id if who else None,
        order=own,
        came=came,
        queue="people" if came == "people" else "solved",
    )
    seen = Seen(intent="", handling="people", channel=message.channel)
    return Decision(action=action, rationale=came, confidence=1, evidence=seen)


# Writing


@write(idempotent=True)
async def cancel_refund(action: Refund, effect: Effect) -> None:
    """Take a refund back that is not paid out yet, if there is one."""
    del action
    for made in await get_shop("/refunds", key=_undone(effect)):
        content(await shop().delete(f"/made/{made['id']}"))


@write(undo=cancel_refund, idempotent=True)
async def refund(action: Refund, effect: Effect) -> Made:
    """Refund under the effect's key, which the shop takes once, for ever."""
    answer = await shop().post(
        "/refunds",
        json={"order": action.order, "amount": str(action.amount)},
        headers={"Idempotency-Key": effect.key},
    )
    return Made(id=content(answer)["id"])


@write(idempotent=True)
async def cancel_replacement(action: Replace, effect: Effect) -> None:
    """Unpack a replacement, if there is one."""
    del action
    for made in await get_shop("/replacements", reference=_undone(effect)):
        content(await shop().delete(f"/made/{made['id']}"))


async def find_replacement(action: Replace, effect: Effect) -> Made | None:
    """Look for the parcel by its reference."""
    del action
    found = await get_shop("/replacements", reference=effect.key)
    return Made(id=found[0]["id"]) if found else None


@write(undo=cancel_replacement, find=find_replacement, settles=PATIENCE)
async def replace(action: Replace, effect: Effect) -> Made:
    """Send it again; the shop takes no key, and can be searched by the reference."""
    answer = await shop().post(
        "/replacements", json={"order": action.order, "reference": effect.key}
    )
    return Made(id=content(answer)["id"])


@write(idempotent=True, secrets=("DESK_PASSWORD",))
async def withdraw(action: File, effect: Effect) -> None:
    """Mark a record as withdrawn, if it is there and still as it was."""
    kind = _kind(action)
    found = await _filed(kind, _undone(effect))
    if found is None:
        return
    at = f"/rest/data/{kind}/{found.id}"
    now = await desk().get(at)
    content(now)
    headers = {"If-Match": now.headers["etag"], **write_headers()}
    content(await desk().patch(at, json={"queue": "withdrawn"}, headers=headers))


@write(undo=withdraw, idempotent=True, secrets=("DESK_PASSWORD",))
async def file(action: File, effect: Effect) -> Made:
    """File it at the desk under the effect's key, which Roundup takes once."""
    kind = _kind(action)
    body = {
        "title": _title(action),
        "customer": action.customer,
        "queue": action.queue,
        "message": action.number,
        "about": action.order,
        "effect": effect.key,
    }
    if kind == "issue":
        body["status"] = "unread" if action.queue == "people" else "resolved"
    if action.record == "follow_up":
        body["due"] = f"{datetime.now(UTC) + timedelta(days=3):%Y-%m-%d}"
        body["status"] = "deferred"
    answer = await desk().post(f"/rest/data/{kind}", json=body, headers=write_headers())
    if answer.status_code == CONFLICT and (had := await _filed(kind, effect.key)):
        return had
    return Made(id=content(answer)["data"]["id"])


def _title(action: File) -> str:
    about = f" {action.order}" if action.order else ""
    return f"{action.record} {action.number}: {action.came}{about}"


def _kind(action: File) -> str:
    return "note" if action.record == "note" else "issue"


async def _filed(kind: str, key: str) -> Made | None:
    answer = await desk().get(f"/rest/data/{kind}", params={"effect:": key})
    found = content(answer)["data"]["collection"]
    return Made(id=found[0]["id"]) if found else None


def _undone(effect: Effect) -> str:
    if effect.undoes is None:
        raise Final("it only ever takes something of this agent back")
    return effect.undoes.key


# Telling


@notify
async def answer(number: str, customer: str, intent: str, order: str | None, came: Came) -> None:
    """Mail the customer what came of their message, at the address that the shop has."""
    (found,) = await get_shop("/customers", id=customer)
    text = await _words(intent, order, came)
    await send(found["email"], f"Your message {number}", text, current_effect().key)


async def _words(intent: str, order: str | None, came: Came) -> str:
    if came == "answered" and intent in ANSWERS:
        return ANSWERS[intent]
    if came == "answered" and order is not None:
        return f"Your order {order} is {(await order_now(order)).status}."
    return {
        "refunded": f"We have refunded your order {order}, the way you paid it.",
        "replaced": f"We are sending the article of your order {order} once more.",
    }.get(came, "A colleague reads your message, and answers within a day.")
