"""The report of a run, and its place in docs/demonstration.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.guards.rows import Row

PAGE = Path(__file__).parents[2] / "docs" / "demonstration.md"
BEGIN = "<!-- guards: written by `make guards` from a run, not by hand -->\n"
END = "<!-- end of guards -->"

ORDER = (
    "digest",
    "stop",
    "older",
    "scope",
    "source",
    "data",
    "refuse",
    "hold",
    "autonomy",
    "pilot",
    "cap",
    "duplicate",
    "normal",
    "limit",
    "secret",
    "verify",
    "review",
    "notification",
    "breaker",
    "budget",
    "none",
)
"""How the names of guards begin: in the order in which the door asks them."""


@dataclass(frozen=True)
class Comparison:
    """What another policy would have decided otherwise, as `handrail policy diff` has it."""

    name: str
    document: dict[str, Any]

    @property
    def line(self) -> str:
        """It as a line of a table."""
        moves = [
            f"{each['writes']} {each['before']} → {each['after']}"
            f" ({each['amounts']['extra_cost']} EUR)"
            for each in self.document["matrix"]
            if each["before"] != each["after"]
        ]
        moved = ", ".join(moves) or "none"
        return f"| {self.name} | {self.document['writes']} | {self.document['differ']} | {moved} |"


@dataclass(frozen=True)
class Report:
    """What came of a run. `faults`: which guards did not fire, or what was booked unasked."""

    rows: Sequence[Row]
    comparisons: Sequence[Comparison]
    faults: Sequence[str]
    cases: int
    booked: int

    @property
    def summary(self) -> str:
        """It in a sentence."""
        guards = len({row.guard for row in self.rows if not row.guard.startswith("none")})
        return (
            f"{guards} guards fired in {self.cases} cases; {self.booked} bookings were made, each "
            "of them let pass"
            if not self.faults
            else f"{len(self.faults)} faults; {guards} guards fired in {self.cases} cases"
        )

    def markdown(self) -> str:
        """It as the page shows it."""
        ordered = sorted(self.rows, key=_place)
        return "\n".join(
            [
                "| guard | consignment | what was said |",
                "|---|---|---|",
                *(row.line for row in ordered),
                "",
                f"{self.summary}. Judged again by `handrail policy diff`:",
                "",
                "| policy | writes | otherwise | before → after |",
                "|---|---|---|---|",
                *(each.line for each in self.comparisons),
                "",
            ]
        )


def _place(row: Row) -> int:
    places = (place for place, name in enumerate(ORDER) if row.guard.startswith(name))
    return next(places, len(ORDER))


def into_page(report: Report, page: Path = PAGE) -> None:
    """Put a report between its markers.

    Raises:
        ValueError: if the page has no place for it.
    """
    text = page.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{page} has no place for the table: {BEGIN.strip()} ... {END}")
    before, _, rest = text.partition(BEGIN)
    page.write_text(before + BEGIN + report.markdown() + END + rest.partition(END)[2])
