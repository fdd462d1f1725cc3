"""`handrail autonomy`: how much agents may do by themselves now, and turning it up and down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from rich.text import Text

from handrail.actions import WHOLE, Level, person
from handrail.cli import figures, stop, words
from handrail.cli.context import client, settings
from handrail.cli.output import Code, Output, UsageError
from handrail.cli.signing import key_if_any
from handrail.client import stewards as autonomy
from handrail.exceptions import CaseError
from handrail.oversight import (
    ORDER_STATEMENT,
    NoOrder,
    Target,
    level_order,
    order_in_words,
)
from handrail.text import percent

if TYPE_CHECKING:
    from temporalio.client import Client

    from handrail.oversight import Change, OrderBook, StepView

_CHANGES = 10
"""Changes that are shown of one agent; the JSON has all of them."""


@dataclass(frozen=True)
class Typed:
    """What was typed: an agent, a write of it, a level."""

    agent: str | None
    step: str | None
    level: Level | None

    @classmethod
    def of(cls, said: Sequence[str]) -> Typed:
        """Read `[AGENT [WRITE] [LEVEL]]`; `AGENT/WRITE` is the same as both.

        Raises:
            UsageError: if there is more, or the last of three is no level.
        """
        first, *rest = said or [""]
        agent, slash, step = first.partition("/")
        parts = [*([step] if slash else []), *rest]
        level = Level(parts.pop()) if parts and parts[-1] in set(Level) else None
        if len(parts) > 1:
            levels = ", ".join(Level)
            raise UsageError(f"{parts[-1]!r} is no level; there are: {levels}")
        return cls(agent or None, parts[0] if parts else None, level)


async def autonomy_(
    out: Output, said: Sequence[str], *, rollout: str | None, by: str | None, why: str
) -> int:
    """Show how much agents may do by themselves, or set it."""
    typed = Typed.of(said)
    connected = await client(settings())
    if typed.level is None:
        if rollout is not None:
            raise UsageError("--rollout goes with the level full")
        return await _show(out, connected, typed)
    if typed.agent is None or by is None:
        raise UsageError("say who sets it: --by you@example.com")
    try:
        target = Target(typed.agent, step=typed.step)
        order = level_order(
            target, typed.level, _share(rollout), by, datetime.now(UTC), why[:1_000]
        )
    except NoOrder as error:
        raise UsageError(str(error)) from error
    change = await stop.send(out, connected, typed.agent, order)
    code = stop.say_became(out, change)
    out.data({"order": "level", "what": order_in_words(order), **stop.became_json(order, change)})
    return code


def _share(text: str | None) -> int | None:
    """A share as it is typed, 25% or 0.5%, in hundredths of a percent."""
    if text is None:
        return None
    try:
        share = Decimal(text.strip().removesuffix("%")) * 100
    except InvalidOperation:
        share = Decimal(-1)
    if not 0 <= share <= WHOLE or share != int(share):
        raise UsageError(f"--rollout {text}: write a share of the cases, such as 25% or 0.5%")
    return int(share)


async def second(out: Output, named: str, by: str, why: str) -> int:
    """Say so as the second person, of an order that waits for one."""
    connected = await client(settings())
    agent, change = await _waiting(connected, named)
    order = change.order.model_copy(
        update={"by": person(by), "at": datetime.now(UTC), "why": why[:1_000]}
    )
    out.show(
        Text(order_in_words(order), "bold"), words.label("asked by", words.plain(change.order.by))
    )
    key = key_if_any(out, settings(), by)
    proof = None if key is None else ORDER_STATEMENT.sign(order, key, datetime.now(UTC))
    body: dict[str, Any] = {"id": order.id, "by": by, "why": why}
    await autonomy.tell(
        connected, agent, "second", body if proof is None else body | {"proof": proof}
    )
    said_by = len(change.statements) + 1
    became = await autonomy.became(connected, agent, order.id, said_by=said_by)
    code = stop.say_became(out, became)
    out.data({"order": "second", "what": order_in_words(order), **stop.became_json(order, became)})
    return code


async def _waiting(connected: Client, named: str) -> tuple[str, Change]:
    """The one order that waits and has that id, or one that begins so.

    Raises:
        UsageError: if there is none, or several.
    """
    found: list[tuple[str, Change]] = []
    for agent in await autonomy.stewards(connected):
        book = await autonomy.book(connected, agent)
        waiting = book.waiting if book is not None else ()
        found += [(agent, each) for each in waiting if each.order.id.startswith(named.lower())]
    if len(found) != 1:
        many = f"is the beginning of {len(found)} orders" if found else "is no order"
        raise UsageError(f"{named} {many} that waits; `{words.program()} autonomy` shows them")
    return found[0]


# Showing


async def _show(out: Output, connected: Client, typed: Typed) -> int:
    agents = [typed.agent] if typed.agent else await autonomy.stewards(connected)
    documents: list[dict[str, Any]] = []
    for agent in agents:
        book = await autonomy.book(connected, agent)
        if book is None or book.picture is None:
            if typed.agent is not None:
                raise CaseError(
                    f"the steward of {agent} does not answer: start a worker that runs {agent}"
                )
            out.say(f"the steward of {words.plain(agent)} does not answer", "yellow")
            continue
        steps = [e.step for e in book.picture.steps if typed.step in {None, e.step}]
        found = await figures.known(agent, steps)
        told = [figures.document(each) for each in found]
        documents.append(_document(book, typed.step) | {"figures": told})
        out.show(*_lines(book, typed.step, whole=typed.agent is not None))
        if typed.agent is not None:
            out.show(*(line for each in found for line in figures.lines(each)))
    if not agents:
        out.show("no agent has a steward yet; a worker begins them")
    out.data({"agents": documents})
    return Code.DONE


def _document(book: OrderBook, step: str | None) -> dict[str, Any]:
    document = book.model_dump(mode="json", exclude={"changes": {"__all__": {"statements"}}})
    steps = document["picture"]["steps"]
    document["picture"]["steps"] = [each for each in steps if step in {None, each["step"]}]
    return document


def _lines(book: OrderBook, step: str | None, *, whole: bool) -> list[Text]:
    seen = book.picture
    assert seen is not None  # noqa: S101  # it was looked at
    lines = [Text(words.plain(book.agent), "bold")]
    for halted in seen.stops:
        who = words.plain(halted.by) + ("" if halted.proven else " (unproven)")
        why = f": {words.plain(halted.why)}" if halted.why else ""
        said = f"{words.plain(halted.what)} since {words.moment(halted.at)} by {who}{why}"
        lines.append(words.label("STOPPED", said, "bold red"))
    if seen.fault:
        lines.append(words.label("fault", words.plain(seen.fault), "red"))
    lines += [_step(each) for each in seen.steps if step in {None, each.step}]
    for change in book.waiting:
        asked = (
            f"{order_in_words(change.order)} ({change.order.id[:12]}), asked by {change.order.by}"
        )
        lines.append(words.label("waits", words.plain(asked), "yellow"))
    if whole:
        lines += [_change(each) for each in reversed(book.changes[-_CHANGES:])]
    return lines


def _step(step: StepView) -> Text:
    share = f" {percent(step.rollout)}" if step.level is Level.FULL and step.rollout < WHOLE else ""
    because = words.plain(step.label) if step.label else "by the policy file"
    return words.label(words.plain(step.step), f"{step.level}{share}, {because}")


def _change(change: Change) -> Text:
    who = ", ".join(map(words.plain, change.people or (change.order.by,)))
    note = f" ({words.plain(change.note)})" if change.note else ""
    said = f"{words.plain(order_in_words(change.order))} by {who}: {change.stand}{note}"
    return words.label(words.moment(change.since), said, "dim")
