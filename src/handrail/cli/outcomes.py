"""`handrail outcomes`: what people did comes in, and who was right is said."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, cast

from cyclopts import Parameter
from rich.text import Text

from handrail.cli.context import By, SomeBody, TimeFormat, Why, load_fleet, operator, settings
from handrail.cli.output import PLAIN, Code, Output, label, moment, plain
from handrail.exceptions import InvalidRequest
from handrail.text import at_least, at_most, decode_text

if TYPE_CHECKING:
    from handrail.client import AgreementView, Disagreement, PilotView
    from handrail.evidence import TimeReader

_SHOWN = 20
_FIELD = 100_000
"""Characters of one cell: what is longer is no decision, but a quote that has no end."""
_ACTION = "action."
_NEEDED = ("case", "at")
_TRUE = {"1", "true", "yes", "x"}

Pairs: TypeAlias = Annotated[tuple[str, ...], Parameter(negative=())]
Given: TypeAlias = tuple[str, Mapping[str, Any] | str]


async def take(
    file: Annotated[str, Parameter(help="A .csv or .json file, also with .gz.")],
    *,
    agent: str,
    step: Annotated[str | None, Parameter(help="The write, where a line names none.")] = None,
    map_: Annotated[
        Pairs, Parameter(name="--map", help="NAME=COLUMN, such as at=timestamp. May be repeated.")
    ] = (),
    where: Annotated[
        Pairs, Parameter(help="COLUMN=VALUE: take these lines only. Several values: any of them.")
    ] = (),
    first: Annotated[
        bool, Parameter(negative=(), help="Of each case the earliest line: of an event log.")
    ] = False,
    time_format: TimeFormat = None,
    source: Annotated[str | None, Parameter(help="Where it is from; the name of the file.")] = None,
    by: SomeBody = None,
    out: Output = PLAIN,
) -> int:
    """Take in what people did in cases that the agent saw in pilot.

    A line needs `case` (its key or id), `at`, and `action.FIELD` for each field; `step`, `by` and
    `nothing` (yes: they did nothing) where they say something. A moment without a zone is UTC.
    """
    read = read_outcomes(file, _pairs(map_), _values(where), time_format, first=first)
    given = [
        (place, each if isinstance(each, str) else {"step": step, **each}) for place, each in read
    ]
    fleet = load_fleet(settings().fleet)
    async with operator(out, by, ledger="needed", fleet=fleet) as somebody:
        found = await somebody.import_outcomes(agent, given, source or Path(file).name)
    out.data(found)
    out.show(f"{found.new} new, {found.known} known already, {len(found.bad)} bad")
    out.show(*(label(plain(each.where), plain(each.why), "red") for each in found.bad[:_SHOWN]))
    if len(found.bad) > _SHOWN:
        out.show(f"and {len(found.bad) - _SHOWN} more; --json names all of them")
    return Code.FAILED if found.bad else Code.DONE


async def judge(
    outcome: Annotated[str, Parameter(help="Its id, as `pilot` shows it, or how that begins.")],
    right: Annotated[str, Parameter(help="agent, people, or both: both were fine.")],
    *,
    by: By,
    why: Why = "",
    out: Output = PLAIN,
) -> int:
    """Say who was right where people did something else than the agent proposed. It is signed."""
    async with operator(out, by, signs=True, ledger="needed") as somebody:
        found = await somebody.judge_outcome(outcome, right, why)
    out.data(found)
    out.show(_disagreement(found))
    return Code.DONE


# Files


def read_outcomes(
    file: str,
    names: Mapping[str, str],
    values: Mapping[str, set[str]],
    time_format: str | None = None,
    *,
    first: bool,
) -> Iterator[Given]:
    """The outcomes of a file, each with its place; a text says why a line is none.

    Raises:
        InvalidRequest: if the file cannot be read, or its times can be read in two ways.
    """
    from handrail.evidence import TimeReader  # not for each other command

    needed = {name: names.get(name, name) for name in _NEEDED}
    found = _lines(file, [*needed.values(), *names.values(), *values])
    times = [str(line.get(needed["at"]) or "") for _, line in found if not isinstance(line, str)]
    when = TimeReader.found(times, time_format, file)
    chosen = (
        (place, line)
        for place, line in found
        if isinstance(line, str) or all(str(line.get(c)) in v for c, v in values.items())
    )
    read = [
        (place, line if isinstance(line, str) else _read(line, names, when))
        for place, line in chosen
    ]
    yield from _first(read) if first else read


def _first(read: Sequence[Given]) -> list[Given]:
    """Of each case and step the earliest; what is bad stays."""
    found: dict[Any, Given] = {}
    for place, each in read:
        whose = place if isinstance(each, str) else (each.get("case"), each.get("step"))
        before = found.get(whose)
        if before is None or (
            isinstance(each, Mapping)
            and isinstance(before[1], Mapping)
            and each["at"] < before[1]["at"]
        ):
            found[whose] = (place, each)
    return list(found.values())


def _lines(file: str, columns: Collection[str]) -> list[Given]:
    """The lines of a file with their places. `columns`: those that a CSV must have."""
    try:
        data = Path(file).read_bytes()
        text = decode_text(gzip.decompress(data) if file.endswith(".gz") else data)
    except (OSError, UnicodeDecodeError, EOFError, zlib.error) as error:
        raise InvalidRequest(f"{file} cannot be read: {error}") from error
    if ".json" not in Path(file).name:
        return _table(file, text.removeprefix("\ufeff"), columns)
    try:
        given: Any = json.loads(text, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{file} is no JSON: {error}") from error
    if isinstance(given, dict):
        given = cast("dict[str, Any]", given).get("outcomes")
    if not isinstance(given, list):
        raise InvalidRequest(f'{file} is no list of outcomes, nor {{"outcomes": [...]}}')
    return [
        (f"outcome {n}", cast("dict[str, Any]", e) if isinstance(e, dict) else "it is no object")
        for n, e in enumerate(cast("list[Any]", given), 1)
    ]


def _table(file: str, text: str, columns: Collection[str]) -> list[Given]:
    """The rows of a file in CSV; one that has not as many cells as there are columns is none."""
    from handrail.evidence import DELIMITERS  # not for each other command

    csv.field_size_limit(_FIELD)
    first = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=first.count))
    found: list[tuple[str, list[str]]] = []
    try:
        found.extend((f"line {rows.line_num}", row) for row in rows if row)
    except csv.Error as error:
        where = f"{file}, after {found[-1][0]}" if found else file
        raise InvalidRequest(f"{where}, is no CSV: {error}; nothing was taken") from error
    header = [each.strip() for each in found[0][1]] if found else []
    lacking = [each for each in dict.fromkeys(columns) if header and each not in header]
    faults = [f"no column {each}" for each in lacking]
    twice = [each for each in dict.fromkeys(header) if each and header.count(each) > 1]
    faults += [f"the column {each} twice" for each in twice]
    if faults or not found[1:]:
        what = " and ".join(faults) or "no line below the names of its columns"
        fix = "".join(f" --map {each}=COLUMN" for each in lacking if each in _NEEDED)
        said = f"{file} has {what}; its columns: {', '.join(header) or 'none'}"
        raise InvalidRequest(f"{said}; fix:{fix}" if fix else said)
    width = len(header)
    return [
        (
            place,
            dict(zip(header, row, strict=True))
            if len(row) == width
            else f"it has {len(row)} cells, and there are {width} columns",
        )
        for place, row in found[1:]
    ]


def _read(
    line: Mapping[str, Any], names: Mapping[str, str], when: TimeReader
) -> Mapping[str, Any] | str:
    """One line as an outcome."""
    named = {**line, **{name: line.get(column) for name, column in names.items()}}
    action: Any = named.get("action")
    fields = {
        name.removeprefix(_ACTION): value
        for name, value in named.items()
        if str(name).startswith(_ACTION) and value is not None and value != ""
    }
    nothing = str(named.get("nothing") or "").strip().lower() in _TRUE or (
        "action" in line and action is None
    )
    if not (fields or nothing or isinstance(action, dict)):
        return "it says neither what was done (action.FIELD) nor that nothing was (nothing)"
    if nothing and (fields or action):
        return "it says what was done, and that nothing was"
    try:
        at = when.of(str(named.get("at") or ""))
    except ValueError as error:
        return f"it {error}"
    said = {name: named.get(name) for name in ("case", "step", "by")}
    given = {n: v.strip() if isinstance(v, str) else v for n, v in said.items() if v}
    return given | {"at": at, "action": None if nothing else fields or cast("Any", action)}


def _pairs(said: Sequence[str]) -> dict[str, str]:
    pairs = [each.partition("=") for each in said]
    for name, equals, other in pairs:
        if not (name and equals and other):
            raise InvalidRequest(f"{name}: write it like at=timestamp")
    return {name: other for name, _, other in pairs}


def _values(said: Sequence[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for each in said:
        for column, value in _pairs([each]).items():
            found.setdefault(column, set()).add(value)
    return found


# The pilot


def pilot_lines(view: PilotView) -> list[Text]:
    """What a pilot came to, for people."""
    goal = "" if view.goal is None else f", goal {view.goal:.0%}"
    lines = [label("agreement", bound_in_words(view.agreement) + goal, "bold")]
    if view.agreement.to_goal:
        lines.append(label("", f"{view.agreement.to_goal} more that agree, in a row, reach it"))
    lines += [
        label(plain(each.kind), f"{bound_in_words(each.agreement)}; {each.same} the same")
        for each in view.classes
    ]
    left = {
        "waiting": view.waiting,
        "missing": view.missing,
        "contradicting": len(view.contradicting),
        "unmatched": view.unmatched,
        "several": view.several,
        "late": view.late,
        "in hindsight": view.hindsight,
        "judged without proof": view.unproven,
        "ended before a decision": view.undecided,
    }
    said = ", ".join(f"{count} {name}" for name, count in left.items() if count)
    lines += [label("counted", said)] if said else []
    if view.selection.differ:
        lines.append(label("selection", "the cases without a decision are others", "yellow"))
    for name, amount in view.difference.items():
        said = f"{amount:+f} {view.units.get(name, '')}".rstrip()
        lines.append(label("difference", f"{plain(name)}: {plain(said)} by the agent"))
    waits = [each for each in view.disagreements if each.judged is None]
    if waits:
        many = "1 disagreement" if len(waits) == 1 else f"{len(waits)} disagreements"
        lines.append(Text(f"{many} to be judged", "bold"))
        lines += map(_disagreement, waits[:_SHOWN])
    return lines


def bound_in_words(found: AgreementView) -> str:
    """An agreement in words."""
    share = f"{found.needs} more needed" if found.share is None else f"{found.share:.1%}"
    low = f"{at_least(found.low)}%"
    return f"{share} of {found.n} ({low} to {at_most(found.high)}%, however often one looks)"


def _disagreement(each: Disagreement) -> Text:
    from handrail.oversight import differing_lines  # not for each other command

    lines = differing_lines(each.proposed, each.did, each.units, each.fields)
    mine = ", ".join(f"{line.name} {line.said}" for line in lines if each.proposed)
    theirs = ", ".join(f"{line.name} {line.said_before}" for line in lines if each.did)
    judged = f"  {each.judged} right, by {plain(each.judged_by or '')}" if each.judged else ""
    return Text.assemble(
        (each.id, "bold"),
        f"  {moment(each.at)}  {plain(each.case)}  {plain(each.step)}",
        f"  agent: {plain(mine) or 'nothing'}  people: {plain(theirs) or 'nothing'}{judged}",
    )
