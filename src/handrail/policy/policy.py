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
from pathlib import Path
from typing import Literal

from handrail.actions import Ask, Duplicates, Finding, Kind, Level, Limit, Terms
from handrail.exceptions import ConfigurationError, HandrailError, PolicyError
from handrail.policy.asking import ask
from handrail.policy.compiler import judge
from handrail.policy.file import read_policy_file
from handrail.policy.findings import autonomy, judged, refuses, share_of, unmet
from handrail.policy.parts import (
    AgentShape,
    Breaker,
    Budget,
    Control,
    Entry,
    Facts,
    Normal,
    Review,
    Setting,
    SharedGuards,
    chain,
)
from handrail.policy.quorum import Approval, Count, Roles, enough
from handrail.policy.rules import nearest
from handrail.policy.values import same_person
from handrail.policy.yaml import Faults, Stamp, file_content, file_stamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NobodyMayApprove(HandrailError):
    """What would be held, and nobody may approve: it is to be refused."""

    def __init__(self, why: str) -> None:
        super().__init__(f"nobody may approve it: {why}")


@dataclass(frozen=True)
class Policy:
    """A policy that was found sound. Made by `load_policy` and `parse_policy`.

    `label` names agent, version and the first 8 hex digits of the file's SHA-256. `proof`
    says whether a ruling counts although nobody checked who sent it; None leaves it to the
    settings. `drafter`: whether who wrote an amendment may approve it. `notes` are worth
    reading, and no faults. `sha`: of the whole `text`.
    """

    label: str
    agent: str
    version: int
    owner: str
    proof: Literal["required", "unproven"] | None
    drafter: bool
    notes: tuple[str, ...]
    sha: str
    text: str = field(repr=False)
    _shape: AgentShape = field(repr=False)
    _roles: Roles = field(repr=False)
    _default: str = field(repr=False)
    _entries: Mapping[str, Entry] = field(repr=False)
    _silent: frozenset[str] = field(repr=False)
    _planted: int = field(repr=False)
    _guards: SharedGuards = field(repr=False)

    def refusals(self, facts: Facts) -> list[Finding]:
        """The refuse-rules that are true. One that could not be judged is among `holds`."""
        return [found for found in self.rules(facts) if refuses(found)]

    def holds(self, facts: Facts) -> list[Finding]:
        """Why a human is asked: autonomy, hold-rules, and rules that could not be judged."""
        return [found for found in self.rules(facts) if not refuses(found)]

    def rules(self, facts: Facts) -> list[Finding]:
        """What `refusals` and `holds` say together, each rule looked at once."""
        entry = self._entries.get(facts.step)
        if entry is None:
            return self._unlisted(facts.step)
        refusing = sorted(judged(entry.refuse, facts, Kind.REFUSE), key=refuses, reverse=True)
        first = sum(map(refuses, refusing))
        setting = self.setting(facts)
        level = autonomy(self.agent, facts, setting, entry.role)
        holding = judged(entry.hold, facts, Kind.HOLD)
        return [*refusing[:first], *level, *refusing[first:], *holding]

    def scope(self, facts: Facts) -> list[Finding]:
        """What of `only:` is not met: it refuses; what could not be judged holds."""
        entry = self._entries.get(facts.step)
        return unmet(entry.only, facts) if entry is not None else []

    def setting(self, facts: Facts) -> Setting:
        """How much the agent does of this write by itself, now.

        What was set at run time counts before what the file says, but neither is ever above
        the cap of its class of risk, nor full where it cannot be undone and the file does not
        say why it may run alone. What takes back a write runs, whatever is set.
        """
        entry = self._entries.get(facts.step)
        if entry is None:
            return self._unlisted_setting(facts)
        given = facts.setting or entry.own()
        most, why = entry.most
        if not given.level.exceeds(most):
            return given
        lowered = f"{given.label}; {most.value} instead of {given.level.value}: {why}"
        return Setting(most, label=lowered.removeprefix("; "))

    def capped(self, step: str, level: Level) -> Level:
        """What a setting of `level` comes to."""
        entry = self._entries.get(step)
        most = entry.most[0] if entry is not None else Level.SUPERVISED
        return most if level.exceeds(most) else level

    def why_capped(self, step: str) -> str:
        """Why no setting of `step` comes to more than it does, in words."""
        entry = self._entries.get(step)
        return entry.most[1] if entry is not None else f"the policy does not list {step}"

    def own_setting(self, step: str) -> Setting:
        """What the file itself says of the autonomy of `step`, before any cap."""
        entry = self._entries.get(step)
        return entry.own() if entry is not None else Setting(Level.SUPERVISED, label="not listed")

    def risk(self, step: str) -> str:
        """The class of risk of `step`: low, medium, high or critical."""
        entry = self._entries.get(step)
        return entry.risk if entry is not None else "high"

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
        """The limits of `step`, with those over all writes of the agent.

        What takes back a write and is not listed has none: no rate keeps an undo from running.
        """
        entry = self._entries.get(step)
        if entry is not None:
            return entry.limits
        return () if self._takes_back(step) else self._guards.limits

    def duplicates(self, step: str) -> Duplicates | None:
        """What makes a write of `step` the same as an earlier one; None where nothing does."""
        entry = self._entries.get(step)
        return entry.duplicates if entry is not None else None

    def normal(self, step: str) -> Normal | None:
        """What is learned of `step`, so that what is odd is held; None where nothing is."""
        entry = self._entries.get(step)
        return entry.normal if entry is not None else None

    def review(self, step: str) -> Review | None:
        """Which share of what ran alone is looked at afterwards; None where none is."""
        entry = self._entries.get(step)
        return entry.review if entry is not None else None

    def mismatch(self, step: str) -> Literal["incident", "roll back"]:
        """What follows when reading back a write finds something else than was written."""
        entry = self._entries.get(step)
        return entry.doc.mismatch if entry is not None else "incident"

    def mentions(self, step: str) -> frozenset[str]:
        """The facts that decide about `step`, such as `action.amount` or `confidence`.

        A field of a field stands there with those above it: `evidence.customer.vip` and
        `evidence.customer`.
        """
        entry = self._entries.get(step)
        return entry.mentions if entry is not None else frozenset()

    @property
    def steps(self) -> tuple[str, ...]:
        """The writes that the file lists."""
        return tuple(self._entries)

    @property
    def breakers(self) -> tuple[Breaker, ...]:
        """After what the agent's autonomy goes down."""
        return self._guards.breakers

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """What the agent's own thinking may cost."""
        return self._guards.budgets

    @property
    def control(self) -> Control:
        """Who may turn the agent's autonomy."""
        return self._guards.control

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
        if self._takes_back(step):
            return []
        why = f"the policy does not list {step}"
        return [Finding(check="listed", kind=Kind.HOLD, why=why, role=self.role_for(step))]

    def _takes_back(self, step: str) -> bool:
        shape = self._shape.writes.get(step)
        return shape is not None and bool(shape.undoes)

    def _unlisted_setting(self, facts: Facts) -> Setting:
        if self._takes_back(facts.step):
            return Setting(Level.FULL, label="it takes back what was written")
        given = facts.setting
        if given is not None and not given.level.exceeds(Level.SUPERVISED):
            return given
        return Setting(Level.SUPERVISED, label=f"the policy does not list {facts.step}")

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


