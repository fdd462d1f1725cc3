"""What a policy is made of once its file was judged, and what it is asked about. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from handrail.actions import Action, Basis, Limit
from handrail.policy_file import ActionDoc, RoleDoc
from handrail.rules import CaseFact, Rule


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


@dataclass(frozen=True)
class Facts:
    """One write, as the rules see it. `case` is the id of the case (`agent:key`)."""

    step: str
    action: Action
    basis: Basis | None
    evidence: BaseModel | None
    case: str
    requester: str | None

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
class Entry:
    """What the file says of one write. `role`: whom a hold asks that names nobody."""

    doc: ActionDoc
    role: str
    refuse: tuple[Condition, ...]
    hold: tuple[Condition, ...]
    limits: tuple[Limit, ...]

    def asked(self) -> tuple[str, ...]:
        """The roles that it asks, without those to whom they escalate."""
        named = (role for condition in self.hold for role in condition.roles)
        return tuple(dict.fromkeys([self.role, *named]))


def chain(docs: Mapping[str, RoleDoc], first: str) -> tuple[str, ...]:
    """A role, and those to whom it escalates, in their order."""
    names: list[str] = []
    name = first
    while name in docs and name not in names:
        names.append(name)
        name = docs[name].deadline.to or ""
    return tuple(names)
