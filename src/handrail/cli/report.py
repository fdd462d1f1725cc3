"""`handrail report`: what an agent did in a period, and what it is worth."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from handrail.cli.context import Since, moment_of, operator, write_file
from handrail.cli.output import PLAIN, Code, Output, moment, plain
from handrail.evidence import figure_in_words, report_csv
from handrail.exceptions import ConfigurationError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from handrail.evidence import AgentReport, Metric

_MONTH = timedelta(days=29)
"""And today: thirty days."""

CasesBehind: TypeAlias = Literal[
    "all", "alone", "asked", "escalated", "erring", "wrong", "late",
    "done", "refused", "rejected", "expired", "stopped", "rolled_back", "failed",
    "cancelled", "terminated", "timed_out",
]  # fmt: skip
"""The cases behind a figure; the last ten are the states in which they ended."""


async def report(
    agent: str,
    *,
    since: Since = _MONTH,
    html: Annotated[Path | None, Parameter(help="Write it to this file, as one page.")] = None,
    csv: Annotated[
        str | None,
        Parameter(allow_leading_hyphen=True, help="Write it to this CSV file; - is stdout."),
    ] = None,
    cases: Annotated[CasesBehind | None, Parameter(help="List the cases behind a figure.")] = None,
    out: Output = PLAIN,
) -> int:
    """Show the seven metrics of an agent, its own, and what it is worth, beside the period before.

    Parameters
    ----------
    agent
        The agent's name, such as shipments.
    """
    async with operator(out, ledger="needed") as asked:
        if cases is not None:
            found = await asked.reported_cases(agent, cases, moment_of(since))
            out.data(found)
            for each in found.cases:
                out.show(f"{moment(each.ended)}  {plain(each.case)}  {each.state}")
            out.show_rest(len(found.cases), found.limit, f"there are no {plain(cases)} cases")
            return Code.DONE
        made = await asked.report(agent, moment_of(since))
    if csv == "-":
        sys.stdout.write(report_csv(made))
        return Code.DONE
    if csv is not None:
        # Spreadsheets take a file without a mark for one of their own old encodings.
        write_file(Path(csv), report_csv(made), "utf-8-sig")
    if html is not None:
        write_file(html, _page(made), "utf-8")
    out.data(made)
    out.show(*_lines(made))
    return Code.DONE


def _page(made: AgentReport) -> str:
    try:
        from handrail.inbox.web.reports import page_alone
    except ImportError as error:
        raise ConfigurationError(
            f"--html needs {error.name}; fix: install handrail[inbox]"
        ) from error
    return page_alone(made)


def _lines(made: AgentReport) -> list[RenderableType]:
    left_out = ", ".join(f"{n} {why}" for why, n in made.left_out.items())
    head = f"{plain(made.agent)}, {made.since:%d %b %Y} to {moment(made.until)}"
    tasks = f"{made.tasks} task{'s' if made.tasks != 1 else ''}; before {made.previous_tasks}"
    shown: list[RenderableType] = [
        Text(head, "bold"),
        f"{tasks}{f'; not among them: {left_out}' if left_out else ''}",
        _table((*made.metrics, *made.own)),
    ]
    value = made.value
    if value.net is not None:
        table = Table("value", value.currency or "", "how", box=None, pad_edge=False)
        for line in value.lines:
            table.add_row(line.name, f"{line.amount:>12,.2f}", plain(line.how))
        table.add_row(Text("Net", "bold"), Text(f"{value.net:>12,.2f}", "bold"), _beside(made))
        shown.append(table)
    shown += [f"not counted: {plain(each)}" for each in value.left_out]
    return shown


def _beside(made: AgentReport) -> str:
    value, said = made.value, list[str]()
    if made.previous_net is not None:
        said.append(f"before {made.previous_net:,.2f}")
    if value.target is not None:
        said.append(f"{value.actual:,.2f} a month of {value.target:,.2f}")
    if value.payback is not None:
        said.append(f"paid back by {value.payback:%d %b %Y}")
    return "; ".join(said)


def _table(metrics: tuple[Metric, ...]) -> Table:
    table = Table("metric", "now", "of", "before", "", box=None, pad_edge=False)
    for each in metrics:
        more = f"{each.needs} more needed" if each.needs else "not known"
        now = more if each.value is None else figure_in_words(each.value, each.unit)
        before = figure_in_words(each.previous, each.unit)
        parts = [f"{name} {_part(each, part)}" for name, part in each.parts.items()]
        said = ", ".join(parts) or plain(each.note)
        table.add_row(
            plain(each.title),
            now,
            f"{each.n} {each.of if each.n != 1 else each.of.removesuffix('s')}",
            before,
            said,
        )
    return table


def _part(metric: Metric, part: float) -> str:
    if metric.name in {"errors", "action_success"}:
        return f"{part:.0f}"
    return f"{part:,.2f}" if metric.unit == "ratio" else figure_in_words(part, metric.unit)
