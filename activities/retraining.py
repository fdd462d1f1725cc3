"""The steps of retraining: has what comes in moved, is a new model better, is it to be used.

A new version is kept on the shelf (`activities.models`) by one write, and put into use by
another, which people rule on. What they are shown is what `handrail eval` says: past decisions
that nothing was learnt from, made again by both versions, beside what people did.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from activities.inspection_learning import INSPECTION
from activities.leads_learning import LEADS
from activities.learners import Learner
from activities.models import Declined, Shelf, shelf, trying
from activities.retraining_facts import (
    Decline,
    Judged,
    LearnVersion,
    Moved,
    PutIntoUse,
    Retraining,
)
from activities.support_learning import SUPPORT
from handrail import Decision, Effect, Final, decide, read, write
from handrail.evidence import PastDecision, RemadeDecision, population_stability
from handrail.integrations import evaluate

LEARNERS: Mapping[str, Learner] = {each.agent: each for each in (SUPPORT, LEADS, INSPECTION)}
"""Who is retrained."""

ERROR = 0.001
"""How often a look says that something has moved where nothing has, at most."""
WINDOW = 150
"""So many of what it was shown are held against as many from when the version came into use."""
LEAST = 40
"""So many decisions of people since then are learnt from, or it is too early."""
JUDGED = 200
"""At most so many past decisions, the latest, are made again."""


# Reading


@read(timeout=timedelta(minutes=2))
async def look(due: Retraining) -> Moved:
    """How far what the version in use is shown has moved, by the population stability index."""
    learner = learner_of(due.agent)
    rows = await learner.seen(due.on)
    use = await asyncio.to_thread(the_shelf().use, due.agent)
    if use is None:
        raise Final(f"{due.agent} has no model in use: it has not decided anything yet")
    own = [inputs for day, inputs in rows if day > use.since]
    indexes = await asyncio.to_thread(_indexes, own[:WINDOW], own[WINDOW:][-WINDOW:])
    labelled = [day for day, _ in await learner.past(due.on) if day > use.since]
    return Moved(
        in_use=use.version,
        since=use.since,
        moved=tuple(f"{name} {index:.2f}" for name, (index, drifted) in indexes.items() if drifted),
        index=max((index for index, _ in indexes.values()), default=0.0),
        seen=len(own),
        labelled=len(labelled),
    )


def _indexes(
    then: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]
) -> dict[str, tuple[float, bool]]:
    """The index of each input, and whether it says that it has moved."""
    found: dict[str, tuple[float, bool]] = {}
    for name in then[0] if then else ():
        values = ([each[name] for each in rows] for rows in (then, now))
        drift = population_stability(*values, error=ERROR / len(then[0]))
        found[name] = (round(drift.index or 0.0, 2), drift.drifted)
    return found


@read(timeout=timedelta(minutes=5))
async def judge(due: Retraining, version: str, replaces: str) -> Judged:
    """Make past decisions again by both versions, as `handrail eval` does."""
    learner = learner_of(due.agent)
    past = [each for _, each in await learner.past(due.on)][-JUDGED:]
    before, now = [await again(learner, each, past) for each in (replaces, version)]
    other = [n for b, n in zip(before, now, strict=True) if b.now != n.now]
    no = await asyncio.to_thread(the_shelf().declined, due.agent, replaces)
    latest = [f"{each.past.case}: now {each.now or each.error}" for each in other[-3:]]
    return Judged(
        decisions=len(past),
        as_people_before=sum(each.as_people is True for each in before),
        as_people_now=sum(each.as_people is True for each in now),
        acted_before=len(acted(learner, before)),
        acted_now=len(acted(learner, now)),
        wrong_before=sum(each.as_people is False for each in acted(learner, before)),
        wrong_now=sum(each.as_people is False for each in acted(learner, now)),
        failed=sum(each.now is None for each in now),
        seconds=round(sum(each.took.total_seconds() for each in now), 1),
        cost=float(sum(each.usage.cost for each in now)),
        differ=(f"{len(other)} of {len(past)}", *latest),
        declined=f"{no.version}, on {no.since}" if no else "",
        lead_declined=no.lead if no else 0,
        wrong_declined=no.wrong if no else 0,
    )


async def again(
    learner: Learner, version: str, past: Sequence[PastDecision]
) -> list[RemadeDecision]:
    """Past decisions, made again by a version of the agent's model."""
    with trying(learner.agent, version):
        return await evaluate(learner.step, past)


def acted(learner: Learner, made: Sequence[RemadeDecision]) -> list[RemadeDecision]:
    """Those in which more was done than to leave it to people."""
    return [each for each in made if each.now is not None and learner.acts(each.now)]


