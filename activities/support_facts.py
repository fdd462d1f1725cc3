"""What the support agent knows, may do, and shows of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, Field
from typing_extensions import override

from handrail import Action, Event, From, Untrusted

Came = Literal["refunded", "replaced", "answered", "people"]
Handling = Literal["refund", "replace", "answer", "people"]
Record = Literal["ticket", "note", "follow_up"]

EUR = Field(json_schema_extra={"unit": "EUR"})


class Message(Event):
    """What a customer wrote: `account` was signed in at the shop, `sender` is who a mail says."""

    number: str = Field(min_length=1, max_length=80, pattern=r"^[\w-]+$")
    channel: Literal["shop", "mail"]
    account: str | None = None
    sender: Untrusted | None = None
    text: Untrusted

    @property
    @override
    def key(self) -> str:
        return self.number


class Customer(BaseModel, frozen=True):
    """Who has bought something. `refunds`: how many in the last 90 days.

    Without an address: what a mail says of its sender would be known again in it.
    """

    id: str
    name: Untrusted
    refunds: int = Field(ge=0)


class Order(BaseModel, frozen=True):
    """What was bought, `days` ago by its delivery. `total` is EUR; `stock`: more of them."""

    id: str
    customer: str
    article: str
    total: Decimal = Field(gt=0, max_digits=9, decimal_places=2)
    status: Literal["placed", "shipped", "delivered"]
    days: int = Field(ge=0)
    refunded: bool
    replaced: bool
    stock: int


class Known(BaseModel, frozen=True):
    """What the shop knows of who wrote. `spoilt`: ids of orders whose record is wrong."""

    customer: Customer | None = None
    orders: tuple[Order, ...] = ()
    spoilt: tuple[str, ...] = ()


class Refund(Action):
    """Give a customer the money of an order back (EUR), the way it was paid."""

    order: Annotated[str, From(Order, "id")]
    amount: Annotated[Decimal, From(Order, "total"), EUR] = Field(
        gt=0, max_digits=9, decimal_places=2
    )


class Replace(Action):
    """Send the article of an order once more."""

    order: Annotated[str, From(Order, "id")]
    article: str


class File(Action):
    """Keep at the desk what came of a message: a ticket, a note on the customer, a follow-up."""

    record: Record
    number: str
    """Of the message."""
    customer: str | None
    order: Annotated[str | None, From(Order, "id")] = None
    came: Came
    queue: Literal["solved", "people"]


class Seen(BaseModel, frozen=True, extra="forbid"):
    """The evidence: what rules and approvers see of a message and of the order it is about."""

    intent: str
    handling: Handling
    channel: Literal["shop", "mail"]
    customer: str = "nobody"
    refunds: int = 0
    order: str | None = None
    status: Literal["placed", "shipped", "delivered"] | None = None
    days: int = 0
    refunded: bool = False
    model: str = ""
    """The version of the classifier."""

    def of(self, customer: Customer, order: Order | None) -> Seen:
        """The same of a customer, and of the order that it is about."""
        known: dict[str, object] = {"customer": customer.id, "refunds": customer.refunds}
        if order is not None:
            known |= order.model_dump(include={"status", "days", "refunded"}) | {"order": order.id}
        return Seen.model_validate(self.model_dump() | known)


class Made(BaseModel, frozen=True):
    """What an outside system made: its id there."""

    id: str


class RefundDue(Event):
    """What the refunds agent is handed, where refunds are not the shop's."""

    order: str
    customer: str
    amount: Decimal

    @property
    @override
    def key(self) -> str:
        return f"refund-{self.order}"
