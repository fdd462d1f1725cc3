"""Bank statements in MT940: what is in a file, whether it adds up, and why it is set aside.

No line of a file is lost: the lines that the file has are counted apart from those that were read,
and a statement in which they differ is set aside whole. What payers wrote is kept as it came.
"""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import mt940
from mt940.options import Options
from pydantic import BaseModel

Fault = Literal[
    "",
    "it holds no statement",
    "it cannot be read",
    "it has no opening or closing balance",
    "its lines do not add up to its closing balance",
    "lines of it were not read",
    "it is of another account",
    "it came before, with other lines",
]

# It logs the very text that it cannot read, with who paid whom.
logging.getLogger("mt940").setLevel(logging.CRITICAL)

_OPTIONS = Options.all()
_LINE = re.compile(r"^:61:", re.MULTILINE)
_FIRST = re.compile(r"^(?=:20:)", re.MULTILINE)
_CHARGED = re.compile(r"/(OCMT|CHGS)/[A-Z]{3}([\d.,]+)")
_OPENING = ("final_opening_balance", "intermediate_opening_balance")
_CLOSING = ("final_closing_balance", "intermediate_closing_balance")
_TEXTS = ("purpose", "additional_purpose", "transaction_details", "non_swift_text")


class Line(BaseModel, frozen=True):
    """A line of a statement: `amount` is negative where money went out.

    `original` and `charges`: what the payer sent and what banks kept of it, as the bank says, not
    the payer. `payer`, `account`, `reference` and `text` are whatever the payer wrote.
    """

    statement: str
    number: int
    day: date
    amount: Decimal
    original: Decimal = Decimal(0)
    charges: Decimal = Decimal(0)
    payer: str = ""
    account: str = ""
    reference: str = ""
    text: str = ""


class BankStatement(BaseModel, frozen=True):
    """One statement. `fault`: why it is set aside; then its lines are not to be used."""

    id: str
    account: str = ""
    number: int = 0
    sequence: int = 0
    day: date = date.min
    opening: Decimal = Decimal(0)
    closing: Decimal = Decimal(0)
    lines: tuple[Line, ...] = ()
    held: int = 0
    """How many lines the file has of it, read or not."""
    fault: Fault = ""


def statements_in(text: str) -> list[BankStatement]:
    """The statements of a file; at least one, which says what is wrong where there is none."""
    head, *blocks = _FIRST.split(text.replace("\r\n", "\n").removeprefix("\ufeff"))
    held = len(_LINE.findall(head))
    found = [_statement(block) for block in blocks]
    if held or not found:
        found.insert(0, BankStatement(id="", held=held, fault="it holds no statement"))
    return found


def gaps(statements: Iterable[BankStatement]) -> list[str]:
    """The statements that do not begin where the one before them of their account ends."""
    order = sorted(
        statements, key=lambda each: (each.account, each.day, each.number, each.sequence)
    )
    return [
        after.id
        for before, after in itertools.pairwise(order)
        if before.account == after.account and before.closing != after.opening
    ]


def _statement(block: str) -> BankStatement:
    held = len(_LINE.findall(block))
    # The library raises whatever a malformed tag leads to.
    try:
        [parsed] = mt940.parse_statements(block, options=_OPTIONS)
        return _judged(parsed, held)
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ):
        return BankStatement(id="", held=held, fault="it cannot be read")


def _judged(parsed: Any, held: int) -> BankStatement:
    said: dict[str, Any] = parsed.data
    opening, closing = (
        next((said[name] for name in names if said.get(name)), None)
        for names in (_OPENING, _CLOSING)
    )
    account = re.sub(r"[^A-Z0-9]", "", str(said.get("account_identification", "")).upper())
    number, sequence = _number(said.get("statement_number")), _number(said.get("sequence_number"))
    dated = closing or opening
    day = _day(dated.date) if dated else date.min
    own = f"{account}-{day:%Y%m%d}-{number}-{sequence}"
    lines = tuple(_line(own, n, each.data) for n, each in enumerate(parsed, 1))
    fault: Fault = ""
    if len(lines) != held:
        fault = "lines of it were not read"
    elif opening is None or closing is None:
        fault = "it has no opening or closing balance"
    elif opening.amount.amount + sum(each.amount for each in lines) != closing.amount.amount:
        fault = "its lines do not add up to its closing balance"
    return BankStatement(
        id=own,
        account=account,
        number=number,
        sequence=sequence,
        day=day,
        opening=opening.amount.amount if opening else Decimal(0),
        closing=closing.amount.amount if closing else Decimal(0),
        lines=lines,
        held=held,
        fault=fault,
    )


def _line(statement: str, number: int, said: dict[str, Any]) -> Line:
    charged = {
        name: _amount(amount) for name, amount in _CHARGED.findall(said.get("extra_details") or "")
    }
    return Line(
        statement=statement,
        number=number,
        day=_day(said["date"]),
        amount=said["amount"].amount,
        original=charged.get("OCMT", Decimal(0)),
        charges=charged.get("CHGS", Decimal(0)),
        payer=said.get("applicant_name") or "",
        account=said.get("applicant_iban") or said.get("gvc_applicant_iban") or "",
        reference=said.get("end_to_end_reference") or said.get("customer_reference") or "",
        text=" ".join(str(said[name]) for name in _TEXTS if said.get(name)),
    )


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text.replace(".", "").replace(",", ".").rstrip("."))
    except InvalidOperation:
        return Decimal(0)


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0


def _day(at: date) -> date:
    return date(at.year, at.month, at.day)
