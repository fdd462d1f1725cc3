"""The policy compiler: a policy file held against the steps of its agent. Pure.

What the file says becomes an `Entry` for each write, with its rules compiled and its fields
looked up in the types of the action; what cannot be meant is added to the faults. `roles` has
the same for who may approve.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from handrail.actions import WHOLE, Level
from handrail.actions import person as same_person
from handrail.marks import Classified
from handrail.policy.file import (
    ActionDoc,
    BreakerDoc,
    FileDoc,
    HoldDoc,
    NormalDoc,
    PilotDoc,
    PromoteDoc,
    RefuseDoc,
)
from handrail.policy.parts import (
    AgentShape,
    Breaker,
    Budget,
    Condition,
    Control,
    Entry,
    Normal,
    Review,
    Setting,
    WriteShape,
    chain,
    unlisted,
)
from handrail.policy.quorum import Roles, enough
from handrail.policy.roles import RoleUse, judge_roles, known_role, unbounded
from handrail.policy.rule_types import Types, nearest
from handrail.policy.rules import RuleError, compile_rule
from handrail.policy.values import Cap
from handrail.policy.worth import judge_worth
from handrail.policy.yaml import Faults, Loc
from handrail.text import quoted
from handrail.wire import Duplicates, Limit

CURRENCY = "currency"
"""The field of an action that says in which currency its amounts are."""

_TWO = 2


@dataclass(frozen=True)
class CompiledFile:
    """A file as it is meant; to be used only if there are no faults.

    `entries`: of every write of the agent. `default`: the role that is asked where nothing
    else is said. `limits`: counted over all writes of the agent.
    """

    entries: Mapping[str, Entry]
    default: str
    limits: tuple[Limit, ...]
    control: Control
    budgets: tuple[Budget, ...]
    breakers: tuple[Breaker, ...]
    roles: Roles
    notes: tuple[str, ...]


def compile_file(doc: FileDoc, faults: Faults, shape: AgentShape) -> CompiledFile:
    """Compile a file against what its agent can do, and add what is wrong to `faults`."""
    judge_roles(doc, faults)
    return _Compiler(doc, faults, shape).compiled()


class _Compiler:
    def __init__(self, doc: FileDoc, faults: Faults, shape: AgentShape) -> None:
        self.doc = doc
        self.faults = faults
        self.shape = shape
        self.types = {step: Types(w.action, w.evidence) for step, w in shape.writes.items()}
        self.caps = {risk: level for risk, level in doc.caps if level}
        targets = {name for name, r in doc.roles.items() for name in [r.deadline.to] if name}
        first = [name for name in doc.roles if name not in targets] or list(doc.roles)[:1]
        self.default = doc.role or (first[0] if len(first) == 1 else None)
        self.limits = self._limits_of_all()

    def compiled(self) -> CompiledFile:
        """The file as it is meant."""
        doc, shape, faults = self.doc, self.shape, self.faults
        if doc.agent != shape.agent:
            self._fault(("agent",), f"{doc.agent} is not this agent", f"write {shape.agent}")
        judge_worth(doc, faults, {w.action.__name__ for w in shape.writes.values()})
        for step in doc.notify.keys() - shape.notifies:
            what = f"{step} is no notification of {shape.agent}"
            self._fault(("notify", step), what, nearest(step, shape.notifies))
        found = {step: self._entry(step, action) for step, action in doc.actions.items()}
        listed = {step: entry for step, entry in found.items() if entry}
        # Taking back needs no limit, and no rate of the agent keeps it from running.
        free = {step for step, write in shape.writes.items() if write.undoes} - doc.actions.keys()
        left_out = self._unlisted()
        asked = RoleUse(doc, faults, self.types, frozenset(free), listed, self.default)
        rules = asked.rules()
        found = (*self._lowered(listed), *self._mixed(), *self._classified(listed), *_loose(listed))
        notes = [*left_out, *found, *asked.notes()]
        default = self.default or next(iter(doc.roles))
        entries = asked.mentioning(rules)
        for step in shape.writes.keys() - entries.keys():
            undone = sorted(shape.writes[step].undoes & listed.keys())
            role = listed[undone[0]].role if undone else default
            entries[step] = unlisted(step, role, () if step in free else self.limits)
        return CompiledFile(
            entries=entries,
            default=default,
            limits=self.limits,
            control=self._control(),
            budgets=(*self._budgets("tokens"), *self._budgets("cost")),
            breakers=tuple(self._breaker(n, each) for n, each in enumerate(doc.breakers)),
            roles=asked.roles(rules),
            notes=tuple(f"{faults.path}: {note}" for note in notes),
        )

    def _fault(self, loc: Loc, what: str, fix: str) -> None:
        self.faults.add(loc, what, fix)

    # One write

    def _entry(self, step: str, doc: ActionDoc) -> Entry | None:
        at: Loc = ("actions", step)
        write = self.shape.writes.get(step)
        if write is None:
            what = f"no step of {self.shape.agent} writes {step}"
            near = nearest(step, self.shape.writes)
            join = " If" if near.endswith("?") else "; if"
            fix = f"{near}{join} there is such a step, add it to `steps=` of the Agent"
            self._fault(at, what, fix)
            return None
        known_role((*at, "for"), doc.role, self.doc, self.faults)
        role = doc.role or self.default
        if role is None and ("roles",) not in self.faults.broken:
            what = f"nobody is named to be asked about {step}"
            self._fault(at, what, f"add for: and one of {', '.join(self.doc.roles)}")
        self._autonomy(at, write, doc)
        fields = _WriteFields(self.types[step], self.faults, at)
        duplicates, limits = fields.duplicates(doc), fields.limits(doc.limits)
        fields.pilot(doc.pilot, write.action.model_fields)
        fields.promote(doc.promote)
        only = self._conditions((*at, "only"), doc.only, step, role or "")
        refuse = self._conditions((*at, "refuse"), doc.refuse, step, role or "")
        hold = self._conditions((*at, "hold"), doc.hold, step, role or "")
        risk = doc.risk or ("medium" if _undoable(write) else "high")
        most, why = self._most(write, doc, risk)
        share = WHOLE if doc.rollout is None else doc.rollout
        return Entry(
            role=role or next(iter(self.doc.roles)),
            own=Setting(doc.autonomy, share, "the policy file"),
            risk=risk,
            most=most,
            why_most=why,
            only=only,
            refuse=refuse,
            hold=hold,
            limits=limits if write.undoes else (*limits, *self.limits),
            duplicates=duplicates,
            normal=fields.normal(doc.normal),
            review=self._review(at, doc, role or ""),
            mismatch=doc.mismatch,
            mentions=_mentioned((*only, *refuse, *hold), limits, duplicates),
        )

    def _most(self, write: WriteShape, doc: ActionDoc, risk: str) -> tuple[Level, str]:
        """The highest level that a setting can come to, and why no higher one."""
        cap = self.caps.get(risk, Level.FULL)
        final = not _undoable(write) and doc.irreversible is None
        if final and cap.exceeds(Level.SUPERVISED):
            why = f"{write.name} cannot be undone, and the policy has no irreversible: for it"
            return Level.SUPERVISED, why
        return cap, f"its risk is {risk}, and caps: has at most {cap.value} for that"

    def _autonomy(self, at: Loc, write: WriteShape, doc: ActionDoc) -> None:
        if doc.rollout is not None and doc.autonomy is not Level.FULL:
            what = f"a rollout of {write.name} without full autonomy changes nothing"
            self._fault((*at, "rollout"), what, "write autonomy: full, or remove rollout")
        final = not _undoable(write) and not doc.irreversible
        if final and doc.autonomy is Level.FULL and (*at, "irreversible") not in self.faults.broken:
            what = f"{write.name} cannot be undone, and would run without a human"
            fix = "write autonomy: supervised, give the step an undo, or add irreversible: why"
            self._fault((*at, "autonomy"), what, fix)
        if doc.mismatch == "roll back" and write.undo is None:
            what = f"{write.name} cannot be undone, so nothing can be rolled back"
            self._fault((*at, "mismatch"), what, "write mismatch: incident, or give it an undo")

    def _review(self, at: Loc, doc: ActionDoc, default: str) -> Review | None:
        if doc.review is None:
            return None
        known_role((*at, "review", "for"), doc.review.role, self.doc, self.faults)
        said = doc.review
        return Review(said.random, said.unusual, said.role or default, said.ramp)

    def _conditions(
        self, at: Loc, docs: Sequence[RefuseDoc], step: str, default: str
    ) -> tuple[Condition, ...]:
        found: list[Condition] = []
        for position, doc in enumerate(docs):
            roles = doc.roles if isinstance(doc, HoldDoc) else ()
            self._all_of((*at, position, "for"), roles)
            try:
                rule = compile_rule(doc.when, self.types[step])
            except RuleError as error:
                self._fault((*at, position, "when"), error.what, error.fix)
            else:
                found.append(Condition(rule, doc.why, roles or (default,)))
        return tuple(found)

    def _all_of(self, loc: Loc, roles: Sequence[str]) -> None:
        """Judge the roles of one rule: all of them are asked, and by different people."""
        for role in roles:
            known_role(loc, role, self.doc, self.faults)
        chains = [chain(self.doc.roles, role) for role in roles]
        if len(chains) > 1 and all(chains) and not enough(unbounded(self.doc), chains, None, {}):
            what = f"{' and '.join(roles)} do not have enough different people"
            self._fault(loc, what, "a person approves for one of them only: add people")

    # Notes

    def _lowered(self, listed: Mapping[str, Entry]) -> list[str]:
        """Notes on writes whose own autonomy is more than their class of risk allows."""
        return [
            f"{step} is {entry.most.value}, not {entry.own.level.value}: {entry.why_most}"
            for step, entry in listed.items()
            if entry.own.level.exceeds(entry.most)
        ]

    def _mixed(self) -> list[str]:
        """Notes on limits that add up amounts in any currency, where the action names one."""
        return [
            f"the limit of {step}.{name} adds amounts in every currency"
            for step, doc in self.doc.actions.items()
            if step in self.types and self.types[step].is_text(f"action.{CURRENCY}")
            for name, caps in doc.limits.items()
            if name != "count" and not caps[0].unit
        ]

    def _classified(self, listed: Mapping[str, Entry]) -> list[str]:
        """Notes on rules that rely on a classifier's answer, with how often it is wrong."""
        evidence = {step: self.shape.writes[step].evidence for step in listed}
        return [
            f"{step}: rules rely on evidence.{name}, which a classifier says: {mark.wrong} of "
            f"{mark.of} were wrong, so up to {mark.at_most:.1%} may be"
            for step, model in evidence.items()
            for name, info in (model.model_fields.items() if model else ())
            for mark in info.metadata
            if isinstance(mark, Classified) and f"evidence.{name}" in listed[step].mentions
        ]

    def _unlisted(self) -> list[str]:
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
                notes.append(f"{step} is not listed: every one is held")
        return notes

    # All writes of the agent together

    def _control(self) -> Control:
        said = self.doc.control
        people = (said and said.people) or (self.doc.owner,)
        two = said.two if said else ()
        if two and len(set(map(same_person, people))) < _TWO:
            what = f"{' and '.join(two)} needs two different people, and {people[0]} is one"
            self._fault(("control", "two"), what, "name two or more below people:")
        return Control(people, frozenset(two))

    def _limits_of_all(self) -> tuple[Limit, ...]:
        found: list[Limit] = []
        for name, caps in self.doc.limits.items():
            loc = ("limits", name)
            if name != "count":
                what = f"{name}: writes of different actions are counted, not summed"
                self._fault(loc, what, "write count, or limit it below the action")
            _whole_count(name, caps, loc, self.faults)
            for cap in caps:
                if cap.per:
                    what = f"all writes of the agent have no field {cap.per} in common"
                    self._fault(loc, what, "limit it below the action")
                text = f"count: at most {cap.text}, over all its writes"
                found.append(Limit(None, cap.amount, cap.window, text, whole=True))
        return tuple(found)

    def _budgets(self, kind: Literal["tokens", "cost"]) -> list[Budget]:
        loc: Loc = ("budgets", kind)
        caps = self.doc.budgets.tokens if kind == "tokens" else self.doc.budgets.cost
        _whole_count("count" if kind == "tokens" else kind, caps, loc, self.faults)
        for cap in caps:
            if kind == "cost" and not cap.unit:
                self._fault(loc, f"{cap.text} in which currency?", "write 50 EUR per day")
        if any(cap.per for cap in caps):
            self._fault(loc, "a budget is the agent's alone", "remove the second per")
        return [Budget(kind, cap.amount, cap.window, cap.unit, cap.text) for cap in caps]

    def _breaker(self, position: int, doc: BreakerDoc) -> Breaker:
        after = doc.after
        if doc.then is Level.FULL:
            what = "a breaker lowers autonomy, and full is the highest"
            fix = "write supervised, human_led or stop"
            self._fault(("breakers", position, "then"), what, fix)
        text = f"{after.count} {after.what} per {after.named}"
        return Breaker(after.what, after.count, after.window, doc.then, text)


