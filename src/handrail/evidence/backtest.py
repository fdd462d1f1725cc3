"""Backtest of a policy: what it would have said of writes that were decided before. Pure.

What was recorded of each write is judged again: scopes, rules, sources, autonomy and rollout by
the policy alone; limits and duplicates against what would have been written before it. What the
policy cannot know is carried over as it was found: data checks, and what is normal.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from handrail.actions import Finding, Kind, Level
from handrail.agent import source_finding
from handrail.ledger import (
    LimitMeasure,
    OverLimit,
    counting_of,
    duplicates_counted,
    exceed,
    measured,
    number,
    same_words,
    together,
)
from handrail.policy import AgentShape, Facts, NobodyMayApprove, Policy, Setting
from handrail.text import moment_in_words

if TYPE_CHECKING:
    from handrail.ledger import VerdictRow

CARRIED = ("check:", "normal")
"""How the names of checks begin whose findings are carried over: the policy cannot know them."""

_GRAVITY = (Kind.PASS, Kind.HOLD, Kind.REFUSE)


@dataclass
class Proposal:
    """One write that an agent proposed, with all that was recorded of it.

    `first`: the first verdict on it. `found`: the latest word of each check that is carried
    over. `written`: the verdict under which it was written, perhaps as people had amended it;
    None if it was not.
    """

    first: VerdictRow
    key: str = ""
    found: dict[str, Finding] = field(default_factory=dict[str, Finding])
    written: VerdictRow | None = None

    def take(self, row: VerdictRow) -> None:
        """Add another verdict on it."""
        self.key = self.key or row.key
        if row.digest == self.first.digest:
            mine = [each for each in row.findings if each.check.startswith(CARRIED)]
            self.found.update({each.check: each for each in mine})
        if row.key and row.kind is Kind.PASS and not row.pilot:
            self.written = row


@dataclass(frozen=True)
class Outlook:
    """What a policy would have said: pass, hold, refuse, pilot or stop, and why."""

    kind: str
    findings: tuple[Finding, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, each reason once."""
        return tuple(dict.fromkeys(each.why for each in self.findings))

    def same(self, other: Outlook) -> bool:
        """Whether it says the same, for the same reasons, and asks the same people."""
        return (self.kind, self._core()) == (other.kind, other._core())

    def _core(self) -> set[tuple[str, str, str | None]]:
        return {(each.check, each.kind.value, each.role) for each in self.findings}


@dataclass(frozen=True)
class ReplayedWrite:
    """One write under two policies."""

    proposal: Proposal
    before: Outlook
    after: Outlook

    @property
    def changed(self) -> bool:
        """Whether it would have been decided otherwise."""
        return self.before.kind != self.after.kind


StepSettings = Mapping[str, Setting | None]
"""What is set at run time of each write; None leaves it at what a policy says."""


def proposals(rows: Iterable[VerdictRow]) -> list[Proposal]:
    """The writes that verdicts are about, in the order in which they were first judged.

    A write is judged more than once: in advance, at the door, and again with rulings, also as
    people amended it; and more than one write of a case may look alike.
    """
    found: list[Proposal] = []
    open_: dict[tuple[str, str], list[Proposal]] = defaultdict(list)
    for row in rows:
        mine = open_[row.case, row.step]
        proposal = next((each for each in mine if _belongs(each, row)), None)
        if proposal is None:
            proposal = Proposal(row)
            mine.append(proposal)
            found.append(proposal)
        proposal.take(row)
    return found


def _belongs(proposal: Proposal, row: VerdictRow) -> bool:
    if row.key and proposal.key:
        return row.key == proposal.key
    return not proposal.key and row.digest == proposal.first.digest


def replay_policies(
    found: Sequence[Proposal],
    shape: AgentShape,
    policies: tuple[Policy, Policy],
    settings: tuple[StepSettings, StepSettings],
) -> tuple[list[ReplayedWrite], list[Proposal]]:
    """What two policies say of each write; and those that today's code cannot read any more."""
    before, after = (
        _Replay(policy, shape, known) for policy, known in zip(policies, settings, strict=True)
    )
    replayed: list[ReplayedWrite] = []
    unreadable: list[Proposal] = []
    for proposal in found:
        facts = _facts(proposal.first, shape)
        if facts is None:
            unreadable.append(proposal)
            continue
        looks = (before.judge(proposal, facts), after.judge(proposal, facts))
        replayed.append(ReplayedWrite(proposal, *looks))
    return replayed, unreadable


