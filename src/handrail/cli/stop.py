"""`handrail stop`, `lift` and `stops`.

A stop is written to the ledger first, where every door looks before every write: it is in force
although neither the server nor a worker answers. Only then it is told to whom it concerns.
"""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from handrail.cli import orders as cases
from handrail.cli import words
from handrail.cli.context import client, ledger_if_there, settings
from handrail.cli.output import Code, Output, UsageError
from handrail.cli.record import ledger
from handrail.cli.signing import key_if_any
from handrail.client import gates
from handrail.client import stewards as autonomy
from handrail.client.cases import iso
from handrail.exceptions import CaseError, ConfigurationError, LedgerUnavailable, ServerUnavailable
from handrail.ledger import FLEET
from handrail.oversight import (
    ORDER_STATEMENT,
    Change,
    Keyring,
    NoOrder,
    Order,
    OrderState,
    Target,
    lift_order,
    order_givers,
    order_of_row,
    order_row,
    stop_order,
    target_of,
)

if TYPE_CHECKING:
    from temporalio.client import Client

    from handrail.cli.common import Waiting
    from handrail.ledger import Ledger, OrderRow


@dataclass(frozen=True)
class Given:
    """An order that was typed, and its signature, if its giver has a key here."""

    order: Order
    proof: str | None

    @property
    def row(self) -> OrderRow:
        """How the ledger keeps it."""
        return order_row(self.order, [self.proof or self.order.model_dump_json()])


# Stopping


async def stop(
    out: Output, whats: Sequence[str], by: str | None, why: str, waiting: Waiting
) -> int:
    """Stop all that is named: in the ledger first, then by signal."""
    if not whats:
        raise UsageError("say what: fleet, an agent, agent/write, or a case (shipments:AWB-1042)")
    targets = [target_named(what) for what in dict.fromkeys(whats)]
    given = [_given(out, target, by or _login(), why) for target in targets]
    try:
        kept = await _keep(out, given)
    except LedgerUnavailable as error:
        out.say(f"{error}: a worker is told to stop instead", "yellow")
        kept = False
    found: list[dict[str, Any]] = []
    code = Code.DONE
    try:
        connected = await client(settings())
        code, found = await _tell(out, connected, given, by, why, waiting, kept=kept)
    except (ServerUnavailable, RPCError) as error:
        if not kept:
            raise
        out.say(f"in force; the server was not told: {error}", "yellow")
    stops = [_document(each.row) for each in given if each.order.case is None]
    out.data({"order": "stop", "in_force": kept, "stops": stops, "cases": found})
    return code


def target_named(what: str) -> Target:
    """What a command names.

    Raises:
        UsageError: if it names nothing.
    """
    try:
        return Target.of(what)
    except NoOrder as error:
        raise UsageError(str(error)) from error