@dataclass(frozen=True)
class _WriteFields:
    """The fields of one write, looked up in its types; `at` is where the file speaks of it."""

    types: Types
    faults: Faults
    at: Loc

    def _fault(self, loc: Loc, what: str, fix: str) -> None:
        self.faults.add((*self.at, *loc), what, fix)

    def limits(self, docs: Mapping[str, Sequence[Cap]]) -> tuple[Limit, ...]:
        """The limits, each with its currency and the field that it is counted by."""
        for name, caps in docs.items():
            self._limited(name, caps)
        return tuple(self._limit(name, cap) for name, caps in docs.items() for cap in caps)

    def _limited(self, name: str, caps: Sequence[Cap]) -> None:
        loc, numbers = ("limits", name), self.types.numbers()
        if name != "count" and name not in numbers:
            what = f"{name} is not a number of {self.types.name} that is always there"
            self._fault(loc, what, nearest(name, [*numbers, "count"]))
        _whole_count(name, caps, (*self.at, *loc), self.faults)
        units = {cap.unit for cap in caps}
        if name != "count" and len(units) > 1 and not self._has_currency():
            what = f"{self.types.name} has no field {CURRENCY} that tells {name} apart"
            self._fault(loc, what, f"name one currency, or give the action a field {CURRENCY}")
        if name != "count" and None in units and units != {None}:
            what = f"a limit of {name} names a currency, and another none"
            self._fault(loc, what, "name the currency of each")
        choices = self.types.choices_of(f"action.{CURRENCY}")
        for unit in filter(None, units):
            if choices and unit not in choices:
                what = f"{CURRENCY} is never {unit}"
                self._fault(loc, what, nearest(unit, choices))

    def _limit(self, name: str, cap: Cap) -> Limit:
        per = cap.per and self.key(("limits", name), cap.per)
        return Limit(
            field=None if name == "count" else name,
            cap=cap.amount,
            window=cap.window,
            text=f"{name}: at most {cap.text}",
            per=per or None,
            number=bool(per) and self.types.is_number(per),
            unit=cap.unit if self._has_currency() else None,
        )

    def _has_currency(self) -> bool:
        return self.types.is_text(f"action.{CURRENCY}")

    def key(self, loc: Loc, name: str) -> str:
        """A field whose values writes are told apart by: text, a number, a time, yes or no."""
        path = self._path(name)
        if not self.types.tells_apart(path):
            known = [each.removeprefix("action.") for each in self.types.telling_apart()]
            what = f"{name} is no field that is always there and tells writes apart"
            self._fault(loc, what, nearest(name, known))
        return path

    def duplicates(self, doc: ActionDoc) -> Duplicates | None:
        """What makes a write the same as an earlier one."""
        if doc.duplicates is None:
            return None
        fields = tuple(self.key(("duplicates", "same"), name) for name in doc.duplicates.same)
        numbers = frozenset(path for path in fields if self.types.is_number(path))
        return Duplicates(fields, doc.duplicates.within, numbers)

    def pilot(self, doc: PilotDoc, fields: Mapping[str, object]) -> None:
        """Judge how what people did is held against it."""
        if doc.kind is not None and doc.kind not in fields:
            what = f"{doc.kind} is no field of {self.types.name}"
            self._fault(("pilot", "class"), what, nearest(doc.kind, fields))
        for name, within in doc.match.items():
            if name not in fields:
                what = f"{name} is no field of {self.types.name}"
                self._fault(("pilot", "match", name), what, nearest(name, fields))
            elif within.amount is not None and not self.types.is_number(f"action.{name}"):
                what = f"{name} is not a number that is always there"
                self._fault(("pilot", "match", name), what, "write ignore, or remove it")

    def promote(self, doc: PromoteDoc | None) -> None:
        """Judge what a promotion takes."""
        if doc is None:
            return
        if list(doc.shares) != sorted(set(doc.shares)):
            fix = "write them in their order: [5%, 25%, 50%, 100%]"
            self._fault(("promote", "shares"), "a ramp goes up", fix)
        for name in doc.watch:
            if name != "confidence":
                self.key(("promote", "watch"), name)

    def normal(self, doc: NormalDoc | None) -> Normal | None:
        """What is learned of a write."""
        if doc is None:
            return None
        loc = ("normal", "watch")
        amounts = [self._amount(loc, field) for kind, field in doc.watch if kind == "amount"]
        targets = [self.key(loc, field) for kind, field in doc.watch if kind == "target"]
        kinds = {kind for kind, _ in doc.watch} - {"amount", "target"}
        return Normal(
            learn=doc.learn,
            z=doc.z,
            amounts=tuple(amounts),
            targets=tuple(targets),
            **dict.fromkeys(kinds, True),
        )

    def _amount(self, loc: Loc, name: str) -> str:
        path = self._path(name)
        if not self.types.is_number(path):
            known = [each for each in self.types.telling_apart() if self.types.is_number(each)]
            others = [*(each.removeprefix("action.") for each in known), "confidence", "hour"]
            self._fault(loc, f"{name} is not a number that is always there", nearest(name, others))
        return path

    def _path(self, name: str) -> str:
        return name if name.startswith(("action.", "evidence.")) else f"action.{name}"