def _facts(row: VerdictRow, shape: AgentShape) -> Facts | None:
    write = shape.writes.get(row.step)
    if write is None:
        return None
    try:
        action = write.action.model_validate(row.action)
    except ValidationError:
        return None
    evidence = _evidence(write.evidence, row)
    return Facts(row.step, action, row.basis, evidence, row.case, row.requester)


def _evidence(model: type[BaseModel] | None, row: VerdictRow) -> BaseModel | None:
    if model is None or row.basis is None:
        return None
    try:
        return model.model_validate(row.basis.evidence)
    except ValidationError:
        return None


class _Replay:
    """One policy, and what would have been written under it so far."""

    def __init__(self, policy: Policy, shape: AgentShape, settings: StepSettings) -> None:
        self._policy = policy
        self._shape = shape
        self._settings = settings
        self._written = _Simulation(policy)

    def judge(self, proposal: Proposal, facts: Facts) -> Outlook:
        """What it says of a write; what would have been written is counted."""
        facts = replace(facts, setting=self._settings.get(facts.step))
        undoing = bool(self._shape.writes[facts.step].undoes)
        setting = self._policy.setting(facts)
        if setting.level is Level.STOP:
            why = f"{facts.step} is stopped: {setting.label}"
            return Outlook("stop", (Finding(check="stop", kind=Kind.REFUSE, why=why),))
        findings = self._findings(proposal, facts, undoing=undoing)
        kind = _gravest(findings)
        if setting.level is Level.PILOT:
            return Outlook("pilot", tuple(findings))
        if kind is Kind.HOLD and (nobody := self._nobody(proposal, facts, findings)):
            return Outlook(Kind.REFUSE.value, (*findings, nobody))
        self._count(proposal, kind)
        return Outlook(kind.value, tuple(each for each in findings if each.kind is kind))

    def _findings(self, proposal: Proposal, facts: Facts, *, undoing: bool) -> list[Finding]:
        policy, row = self._policy, proposal.first
        source = source_finding(facts.basis, policy.of(facts.step).mentions)
        findings = [
            *policy.scope(facts),
            *filter(None, [source]),
            *([] if undoing else self._carried(proposal, facts.step)),
            *policy.rules(facts),
        ]
        if _gravest(findings) is not Kind.REFUSE:
            findings += self._written.repeated(row)
            findings += self._written.over(row)
        return findings

    def _carried(self, proposal: Proposal, step: str) -> list[Finding]:
        """What was found then; of what is normal only where this policy looks at it too."""
        watched = self._policy.of(step).normal is not None
        return [
            each for each in proposal.found.values() if watched or not each.check.startswith("nor")
        ]

    def _nobody(
        self, proposal: Proposal, facts: Facts, findings: Sequence[Finding]
    ) -> Finding | None:
        barred = self._policy.barred(facts.requester, ())
        try:
            self._policy.asks(findings, facts, proposal.first.at, barred=barred)
        except NobodyMayApprove as nobody:
            return Finding(check="approvers", kind=Kind.REFUSE, why=str(nobody))
        return None

    def _count(self, proposal: Proposal, kind: Kind) -> None:
        """Count what would have been written: what passes, and what held if it was then."""
        if kind is Kind.PASS:
            self._written.write(proposal.first)
        elif kind is Kind.HOLD and proposal.written is not None:
            self._written.write(proposal.written)


def _gravest(findings: Sequence[Finding]) -> Kind:
    return max((each.kind for each in findings), key=_GRAVITY.index, default=Kind.PASS)


@dataclass
class _RunningSum:
    """What was counted of one group, in the order of time, and the sum up to each."""

    at: list[datetime] = field(default_factory=list[datetime])
    sums: list[Decimal] = field(default_factory=lambda: [Decimal(0)])
    cases: list[str] = field(default_factory=list[str])

    def add(self, at: datetime, amount: Decimal, case: str) -> None:
        self.at.append(max(at, self.at[-1]) if self.at else at)
        self.sums.append(self.sums[-1] + amount)
        self.cases.append(case)

    def since(self, at: datetime) -> Decimal:
        return self.sums[-1] - self.sums[bisect_right(self.at, at)]