def _login() -> str:
    """Who is at this machine, for the record; it proves nothing."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "somebody"


def _given(out: Output, target: Target, by: str, why: str) -> Given:
    try:
        order = stop_order(target, by, datetime.now(UTC), why[:1_000])
    except NoOrder as error:
        raise UsageError(str(error)) from error
    try:
        return signed(out, order)
    except (ConfigurationError, UsageError) as error:
        # Who gives it matters less than that it is given.
        out.say(f"not signed: {error}", "yellow")
        return Given(order, None)


def signed(out: Output, order: Order) -> Given:
    """An order, signed if whoever gives it has a key here.

    Raises:
        KeyringError: if a key, or the keyring, cannot be used.
        UsageError: if the key that was named is not theirs.
    """
    key = key_if_any(out, settings(), order.by)
    return Given(
        order, None if key is None else ORDER_STATEMENT.sign(order, key, datetime.now(UTC))
    )


async def _keep(out: Output, given: Sequence[Given]) -> bool:
    """Write stops to the ledger. False where there is none here: a worker must do it."""
    async with ledger_if_there(settings()) as opened:
        if opened is None:
            where = settings().ledger_url.render_as_string(hide_password=True)
            out.say(f"there is no ledger at {where}: a worker is told to stop instead", "yellow")
            return False
        for each in given:
            await opened.order(each.row)
            what = words.plain(target_of(each.order).words)
            out.show(Text(f"stopped {what}: no write of it begins any more", "green"))
            if each.order.case is None:
                out.show(words.label("to go on", f"{words.program()} lift {each.order.id[:12]}"))
    return True


async def _tell(  # noqa: PLR0917  # what was ordered, and of whom
    out: Output,
    connected: Client,
    given: Sequence[Given],
    by: str | None,
    why: str,
    waiting: Waiting,
    *,
    kept: bool,
) -> tuple[Code, list[dict[str, Any]]]:
    """Tell the stewards of agents, and the cases, what is in force."""
    for each in given:
        if each.order.case is None:
            await _tell_stewards(connected, each, kept=kept)
    named = [each.order.case for each in given if each.order.case is not None]
    if not named:
        return Code.DONE, []
    code, found = await cases.send(out, connected, "stop", named, by, why, waiting)
    failed = {each["case"] for each in found if "error" in each}
    if kept and failed:
        await _forget_ended(connected, [g for g in given if g.order.case in failed])
    return code, found


async def _tell_stewards(connected: Client, given: Given, *, kept: bool) -> None:
    order = given.order
    agents = await autonomy.stewards(connected) if order.agent == FLEET else [order.agent]
    if not (kept or agents):
        raise CaseError("nothing was stopped: no ledger is here, and no agent has a steward")
    for agent in agents:
        await autonomy.tell(connected, agent, "stop", autonomy.said(order, given.proof))


async def _forget_ended(connected: Client, given: Sequence[Given]) -> None:
    """End the stops of cases that are over or never were: nothing of them can be stopped."""
    async with ledger() as opened:
        for each in given:
            if each.order.case is not None and not await _runs(connected, each.order.case):
                why = "there is no such case, or it has ended"
                await opened.end_order(each.order.id, each.order.by, datetime.now(UTC), why)


async def _runs(connected: Client, case: str) -> bool:
    try:
        return (await gates.existing(connected, case)).status is WorkflowExecutionStatus.RUNNING
    except CaseError:
        return False


# Lifting


async def lift(out: Output, named: str, by: str, why: str) -> int:
    """Say that a stop, or a level, is over. The steward judges whether it is."""
    async with ledger() as opened:
        rows = await _named(opened, named)
    connected = await client(settings())
    code = Code.DONE
    results: list[dict[str, Any]] = []
    for row in rows:
        order = lift_order(row, by, datetime.now(UTC), why[:1_000])
        agent = await _steward_for(connected, row)
        change = await send(out, connected, agent, order)
        code = max(code, say_became(out, change))
        results.append(became_json(order, change))
        if row.agent == FLEET and change is not None and change.stand is OrderState.DONE:
            await autonomy.look(connected, await autonomy.stewards(connected))
    out.data({"order": "lift", "lifted": results})
    return code


async def _named(opened: Ledger, named: str) -> list[OrderRow]:
    """The orders in force of that id, or how it begins, or for exactly what is named.

    Raises:
        UsageError: if there is none, or an id is the beginning of several.
    """
    live = await opened.orders(live=True)
    by_id = [row for row in live if row.id.startswith(named.lower())]
    if len(by_id) == 1:
        return by_id
    if by_id:
        raise UsageError(f"{named} is the beginning of {len(by_id)} orders; write more of it")
    target = target_named(named)
    mine = [row for row in live if target_of(row) == target]
    found = [row for row in mine if row.kind == "stop"] or mine
    if not found:
        raise UsageError(
            f"nothing is in force for {words.plain(named)}; `{words.program()} stops` shows what is"
        )
    return found


async def _steward_for(connected: Client, row: OrderRow) -> str:
    if row.agent != FLEET:
        return row.agent
    agents = await autonomy.stewards(connected)
    if not agents:
        raise CaseError("no agent has a steward that could lift it: start a worker")
    return agents[0]


async def send(out: Output, connected: Client, agent: str, order: Order) -> Change | None:
    """Give an order to the steward of an agent, and wait for what becomes of it.

    Raises:
        KeyringError: if a key, or the keyring, cannot be used.
        UsageError: if the key that was named is not theirs.
    """
    given = signed(out, order)
    await autonomy.tell(connected, agent, order.kind, autonomy.said(order, given.proof))
    return await autonomy.became(connected, agent, order.id)


def say_became(out: Output, change: Change | None) -> Code:
    """Say what became of an order."""
    if change is None:
        out.show(Text("no worker answers now: it was left for one, which will judge it", "yellow"))
        return Code.DONE
    note = f": {words.plain(change.note)}" if change.note else ""
    if change.stand in {OrderState.REFUSED, OrderState.EXPIRED}:
        out.say(f"handrail: {change.stand}{note}", "red")
        return Code.REFUSED
    who = ", ".join(map(words.plain, change.people or (change.order.by,)))
    proven = "" if change.proven else " (unproven)"
    colour = "yellow" if change.stand is OrderState.WAITING else "green"
    out.show(Text(f"{change.stand} by {who}{proven}{note}", colour))
    if change.stand is not OrderState.WAITING:
        return Code.DONE
    second = f"{words.program()} autonomy --second {change.order.id} --by you@example.com"
    out.show(words.label("second", second))
    return Code.WAITS


def became_json(order: Order, change: Change | None) -> dict[str, Any]:
    """What became of an order, for programs."""
    stand = None if change is None else change.stand.value
    note = "" if change is None else change.note
    return {
        "id": order.id,
        "lifts": order.lifts,
        "by": order.by,
        "stand": stand,
        "note": note,
        "proven": change.proven if change is not None else None,
        "people": list(change.people) if change is not None else [],
    }


# Listing


async def listing(out: Output, *, every: bool, of_cases: bool) -> int:
    """Show the stops that are in force; with `every` those that are over, too."""
    async with ledger() as opened:
        rows = [row for row in await opened.orders(live=not every) if row.kind == "stop"]
    shown = [row for row in rows if row.case is None or of_cases]
    out.data({"stops": [_document(row) for row in shown]})
    for row in shown:
        out.show(*_lines(row))
    hidden = len(rows) - len(shown)
    if hidden:
        out.say(f"and {hidden} of single cases; --cases shows them")
    if not shown:
        out.show("nothing is stopped" if not every else "nothing was ever stopped")
    return Code.DONE


def _document(row: OrderRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "what": target_of(row).words,
        "agent": row.agent,
        "step": row.step,
        "case": row.case,
        "by": row.by,
        "proven": _proven(row),
        "at": iso(row.at),
        "why": row.why,
        "lifted": None if row.ended is None else iso(row.ended),
        "lifted_by": row.ended_by,
        "lifted_why": row.ended_why,
    }


def _lines(row: OrderRow) -> list[Text]:
    colour = "bold red" if row.ended is None else "dim"
    who = words.plain(row.by) + ("" if _proven(row) else " (unproven)")
    head = Text.assemble((f"{row.id[:12]}  ", "bold"), (words.plain(target_of(row).words), colour))
    lines = [head, words.label("stopped", f"{words.moment(row.at)} by {who}")]
    if row.why:
        lines.append(words.label("why", words.plain(row.why)))
    if row.ended is not None:
        whom, why = words.plain(row.ended_by or ""), words.plain(row.ended_why or "")
        said = f"{words.moment(row.ended)} by {whom}{f': {why}' if why else ''}"
        lines.append(words.label("lifted", said))
    return lines


def _proven(row: OrderRow) -> bool:
    order = order_of_row(row)
    if order is None:
        return False
    return bool(order_givers(order, row.proofs, Keyring(settings().keyring).current()))
