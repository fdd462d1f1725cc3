"""The steps of the sales agent, which keeps a pipeline as the company's rules want it.

Opportunities are in Tryton, tasks in each person's calendar, and customers get mail
(`activities.sales_systems`). What is due of a deal is told by the company's rules alone
(`activities.sales_rules`). What a note says beyond its day and kind is read by nobody here.
"""

from __future__ import annotations

from datetime import date

from activities import tryton
from activities.sales_choice import Anything, chosen
from activities.sales_facts import (
    Assign,
    Close,
    FollowUp,
    Move,
    Remind,
    Round,
    Situation,
    Standing,
    Visit,
)
from activities.sales_rules import (
    OPEN,
    PROBABILITY,
    Deal,
    Rep,
    Stage,
    What,
    due,
    until,
)
from activities.sales_systems import (
    GONE,
    calendar,
    compose,
    deal_of,
    deals,
    employee_of,
    parse_tasks,
    press,
    put,
    record_of,
    send,
    tasks_in,
    team,
    uid_of,
)
from handrail import Decision, Effect, Final, decide, read, write

CLOSED = {"won": frozenset({"converted", "won"}), "lost": frozenset({"lost"})}
BUTTON = {"won": "convert", "lost": "lost"}
STATE = {"new": "lead", "qualified": "opportunity", "offered": "opportunity"}


# Reading


@read(secrets=tryton.SECRETS)
async def survey(pipeline: str, on: date) -> Round:
    """Read all open deals of a pipeline, and what of them is due."""
    where = [["reference", "like", f"{pipeline}-%"], ["state", "in", list(OPEN)]]
    found, unread = await deals(where)
    people = await team()
    tasks = await tasks_in([rep.code for rep in people])
    lead = next((rep.code for rep in people if rep.lead), "")
    wanted = [what for each in found if (what := due(each, tasks, lead, on))]
    wanted.sort(key=lambda each: (each.since, each.deal))
    return Round(due=wanted, looked_at=len(found), unread=unread)


@read(secrets=tryton.SECRETS)
async def situation(code: str, on: date) -> Situation:
    """Read a deal as it is now, who may have it, and the tasks that there are of it."""
    deal, people = until(await deal_of(code), on), await team()
    whose = {deal.owner or "", *(rep.code for rep in people if rep.lead)} - {""}
    tasks = [each for each in await tasks_in(sorted(whose)) if each.deal == code]
    return Situation(deal=deal, reps=people, tasks=tasks)


@read(secrets=tryton.SECRETS)
async def deal_now(code: str) -> Deal:
    """Read a deal alone, for a fresh look at it."""
    return await deal_of(code)


@read(secrets=tryton.SECRETS)
async def people_now() -> list[Rep]:
    """Read who sells, and how many open deals each has."""
    return await team()


# Deciding


@decide
async def next_step(
    visit: Visit, seen: Situation, after: What | None
) -> Decision[Anything, Standing]:
    """Take the first thing that is due of a deal: an owner, its stage, its end, a word with it."""
    step, standing = chosen(seen, visit.on, after)
    return Decision(action=step.action, rationale=step.why, confidence=1.0, evidence=standing)


# Writing


@write(idempotent=True, secrets=tryton.SECRETS)
async def give_back(action: Assign, effect: Effect) -> None:
    """Give a deal back to whom it was of, unless somebody has given it on."""
    del effect
    await _owned(action.deal, action.owner, action.was)


@write(undo=give_back, idempotent=True, secrets=tryton.SECRETS)
async def assign(action: Assign, effect: Effect) -> str:
    """Give a deal an owner, where it still has the one that was read."""
    del effect
    await _owned(action.deal, action.was, action.owner)
    return action.owner


async def _owned(code: str, was: str | None, now: str | None) -> None:
    deal = await deal_of(code)
    if deal.owner == now:
        return
    if deal.owner != was:
        raise Final(f"somebody has given {code} to {deal.owner} meanwhile: it is theirs")
    await put(await record_of(code), employee=await employee_of(now) if now else None)


@write(idempotent=True, secrets=tryton.SECRETS)
async def move_back(action: Move, effect: Effect) -> None:
    """Give a deal the stage back that it had, unless somebody has moved it on."""
    del effect
    await _staged(action.deal, action.to, action.was)


@write(undo=move_back, idempotent=True, secrets=tryton.SECRETS)
async def move(action: Move, effect: Effect) -> str:
    """Give a deal a stage, where it still has the one that was read."""
    del effect
    await _staged(action.deal, action.was, action.to)
    return action.to


async def _staged(code: str, was: Stage, now: Stage) -> None:
    """Make a deal `now` where it is `was`: a probability, and for Tryton's state its button."""
    deal, record = await deal_of(code), await record_of(code)
    if deal.state not in OPEN or deal.stage not in {was, now}:
        raise Final(f"somebody has made {code} {deal.state}, {deal.stage} meanwhile: it is theirs")
    # Back first by the state, on first by the probability: half done it reads as one of the two.
    back = STATE[now] == "lead"
    if back and deal.state != "lead":
        await press(record, "lead")
    if deal.probability != PROBABILITY[now]:
        await put(record, conversion_probability=PROBABILITY[now])
    if not back and deal.state != STATE[now]:
        await press(record, STATE[now])


@write(idempotent=True)
async def forget(action: Remind, effect: Effect) -> None:
    """Take a task out of the calendar, as this agent put it in; who moved it keeps it."""
    if effect.undoes is None:
        raise Final("forget only ever takes a task of this agent back")
    path = f"{action.calendar}/{uid_of(effect.undoes.key)}.ics"
    there = await calendar("GET", path, allow=GONE)
    if there.status_code in GONE:
        return
    if [task.due for task in parse_tasks(there.text, action.calendar)] != [action.due]:
        raise Final(f"{action.calendar} has moved it: it is theirs")
    await calendar("DELETE", path, headers={"If-Match": there.headers["ETag"]}, allow=GONE)


@write(undo=forget, idempotent=True)
async def remind(action: Remind, effect: Effect) -> str:
    """Put a task into a calendar under the effect's own name, if nothing has that name."""
    uid = uid_of(effect.key)
    headers = {"If-None-Match": "*", "Content-Type": "text/calendar"}
    content = compose(action.deal, action.due, action.days, uid)
    path = f"{action.calendar}/{uid}.ics"
    await calendar("PUT", path, headers=headers, content=content, allow={412})
    return uid


@write
async def follow_up(action: FollowUp, effect: Effect) -> str:
    """Send the customer of an offer a mail; nobody can ask a mail server whether it went."""
    text = (
        f"You have had our offer ({action.deal}) for a while. Is anything open that we can answer?"
        "\n\nYour sales team\n"
    )
    return await send(action.mail, f"Our offer {action.deal}", text, uid_of(effect.key))


async def closed(action: Close, effect: Effect) -> str | None:
    """Whether a deal is closed as it was meant."""
    del effect
    state = (await deal_of(action.deal)).state
    return BUTTON[action.ending] if state in CLOSED[action.ending] else None


@write(find=closed, settles=2 * tryton.PATIENCE, secrets=tryton.SECRETS)
async def close(action: Close, effect: Effect) -> str:
    """Close a deal by Tryton's own button: won makes a sale of it."""
    del effect
    deal = await deal_of(action.deal)
    if deal.state not in OPEN:
        raise Final(f"somebody has made {action.deal} {deal.state} meanwhile: it is theirs")
    await press(await record_of(action.deal), BUTTON[action.ending])
    return BUTTON[action.ending]
