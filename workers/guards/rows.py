"""What the run found out, row by row."""

from __future__ import annotations

from dataclasses import dataclass


class NotFired(Exception):
    """A guard did not do what it is for."""


@dataclass(frozen=True)
class Row:
    """One guard that fired: on which consignment, and what was said of it."""

    guard: str
    consignment: str
    said: str

    @property
    def line(self) -> str:
        """It as a line of a table."""
        said = " ".join(self.said.split()).replace("|", "\\|").replace("<", "&lt;")
        return f"| {self.guard} | {self.consignment} | {said} |"


def require(true: bool, otherwise: str) -> None:  # noqa: FBT001  # what must be true
    """See that something is true of the world outside.

    Raises:
        NotFired: if it is not.
    """
    if not true:
        raise NotFired(otherwise)
