"""The policy compiler's second half: roles, their quorums, and up to what each may approve. Pure.

A role's `up to` is a rule, compiled for each write that the role can come to be asked about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from handrail.actions import person as same_person
from handrail.policy.business_hours import MOST
from handrail.policy.file import FileDoc, HoursDoc, RoleDoc
from handrail.policy.parts import Entry, chain
from handrail.policy.quorum import Roles
from handrail.policy.rule_types import Types, nearest
from handrail.policy.rules import Rule, RuleError, compile_rule
from handrail.policy.yaml import Faults, Loc


def judge_roles(doc: FileDoc, faults: Faults) -> None:
    """Report what cannot be meant: quorums nobody fills, escalations in a circle, and so on."""
    known_role(("for",), doc.role, doc, faults)
    for name, role in doc.roles.items():
        at: Loc = ("roles", name)
        _judge_people(at, role, faults)
        _judge_deputies(at, role, faults)
        _judge_deadline(at, role, doc, faults)
        if role.hours is not None:
            _judge_hours(at, role, role.hours, faults)
    _judge_chains(doc, faults)


def known_role(loc: Loc, name: str | None, doc: FileDoc, faults: Faults) -> None:
    """Report a role that does not exist."""
    if name and name not in doc.roles and ("roles",) not in faults.broken:
        faults.add(loc, f"there is no role {name}", nearest(name, doc.roles))


def _judge_people(at: Loc, role: RoleDoc, faults: Faults) -> None:
    people = [same_person(person) for person in role.people]
    for position, person in enumerate(people):
        if person in people[:position]:
            what = f"{role.people[position]} stands twice in {at[-1]}"
            faults.add((*at, "people", position), what, "a person counts once: remove one")
    if role.quorum > len(set(people)):
        what = f"{at[-1]} needs {role.quorum} approvals but has {len(set(people))} people"
        faults.add((*at, "quorum"), what, "lower quorum, or add people")


def _judge_deputies(at: Loc, role: RoleDoc, faults: Faults) -> None:
    people = [same_person(person) for person in role.people]
    deputies = [same_person(person) for person in role.deputies]
    for position, deputy in enumerate(deputies):
        loc, shown = (*at, "deputies", position), role.deputies[position]
        if deputy in people:
            what = f"{shown} is to stand in for people of {at[-1]}, and belongs to it"
            faults.add(loc, what, "a person counts once: remove one of the two")
        elif deputy in deputies[:position]:
            what = f"{shown} stands twice among the deputies of {at[-1]}"
            faults.add(loc, what, "remove one")


def _judge_hours(at: Loc, role: RoleDoc, hours: HoursDoc, faults: Faults) -> None:
    if hours.begins >= hours.ends:
        what = f"the hours of {at[-1]} end before they begin"
        fix = (
            "hours do not go over midnight: end them by 24:00, and let another role with the "
            "same people have the rest"
        )
        faults.add((*at, "hours", "to"), what, fix)
    elif hours.hours().too_long(role.deadline.after):
        what = f"{at[-1]} has more than {MOST} days of its hours to answer"
        fix = "after counts the hours in which the role works: shorten it"
        faults.add((*at, "deadline", "after"), what, fix)


def _judge_deadline(at: Loc, role: RoleDoc, doc: FileDoc, faults: Faults) -> None:
    deadline, to, name = role.deadline, (*at, "deadline", "to"), at[-1]
    if role.remind and role.remind >= deadline.after:
        what = f"{name} is not reminded before its deadline"
        faults.add((*at, "remind"), what, "make remind shorter than after")
    if deadline.then == "escalate" and not deadline.to:
        what = f"{name} escalates to nobody"
        faults.add((*at, "deadline", "then"), what, "add to: and a role, or then: refuse")
    if deadline.then == "refuse" and deadline.to:
        what = f"{name} refuses, and yet names {deadline.to}"
        faults.add(to, what, "write then: escalate, or remove to:")
    known_role(to, deadline.to, doc, faults)


def _judge_chains(doc: FileDoc, faults: Faults) -> None:
    seen: set[str] = set()
    for start in doc.roles:
        names = [name for name in chain(doc.roles, start) if name not in seen]
        again = doc.roles[names[-1]].deadline.to if names else None
        if again in names:
            what = f"the escalation goes in a circle: {' to '.join([*names, again])}"
            loc = ("roles", names[-1], "deadline", "to")
            faults.add(loc, what, "let the last role refuse: then: refuse")
        seen.update(names)


def unbounded(doc: FileDoc) -> Roles:
    """The roles of a file as if each might approve everything."""
    free = {name: role.model_copy(update={"up_to": None}) for name, role in doc.roles.items()}
    return Roles(free, {}, frozenset())


@dataclass(frozen=True)
class RoleUse:
    """Which roles are asked about which writes, and what follows from it.

    `types`: of each write of the agent. `free`: the undos that the file does not list.
    """

    doc: FileDoc
    faults: Faults
    types: Mapping[str, Types]
    free: frozenset[str]
    entries: Mapping[str, Entry]
    default: str | None

    def rules(self) -> dict[tuple[str, str], Rule]:
        """The limit of each role for each write. What is wrong with one is added to the faults."""
        found: dict[tuple[str, str], Rule] = {}
        for step in self._bound():
            for name in self._chains(step):
                limit = self.doc.roles[name].up_to
                try:
                    if limit is not None:
                        found[name, step] = compile_rule(limit, self.types[step])
                except RuleError as error:
                    what = f"{name} is asked about {step}: {error.what}"
                    fix = f"{error.fix}, or let another role be asked about {step}"
                    self.faults.add(("roles", name, "up to"), what, fix)
        return found

    def roles(self, rules: Mapping[tuple[str, str], Rule]) -> Roles:
        """The roles with their limits."""
        asked = {name for step in self._bound() for name in self._chains(step)}
        for name, role in self.doc.roles.items():
            if role.up_to is not None and name not in asked and not self.faults.found:
                what = f"{name} is asked about no write, so it has nothing to approve"
                self.faults.add(("roles", name, "up to"), what, "remove up to")
        return Roles(self.doc.roles, rules, self.free)

    def mentioning(self, rules: Mapping[tuple[str, str], Rule]) -> dict[str, Entry]:
        """The entries, each with what the limits of the roles that it asks look at."""
        found: dict[str, Entry] = {}
        for step, entry in self.entries.items():
            names = {n for (_, of), rule in rules.items() if of == step for n in rule.mentions()}
            found[step] = replace(entry, mentions=entry.mentions | names)
        return found

    def notes(self) -> list[str]:
        """What is worth reading: limits above which nobody is left, channels anybody can claim."""
        notes: list[str] = []
        for name, role in self.doc.roles.items():
            if role.up_to is not None and role.deadline.to is None:
                notes.append(
                    f"{name} is the last to be asked and may approve only where "
                    f"`{role.up_to}`: anything else nobody may approve, and it is refused"
                )
            if role.accept is not None and self.doc.proof == "unproven":
                notes.append(
                    f"{name} accepts approvals by {' or '.join(role.accept)} only, but "
                    "without proof anybody can say by which way theirs came"
                )
        return notes

    def _bound(self) -> list[str]:
        return [step for step in self.types if step not in self.free]

    def _chains(self, step: str) -> tuple[str, ...]:
        """The roles that can come to be asked about a write."""
        first = self.entries[step].asked() if step in self.entries else (self.default or "",)
        return tuple(dict.fromkeys(name for role in first for name in chain(self.doc.roles, role)))