def _mentioned(
    conditions: Sequence[Condition], limits: Sequence[Limit], same: Duplicates | None
) -> frozenset[str]:
    """The facts that rules, limits and duplicates look at, such as `action.amount`."""
    names = {name for condition in conditions for name in condition.rule.mentions()}
    names |= {f"action.{limit.field}" for limit in limits if limit.field}
    names |= {f"action.{CURRENCY}" for limit in limits if limit.unit}
    names |= {limit.per for limit in limits if limit.per}
    return frozenset(names | set(same.fields if same else ()))


def _loose(listed: Mapping[str, Entry]) -> Iterator[str]:
    """Notes on patterns that let pass more than they seem to: they are held against a beginning."""
    for step, entry in listed.items():
        rules = [(each.rule, True) for each in entry.only]
        rules += [(each.rule, False) for each in (*entry.refuse, *entry.hold)]
        for rule, passes in rules:
            for pattern in rule.loose_patterns(passes=passes):
                yield (
                    f"{step}: `{rule.text}` lets pass what is more than {quoted(pattern)}: it is "
                    "held against the beginning (=~) or any part (=~~); fix: =~, and $ at its end"
                )


def _whole_count(name: str, caps: Sequence[Cap], loc: Loc, faults: Faults) -> None:
    """Report a number of writes that is none."""
    for cap in caps if name == "count" else ():
        if cap.amount != int(cap.amount):
            what = f"{cap.amount:f} is no number of writes"
            faults.add(loc, what, "write a whole number")
        elif cap.unit:
            what = f"a number of writes has no currency {cap.unit}"
            faults.add(loc, what, f"write {cap.amount:f}")


def _undoable(write: WriteShape) -> bool:
    """Whether it can be taken back, or takes something back itself."""
    return write.undo is not None or bool(write.undoes)
