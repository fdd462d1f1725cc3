"""CDNOW's form: lines of customer, day (YYYYMMDD), number of items, and amount."""

import importlib.util
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from world.folders import set_aside, text_of

LEARNT = 7
"""Of ten customers, how many the score was learnt from."""

_COLUMNS = (4, 5)


class Bought(NamedTuple):
    """One order."""

    day: date
    items: int
    amount: str


Shop = dict[str, list[Bought]]


def packaged() -> Path:
    """CDNOW within the installed package, which is not imported.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    found = importlib.util.find_spec("lifetimes")
    if found is None or found.origin is None:
        raise FileNotFoundError("CDNOW is not installed: uv sync --group company")
    return Path(found.origin).parent / "datasets" / "CDNOW_master.txt"


def read(files: Iterable[Path]) -> Shop:
    """The orders of each customer; a line of another form is set aside, a head is none.

    A sample of CDNOW has one column more, the customer's number in it, which is passed over.

    Raises:
        ValueError: if there are none.
    """
    shop: Shop = defaultdict(list)
    for file in files:
        for number, line in enumerate(text_of(file).splitlines(), 1):
            cells = re.split(r"[,;\s]+", line.strip())
            try:
                bought = _order(*cells[-3:]) if len(cells) in _COLUMNS else None
            except (ValueError, ArithmeticError):
                bought = None
            if bought is not None:
                shop[cells[0]].append(bought)
            elif line.strip() and (number > 1 or any(map(str.isdigit, line))):
                set_aside(f"{file.name}:{number}", f"it is no order: {line:.60}")
    if not shop:
        raise ValueError("there are no lines of customer, YYYYMMDD, items, amount")
    return dict(shop)


def _order(day: str, items: str, amount: str) -> Bought | None:
    """What three cells say, unless they are none; `day` is YYYYMMDD."""
    at = date.fromisoformat(f"{day[:4]}-{day[4:6]}-{day[6:]}")
    return Bought(at, int(items), amount) if int(items) >= 0 <= Decimal(amount) else None


def middle(shop: Shop) -> date:
    """The day until which the orders are known: half of all the time that the data has."""
    days = [order.day for orders in shop.values() for order in orders]
    return min(days) + timedelta(days=(max(days) - min(days)).days // 2)


def held_out(customer: str) -> bool:
    """Whether nothing was learnt from a customer."""
    return zlib.crc32(customer.encode()) % 10 >= LEARNT


def bought_after(orders: Iterable[Bought], day: date) -> bool:
    """The truth: whether the customer bought again."""
    return any(order.day > day for order in orders)