def load_policy(path: Path, shape: AgentShape) -> Policy:
    """Read the policy file at `path` and judge it against what the agent can do.

    Raises:
        PolicyError: if it cannot be read, or has faults: all of them, with line and fix.
    """
    return parse_policy(file_content(path)[0], str(path), shape)


def parse_policy(text: str, path: str, shape: AgentShape) -> Policy:
    """Judge the text of a policy file; `path` is only named in faults.

    Raises:
        PolicyError: if it has faults: all of them, with line and fix.
    """
    faults = Faults(path)
    doc = read_policy_file(text, faults)
    if doc is None:
        raise PolicyError(path, faults.texts())
    found = judge(doc, faults, shape)
    if faults.found:
        raise PolicyError(path, faults.texts())
    sha = hashlib.sha256(text.encode()).hexdigest()
    return Policy(
        label=f"{doc.agent} v{doc.version} {sha[:8]}",
        agent=doc.agent,
        version=doc.version,
        owner=doc.owner,
        proof=doc.proof,
        drafter=doc.drafter == "may approve",
        notes=found.notes,
        _shape=shape,
        _roles=found.roles,
        _default=found.default,
        _entries=found.entries,
        _silent=frozenset(step for step, said in doc.notify.items() if not said.allow),
        _planted=doc.planted,
        _guards=found.guards,
        sha=sha,
        text=text,
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
            if self._seen and self._seen[0] == file_stamp(self.path):
                return self._seen[2]
        except OSError:
            pass  # reading it says why
        text, stamp = file_content(self.path)
        known = self._seen and self._seen[1] == text
        policy = (
            self._seen[2]
            if self._seen and known
            else parse_policy(text, str(self.path), self._shape)
        )
        self._seen = (stamp, text, policy)
        return policy
