"""Judges a policy file against the steps of its agent: what it means, or what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from handrail.actions import Level
from handrail.policy.bounds import RoleUse, unbounded
from handrail.policy.clauses import RefuseDoc
from handrail.policy.control import judge_guards, most_of, risk_of
from handrail.policy.file import ActionDoc, FileDoc, HoldDoc
from handrail.policy.limits import CURRENCY, Fields, mentioned
from handrail.policy.parts import (
    AgentShape,
    Condition,
    Entry,
    Review,
    SharedGuards,
    WriteShape,
    chain,
)
from handrail.policy.quorum import Roles, enough
from handrail.policy.roles import judge_roles, known_role
from handrail.policy.rules import RuleError, Types, compile_rule, nearest
from handrail.policy.yaml import Faults, Loc


@dataclass(frozen=True)
class CompiledFile:
    """A file as it is meant; to be used only if there are no faults.

    `default`: the role that is asked where nothing else is said.
    """

    roles: Roles
    default: str
    entries: Mapping[str, Entry]
    guards: SharedGuards
    notes: tuple[str, ...]


def judge(doc: FileDoc, faults: Faults, shape: AgentShape) -> CompiledFile:
    """Judge a file against what its agent can do, and add what is wrong to `faults`."""
    judge_roles(doc, faults)
    return _Compiler(doc, faults, shape).judged()


class _Compiler:
    """Judges a file against the steps of its agent, and makes the policy."""

    def __init__(self, doc: FileDoc, faults: Faults, shape: AgentShape) -> None:
        self.doc = doc
        self.faults = faults
        self.shape = shape
        targets = {name for name, r in doc.roles.items() for name in [r.deadline.to] if name}
        first = [name for name in doc.roles if name not in targets] or list(doc.roles)[:1]
        self.default = doc.role or (first[0] if len(first) == 1 else None)
        self.guards = judge_guards(doc, faults)

    def judged(self) -> CompiledFile:
        """The file as it is meant."""
        doc, shape, faults = self.doc, self.shape, self.faults
        if doc.agent != shape.agent:
            self._fault(("agent",), f"{doc.agent} is not this agent", f"write {shape.agent}")
        for step in doc.notify.keys() - shape.notifies:
            what = f"{step} is no notification of {shape.agent}"
            self._fault(("notify", step), what, nearest(step, shape.notifies))
        entries = {step: self._entry(step, action) for step, action in doc.actions.items()}
        known = {step: entry for step, entry in entries.items() if entry}
        notes = self._unlisted()
        asked = RoleUse(doc, faults, shape, known, self.default)
        rules = asked.rules()
        return CompiledFile(
            roles=asked.roles(rules),
            default=self.default or next(iter(doc.roles)),
            entries=asked.mentioning(rules),
            guards=self.guards,
            notes=(*notes, *self._lowered(known), *self._mixed(), *asked.notes()),
        )

    def _fault(self, loc: Loc, what: str, fix: str) -> None:
        self.faults.add(loc, what, fix)

    def _role(self, loc: Loc, name: str | None) -> None:
        known_role(loc, name, self.doc, self.faults)

    def _entry(self, step: str, doc: ActionDoc) -> Entry | None:
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
        fields = Fields(types, self.faults, at)
        duplicates, limits = fields.duplicates(doc), fields.limits(doc.limits)
        only = self._conditions((*at, "only"), doc.only, types, role or "")
        refuse = self._conditions((*at, "refuse"), doc.refuse, types, role or "")
        hold = self._conditions((*at, "hold"), doc.hold, types, role or "")
        return Entry(
            doc=doc,
            role=role or next(iter(self.doc.roles)),
            refuse=refuse,
            hold=hold,
            # No rate of the agent keeps an undo from running.
            limits=limits if write.undoes else (*limits, *self.guards.limits),
            only=only,
            risk=risk_of(write, doc),
            most=most_of(write, doc, self.guards.caps),
            duplicates=duplicates,
            normal=fields.normal(doc.normal),
            review=self._review(at, doc, role or ""),
            mentions=mentioned((*only, *refuse, *hold), limits, duplicates),
        )

    def _review(self, at: Loc, doc: ActionDoc, default: str) -> Review | None:
        if doc.review is None:
            return None
        self._role((*at, "review", "for"), doc.review.role)
        return Review(doc.review.random, doc.review.unusual, doc.review.role or default)

    def _lowered(self, entries: Mapping[str, Entry]) -> list[str]:
        """Notes on writes whose own autonomy is more than their class of risk allows."""
        lowered = [
            f"{step} is {entry.most[0].value}, not {entry.doc.autonomy}: {entry.most[1]}"
            for step, entry in entries.items()
            if Level(entry.doc.autonomy).exceeds(entry.most[0])
        ]
        return [f"{self.faults.path}: {note}" for note in lowered]

    def _mixed(self) -> list[str]:
        """Notes on limits that add up amounts in any currency, where the action names one."""
        found: list[str] = []
        for step, doc in self.doc.actions.items():
            write = self.shape.writes.get(step)
            if write is None or not Types(write.action).is_text(f"action.{CURRENCY}"):
                continue
            mixed = [n for n, caps in doc.limits.items() if n != "count" and not caps[0].unit]
            found += [f"the limit of {step}.{n} adds amounts in every currency" for n in mixed]
        return [f"{self.faults.path}: {note}" for note in found]

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
        if doc.mismatch == "roll back" and write.undo is None:
            what = f"{write.name} cannot be undone, so nothing can be rolled back"
            self._fault((*at, "mismatch"), what, "write mismatch: incident, or give it an undo")

    def _conditions(
        self, at: Loc, docs: Sequence[RefuseDoc], types: Types, default: str
    ) -> tuple[Condition, ...]:
        found: list[Condition] = []
        for position, doc in enumerate(docs):
            roles = doc.roles if isinstance(doc, HoldDoc) else ()
            self._all_of((*at, position, "for"), roles)
            try:
                rule = compile_rule(doc.when, types)
            except RuleError as error:
                self._fault((*at, position, "when"), error.what, error.fix)
            else:
                found.append(Condition(rule, doc.why, roles or (default,)))
        return tuple(found)

    def _all_of(self, loc: Loc, roles: Sequence[str]) -> None:
        """Judge the roles of one rule: all of them are asked, and by different people."""
        for role in roles:
            self._role(loc, role)
        chains = [chain(self.doc.roles, role) for role in roles]
        if len(chains) > 1 and all(chains) and not enough(unbounded(self.doc), chains, None, {}):
            what = f"{' and '.join(roles)} do not have enough different people"
            self._fault(loc, what, "a person approves for one of them only: add people")

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