# Deciding


@decide
async def whether_to_learn(due: Retraining, moved: Moved) -> Decision[LearnVersion, Moved]:
    """Learn anew where an input has moved, and people have said enough since."""
    action = LearnVersion(agent=due.agent, until=due.on, replaces=moved.in_use)
    why = f"moved: {', '.join(moved.moved)}"
    if not moved.moved:
        action, why = None, f"nothing has moved (index {moved.index:.2f}, of {moved.seen})"
    elif moved.labelled < LEAST:
        action, why = None, f"{why}; {moved.labelled} decisions of people are too few yet"
    return Decision(action=action, rationale=why, confidence=1.0, evidence=moved)


@decide
async def whether_to_use(
    due: Retraining, version: str, replaces: str, judged: Judged
) -> Decision[PutIntoUse, Judged]:
    """Propose a version that decides as people did more often, and is wrong no more often.

    What people have declined is proposed again when twice as much speaks for it.
    """
    better = judged.as_people_now > judged.as_people_before
    action = PutIntoUse(agent=due.agent, version=version, replaces=replaces, on=due.on)
    why = (
        f"as people {judged.as_people_now} of {judged.decisions} (before "
        f"{judged.as_people_before}), wrong {judged.wrong_now} (before {judged.wrong_before})"
    )
    if not better or judged.wrong_now > judged.wrong_before or version == replaces:
        action, why = None, f"{version} is no better: {why}"
    elif judged.was_declined:
        action, why = None, f"people have declined {judged.declined}, and no more speaks for {why}"
    return Decision(action=action, rationale=why, confidence=1.0, evidence=judged)


def declined(action: PutIntoUse, judged: Judged) -> Decline:
    """What is kept of a version that people did not want, with what spoke for it."""
    said = action.model_dump(include={"agent", "version", "replaces", "on"})
    return Decline(**said, lead=judged.lead, wrong=judged.wrong_now)


# Writing


@write(idempotent=True)
async def discard(action: LearnVersion, effect: Effect) -> None:
    """Take a version off the shelf, unless it was in use."""
    if effect.undoes is not None and effect.undoes.receipt is not None:
        version = str(effect.undoes.receipt.result)
        await asyncio.to_thread(the_shelf().discard, action.agent, version)


@write(undo=discard, idempotent=True, timeout=timedelta(minutes=10))
async def learn(action: LearnVersion, effect: Effect) -> str:
    """Learn a version, and keep it under the digest of what it is."""
    del effect
    body = await learner_of(action.agent).learn(action.until)
    return await asyncio.to_thread(the_shelf().keep, action.agent, body)


@write(idempotent=True)
async def put_back(action: PutIntoUse, effect: Effect) -> None:
    """Have the version before used again, unless another one is used by now."""
    use = (action.agent, action.replaces, action.on, effect.key)
    await asyncio.to_thread(the_shelf().put, *use, before=action.version)


@write(undo=put_back, idempotent=True)
async def put_into_use(action: PutIntoUse, effect: Effect) -> str:
    """Have a version used, under the effect's key, which the shelf takes once."""
    has = the_shelf()
    await asyncio.to_thread(has.body, action.agent, action.version)
    use = (action.agent, action.version, action.on, effect.key)
    if not await asyncio.to_thread(has.put, *use, before=action.replaces):
        raise Final(f"{action.agent} does not decide by {action.replaces} any more")
    return action.version


@write(idempotent=True)
async def forget(action: Decline, effect: Effect) -> None:
    """Have it be as if people had not said no."""
    del action
    if effect.undoes is not None:
        await asyncio.to_thread(the_shelf().forget, effect.undoes.key)


@write(undo=forget, idempotent=True)
async def decline(action: Decline, effect: Effect) -> None:
    """Keep it under the effect's key, which the shelf takes once."""
    what = Declined(action.version, action.replaces, action.on, action.lead, action.wrong)
    await asyncio.to_thread(the_shelf().decline, action.agent, what, effect.key)


def learner_of(agent: str) -> Learner:
    """Who is retrained.

    Raises:
        Final: nobody of that name is.
    """
    if agent not in LEARNERS:
        raise Final(f"{agent} is not retrained; there are: {', '.join(sorted(LEARNERS))}")
    return LEARNERS[agent]


def the_shelf() -> Shelf:
    """Where the versions are.

    Raises:
        Final: nobody has said where.
    """
    found = shelf()
    if found is None:
        raise Final("AGENT_MODELS does not say where models are kept; fix: an SQLAlchemy URL")
    return found
