"""An action says itself in one line: what people are asked, and what Temporal's UI shows."""

from __future__ import annotations

from decimal import Decimal

import pytest

from handrail import Action
from handrail.agent.escalation import said_in_a_line, ui_line


class Transfer(Action):
    """Send money."""

    to: str
    amount: Decimal

    @property
    def summary(self) -> str:
        return f"{self.amount} EUR to {self.to}" if self.amount else str(1 / self.amount)


class Wordless(Action):
    """Say nothing of itself."""

    amount: Decimal


class WithField(Action):
    """Has a field of that name, which is no word of the action's own."""

    summary: str


@pytest.mark.parametrize(
    ("kind", "action", "says"),
    [
        (Transfer, {"to": "Ida", "amount": "9.50"}, "9.50 EUR to Ida"),
        (Transfer, {"to": "a\u202eb\nc", "amount": "1"}, "1 EUR to a\\u202eb c"),
        (Transfer, {"to": "Ida", "amount": "0"}, ""),
        (Transfer, {"to": "Ida"}, ""),
        (Transfer, {"to": "x" * 900, "amount": "1"}, None),
        (Wordless, {"amount": "1"}, ""),
        (WithField, {"summary": "anybody's text"}, ""),
    ],
)
def test_an_action_says_itself(
    kind: type[Action], action: dict[str, str], says: str | None
) -> None:
    said = said_in_a_line(kind, action)
    assert len(said) <= 160
    assert "\n" not in said
    assert says is None or said == says


def test_temporal_takes_the_line_in_any_script() -> None:
    assert ui_line("write", "pay", "") == "write: pay"
    assert len(ui_line("write", "pay", "漢" * 200).encode()) <= 300
