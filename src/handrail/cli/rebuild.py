"""`handrail evidence`: what is kept of cases, made again from their histories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from handrail.cli.context import client, ledger_here, load_fleet, settings
from handrail.cli.output import PLAIN, Code, Output, plain
from handrail.exceptions import CaseError, InvalidRequest

if TYPE_CHECKING:
    from handrail.runtime import RebuiltRecords


async def rebuild(
    agent: str | None = None,
    *,
    check: Annotated[
        bool, Parameter(negative=(), help="Only say which differ; ends with 1 if any does.")
    ] = False,
    out: Output = PLAIN,
) -> int:
    """Make the records of cases again from their histories in Temporal.

    A case whose history is gone, or does not replay with this code, keeps what is kept of it.

    Parameters
    ----------
    agent
        The agent's name, such as shipments; every agent without.
    """
    from handrail.runtime import rebuild_records

    given = settings()
    fleet = load_fleet(given.fleet)
    try:
        agents = [fleet.agent(agent)] if agent else list(fleet.agents.values())
    except CaseError as error:
        raise InvalidRequest(str(error)) from error
    connected, found = await client(given), list["RebuiltRecords"]()
    async with ledger_here() as ledger:
        for each in agents:
            plugin = fleet.plugin(given.payload_dir)
            found.append(await rebuild_records(each, connected, ledger, plugin, check=check))
    out.data({"check": check, "agents": [_document(each) for each in found]})
    for each in found:
        _show(out, each, check=check)
    return Code.FAILED if check and any(each.differences for each in found) else Code.DONE


def _document(found: RebuiltRecords) -> dict[str, object]:
    return {
        "agent": found.agent,
        "cases": found.looked,
        "differences": [{"case": case, "what": what} for case, what in found.differences],
        "kept": [{"case": case, "why": why} for case, why in found.kept],
    }


def _show(out: Output, found: RebuiltRecords, *, check: bool) -> None:
    made = "differ from their histories" if check else "were made anew"
    out.show(f"{plain(found.agent)}: {found.looked} cases, {len(found.differences)} {made}")
    for case, what in found.differences:
        out.show(f"  {plain(case)}: {plain(what)}")
    for case, why in found.kept:
        out.show(f"  {plain(case)} is kept as it is: {plain(why)}")
