"""`handrail discover`: which part of what is done by hand is worth an agent, from event logs."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from handrail.cli.baseline import Currency, bad_document
from handrail.cli.context import SomeBody, operator
from handrail.cli.event_logs import AS_FOUND, LogOptions, read_log, say_bad_rows
from handrail.cli.output import PLAIN, Output, label, plain
from handrail.evidence import (
    Candidate,
    Discovery,
    EventLog,
    discover,
    discovery_page,
    length_in_words,
    policy_skeleton,
)
from handrail.exceptions import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

_COLUMNS, _LINES = 60, 20


async def discover_logs(
    *logs: Path,
    read: LogOptions = AS_FOUND,
    top: Annotated[int, Parameter(help="Show so many.")] = 10,
    html: Annotated[Path | None, Parameter(help="Write a page with the plot there.")] = None,
    candidate: Annotated[
        int, Parameter(help="Which one is chosen, by its number, for --policy and --baseline.")
    ] = 1,
    policy: Annotated[
        Path | None, Parameter(help="Write the skeleton of its policy to this new file.")
    ] = None,
    baseline: Annotated[
        str | None,
        Parameter(help="Keep the figures of its log as the baseline of this agent."),
    ] = None,
    without: Annotated[
        tuple[str, ...],
        Parameter(negative=(), help="Leave out this column: it is known only afterwards, say."),
    ] = (),
    currency: Currency = None,
    by: SomeBody = None,
    out: Output = PLAIN,
) -> None:
    """Score what is done by hand: which part of it is worth an agent, and which is not.

    Parameters
    ----------
    logs
        Event logs, each of one process: .csv or .xes, packed (.gz) or not.
    """
    if not logs:
        raise InvalidRequest("which log? Name its file, or those of several processes")
    if baseline is not None and by is None:
        raise InvalidRequest("who keeps the baseline? Say --by you@example.com")
    parts = _named([read_log(each, read) for each in logs])
    for each in parts:
        say_bad_rows(out, each)
    found = discover(parts, without)
    chosen = _chosen(found, candidate) if policy or baseline else None
    if html is not None:
        _write(html, discovery_page(found))
    # Before the file, which a second try would find there already.
    if chosen is not None and baseline is not None:
        log = next(each for each in parts if each.name == chosen.log)
        async with operator(out, by, ledger="needed") as somebody:
            await somebody.import_baseline(baseline, log, currency)
    if chosen is not None and policy is not None:
        agent = baseline or re.sub(r"[^a-z0-9]+", "-", Path(chosen.log).stem.lower()).strip("-")
        _write(
            policy, policy_skeleton(chosen, agent or "agent", by or "owner@example.com"), new=True
        )
    out.data(_document(found, parts))
    if out.json:
        return
    _show(out, found, top)
    for what, where in (("page", html), ("policy", policy)):
        out.show(*([label(what, plain(where))] if where else []))
    if baseline is not None:
        out.show(label("baseline", f"handrail baseline list {plain(baseline)}"))


def _named(logs: Sequence[EventLog]) -> list[EventLog]:
    """The logs, of which no two have one name."""
    taken = dict[str, int]()
    found = list[EventLog]()
    for each in logs:
        taken[each.name] = taken.get(each.name, 0) + 1
        again = f" ({taken[each.name]})" if taken[each.name] > 1 else ""
        found.append(replace(each, name=f"{each.name}{again}"))
    return found


def _chosen(found: Discovery, number: int) -> Candidate:
    if not 1 <= number <= len(found.candidates):
        raise InvalidRequest(f"there is no candidate {number}; there are {len(found.candidates)}")
    return found.candidates[number - 1]


def _write(path: Path, text: str, *, new: bool = False) -> None:
    try:
        with path.open("x" if new else "w", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError as error:
        raise InvalidRequest(f"{path} is there already; name a new file") from error
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be written: {error.strerror or error}") from error


# For programs


def _document(found: Discovery, logs: Sequence[EventLog]) -> dict[str, Any]:
    figures = [
        {
            **asdict(each),
            **{name: _seconds(getattr(each, name)) for name in ("span", "waiting", "active")},
            "bad": bad_document(log)["bad"],
            "left_out": len(log.bad),
        }
        for each, log in zip(found.figures, logs, strict=True)
    ]
    return {
        "version": 1,
        "logs": figures,
        "candidates": [_candidate(number, each) for number, each in enumerate(found.candidates, 1)],
        "too_few": found.too_few,
    }


def _candidate(number: int, each: Candidate) -> dict[str, Any]:
    seen = each.predicted
    return {
        "number": number,
        "name": each.name,
        "kind": each.kind,
        "log": each.log,
        "after": each.after,
        "impact": round(each.impact, 4),
        "feasibility": round(each.feasibility, 4),
        "cases": each.cases,
        "per_month": each.per_month,
        "waiting": _seconds(each.waiting),
        "reworked": each.reworked,
        "cost": each.cost,
        "people": each.people,
        "repetition": each.repetition,
        "choices": dict(each.choices),
        "predicted": None
        if seen is None
        else {
            "after": seen.after,
            "n": seen.right.n,
            "right": seen.right.share,
            "low": seen.right.low,
            "high": seen.right.high,
            "usual": seen.usual,
            "skill": seen.skill,
            "facts": list(seen.facts),
            "rules": [
                {
                    "when": list(rule.conditions),
                    "choice": rule.leaf.choice,
                    "n": rule.leaf.n,
                    "right": rule.leaf.right,
                }
                for rule in seen.rules
            ],
        },
        "why": list(each.why),
        "against": list(each.against),
    }


def _seconds(span: Any) -> float | None:
    return None if span is None else span.total_seconds()


# For people


def _show(out: Output, found: Discovery, top: int) -> None:
    for each in found.figures:
        waits = "-" if each.span is None else length_in_words(each.span)
        out.show(
            Text(plain(each.name), "bold"),
            label("cases", f"{each.cases:,}, by {each.variants:,} ways, half in {waits} or less"),
        )
    if not found.candidates:
        out.show("no case is in it")
        return
    out.show("", *_plot(found.candidates[:top]), "")
    for number, each in enumerate(found.candidates[:top], 1):
        style = "dim" if each.against else "bold"
        scores = f"impact {each.impact:.2f}, feasibility {each.feasibility:.2f}"
        out.show(Text(f"{number:>3}  {plain(each.name)}  {scores}", style))
        out.show(*(Text(f"       + {plain(why)}", "green") for why in each.why))
        out.show(*(Text(f"       - {plain(why)}", "red") for why in each.against))
    rest = len(found.candidates) - top
    if rest > 0:
        out.show(f"{rest} more; --top {len(found.candidates)} shows them")
    if found.too_few:
        out.show(f"{found.too_few} activities more have too few decisions after them to be judged")


def _plot(candidates: Sequence[Candidate]) -> list[str]:
    """Feasibility to the right, impact upwards; where two are in one place, one is moved."""
    grid = [" " * (_COLUMNS + 40) for _ in range(_LINES)]
    for number, each in enumerate(candidates, 1):
        row = round((1 - each.impact) * (_LINES - 1))
        column, name = round(each.feasibility * (_COLUMNS - 1)), f" {number}"
        while grid[row][column : column + len(name) + 1].strip():
            column += 1
        grid[row] = grid[row][:column] + name + grid[row][column + len(name) :]
    edge = "-" * _COLUMNS
    return [
        f"  impact 1 +{edge}",
        *(f"           |{row[1:].rstrip()}" for row in grid),
        f"         0 +{edge}",
        f"            0 {'feasibility':^{_COLUMNS - 4}} 1",
    ]
