"""The guards while it runs and afterwards: reviews, secrets, messages, budgets, breakers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from handrail.actions import Kind
from handrail.oversight import OrderState, is_drawn
from handrail.states import State
from handrail.testing import CaseHandle, eventually
from workers.guards.before import cheap
from workers.guards.fleet import TOKEN
from workers.guards.owner import AGENT, OWNER
from workers.guards.policies import rebook
from workers.guards.rows import Row, require
from workers.guards.site import SOON, Site

_DAY = timedelta(days=1)
_RANDOM = 0.05


async def reviewed(site: Site) -> list[Row]:
    """A booking that ran alone is drawn for a look afterwards."""
    late = await site.freight.take(
        lambda x: x.cheap and is_drawn(AGENT, "rebook", x.key, _RANDOM), what="one drawn"
    )
    case = await site.start(late.alert)
    outcome = await case.outcome()
    row = await site.ledger.review_of(late.key)
    require(outcome.status is State.DONE and row is not None, "it was not drawn")
    assert row is not None  # noqa: S101  # as just required
    return [Row("review", late.id, f"{row.why}; {row.role} looks at it: {', '.join(row.people)}")]


async def secret(site: Site) -> list[Row]:
    """A carrier that repeats the agent's token in what it answers."""
    late = await site.freight.take(cheap, what="one that runs alone")
    await site.freight.fault(late, "before", "echo")
    case = await site.start(late.alert)
    outcome = await case.outcome()
    require(f"[secret {TOKEN}]" in outcome.why, f"the carrier's answer is not there: {outcome.why}")
    history = (await case.history()).to_json()
    require(f"[secret {TOKEN}]" in history, "the history lacks the masked token")
    require(site.token not in history, "the token is in the history")
    leaked = await asyncio.to_thread(_holding, site.home, site.token)
    require(not leaked, f"the token is in {leaked}")
    before, _, header = outcome.why.partition("'authorization'")
    words = f"{before.partition('{')[0]}… 'authorization'{header.partition(',')[0].rstrip('}')}"
    return [Row("secret", late.id, words)]


def _holding(home: Path, token: str) -> list[str]:
    """The files of the home in which a token is, in so many letters."""
    files = [path for path in home.rglob("*") if path.is_file() and "mail" not in path.parts]
    return [str(path) for path in files if token.encode() in path.read_bytes()]


async def silenced(site: Site) -> list[Row]:
    """A notification that the policy does not allow."""
    site.policies.change(lambda doc: doc.update(notify={"tell_customer": {"allow": False}}))
    late = await site.freight.take(cheap, what="one that runs alone")
    before = len(site.mails(late.known.email))
    case = await site.start(late.alert)
    outcome = await case.outcome()
    require(bool(outcome.receipts and outcome.unsent), "the customer was told")
    require(len(site.mails(late.known.email)) == before, "the mail arrived")
    site.policies.change()
    return [Row("notification", late.id, outcome.unsent[0])]


async def nearly(site: Site) -> list[Row]:
    """A budget of which more than four fifths are used: its owner gets mail."""
    spent = await site.ledger.spent(AGENT, datetime.now(UTC) - _DAY)
    budget = {"tokens": f"{spent.tokens * 100 // 85} per day"}
    site.policies.change(lambda doc: doc.update(budgets=budget))
    late = await site.freight.take(cheap, what="one that runs alone")
    case = await site.start(late.alert)
    require(bool((await case.outcome()).receipts), "it was kept from thinking")
    text = await _told(site, "budget")
    return [Row("budget: 80 %", late.id, text)]


async def used_up(site: Site) -> tuple[list[Row], CaseHandle]:
    """A budget that is used up: the case waits, and goes on when it has more."""
    spent = await site.ledger.spent(AGENT, datetime.now(UTC) - _DAY)
    site.policies.change(lambda doc: doc.update(budgets={"tokens": f"{spent.tokens} per day"}))
    late = await site.freight.take(cheap, what="one that runs alone")
    case = await site.start(late.alert)
    why = await site.failing(case, "waits: budget")
    require(late.key not in await site.freight.booked(), "it thought all the same")
    site.policies.change()
    return [Row("budget: used up", late.id, why.partition(";")[0])], case


async def breaker(site: Site) -> list[Row]:
    """Too many refusals: the agent's autonomy goes down, and its owner gets mail."""
    rows = await site.ledger.verdicts(AGENT)
    refused = {(row.case, row.digest) for row in rows if row.kind is Kind.REFUSE and not row.pilot}
    trip = [{"after": f"{len(refused) + 2} refusals per hour", "then": "supervised"}]
    site.policies.change(lambda doc: (doc.update(breakers=trip), _nothing_more(doc)))
    for tripped in (0, 1):
        late = await site.freight.take(cheap, what="one that runs alone")
        await (await site.start(late.alert)).outcome()
        orders = [row for row in await site.ledger.orders(AGENT, live=True) if row.by == "breaker"]
        require(len(orders) == tripped, f"not {tripped} orders of breakers: {orders}")
    site.policies.change(lambda doc: doc.update(breakers=trip))
    held = await site.freight.take(cheap, what="one that runs alone")
    case = await site.start(held.alert)
    seen = await case.gate()
    found = await site.said(case, Kind.HOLD, "autonomy")
    await site.rejected(case, seen, "not needed")
    text = await _told(site, "breaker")
    site.policies.change()
    _, second = await site.owner.full("the refusals are explained")
    require(second.stand is OrderState.IN_FORCE, f"it stays lowered: {second.note}")
    return [
        Row("breaker", held.id, found.why),
        Row("breaker: the owner is told", "", text),
    ]


def _nothing_more(doc: dict[str, object]) -> None:
    rebook(doc)["limits"] = {"count": "1 per day"}


async def _told(site: Site, what: str) -> str:
    """The mail that the owner got."""

    async def look() -> str | None:
        mails = await asyncio.to_thread(site.mails, OWNER)
        return next((m.text for m in mails if what in (m.subject or "").lower()), None)

    text: str = await eventually(look, within=SOON, what=f"mail to the owner about the {what}")
    return f"mail to {OWNER}: {next(line for line in text.splitlines() if what in line)}"
