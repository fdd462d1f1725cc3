"""What payloads are converted to: an event that another program sent keeps its numbers' digits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ConfigDict
from temporalio.api.common.v1 import Payload

from handrail import Event
from handrail.runtime.interceptors import FitPayloads

LONG = "100000000000000000.01"


class Bill(Event):
    """A bill came."""

    amount: Decimal


class StrictBill(Event):
    """A bill came, of a share that is a number and no text."""

    model_config = ConfigDict(strict=True)

    share: float


class NewBill(Event):
    """A bill came, by a class that has changed since."""

    amount: Decimal
    payee: str


def converted(data: str, kind: type[Event], encoding: bytes = b"json/plain") -> Any:
    payload = Payload(metadata={"encoding": encoding}, data=data.encode())
    return FitPayloads().from_payloads([payload], [kind])[0]


def test_an_event_keeps_every_digit() -> None:
    assert converted(f'{{"amount": {LONG}}}', Bill).amount == Decimal(LONG)
    assert converted('{"share": 0.10000000000000001}', StrictBill).share == 0.1


def test_so_does_one_whose_class_has_changed() -> None:
    came = converted(f'{{"amount": {LONG}}}', NewBill)
    assert (came.amount, came.payee) == (Decimal(LONG), None)


def test_what_is_no_json_is_an_error_as_ever() -> None:
    with pytest.raises(Exception, match="JSON"):
        converted("{", Bill)
