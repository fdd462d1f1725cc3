"""What is stopped, and how much agents do by themselves: seen, stopped, lifted, turned.

Whoever a policy names may stop its agent, and every agent at once: stopping is the safe
direction. What lets an agent do more is judged by its steward, in the process of a worker.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from temporalio.service import RPCError

from handrail.actions import WHOLE, Level
from handrail.client import stewards as autonomy
from handrail.inbox.web.site import Site, signed_in, text
from handrail.ledger import FLEET
from handrail.oversight import (
    ORDER_STATEMENT,
    Keyring,
    NoOrder,
    NotProven,
    Order,
    OrderState,
    Target,
    level_order,
    lift_order,
    order_givers,
    order_in_words,
    order_of_row,
    order_row,
    stop_order,
    target_of,
)

if TYPE_CHECKING:
    from starlette.datastructures import FormData
    from starlette.requests import Request

    from handrail.ledger import OrderRow
    from handrail.oversight import Change, OrderBook

OVER = 20
"""Stops that were lifted, and are shown, the latest."""

_WHY = 1_000


class Wrong(Exception):  # a form that must be filled in again
    """A form cannot be sent as it is: the message says why."""


@dataclass(frozen=True)
class Shown:
    """One stop as the page shows it. `mine`: whether the reader may ask to have it lifted."""

    row: OrderRow
    what: str
    proven: bool
    mine: bool


@signed_in
async def stops(request: Request, site: Site, who: str) -> Response:
    """What is stopped, and how much the agents of the reader do by themselves."""
    return await _page(request, site, who)


@signed_in
async def order(request: Request, site: Site, who: str) -> Response:
    """Stop something, lift it, or turn how much an agent does by itself."""
    given = await site.fields(request)
    site.form(given, site.sessions.id(request))
    await site.slow_down("rule", who)
    does = {"stop": _stop, "lift": _lift, "level": _level, "second": _second}
    verb = next((name for name in does if text(given, name)), None)
    if verb is None:
        raise HTTPException(400, "This form orders nothing.")
    try:
        note = await does[verb](site, who, given)
    except (Wrong, NoOrder, NotProven) as error:
        return await _page(request, site, who, fault=f"Nothing was ordered: {error}")
    return RedirectResponse("/stops", 303) if not note else await _page(request, site, who, note)


# Orders


async def _stop(site: Site, who: str, given: FormData) -> str:
    target = _target(text(given, "case").strip() or text(given, "what"))
    _require_concerned(site, who, target)
    why = text(given, "why").strip()[:_WHY]
    made = stop_order(target, who, site.clock(), why)
    proof = _signed(site, made)
    await site.ledger.order(order_row(made, [proof]))
    # It is in force: that the others hear of it later changes nothing of that.
    with contextlib.suppress(RPCError):
        await _tell(site, made, proof)
    return ""


async def _tell(site: Site, made: Order, proof: str) -> None:
    if made.case is not None:
        handle = site.client.get_workflow_handle(made.case)
        await handle.signal("stop", {"by": made.by, "why": made.why})
        return
    every = made.agent == FLEET
    for agent in await autonomy.stewards(site.client) if every else [made.agent]:
        await autonomy.tell(site.client, agent, "stop", autonomy.said(made, proof))


async def _lift(site: Site, who: str, given: FormData) -> str:
    row = await site.ledger.order_of(text(given, "lift"))
    if row is None or row.ended is not None:
        raise Wrong("it is over already.")
    if not _may_lift(site, who, row):
        raise Wrong("the policy does not let you lift it.")
    why = text(given, "why").strip()[:_WHY]
    agents = [row.agent]
    if row.agent == FLEET:
        agents = await autonomy.stewards(site.client) or sorted(site.directory.controls(who))
    change = await _send(site, agents[0], lift_order(row, who, site.clock(), why))
    if row.agent == FLEET:
        await autonomy.look(site.client, agents)
    return _became(change)


async def _level(site: Site, who: str, given: FormData) -> str:
    target = _target(text(given, "what"))
    _require_concerned(site, who, target)
    level = text(given, "to")
    if level not in set(Level):
        raise Wrong("choose a level.")
    rollout = _share(text(given, "rollout")) if level == Level.FULL else None
    why = text(given, "why").strip()[:_WHY]
    made = level_order(target, Level(level), rollout, who, site.clock(), why)
    return _became(await _send(site, target.agent, made))


async def _second(site: Site, who: str, given: FormData) -> str:
    agent, _, order_id = text(given, "second").partition(" ")
    _require_concerned(site, who, Target(agent))
    book = await autonomy.book(site.client, agent)
    change = book.change(order_id) if book is not None else None
    if change is None or change.stand is not OrderState.WAITING:
        raise Wrong("it does not wait for a second person any more.")
    said = {"by": who, "at": site.clock(), "why": text(given, "why").strip()[:_WHY]}
    proof = _signed(site, change.order.model_copy(update=said))
    await autonomy.tell(site.client, agent, "second", {"id": order_id, "proof": proof})
    said_by = len(change.statements) + 1
    return _became(await autonomy.became(site.client, agent, order_id, said_by=said_by))


async def _send(site: Site, agent: str, made: Order) -> Change | None:
    body = autonomy.said(made, _signed(site, made))
    await autonomy.tell(site.client, agent, made.kind, body)
    return await autonomy.became(site.client, agent, made.id)


def _became(change: Change | None) -> str:
    """What became of an order, where that is worth saying: what is in force is on the page."""
    if change is None:
        return "No worker answers now. The order was left for one, which will judge it."
    note = f": {change.note}" if change.note else "."
    if change.stand in {OrderState.DONE, OrderState.IN_FORCE}:
        return f"In force{note}" if change.note else ""
    return f"It is {change.stand}{note}"


def _signed(site: Site, made: Order) -> str:
    return ORDER_STATEMENT.sign(made, site.key, site.clock())


def _target(said: str) -> Target:
    if not said:
        raise Wrong("choose what.")
    return Target.of(said)


def _require_concerned(site: Site, who: str, target: Target) -> None:
    """That a policy names somebody: that of the agent, or any if it is for all.

    Raises:
        Wrong: if none does.
    """
    agents = site.directory.agents(who)
    if not agents or (target.agent != FLEET and target.agent not in agents):
        raise Wrong(f"no policy names you for {target.words}.")


def _may_lift(site: Site, who: str, row: OrderRow) -> bool:
    """Whether it is worth asking. The steward judges it by the policy that is in force."""
    controls = site.directory.controls(who)
    if row.agent == FLEET:
        return bool(controls) and all(n.agent in controls for n in site.directory.named())
    return row.agent in controls


def _share(said: str) -> int | None:
    try:
        share = Decimal(said.strip().removesuffix("%") or "100") * 100
    except InvalidOperation:
        share = Decimal(-1)
    if not 0 <= share <= WHOLE or share != int(share):
        raise Wrong("write a share of the cases, such as 25%.")
    return int(share)


# The page


async def _page(
    request: Request, site: Site, who: str, note: str = "", fault: str = ""
) -> Response:
    agents = sorted(site.directory.agents(who))
    rows = [r for r in await site.ledger.orders() if r.agent == FLEET or r.agent in agents]
    halts = [row for row in rows if row.kind == "stop"]
    over = sorted((r for r in halts if r.ended is not None), key=lambda r: str(r.ended))
    content: dict[str, Any] = {
        "live": [_shown(site, who, row) for row in halts if row.ended is None],
        "over": [_shown(site, who, row) for row in over[::-1][:OVER]],
        "agents": [(each, sorted(site.directory.writes(each))) for each in agents],
        "books": [book for book in [await _book(site, each) for each in agents] if book],
        "controls": site.directory.controls(who),
        "levels": [level.value for level in Level],
        "chosen": request.query_params.get("case", ""),
        "note": note,
        "fault": fault,
        "words": order_in_words,
        "token": site.sessions.token(site.sessions.id(request), site.clock()),
    }
    return site.page(request, "stops.html", status=422 if fault else 200, **content)


async def _book(site: Site, agent: str) -> OrderBook | None:
    """What a steward knows. Without a server the page shows what the ledger does."""
    try:
        return await autonomy.book(site.client, agent)
    except RPCError:
        return None


def _shown(site: Site, who: str, row: OrderRow) -> Shown:
    made = order_of_row(row)
    keys = Keyring(site.settings.keyring).current()
    proven = made is not None and bool(order_givers(made, row.proofs, keys))
    return Shown(row, target_of(row).words, proven, _may_lift(site, who, row))
