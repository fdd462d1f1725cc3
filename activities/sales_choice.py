"""What the sales agent does about a deal: the first thing that is due of it, and why."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

from activities.sales_facts import (
    Assign,
    Close,
    FollowUp,
    Move,
    Remind,
    Situation,
    Standing,
)
from activities.sales_rules import (
    STAGES,
    WITHIN,
    What,
    due,
    ending,
    next_owner,
    right_stage,
    to_remind,
    touched,
)

Anything = Assign | Move | Remind | FollowUp | Close


class Step(NamedTuple):
    """What to do, why, and what the evidence says beside it."""

    action: Anything | None
    why: str
    more: dict[str, Any]


def _assign(seen: Situation, on: date, days: int) -> Step:
    del on, days
    deal, rep = seen.deal, next_owner(seen.deal, seen.reps)
    if rep is None:
        where = deal.territory or "a customer without a postal code"
        return Step(None, f"set aside: nobody is here for {where}", {})
    why = f"{rep.deals} open deals, the fewest of {deal.territory}"
    return Step(Assign(deal=deal.code, was=deal.owner, owner=rep.code), why, {"load": rep.deals})


def _move(seen: Situation, on: date, days: int) -> Step:
    del on, days
    deal, (to, since) = seen.deal, right_stage(seen.deal)
    steps = STAGES.index(to) - STAGES.index(deal.stage)
    why = f"by what happened it is {to} since {since}"
    return Step(Move(deal=deal.code, was=deal.stage, to=to), why, {"steps": steps})


def _close(seen: Situation, on: date, days: int) -> Step:
    del on, days
    deal = seen.deal
    if (end := ending(deal)) is None:
        return Step(None, "it goes on", {})
    why = f"the customer {'ordered' if end[0] == 'won' else 'declined'} on {end[1]}"
    return Step(Close(deal=deal.code, ending=end[0], amount=deal.amount), why, {"said": end[1]})


def _remind(seen: Situation, on: date, days: int) -> Step:
    why = f"{days} days without a word"
    if (whom := to_remind(seen.deal, seen.tasks, seen.lead, on)) is None:
        return Step(None, why, {})
    task = Remind(deal=seen.deal.code, calendar=whom[0], due=on + WITHIN, days=days)
    return Step(task, why, {})


_STEPS = {"assign": _assign, "move": _move, "close": _close, "remind": _remind}


def chosen(seen: Situation, on: date, after: What | None) -> tuple[Step, Standing]:
    """What to do of a deal next, `after` what was due, and what rules and approvers see of it."""
    deal = seen.deal
    wanted = due(deal, seen.tasks, seen.lead, on)
    own = next((rep for rep in seen.reps if rep.code == deal.owner), None)
    standing = Standing(
        what=wanted.what if wanted else None,
        stage=deal.stage,
        amount=deal.amount,
        days=(on - touched(deal)).days,
        owner=deal.owner,
        mails=bool(own and own.mails),
    )
    if wanted is not None:
        step = _STEPS[wanted.what](seen, on, standing.days)
        return step, standing.model_copy(update=step.more)
    mail = _to_write(seen, standing) if after == "remind" else None
    return Step(mail, "an offer has no answer" if mail else "nothing is due", {}), standing


def _to_write(seen: Situation, standing: Standing) -> FollowUp | None:
    """A mail beside the first reminder of an offer, where its owner allows it."""
    deal = seen.deal
    first = sum(task.due > touched(deal) for task in seen.tasks) == 1
    wanted = first and deal.stage == "offered" and standing.mails
    if not wanted or not deal.mail or deal.owner is None:
        return None
    return FollowUp(deal=deal.code, owner=deal.owner, mail=deal.mail, since=touched(deal))
