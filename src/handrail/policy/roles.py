"""What is wrong with the roles of a policy file, whoever its agent is."""

from __future__ import annotations

from handrail.policy.business_hours import MOST
from handrail.policy.file import FileDoc, HoursDoc, RoleDoc
from handrail.policy.rules import nearest
from handrail.policy.values import same_person
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
        chain: list[str] = []
        name: str | None = start
        while name in doc.roles and name not in seen and name not in chain:
            chain.append(name)
            name = doc.roles[name].deadline.to
        if name in chain:
            what = f"the escalation goes in a circle: {' to '.join([*chain, name])}"
            loc = ("roles", chain[-1], "deadline", "to")
            faults.add(loc, what, "let the last role refuse: then: refuse")
        seen.update(chain)