class _Simulation:
    """What would have been written under a policy, as its limits and duplicates count it."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._pages: dict[tuple[str, LimitMeasure, str], _RunningSum] = defaultdict(_RunningSum)

    def over(self, row: VerdictRow) -> list[Finding]:
        """The limit that a write would exceed."""
        evidence = row.basis.evidence if row.basis else None
        try:
            for what, limits in together(row.action, self._policy.of(row.step).limits).items():
                amount, group = measured(what, limits[0], row.action, evidence)
                page = self._pages[_where(row, whole=limits[0].whole), what, group]
                for limit in limits:
                    used = page.since(row.at - limit.window)
                    exceed(limit, amount, used, row.action, evidence)
        except OverLimit as over:
            check = f"limit: {over.limit.text}"
            return [Finding(check=check, kind=Kind.REFUSE, why=str(over))]
        return []

    def repeated(self, row: VerdictRow) -> list[Finding]:
        """The earlier write that a write is the same as."""
        same = self._policy.of(row.step).duplicates
        if same is None:
            return []
        evidence = row.basis.evidence if row.basis else None
        what = duplicates_counted(same)
        group = what.group(row.action, evidence)
        page = None if group is None else self._pages.get((row.step, what, group))
        if page is None or not page.since(row.at - same.within):
            return []
        words = same_words(same, row.action, evidence)
        at = moment_in_words(page.at[-1])
        why = f"the same as in {page.cases[-1]} at {at}: {words}"
        role = self._policy.of(row.step).role
        return [Finding(check="duplicate", kind=Kind.HOLD, why=why, role=role)]

    def write(self, row: VerdictRow) -> None:
        """Count a write."""
        evidence = row.basis.evidence if row.basis else None
        for whole, what in self._counted(row.step):
            amount, group = what.amount(row.action), what.group(row.action, evidence)
            if amount is not None and group is not None:
                page = self._pages[_where(row, whole=whole), what, group]
                page.add(row.at, amount, row.case)

    def _counted(self, step: str) -> Iterable[tuple[bool, LimitMeasure]]:
        entry = self._policy.of(step)
        counted = {(limit.whole, counting_of(limit)) for limit in entry.limits}
        same = entry.duplicates
        return counted | ({(False, duplicates_counted(same))} if same else set())


def _where(row: VerdictRow, *, whole: bool) -> str:
    return "*" if whole else row.step


# What came of it, in numbers


@dataclass(frozen=True)
class VerdictChange:
    """How many writes went from one verdict to another, and the amounts in them.

    `units`: what amounts are in; one that is in money by its currency has that in its name.
    """

    before: str
    after: str
    writes: int
    amounts: Mapping[str, Decimal]
    units: Mapping[str, str] = field(default_factory=dict[str, str])


def verdict_changes(
    replayed: Sequence[ReplayedWrite], numbers: Callable[[str], Sequence[str]]
) -> list[VerdictChange]:
    """How many went from which verdict to which. `numbers`: the amounts of a step's action."""
    found: dict[tuple[str, str], list[ReplayedWrite]] = defaultdict(list)
    for each in replayed:
        found[each.before.kind, each.after.kind].append(each)
    return [
        VerdictChange(*which, len(those), sums := _amounts(those, numbers), _units(those, sums))
        for which, those in sorted(found.items())
    ]


def _units(those: Sequence[ReplayedWrite], names: Iterable[str]) -> dict[str, str]:
    """The units of amounts, where all writes agree on them."""
    known = [each.proposal.first.units for each in those]
    said = {name: {units.get(f"action.{name}", "") for units in known} for name in names}
    return {name: unit for name, (unit, *more) in said.items() if unit and not more}


def _amounts(
    those: Sequence[ReplayedWrite], numbers: Callable[[str], Sequence[str]]
) -> dict[str, Decimal]:
    """The sums of the fields that are numbers, in each currency by itself."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for row in (each.proposal.first for each in those):
        currency = row.action.get("currency")
        unit = f" {currency}" if isinstance(currency, str) else ""
        for name in numbers(row.step):
            sums[f"{name}{unit}"] += number(row.action.get(name)) or Decimal(0)
    return dict(sorted(sums.items()))
