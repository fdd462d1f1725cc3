"""`handrail alerts`: what the owners of agents are told of, and who has seen it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.text import Text

from handrail.cli.context import By, OfAgent, operator
from handrail.cli.output import PLAIN, Output, label, moment, plain

if TYPE_CHECKING:
    from handrail.client import AlertView


async def listing(
    *,
    agent: OfAgent = None,
    all_: Annotated[
        bool, Parameter(name="--all", negative=(), help="Those that have ended, too.")
    ] = False,
    out: Output = PLAIN,
) -> None:
    """List the alerts that last: the rule of the policy, by how much, since when, which cases."""
    async with operator(out, ledger="needed") as somebody:
        found = await somebody.alerts(agent, every=all_)
    out.data(found)
    for each in found.alerts:
        out.show(*_lines(each))
    if not found.alerts:
        out.show("no alerts" if all_ else "no alert lasts; --all shows those that did")


async def acknowledge(
    alert: Annotated[str, Parameter(help="The alert's id, or how it begins.")],
    *,
    by: By,
    out: Output = PLAIN,
) -> None:
    """Say that you have seen an alert, and are at it; it lasts until its limit is kept again."""
    async with operator(out, by, ledger="needed") as somebody:
        found = await somebody.acknowledge_alert(alert)
    out.data(found)
    out.show(*_lines(found))


def _lines(alert: AlertView) -> list[Text]:
    style = "dim" if alert.ended else "yellow" if alert.acknowledged else "bold red"
    head = Text.assemble(
        (f"{alert.id[:12]}  ", "dim"), (f"{plain(alert.agent)}: {plain(alert.rule)}", style)
    )
    lines = [
        head,
        label("is", plain(alert.value)),
        label("limit", plain(alert.limit)),
        label("since", moment(alert.began)),
    ]
    if alert.cases:
        lines.append(label("cases", plain(", ".join(alert.cases))))
    if alert.acknowledged is not None:
        seen = f"{moment(alert.acknowledged)}  {plain(alert.acknowledged_by or '')}"
        lines.append(label("seen", seen))
    if alert.ended is not None:
        lines.append(label("ended", moment(alert.ended)))
    return lines
