"""Judges what a policy file says of the agent as a whole: caps, control, budgets, breakers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from handrail.actions import Level, Limit
from handrail.policy.clauses import BreakerDoc, Cap, ControlDoc
from handrail.policy.file import ActionDoc, FileDoc
from handrail.policy.limits import whole_count
from handrail.policy.parts import Breaker, Budget, Control, SharedGuards, WriteShape
from handrail.policy.values import same_person
from handrail.policy.yaml import Faults

_TWO = 2


def risk_of(write: WriteShape, doc: ActionDoc) -> str:
    """The class of risk of a write: what the file says, or by whether it can be undone."""
    undoable = write.undo is not None or bool(write.undoes)
    return doc.risk or ("medium" if undoable else "high")


def most_of(write: WriteShape, doc: ActionDoc, caps: Mapping[str, Level]) -> tuple[Level, str]:
    """The highest level that a setting can come to, and why no higher one."""
    risk = risk_of(write, doc)
    cap = caps.get(risk, Level.FULL)
    final = write.undo is None and not write.undoes and doc.irreversible is None
    if final and cap.exceeds(Level.SUPERVISED):
        why = f"{write.name} cannot be undone, and the policy has no irreversible: for it"
        return Level.SUPERVISED, why
    return cap, f"its risk is {risk}, and caps: has at most {cap.value} for that"


def judge_guards(doc: FileDoc, faults: Faults) -> SharedGuards:
    """What the file says of all writes of the agent together."""
    caps = {risk: Level(name) for risk, name in doc.caps.model_dump().items() if name}
    return SharedGuards(
        caps=caps,
        control=_control(doc, doc.control or ControlDoc(), faults),
        limits=_limits(doc.limits, faults),
        budgets=_budgets(doc, faults),
        breakers=tuple(_breaker(n, each, faults) for n, each in enumerate(doc.breakers)),
    )


def _control(doc: FileDoc, said: ControlDoc, faults: Faults) -> Control:
    people = said.people or (doc.owner,)
    if said.two and len({same_person(person) for person in people}) < _TWO:
        what = f"{' and '.join(said.two)} needs two different people, and {people[0]} is one"
        faults.add(("control", "two"), what, "name two or more below people:")
    return Control(people, frozenset(Level(name) for name in said.two))


def _limits(docs: Mapping[str, Sequence[Cap]], faults: Faults) -> tuple[Limit, ...]:
    found: list[Limit] = []
    for name, caps in docs.items():
        loc = ("limits", name)
        if name != "count":
            what = f"{name}: writes of different actions are counted, not summed"
            faults.add(loc, what, "write count, or limit it below the action")
        whole_count(name, caps, lambda what, fix, at=loc: faults.add(at, what, fix))
        for cap in caps:
            if cap.per:
                what = f"all writes of the agent have no field {cap.per} in common"
                faults.add(loc, what, "limit it below the action")
            text = f"count: at most {cap.text}, over all its writes"
            found.append(Limit(None, cap.amount, cap.window, text, whole=True))
    return tuple(found)


def _budgets(doc: FileDoc, faults: Faults) -> tuple[Budget, ...]:
    for cap in doc.budgets.tokens:
        whole_count("count", [cap], lambda what, fix: faults.add(("budgets", "tokens"), what, fix))
    for cap in doc.budgets.cost:
        if not cap.unit:
            faults.add(
                ("budgets", "cost"), f"{cap.text} in which currency?", "write 50 EUR per day"
            )
    for name, caps in (("tokens", doc.budgets.tokens), ("cost", doc.budgets.cost)):
        if any(cap.per for cap in caps):
            faults.add(("budgets", name), "a budget is the agent's alone", "remove the second per")
    tokens = [Budget("tokens", c.amount, c.window, None, c.text) for c in doc.budgets.tokens]
    cost = [Budget("cost", c.amount, c.window, c.unit, c.text) for c in doc.budgets.cost]
    return (*tokens, *cost)


def _breaker(position: int, doc: BreakerDoc, faults: Faults) -> Breaker:
    after = doc.after
    if doc.then == Level.FULL:
        what = "a breaker lowers autonomy, and full is the highest"
        faults.add(("breakers", position, "then"), what, "write supervised, human_led or stop")
    text = f"{after.count} {after.what} per {after.named}"
    return Breaker(after.what, after.count, after.window, Level(doc.then), text)
