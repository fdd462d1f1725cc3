"""What Temporal's UI shows of a steward: what is in force, what waits, and what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handrail.actions import WHOLE
from handrail.oversight import OrderState, order_in_words
from handrail.text import escape_markdown, markdown_json, moment_in_words, percent

if TYPE_CHECKING:
    from handrail.oversight import AutonomyView, Change, OrderBook, StepView, StopInForce

LARGEST = 18_000
"""Bytes of the details; Temporal takes 20,000."""

SHOWN = 30
"""Changes that are shown, the newest; the query `autonomy` has more, the ledger all."""

_LONGEST = 300


def page(book: OrderBook) -> str:
    """The page of an agent's steward, in Markdown."""
    lines = [f"### {_headline(book)}", ""]
    if book.picture is not None:
        lines += _in_force(book.picture)
    lines += _waiting(book)
    lines += _history(book)
    lines += _how(book)
    whole = "\n".join(lines)
    cut = whole.encode()[:LARGEST].decode(errors="ignore")
    return whole if len(cut) == len(whole) else f"{cut}\n\n(cut short: see the query `autonomy`)"


def _headline(book: OrderBook) -> str:
    name = _safe(book.agent)
    if book.picture is None:
        return f"{name}: not looked at yet"
    stops = book.picture.stops
    if any(each.what in {"every agent", book.agent} for each in stops):
        return f"{name} is stopped"
    return f"{name} is stopped in part" if stops else f"{name} runs"


def _in_force(seen: AutonomyView) -> list[str]:
    lines: list[str] = []
    for stop in seen.stops[:SHOWN]:
        lines += [_stop(stop), ""]
    if len(seen.stops) > SHOWN:
        lines += [f"(and {len(seen.stops) - SHOWN} more stops: `handrail stops`)", ""]
    if seen.fault:
        lines += [f"**Its policy cannot be read, so nothing is written:** {_safe(seen.fault)}", ""]
    if seen.steps:
        lines += [*(_step(each) for each in seen.steps), ""]
        lines += [f"Policy in force: {_safe(seen.policy)}.", ""]
    if seen.people:
        lines += [f"Who may let it do more: {', '.join(map(_safe, seen.people))}.", ""]
    return lines


def _stop(stop: StopInForce) -> str:
    who = _safe(stop.by) + ("" if stop.proven else " (unproven)")
    why = f": {_safe(stop.why)}" if stop.why else ""
    since = moment_in_words(stop.at)
    return f"**Stopped: {_safe(stop.what)}** since {since} by {who}{why} (`{stop.id}`)"


def _step(step: StepView) -> str:
    share = f" {percent(step.rollout)}" if step.level == "full" and step.rollout < WHOLE else ""
    by = _safe(step.label) if step.label else "by the policy file"
    file = f" (the file says {_safe(step.filed)})" if step.label and step.filed else ""
    return f"- {_safe(step.step)}: **{_safe(step.level)}{share}**, {by}{file}"


def _waiting(book: OrderBook) -> list[str]:
    lines: list[str] = []
    for change in book.waiting:
        body = {"id": change.order.id, "by": "you@example.com", "why": ""}
        lines += [
            f"#### Waits for a second person: {_safe(order_in_words(change.order))}",
            "",
            f"asked by {_who(change)} at {moment_in_words(change.since)}; {_safe(change.note)}",
            "",
            f"In a shell: `handrail autonomy --second {change.order.id} --by you@example.com`",
            "",
            "Or, where orders need no proof, the signal `second`:",
            "",
            markdown_json(body),
            "",
        ]
    return lines


def _history(book: OrderBook) -> list[str]:
    if not book.changes and not book.ignored:
        return []
    lines = ["#### What changed", ""]
    lines += [_change(change) for change in reversed(book.changes[-SHOWN:])]
    lines += [f"- {moment_in_words(each.at)}: ignored {_safe(each.text)}" for each in book.ignored]
    return [*lines, ""]


def _change(change: Change) -> str:
    order = change.order
    proven = "" if change.proven or change.stand is OrderState.ASKED else " (unproven)"
    why = f": {_safe(order.why)}" if order.why else ""
    note = f" ({_safe(change.note)})" if change.note else ""
    return (
        f"- {moment_in_words(change.since)}: {_safe(order_in_words(order))} "
        f"by {_who(change)}{proven}{why}: **{change.stand}**{note}"
    )


def _who(change: Change) -> str:
    return ", ".join(map(_safe, change.people or (change.order.by,)))


def _how(book: OrderBook) -> list[str]:
    agent = _safe(book.agent)
    shell = (
        f"In a shell: `handrail stop {agent}`, `handrail lift ID`, "
        f"`handrail autonomy {agent} WRITE supervised`. Or press *More Actions*, *Send a Signal*: "
        "`stop` takes nothing, or `by` and `why`."
    )
    return ["#### To change it", "", shell, ""]


def _safe(text: str) -> str:
    return escape_markdown(text, _LONGEST)
