"""The shop's customers and orders, from a seed. A few orders are wrong, as in every shop."""

import random
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

SEED = 11
CUSTOMERS = 160
WRONG = 0.03
"""Share of orders that a careless import has spoilt."""

ARTICLES: Mapping[str, tuple[str, int]] = {
    "teapot": ("34.90", 40),
    "desk lamp": ("49.00", 25),
    "running shoes": ("89.95", 30),
    "rain jacket": ("119.00", 18),
    "phone case": ("14.50", 200),
    "coffee grinder": ("64.00", 12),
    "headphones": ("139.00", 20),
    "bread knife": ("27.80", 60),
    "yoga mat": ("32.00", 45),
    "board game": ("44.90", 0),
    "backpack": ("74.00", 22),
    "wool blanket": ("58.00", 0),
    "garden chair": ("210.00", 6),
    "keyboard": ("79.00", 33),
}
"""Price (EUR) and pieces in stock of each; there is no board game and no blanket any more."""

_FIRST = ("Ana", "Bo", "Cem", "Dee", "Eli", "Fay", "Gil", "Hana", "Ivo", "Jun", "Kai", "Lea", "Mia")
_LAST = (
    "Ahrens",
    "Blom",
    "Cruz",
    "Dorn",
    "Engel",
    "Falk",
    "Ito",
    "Jansen",
    "Klein",
    "Lund",
    "Novak",
)


def customers(seed: int = SEED) -> list[dict[str, Any]]:
    """Who has bought something: id, name, email, and how often money went back in 90 days."""
    of = random.Random(f"customers/{seed}")  # noqa: S311 - seeded, not secret
    found: list[dict[str, Any]] = []
    for number in range(CUSTOMERS):
        name = f"{of.choice(_FIRST)} {of.choice(_LAST)}"
        mail = f"{name.lower().replace(' ', '.')}{number}@customers.example.com"
        refunds = of.choices([0, 1, 2, 4], [80, 13, 4, 3])[0]
        found.append({"id": f"C{100 + number}", "name": name, "email": mail, "refunds": refunds})
    return found


def orders(people: Sequence[Mapping[str, Any]], seed: int = SEED) -> list[dict[str, Any]]:
    """What they bought: one to three orders each, in every state, a few of them spoilt."""
    of = random.Random(f"orders/{seed}")  # noqa: S311 - seeded, not secret
    found: list[dict[str, Any]] = []
    for who in people:
        for _ in range(of.choices([1, 2, 3], [5, 3, 2])[0]):
            article = of.choice(list(ARTICLES))
            status = of.choices(["delivered", "shipped", "placed"], [80, 13, 7])[0]
            found.append(
                {
                    "id": f"R{40_000 + 7 * len(found)}",
                    "customer": who["id"],
                    "article": article,
                    "total": str(Decimal(ARTICLES[article][0]) * of.choices([1, 2], [9, 1])[0]),
                    "status": status,
                    "days": of.choices([of.randint(1, 28), of.randint(31, 60)], [9, 1])[0]
                    if status == "delivered"
                    else 0,
                    "refunded": False,
                    "replaced": False,
                }
                | _spoilt(of)
            )
    return found


def _spoilt(of: random.Random) -> dict[str, Any]:
    if of.random() >= WRONG:
        return {}
    return of.choice(
        [{"total": "-34.90"}, {"total": "n/a"}, {"status": "DELIVRD"}, {"days": -4}, {"total": ""}]
    )
