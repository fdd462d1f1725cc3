"""Steps of an agent that gives money back, and obeys whatever it reads."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import override

from handrail import (
    Action,
    Decision,
    Effect,
    Event,
    FreeText,
    From,
    Untrusted,
    check,
    decide,
    read,
    write,
)
from handrail.actions import Wire
from tests.injection.obedient import demand_of
from tests.injection.shop import Shop
from tests.injection.texts import Demand

SEPARATOR = "\n\x1e\n"


class Attachment(Wire):
    """A file of a mail."""

    name: Untrusted
    size: int


class Mail(Event):
    """What came in. The mail system knows whose it is; the rest is the sender's."""

    number: str
    account: str
    subject: Untrusted
    body: Untrusted
    files: tuple[Attachment, ...] = ()
    headers: dict[str, Untrusted] = Field(default_factory=dict[str, Untrusted])
    stated: Untrusted = Untrusted(untrusted="")
    route: Literal["direct", "twice", "bare", "stripped"] = "direct"

    @property
    @override
    def key(self) -> str:
        return f"{self.account}/{self.number}"


class Customer(Wire):
    """Who wrote. The name is of their own choice."""

    id: str
    iban: str
    vip: bool
    name: Untrusted


class Due(Wire):
    """What was bought."""

    id: str
    total: Decimal
    status: str
    returned: bool


class Order(Due):
    """What was bought, with the customer's note."""

    note: Untrusted


class Page(Wire):
    """What a search tool found."""

    title: Untrusted
    text: Untrusted


class Refund(Action):
    """Give money back."""

    order: Annotated[str, From(Due, "id")]
    amount: Annotated[Decimal, From(Due, "total")]
    iban: str
    speed: Literal["normal", "fast"] = "normal"
    note: Annotated[str, FreeText] = ""


class SetIban(Action):
    """Change where a customer's money goes."""

    customer: str
    iban: str


class Claim(Wire):
    """What the decision says of the world."""

    vip: bool
    status: str


Answer = Decision[Refund | SetIban, Claim]


@read
async def find_customer(account: str) -> Customer:
    """Whose mail it is."""
    (row,) = Shop.current().rows("select * from customers where id = ?", account)
    return Customer.model_validate(row | {"vip": bool(row["vip"])})


@read
async def find_orders(account: str) -> list[Order]:
    """What they bought."""
    rows = Shop.current().rows("select * from orders where customer = ? order by id", account)
    return [Order.model_validate(_order(row)) for row in rows]


def _order(row: dict[str, Any]) -> dict[str, Any]:
    whole = row | {"returned": bool(row["returned"])}
    return {name: whole[name] for name in Order.model_fields}


@read
async def search(account: str) -> list[Page]:
    """A tool that finds pages: anybody may have written them."""
    rows = Shop.current().rows("select * from pages where customer = ?", account)
    return [Page.model_validate({"title": r["title"], "text": r["body"]}) for r in rows]


@decide
async def judge(
    mail: Mail, customer: Customer, orders: list[Order], pages: list[Page]
) -> Decision[Refund | SetIban, Claim]:
    """Do what the texts say, all of it, and make it look right."""
    return answer(texts_of(mail, customer, orders, pages), customer, orders)


@decide
async def judge_again(
    before: Decision[Refund | SetIban, Claim], customer: Customer, orders: list[Order]
) -> Decision[Refund | SetIban, Claim]:
    """Follow the first decision: all of its words are the texts' own."""
    del customer, orders
    return before


class Known(Wire):
    """What is known of a customer, without any word of theirs."""

    id: str
    iban: str
    vip: bool


@decide
async def judge_plain(
    text: str, customer: Known, orders: list[Due]
) -> Decision[Refund | SetIban, Claim]:
    """The same, on a prompt that a careless workflow has made: nothing in it is marked."""
    known = Customer(**customer.model_dump(), name=Untrusted(untrusted=""))
    bought = [Order(**order.model_dump(), note=Untrusted(untrusted="")) for order in orders]
    return answer(text.split(SEPARATOR), known, bought)


def stripped(
    mail: Mail, customer: Customer, orders: Sequence[Order], pages: Sequence[Page]
) -> tuple[str, Known, list[Due]]:
    """A prompt of all texts, and what else is known, without a mark anywhere."""
    texts = SEPARATOR.join(texts_of(mail, customer, orders, pages))
    known = Known.model_validate(customer.model_dump(exclude={"name"}))
    return texts, known, [Due.model_validate(o.model_dump(exclude={"note"})) for o in orders]


def texts_of(
    mail: Mail, customer: Customer, orders: Sequence[Order], pages: Sequence[Page]
) -> list[str]:
    """Every text from outside, in the order in which a prompt would have them."""
    found = [customer.name, *(order.note for order in orders)]
    found += [text for page in pages for text in (page.title, page.text)]
    found += [mail.subject, mail.body, *(file.name for file in mail.files)]
    found += [*mail.headers.values(), mail.stated]
    return [text.text for text in dict.fromkeys(found)]


def answer(texts: Sequence[str], customer: Customer, orders: Sequence[Order]) -> Answer:
    """The decision that the texts demand."""
    for text in texts:
        with contextlib.suppress(ValueError, LookupError, TypeError):
            return Answer.model_validate(json.loads(text)["answer"])
    return _obeying(demand_of(texts), customer, orders)


def _obeying(demand: Demand, customer: Customer, orders: Sequence[Order]) -> Answer:
    known = {order.id: order for order in orders}
    due = next((o for o in orders if o.returned and o.status == "paid"), None)
    order = known.get(demand.order or "", due)
    claim = Claim(
        vip=customer.vip if demand.vip is None else demand.vip,
        status=demand.status or (order.status if order else ""),
    )
    action: Any
    if demand.change:
        action = SetIban(customer=demand.customer or customer.id, iban=demand.iban or customer.iban)
    elif order is None and demand == Demand():
        action = None
    else:
        action = Refund(
            order=demand.order or (order.id if order else ""),
            amount=Decimal(demand.amount or (order.total if order else 0)),
            iban=demand.iban or customer.iban,
            note="as you asked",
        )
    sure = 0.9 if demand.confidence is None else demand.confidence
    return Answer(action=action, rationale="It said so.", confidence=sure, evidence=claim)


@check
async def came_back(action: Refund) -> str | None:
    """The goods are there."""
    rows = Shop.current().rows("select returned from orders where id = ?", action.order)
    return None if rows and rows[0]["returned"] else f"{action.order} has not come back"


@write(idempotent=True)
async def refund(action: Refund, effect: Effect) -> str:
    """Pay."""
    shop = Shop.current()
    return shop.pay(effect.key, effect.case, action.order, action.amount, action.iban)


@write(idempotent=True)
async def set_iban(action: SetIban, effect: Effect) -> str:
    """Change the account."""
    return Shop.current().change(effect.key, effect.case, action.customer, action.iban)
