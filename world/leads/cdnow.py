"""CDNOW's form: lines of customer, day (YYYYMMDD), number of items, and amount."""

import importlib.util
import zlib
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

LEARNT = 7
"""Of ten customers, how many the score was learnt from."""

_COLUMNS = 4


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
    """The orders of each customer; lines of another form (a head, say) are passed over."""
    shop: Shop = defaultdict(list)
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            cells = line.replace(",", " ").split()
            if len(cells) == _COLUMNS and len(cells[1]) == len("YYYYMMDD") and cells[1].isdigit():
                day = date.fromisoformat(f"{cells[1][:4]}-{cells[1][4:6]}-{cells[1][6:]}")
                shop[cells[0]].append(Bought(day, int(cells[2]), cells[3]))
    return dict(shop)


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
