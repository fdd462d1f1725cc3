"""`handrail evidence erase`: what is kept of cases goes, without breaking what audits say."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from handrail.cli.context import SomeBody, Why, moment_of, operator
from handrail.cli.output import PLAIN, Code, Output, plain
from handrail.exceptions import InvalidRequest

if TYPE_CHECKING:
    from handrail.client import ErasedCase


async def erase(
    *cases: Annotated[str, Parameter(help="Ids of cases, such as shipments:4711.")],
    agent: Annotated[str | None, Parameter(help="Instead of ids: cases of this agent.")] = None,
    ended_before: Annotated[
        timedelta | datetime | None,
        Parameter(help="Of that agent all that ended so long ago, or before then."),
    ] = None,
    why: Why = "",
    by: SomeBody = None,
    out: Output = PLAIN,
) -> int:
    """Erase what is kept of cases that have ended: texts and values here, histories in Temporal.

    That something was done, when, how it ended and who let it stays, and audits stay sound.
    """
    before = moment_of(ended_before)
    if bool(cases) == bool(agent and before) or (agent is None) != (before is None):
        raise InvalidRequest("name cases, or --agent with --ended-before")
    found: list[ErasedCase] = []
    async with operator(out, by, ledger="needed") as somebody:
        if agent and before:
            kept = await somebody.ledger.cases_recorded(agent, until=before)
            gone = {each.case for each in await somebody.ledger.orders(agent, kind="erase")}
            cases = tuple(row.case for row in kept if row.case not in gone)
        for case in cases:
            found.append(await somebody.erase(case, why))
            out.show(f"{plain(case)}: {found[-1].rows} rows, {found[-1].histories} histories")
    out.data({"erased": [each.model_dump(mode="json") for each in found]})
    return Code.DONE
