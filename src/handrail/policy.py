"""What an agent may do alone, who may allow more, and how long they have.

A `Policy` gives pure answers, without clock, network or database. It is made from a
policy file that was judged in full against the steps of its agent: a file with faults is
refused with all of them at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from handrail.actions import Ask, Finding, Kind, Limit, Terms
from handrail.approvals import Approval, Count, Roles, enough
from handrail.asking import ask
from handrail.exceptions import ConfigurationError, HandrailError, PolicyError
from handrail.policy_file import read
from handrail.policy_judge import judge
from handrail.policy_parts import AgentShape, Condition, Entry, Facts, WriteShape, chain
from handrail.policy_text import Faults, Stamp, content_of, stamp_of
from handrail.policy_values import WHOLE, same_person
from handrail.rules import RuleFailed, nearest

__all__ = [
    "AgentShape",
    "Approval",
    "Facts",
    "Limit",
    "NobodyMayApprove",
    "Policy",
    "PolicyFile",
    "WriteShape",
    "load",
    "parse",
    "share_of",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NobodyMayApprove(HandrailError):
    """What would be held, and nobody may approve: it is to be refused."""

    def __init__(self, why: str) -> None:
        super().__init__(f"nobody may approve it: {why}")


@dataclass(frozen=True)
class Policy:
    """A policy that was found sound. Made by `load` and `parse`.

    `label` names agent, version and the first 8 hex digits of the file's SHA-256. `proof`
    says whether a ruling counts although nobody checked who sent it; None leaves it to the
    settings. `drafter`: whether who wrote an amendment may approve it. `notes` are worth
    reading, and no faults.
    """

    label: str
    agent: str
    version: int
    owner: str
    proof: Literal["required", "unproven"] | None
    drafter: bool
    notes: tuple[str, ...]
    _shape: AgentShape = field(repr=False)
    _roles: Roles = field(repr=False)
    _default: str = field(repr=False)
    _entries: Mapping[str, Entry] = field(repr=False)
    _silent: frozenset[str] = field(repr=False)
    _planted: int = field(repr=False)

    def refusals(self, facts: Facts) -> list[Finding]:
        """The refuse-rules that are true. One that could not be judged is among `holds`."""
        entry = self._entries.get(facts.step)
        if entry is None or not entry.refuse:
            return []
        return [found for found in _judged(entry.refuse, facts, Kind.REFUSE) if _refuses(found)]

    def holds(self, facts: Facts) -> list[Finding]:
        """Why a human is asked: autonomy, hold-rules, and rules that could not be judged."""
        entry = self._entries.get(facts.step)
        if entry is None:
            return self._unlisted(facts.step)
        refusing = _judged(entry.refuse, facts, Kind.REFUSE)
        failed = [finding for finding in refusing if not _refuses(finding)]
        holding = _judged(entry.hold, facts, Kind.HOLD)
        return [*self._autonomy(entry, facts), *failed, *holding]

    def role_for(self, step: str) -> str:
        """The role that is asked about `step` where no hold-rule names another.

        An undo that the file does not list asks whom its write asks.
        """
        if step in self._entries:
            return self._entries[step].role
        shape = self._shape.writes.get(step)
        undone = sorted(shape.undoes & self._entries.keys()) if shape else []
        return self._entries[undone[0]].role if undone else self._default

    def asks(
        self,
        findings: Sequence[Finding],
        facts: Facts,
        now: datetime,
        standing: Mapping[str, Sequence[str]] | None = None,
        *,
        barred: Sequence[str] = (),
    ) -> tuple[Ask, ...]:
        """Whom to ask: one chain for each role that holds, without roles that may not approve it.

        A holding finding without a role, such as a data check's, asks the role of the step.
        `standing`: who stands in for whom by a delegation for a time. `barred`: who may not
        approve it beside the requester.

        Raises:
            NobodyMayApprove: if all people together could not approve it.
        """
        held = (finding for finding in findings if finding.kind is Kind.HOLD)
        roles = dict.fromkeys(finding.role or self.role_for(facts.step) for finding in held)
        chains = [chain(self._roles.docs, role) or (self._default,) for role in roles]
        chains = [self._able(names, facts) for names in chains]
        self._somebody(chains, facts, barred)
        return tuple(ask(self._roles, names, now, standing or {}) for names in chains)

    def default_asks(self, step: str, now: datetime, facts: Facts | None = None) -> tuple[Ask, ...]:
        """Whom to ask about `step` when no rule says so: a write in doubt, a failed undo.

        With `facts` without the roles that may not approve it. Somebody is always asked: the
        last role, where none may approve it.
        """
        names = chain(self._roles.docs, self.role_for(step))
        if facts is not None:
            able = [name for name in names if self._roles.too_much(name, facts) is None]
            names = tuple(able) or names[-1:]
        return (ask(self._roles, names, now, {}),)

    def asks_of(self, role: str, now: datetime) -> tuple[Ask, ...]:
        """Whom to ask when an agent has a question for `role`.

        Raises:
            ConfigurationError: if the policy has no such role.
        """
        if role not in self._roles.docs:
            fix = nearest(role, self._roles.docs)
            raise ConfigurationError(f"the policy of {self.agent} has no role {role}; {fix}")
        return (ask(self._roles, chain(self._roles.docs, role), now, {}),)

    def unsatisfied(
        self,
        asks: Sequence[Ask],
        approvals: Sequence[Approval],
        facts: Facts,
        now: datetime,
        barred: Sequence[str] = (),
    ) -> list[str]:
        """What is still missing before this action may run, in words.

        `approvals` are those of exactly this action. Judged by the people, quorums and limits
        of this policy, whatever the asks say. A chain is satisfied by the quorum of one of its
        roles; a person counts for the own role and for those below, so that an approval from
        above completes a quorum below, and one from below never fills a quorum above. Nobody
        counts for two chains. `barred` (see there) never count.
        """
        names = [[stage.role for stage in ask.stages] for ask in asks]
        barring = _barring(facts, barred)
        return Count(self._roles, names, facts, now, barring).lacking(approvals)

    def barred(self, requester: str | None, drafters: Sequence[str]) -> tuple[str, ...]:
        """Who may not approve an action: who asked for it and, mostly, who wrote it."""
        return (*filter(None, [requester]), *(() if self.drafter else drafters))

    def cannot(
        self,
        by: str,
        facts: Facts,
        stands_for: str | None = None,
        via: str = "",
        *,
        barred: Sequence[str] = (),
    ) -> str | None:
        """Why `by` may not approve this action at all, in words; None if they may.

        `via`: by which channel the approval came.
        """
        given = Approval(by, _EPOCH, via, stands_for)
        for who in (given.who, given.seat):
            if who in (whys := _barring(facts, barred)):
                return f"{who} {whys[who]} and may not approve it"
        first = self._entries[facts.step].asked() if facts.step in self._entries else None
        roles = self._roles
        asked = {n for r in first or [self.role_for(facts.step)] for n in chain(roles.docs, r)}
        mine = [role for role in roles.of(given.seat) if role in asked]
        if not mine:
            return f"{given.seat} belongs to no role that may approve {facts.step}"
        whys = [roles.not_to(role, given) or roles.too_much(role, facts) for role in mine]
        return None if None in whys else whys[0]

    def cannot_answer(
        self, by: str, role: str, stands_for: str | None = None, via: str = ""
    ) -> str | None:
        """Why `by` may not answer a question to `role`, or to those above it; None if they may."""
        given = Approval(by, _EPOCH, via, stands_for)
        mine = [r for r in chain(self._roles.docs, role) if r in self._roles.of(given.seat)]
        whys = [self._roles.not_to(each, given) for each in mine]
        nobody = f"{given.seat} does not belong to {role}"
        return None if None in whys else next(iter(whys), nobody)

    def deputy(self, of: str, to: str) -> str | None:
        """Why `to` may not stand in for `of`; None if they may."""
        roles = self._roles.of(of)
        if not roles:
            return f"{of} belongs to no role, so nobody can stand in for them"
        if not any(same_person(to) in self._roles.deputies(role) for role in roles):
            return f"{to} is not among the deputies of {' or '.join(roles)}"
        return None

    def terms(
        self,
        step: str,  # noqa: ARG002  # terms may come to differ between steps and cases
        case: str,  # noqa: ARG002  # the same
        default_proof: Literal["required", "unproven"],
    ) -> Terms:
        """How gates judge under this policy. `default_proof` is what the settings say."""
        return Terms(proof=self.proof or default_proof, drafter=self.drafter, apart=True)

    def plants(self, step: str, case: str) -> bool:
        """Whether a bad action is asked about first, to see if people look, in this case."""
        return share_of(f"planted/{self.agent}", step, case) < self._planted

    def limits(self, step: str) -> tuple[Limit, ...]:
        """The limits of `step`."""
        entry = self._entries.get(step)
        return entry.limits if entry else ()

    def may_notify(self, step: str) -> Finding | None:
        """Why the notification `step` may not go out, or None when it may."""
        if step not in self._shape.notifies:
            why = f"{step} is no notification of {self.agent}"
        elif step in self._silent:
            why = f"the policy does not allow {step}"
        else:
            return None
        return Finding(check="notify", kind=Kind.REFUSE, why=why)

    def _unlisted(self, step: str) -> list[Finding]:
        shape = self._shape.writes.get(step)
        if shape is not None and shape.undoes:
            return []
        why = f"the policy does not list {step}"
        return [Finding(check="listed", kind=Kind.HOLD, why=why, role=self.role_for(step))]

    def _autonomy(self, entry: Entry, facts: Facts) -> list[Finding]:
        doc, step = entry.doc, facts.step
        share = WHOLE if doc.rollout is None else doc.rollout
        if doc.autonomy == "full" and share_of(self.agent, step, facts.case) < share:
            return []
        why = {
            "full": f"only {Decimal(share) / 100:f}% of the cases run alone, this one does not",
            "supervised": f"every {step} is held: its autonomy is supervised",
            "human_led": f"a human decides every {step}: its autonomy is human_led",
        }[doc.autonomy]
        check = "rollout" if doc.autonomy == "full" else "autonomy"
        return [Finding(check=check, kind=Kind.HOLD, why=why, role=entry.role)]

    def _able(self, names: tuple[str, ...], facts: Facts) -> tuple[str, ...]:
        """Those of a chain who may approve this action.

        Raises:
            NobodyMayApprove: if there is none.
        """
        whys = {name: self._roles.too_much(name, facts) for name in names}
        able = tuple(name for name, why in whys.items() if why is None)
        if not able:
            raise NobodyMayApprove("; ".join(filter(None, whys.values())))
        return able

    def _somebody(
        self, chains: Sequence[Sequence[str]], facts: Facts, barred: Sequence[str]
    ) -> None:
        whys = _barring(facts, barred)
        if enough(self._roles, chains, facts, whys):
            return
        without = "; ".join(f"{who} {why}" for who, why in whys.items())
        roles = " and ".join(dict.fromkeys(names[0] for names in chains))
        but = f", and {without}" if without else ""
        have = "does not have" if len(chains) == 1 else "do not have"
        raise NobodyMayApprove(f"{roles} {have} enough different people{but}")


def _barring(facts: Facts, barred: Sequence[str]) -> dict[str, str]:
    """Who may not approve, and why not."""
    whys = {same_person(who): "wrote it" for who in barred}
    asked_by = facts.requester
    return whys | ({same_person(asked_by): "asked for it"} if asked_by else {})


def share_of(agent: str, step: str, case: str) -> int:
    """Where a case falls in a rollout, 0 to 9,999: the same in every process, for ever."""
    key = case.partition(":")[2] or case
    digest = hashlib.sha256(f"{agent}/{step}/{key}".encode()).hexdigest()
    return int(digest, 16) % WHOLE


def _judged(conditions: Sequence[Condition], facts: Facts, kind: Kind) -> list[Finding]:
    """What rules say. One that cannot be judged holds, whatever it would have done."""
    named = facts.named() if conditions else {}
    return [finding for condition in conditions for finding in _judge(condition, named, kind)]


def _judge(condition: Condition, named: Mapping[str, Any], kind: Kind) -> list[Finding]:
    check = f"rule: {condition.rule.text}"
    try:
        match = condition.rule.evaluate(named)
    except RuleFailed as failed:
        why, kind = str(failed), Kind.HOLD
    else:
        if not match.true:
            return []
        why = f"{condition.why}: {' and '.join(match.because)}"
    roles = condition.roles if kind is Kind.HOLD else (None,)
    return [Finding(check=check, kind=kind, why=why, role=role) for role in roles]


def _refuses(finding: Finding) -> bool:
    return finding.kind is Kind.REFUSE


def load(path: Path, shape: AgentShape) -> Policy:
    """Read the policy file at `path` and judge it against what the agent can do.

    Raises:
        PolicyError: if it cannot be read, or has faults: all of them, with line and fix.
    """
    return parse(content_of(path)[0], str(path), shape)


def parse(text: str, path: str, shape: AgentShape) -> Policy:
    """Judge the text of a policy file; `path` is only named in faults.

    Raises:
        PolicyError: if it has faults: all of them, with line and fix.
    """
    faults = Faults(path)
    doc = read(text, faults)
    if doc is None:
        raise PolicyError(path, faults.texts())
    judged = judge(doc, faults, shape)
    if faults.found:
        raise PolicyError(path, faults.texts())
    return Policy(
        label=f"{doc.agent} v{doc.version} {hashlib.sha256(text.encode()).hexdigest()[:8]}",
        agent=doc.agent,
        version=doc.version,
        owner=doc.owner,
        proof=doc.proof,
        drafter=doc.drafter == "may approve",
        notes=judged.notes,
        _shape=shape,
        _roles=judged.roles,
        _default=judged.default,
        _entries=judged.entries,
        _silent=frozenset(step for step, said in doc.notify.items() if not said.allow),
        _planted=doc.planted,
    )


class PolicyFile:
    """A policy that follows its file: it is read again when the file has changed.

    Replace the file by renaming a finished one over it. One that is half written, broken
    or gone raises, and nothing is written until it is whole again.
    """

    def __init__(self, path: Path, shape: AgentShape) -> None:
        self.path = path
        self._shape = shape
        self._seen: tuple[Stamp | None, str, Policy] | None = None

    def current(self) -> Policy:
        """The policy in force now.

        Raises:
            PolicyError: if the file cannot be read or has faults.
        """
        try:
            if self._seen and self._seen[0] == stamp_of(self.path):
                return self._seen[2]
        except OSError:
            pass  # reading it says why
        text, stamp = content_of(self.path)
        known = self._seen and self._seen[1] == text
        policy = self._seen[2] if self._seen and known else parse(text, str(self.path), self._shape)
        self._seen = (stamp, text, policy)
        return policy
