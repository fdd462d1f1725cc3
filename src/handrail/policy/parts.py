"""What a policy is made of once its file was compiled, and what it is asked about. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel

from handrail.actions import Action, Basis, Level
from handrail.policy.file import RoleDoc
from handrail.policy.rule_types import CaseFact
from handrail.policy.rules import Rule
from handrail.policy.setting import Setting
from handrail.policy.values import Tripping
from handrail.wire import Duplicates, Limit


@dataclass(frozen=True)
class WriteShape:
    """A write step as its agent declares it. `undoes` names the writes it takes back."""

    name: str
    action: type[Action]
    evidence: type[BaseModel] | None = None
    undo: str | None = None
    undoes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class AgentShape:
    """What an agent can do at all: its write steps and its notifications."""

    agent: str
    writes: Mapping[str, WriteShape]
    notifies: frozenset[str] = frozenset()

    def step_of(self, action: Action | None) -> str | None:
        """The one write step that takes an action; None if there is none, or there are more."""
        writes = (write for write in self.writes.values() if not write.undoes)
        found = [write.name for write in writes if write.action is type(action)]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class Facts:
    """One write, as the rules see it. `case` is the id of the case (`agent:key`).

    `setting`: what was set at run time; None leaves it at what the file says.
    """

    step: str
    action: Action
    basis: Basis | None
    evidence: BaseModel | None
    case: str
    requester: str | None
    setting: Setting | None = None

    def named(self) -> dict[str, Any]:
        """The facts under the names that rules use."""
        key = self.case.partition(":")[2] or self.case
        return {
            "action": self.action,
            "evidence": self.evidence,
            "confidence": self.basis.confidence if self.basis else None,
            "case": CaseFact(id=self.case, key=key, requester=self.requester),
        }


@dataclass(frozen=True)
class Condition:
    """A rule that refuses or holds, why, and the roles that are asked where it holds."""

    rule: Rule
    why: str
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Normal:
    """What is learned of one write: from `learn` of them on, and odd beyond `z` deviations.

    `amounts` and `targets` are fields such as `action.amount` or `evidence.vip`. `hour`: the
    time of the day. `rate`: how many there are. `mix`: which share of the agent's writes.
    """

    learn: int
    z: Decimal
    amounts: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    confidence: bool = False
    hour: bool = False
    rate: bool = False
    mix: bool = False


@dataclass(frozen=True)
class Review:
    """How many in 10,000 of what ran alone are looked at afterwards, and by which role.

    `ramp`: at least so many while only a share of the cases runs alone.
    """

    random: int
    unusual: int
    role: str
    ramp: int = 0

    @property
    def on_ramp(self) -> Review:
        """What of it holds while only a share of the cases runs alone."""
        return replace(self, random=max(self.random, self.ramp))


@dataclass(frozen=True)
class Breaker:
    """After `count` of `what` in `window` the agent's autonomy goes down to `then`."""

    what: Tripping
    count: int
    window: timedelta
    then: Level
    text: str


@dataclass(frozen=True)
class Budget:
    """At most `cap` in `window`: of tokens, or of cost in `unit`, an ISO currency."""

    kind: Literal["tokens", "cost"]
    cap: Decimal
    window: timedelta
    unit: str | None
    text: str


@dataclass(frozen=True)
class Control:
    """Who may turn the agent's autonomy, and which levels need two different people."""

    people: tuple[str, ...]
    two: frozenset[Level] = frozenset()


@dataclass(frozen=True)
class Entry:
    """What a policy says of one write, also of one that its file does not list.

    `role`: whom a hold asks that names nobody. `own`: the autonomy that the file itself gives
    it, before any cap. `most`: the highest level that any setting comes to, and `why_most`
    why no higher one. `mentions`: the facts that decide about it, such as `action.amount` or
    `confidence`; a field of a field stands there with those above it.
    """

    role: str
    own: Setting
    risk: str
    most: Level
    why_most: str
    listed: bool = True
    only: tuple[Condition, ...] = ()
    refuse: tuple[Condition, ...] = ()
    hold: tuple[Condition, ...] = ()
    limits: tuple[Limit, ...] = ()
    duplicates: Duplicates | None = None
    normal: Normal | None = None
    review: Review | None = None
    mismatch: Literal["incident", "roll back"] = "incident"
    mentions: frozenset[str] = frozenset()

    def capped(self, level: Level) -> Level:
        """What a setting of `level` comes to."""
        return self.most if level.exceeds(self.most) else level

    def asked(self) -> tuple[str, ...]:
        """The roles that it asks, without those to whom they escalate."""
        named = (role for condition in self.hold for role in condition.roles)
        return tuple(dict.fromkeys([self.role, *named]))


def unlisted(step: str, role: str, limits: tuple[Limit, ...]) -> Entry:
    """What a policy says of a write that its file leaves out: a person approves each."""
    why = f"the policy does not list {step}"
    own = Setting(Level.SUPERVISED, label=why)
    return Entry(role, own, "high", own.level, why, listed=False, limits=limits)


def chain(docs: Mapping[str, RoleDoc], first: str) -> tuple[str, ...]:
    """A role, and those to whom it escalates, in their order."""
    names: list[str] = []
    name = first
    while name in docs and name not in names:
        names.append(name)
        name = docs[name].deadline.to or ""
    return tuple(names)
