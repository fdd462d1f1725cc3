"""What an agent may do alone, who may allow more, and how long they have.

A `Policy` gives pure answers, without clock, network or database. It is made from a
policy file that was judged in full against the steps of its agent: a file with faults is
refused with all of them at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from handrail.actions import Action, Ask, Basis, Finding, Kind, Limit, Ruled, Stage, Verb
from handrail.exceptions import PolicyError
from handrail.policy_file import (
    WHOLE,
    WINDOWS,
    ActionDoc,
    Cap,
    FileDoc,
    HoldDoc,
    RefuseDoc,
    RoleDoc,
    known_role,
    read,
    same_person,
)
from handrail.policy_text import Faults, Loc, Stamp, content_of, stamp_of
from handrail.rules import CaseFact, Rule, RuleError, RuleFailed, Types, compile_rule, nearest


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
class _Condition:
    rule: Rule
    why: str
    role: str


@dataclass(frozen=True)
class _Entry:
    doc: ActionDoc
    role: str
    refuse: tuple[_Condition, ...]
    hold: tuple[_Condition, ...]
    limits: tuple[Limit, ...]


@dataclass(frozen=True)
class Policy:
    """A policy that was found sound. Made by `load` and `parse`.

    `label` names agent, version and the first 8 hex digits of the file's SHA-256. `proof`
    says whether a ruling counts although nobody checked who sent it. `notes` are worth
    reading, and no faults.
    """

    label: str
    agent: str
    version: int
    owner: str
    proof: Literal["required", "unproven"]
    notes: tuple[str, ...]
    _shape: AgentShape = field(repr=False)
    _roles: Mapping[str, RoleDoc] = field(repr=False)
    _default: str = field(repr=False)
    _entries: Mapping[str, _Entry] = field(repr=False)
    _silent: frozenset[str] = field(repr=False)

    def refusals(self, facts: Facts) -> list[Finding]:
        """The refuse-rules that are true. One that could not be judged is among `holds`."""
        entry = self._entries.get(facts.step)
        if entry is None or not entry.refuse:
            return []
        judged = [_judge(condition, facts.named(), Kind.REFUSE) for condition in entry.refuse]
        return [finding for finding in judged if finding and finding.kind is Kind.REFUSE]

    def holds(self, facts: Facts) -> list[Finding]:
        """Why a human is asked: autonomy, hold-rules, and rules that could not be judged."""
        entry = self._entries.get(facts.step)
        if entry is None:
            return self._unlisted(facts.step)
        named = facts.named()
        refusing = [_judge(condition, named, Kind.REFUSE) for condition in entry.refuse]
        holding = [_judge(condition, named, Kind.HOLD) for condition in entry.hold]
        failed = [finding for finding in refusing if finding and finding.kind is Kind.HOLD]
        return [*self._autonomy(entry, facts), *failed, *filter(None, holding)]

    def role_for(self, step: str) -> str:
        """The role that is asked about `step` where no hold-rule names another.

        An undo that the file does not list asks whom its write asks.
        """
        if step in self._entries:
            return self._entries[step].role
        shape = self._shape.writes.get(step)
        undone = sorted(shape.undoes & self._entries.keys()) if shape else []
        return self._entries[undone[0]].role if undone else self._default

    def asks(self, findings: Sequence[Finding], step: str) -> tuple[Ask, ...]:
        """Whom to ask: one chain for each role that holds.

        A holding finding without a role, such as a data check's, asks the role of `step`.
        """
        held = (finding for finding in findings if finding.kind is Kind.HOLD)
        roles = dict.fromkeys(finding.role or self.role_for(step) for finding in held)
        return tuple(self._chain(role) for role in roles)

    def default_asks(self, step: str) -> tuple[Ask, ...]:
        """Whom to ask about `step` when no rule says so: a write in doubt, a failed undo."""
        return (self._chain(self.role_for(step)),)

    def unsatisfied(
        self, asks: Sequence[Ask], rulings: Sequence[Ruled], digest: str, requester: str | None
    ) -> list[str]:
        """What is still missing before exactly this action may run, in words.

        Judged by the people and quorums of this policy, whatever the asks say. A chain is
        satisfied by the quorum of one of its roles; a person counts for the own stage and
        for earlier ones, so that an approval from above completes a quorum
        below, and one from below never fills a quorum above.
        """
        approvers = self._approvers(rulings, digest, requester)
        lacking = (self._lacking(ask, approvers, requester) for ask in asks)
        return [words for words in lacking if words]

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

    def _autonomy(self, entry: _Entry, facts: Facts) -> list[Finding]:
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

    def _chain(self, name: str) -> Ask:
        names: list[str] = []
        while name in self._roles and name not in names:
            names.append(name)
            name = self._roles[name].deadline.to or ""
        return Ask(stages=tuple(self._stage(each) for each in names or [self._default]))

    def _stage(self, name: str) -> Stage:
        role = self._roles[name]
        return Stage(
            role=name,
            people=role.people,
            quorum=role.quorum,
            remind=role.remind,
            after=role.deadline.after,
        )

    def _approvers(
        self, rulings: Sequence[Ruled], digest: str, requester: str | None
    ) -> frozenset[str]:
        asked_by = same_person(requester) if requester else None
        return frozenset(
            same_person(ruling.by)
            for ruling in rulings
            if ruling.accepted
            and ruling.verb in {Verb.APPROVE, Verb.AMEND}
            and ruling.digest == digest != ""
            and (ruling.proven or self.proof == "unproven")
            and same_person(ruling.by) != asked_by
        )

    def _lacking(self, ask: Ask, approvers: frozenset[str], requester: str | None) -> str:
        above: frozenset[str] = frozenset()
        missing: list[str] = []
        for stage in reversed(ask.stages):
            role = self._roles.get(stage.role)
            if role is None:
                missing.append(f"{stage.role} is no role any more")
                continue
            above |= frozenset(map(same_person, role.people))
            got = len(approvers & above)
            if got >= role.quorum:
                return ""
            missing.append(f"{stage.role} gave {got} of {role.quorum} approvals")
        but = f" (not {requester}, who asked for it)" if requester else ""
        return " or ".join(reversed(missing)) + but


def share_of(agent: str, step: str, case: str) -> int:
    """Where a case falls in a rollout, 0 to 9,999: the same in every process, for ever."""
    key = case.partition(":")[2] or case
    digest = hashlib.sha256(f"{agent}/{step}/{key}".encode()).hexdigest()
    return int(digest, 16) % WHOLE


def _judge(condition: _Condition, named: Mapping[str, Any], kind: Kind) -> Finding | None:
    """What a rule says. One that cannot be judged holds, whatever it would have done."""
    check = f"rule: {condition.rule.text}"
    try:
        match = condition.rule.evaluate(named)
    except RuleFailed as failed:
        return Finding(check=check, kind=Kind.HOLD, why=str(failed), role=condition.role)
    if not match.true:
        return None
    role = condition.role if kind is Kind.HOLD else None
    why = f"{condition.why}: {' and '.join(match.because)}"
    return Finding(check=check, kind=kind, why=why, role=role)


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
    policy = _Judge(doc, faults, shape).policy(hashlib.sha256(text.encode()).hexdigest())
    if faults.found:
        raise PolicyError(path, faults.texts())
    return policy


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


class _Judge:
    """Judges a file against the steps of its agent, and makes the policy."""

    def __init__(self, doc: FileDoc, faults: Faults, shape: AgentShape) -> None:
        self.doc = doc
        self.faults = faults
        self.shape = shape
        targets = {name for name, r in doc.roles.items() for name in [r.deadline.to] if name}
        first = [name for name in doc.roles if name not in targets] or list(doc.roles)[:1]
        self.default = doc.role or (first[0] if len(first) == 1 else None)

    def policy(self, sha256: str) -> Policy:
        """The policy; to be used only if there are no faults."""
        doc, shape = self.doc, self.shape
        if doc.agent != shape.agent:
            self._fault(("agent",), f"{doc.agent} is not this agent", f"write {shape.agent}")
        for step in doc.notify.keys() - shape.notifies:
            what = f"{step} is no notification of {shape.agent}"
            self._fault(("notify", step), what, nearest(step, shape.notifies))
        entries = {step: self._entry(step, action) for step, action in doc.actions.items()}
        notes = self._unlisted()
        return Policy(
            label=f"{doc.agent} v{doc.version} {sha256[:8]}",
            agent=doc.agent,
            version=doc.version,
            owner=doc.owner,
            proof=doc.proof,
            notes=notes,
            _shape=shape,
            _roles=doc.roles,
            _default=self.default or next(iter(doc.roles)),
            _entries={step: entry for step, entry in entries.items() if entry},
            _silent=frozenset(step for step, said in doc.notify.items() if not said.allow),
        )

    def _fault(self, loc: Loc, what: str, fix: str) -> None:
        self.faults.add(loc, what, fix)

    def _role(self, loc: Loc, name: str | None) -> None:
        known_role(loc, name, self.doc, self.faults)

    def _entry(self, step: str, doc: ActionDoc) -> _Entry | None:
        at: Loc = ("actions", step)
        write = self.shape.writes.get(step)
        if write is None:
            what = f"no step of {self.shape.agent} writes {step}"
            self._fault(at, what, nearest(step, self.shape.writes))
            return None
        self._role((*at, "for"), doc.role)
        role = doc.role or self.default
        if role is None and ("roles",) not in self.faults.broken:
            what = f"nobody is named to be asked about {step}"
            self._fault(at, what, f"add for: and one of {', '.join(self.doc.roles)}")
        self._autonomy(at, write, doc)
        types = Types(write.action, write.evidence)
        return _Entry(
            doc=doc,
            role=role or next(iter(self.doc.roles)),
            refuse=self._conditions((*at, "refuse"), doc.refuse, types, role or ""),
            hold=self._conditions((*at, "hold"), doc.hold, types, role or ""),
            limits=tuple(
                self._limit((*at, "limits", name), name, cap, types)
                for name, cap in doc.limits.items()
            ),
        )

    def _autonomy(self, at: Loc, write: WriteShape, doc: ActionDoc) -> None:
        if doc.rollout is not None and doc.autonomy != "full":
            what = f"a rollout of {write.name} without full autonomy changes nothing"
            self._fault((*at, "rollout"), what, "write autonomy: full, or remove rollout")
        final = write.undo is None and not write.undoes
        if final and doc.autonomy == "full" and not doc.irreversible:
            what = f"{write.name} cannot be undone, and would run without a human"
            fix = "write autonomy: supervised, give the step an undo, or add irreversible: why"
            loc = (*at, "autonomy")
            if (*at, "irreversible") not in self.faults.broken:
                self._fault(loc, what, fix)

    def _conditions(
        self, at: Loc, docs: Sequence[RefuseDoc], types: Types, default: str
    ) -> tuple[_Condition, ...]:
        found: list[_Condition] = []
        for position, doc in enumerate(docs):
            role = doc.role if isinstance(doc, HoldDoc) else None
            self._role((*at, position, "for"), role)
            try:
                rule = compile_rule(doc.when, types)
            except RuleError as error:
                self._fault((*at, position, "when"), error.what, error.fix)
            else:
                found.append(_Condition(rule, doc.why, role or default))
        return tuple(found)

    def _limit(self, loc: Loc, name: str, cap: Cap, types: Types) -> Limit:
        amount, window = cap
        numbers = types.numbers()
        if name == "count" and amount != int(amount):
            self._fault(loc, f"{amount:f} is no number of writes", "write a whole number")
        elif name != "count" and name not in numbers:
            what = f"{name} is not a number of {types.name} that is always there"
            self._fault(loc, what, nearest(name, [*numbers, "count"]))
        unit = {v: k for k, v in WINDOWS.items()}[window]
        text = f"{name}: at most {amount:f} per {unit}"
        return Limit(None if name == "count" else name, amount, window, text)

    def _unlisted(self) -> tuple[str, ...]:
        """Notes on writes that the file leaves out: those are held, so somebody must be asked."""
        listed = self.doc.actions.keys()
        notes: list[str] = []
        for step, write in self.shape.writes.items():
            if step in listed or write.undoes & listed:
                continue
            if self.default is None and ("roles",) not in self.faults.broken:
                what = f"nobody is named to be asked about {step}, which is not listed"
                fix = f"add for: at the top, and one of {', '.join(self.doc.roles)}"
                self._fault(("roles",), what, fix)
            if not write.undoes:
                notes.append(f"{self.faults.path}: {step} is not listed: every one is held")
        return tuple(notes)
