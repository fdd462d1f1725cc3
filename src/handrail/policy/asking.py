"""The questions that a policy puts to people: chains of roles, with the time each has. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from handrail.actions import Ask, RoleStage
from handrail.policy.business_hours import Interval, after_working_time
from handrail.policy.file import RoleDoc
from handrail.policy.quorum import Roles
from handrail.policy.values import same_person


def ask(
    roles: Roles,
    names: Sequence[str],
    now: datetime,
    standing: Mapping[str, Sequence[str]],
) -> Ask:
    """Ask the roles `names`, one after the other, from `now` on.

    `standing`: who stands in for whom, by a delegation for a time; only deputies do.
    """
    standing = {same_person(who): others for who, others in standing.items()}
    docs = [roles.docs[name] for name in names]
    stages = (
        _stage(name, roles.docs[name], open_, standing)
        for name, open_ in zip(names, _open(docs, now), strict=True)
    )
    return Ask(stages=tuple(stages))


def _stage(
    name: str, doc: RoleDoc, open_: tuple[Interval, ...], standing: Mapping[str, Sequence[str]]
) -> RoleStage:
    return RoleStage(
        role=name,
        people=_people(doc, standing),
        quorum=doc.quorum,
        remind=doc.remind,
        after=doc.deadline.after,
        open=open_,
        stops=doc.clock == "stops",
        deputies=doc.deputies,
    )


def _people(doc: RoleDoc, standing: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The people of a role, each with the deputies who stand in for them now."""
    deputies = set(map(same_person, doc.deputies))
    found: dict[str, str] = {}
    for who in doc.people:
        for each in (who, *standing.get(same_person(who), ())):
            if each is who or same_person(each) in deputies:
                found.setdefault(same_person(each), each)
    return tuple(found.values())


def _open(docs: Sequence[RoleDoc], now: datetime) -> list[tuple[Interval, ...]]:
    """The working time of each role from `now` on: enough for the whole chain twice."""
    found: list[tuple[Interval, ...]] = []
    begins = now
    for doc in docs:
        length = 2 * doc.deadline.after
        spans = doc.hours.hours().open(now, length, since=begins) if doc.hours else ()
        found.append(spans)
        begins = after_working_time(begins, length, spans)
    return found
