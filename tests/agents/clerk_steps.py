"""Steps of an agent that has a model decide about mails."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field
from typing_extensions import override

from handrail import (
    Action,
    Effect,
    Event,
    Final,
    FreeText,
    From,
    Prompt,
    Untrusted,
    decide,
    read,
    write,
)
from handrail.integrations.models import Model, Price, converse
from handrail.testing import Outside
from tests.agents.clerk_model import CLERK

PRICE = Price(input=Decimal(1000), output=Decimal(10000), currency="EUR")
MODEL = Model(CLERK, price=PRICE, temperature=0, max_tokens=20, timeout=timedelta(seconds=5))


class Mail(Event):
    """What a customer wrote."""

    number: str
    customer: str
    body: Untrusted

    @property
    @override
    def key(self) -> str:
        return self.number


class Order(BaseModel):
    """What was bought."""

    id: str
    total: Decimal
    note: Untrusted


class Refund(Action):
    """Give money back."""

    order: Annotated[str, From(Order, "id")]
    amount: Annotated[Decimal, Field(gt=0), From(Order, "total")]
    words: Annotated[str, FreeText] = ""


class Cancel(Action):
    """Cancel an order."""

    order: Annotated[str, From(Order, "id")]


class Known(BaseModel):
    """What is known of the customer."""

    customer: str


ORDERS = [
    Order(id="o1", total=Decimal(30), note=Untrusted(untrusted="gift")),
    Order(id="o2", total=Decimal(45), note=Untrusted(untrusted="")),
]


@read
async def orders_of(customer: str) -> list[Order]:
    """Look up what a customer bought."""
    await Outside.current().do("orders", customer)
    return ORDERS


@decide(model=MODEL, tries=2)
async def judge(mail: Mail, orders: list[Order]) -> Prompt[Refund | Cancel, Known]:
    """Decide what is owed to a customer who wrote."""
    return Prompt(
        "Decide whether the customer gets their money back for one of their orders.",
        evidence=Known(customer=mail.customer),
        data={"mail": mail, "orders": orders},
    )


@write(idempotent=True)
async def unpay(action: Refund, effect: Effect) -> None:
    """Take a refund back, if there is one."""
    assert effect.undoes is not None
    await Outside.current().do("unpay", effect.undoes.key, action.order)


@write(undo=unpay, idempotent=True)
async def refund(action: Refund, effect: Effect) -> str:
    """Give money back."""
    return await Outside.current().put("refund", effect.key, f"{action.order} {action.amount}")


class Closed(Action):
    """Tell what was done for the customer."""

    words: Annotated[str, FreeText]


@write
async def post_letter(action: Closed, effect: Effect) -> str:
    """Post a letter, through a service that takes no key."""
    return await Outside.current().do("letter", effect.key, action.words)


@read
async def order_of(number: str, deep: bool = False) -> Order:  # noqa: FBT001, FBT002  # as models say it
    """Look up one order by its number."""
    await Outside.current().do("order", number)
    found = next((order for order in ORDERS if order.id == number), None)
    if found is None:
        raise Final(f"there is no order {number}")
    return found


@converse(model=MODEL, tools=[order_of, refund, post_letter], rounds=25, tries=2)
async def help_customer(mail: Mail) -> Prompt[Cancel | Closed, Known]:
    """Do for a customer what they may have."""
    return Prompt(
        "Do what the customer wants, as far as they may have it.",
        evidence=Known(customer=mail.customer),
        data={"mail": mail},
    )


@converse(model=MODEL, tools=[order_of], rounds=2)
async def dither(mail: Mail) -> Prompt[Cancel, Known]:
    """Come to no end."""
    return Prompt("Look.", evidence=Known(customer=mail.customer), data={"mail": mail})
