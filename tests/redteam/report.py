"""What came of the attacks, counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass
class Count:
    """How many attacks of one family were made, and how many were accepted."""

    attacks: int = 0
    accepted: int = 0


@dataclass
class Report:
    """What came of the attacks on one fleet.

    `genuine`: rulings by those who may, and of them `genuine_accepted`. `cases`: that were
    attacked, and of them `wedged`: did not end as people ruled. `unallowed`: effects that
    nobody allowed; `missing`: effects that were allowed and did not happen. `found`: each
    attack that was accepted, in words.
    """

    seed: int
    counts: dict[str, Count] = field(default_factory=dict[str, Count])
    genuine: int = 0
    genuine_accepted: int = 0
    cases: int = 0
    wedged: list[str] = field(default_factory=list[str])
    unallowed: list[str] = field(default_factory=list[str])
    missing: list[str] = field(default_factory=list[str])
    found: list[str] = field(default_factory=list[str])
    took: timedelta = timedelta(0)

    @property
    def attacks(self) -> int:
        """How many attacks were made."""
        return sum(count.attacks for count in self.counts.values())

    @property
    def accepted(self) -> int:
        """How many of them were accepted."""
        return sum(count.accepted for count in self.counts.values())

    @property
    def clean(self) -> bool:
        """No attack was accepted, every genuine ruling was, and nothing else went wrong."""
        wrong = (self.accepted, self.wedged, self.unallowed, self.missing)
        return not any(wrong) and self.genuine == self.genuine_accepted

    def attack(self, family: str, name: str, *, accepted: bool, what: str = "") -> None:
        """Count one attack."""
        count = self.counts.setdefault(family, Count())
        count.attacks += 1
        if accepted:
            count.accepted += 1
            self.found.append(f"{family}: {name}{f': {what}' if what else ''}")

    def ruled(self, *, accepted: bool, what: str) -> None:
        """Count one ruling by somebody who may."""
        self.genuine += 1
        self.genuine_accepted += accepted
        if not accepted:
            self.found.append(f"a genuine ruling was refused: {what}")

    def add(self, other: Report) -> None:
        """Add what came of more attacks."""
        for family, count in other.counts.items():
            mine = self.counts.setdefault(family, Count())
            mine.attacks += count.attacks
            mine.accepted += count.accepted
        self.genuine += other.genuine
        self.genuine_accepted += other.genuine_accepted
        self.cases += other.cases
        self.wedged += other.wedged
        self.unallowed += other.unallowed
        self.missing += other.missing
        self.found += other.found
        self.took += other.took

    def markdown(self) -> str:
        """The counts as a table, and whatever went wrong."""
        rows = [
            f"| {family} | {count.attacks:,} | {count.accepted:,} |"
            for family, count in sorted(self.counts.items())
        ]
        sums = (
            f"Seed {self.seed}: {self.attacks:,} attacks on {self.cases:,} cases in "
            f"{self.took.total_seconds():.0f} s, {self.accepted:,} accepted; "
            f"{self.genuine:,} genuine rulings, {self.genuine_accepted:,} accepted; "
            f"{len(self.wedged)} cases wedged; {len(self.unallowed)} effects that nobody "
            f"allowed, {len(self.missing)} that were allowed and are missing."
        )
        wrong = [f"- {each}" for each in self._wrong()[:50]]
        return "\n".join(["| attack | made | accepted |", "|---|--:|--:|", *rows, "", sums, *wrong])

    def _wrong(self) -> list[str]:
        return [
            *self.found,
            *(f"wedged: {each}" for each in self.wedged),
            *(f"nobody allowed: {each}" for each in self.unallowed),
            *(f"missing: {each}" for each in self.missing),
        ]
