"""`handrail eval`: a decide step of today on decisions of the past, without any write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from handrail.agent import Converse, Decide
from handrail.cli.context import agent_named, client, ledger_here, moment_of, settings, text_of
from handrail.cli.output import PLAIN, Code, Output, label, plain
from handrail.evidence import RemadeDecision, agreement
from handrail.exceptions import CaseError
from handrail.integrations import evaluate, given_decisions, past_decisions


async def evaluation(
    agent: str,
    step: str,
    *,
    cases: Annotated[
        Path | None, Parameter(help="A file of past decisions, one JSON object a line.")
    ] = None,
    since: Annotated[
        timedelta | datetime, Parameter(help="Cases not older than this: 30d, or a date.")
    ] = timedelta(days=30),
    limit: Annotated[int, Parameter(help="At most so many decisions, the latest.")] = 50,
    exit_code: Annotated[
        bool, Parameter(negative=(), help="End with 1 if anything differs, or fails.")
    ] = False,
    out: Output = PLAIN,
) -> int:
    """Make past decisions again by a step of today: agreement, cost, time, and what differs.

    Parameters
    ----------
    agent
        The agent's name.
    step
        Its decide step, by rules or by a model.
    """
    owner = agent_named(agent)
    found = next((each for each in owner.steps if each.name == step), None)
    if not isinstance(found, Decide) or isinstance(found, Converse):
        names = [e.name for e in owner.steps if isinstance(e, Decide) and e is not found]
        raise CaseError(f"{agent} has no decide step `{step}`; there are: {', '.join(names)}")
    if cases is not None:
        past = given_decisions(text_of(f"@{cases}"), str(cases))[-limit:]
    else:
        begin = moment_of(since) or datetime.now(UTC)
        async with ledger_here() as opened:
            server = await client(settings())
            past = await past_decisions(server, opened, owner, found, since=begin, limit=limit)
    again = await evaluate(found, past)
    _report(again, out)
    return Code.FAILED if exit_code and any(each.differs for each in again) else Code.DONE


def _report(again: list[RemadeDecision], out: Output) -> None:
    found = agreement(again)
    out.data(found)
    if not again:
        out.show("no past decisions; one that ran within a workflow task is in no history: --cases")
    for each in (each for each in again if each.differs):
        out.show(Text(f"\n{plain(each.past.case)}", "bold"))
        said = (("people", each.past.people), ("before", each.past.decided), ("now", each.now))
        out.show(*(label(name, plain(str(choice))) for name, choice in said if choice is not None))
        out.show(*([label("failed", plain(each.error))] if each.error else []))
    differ, used = len(found["differ"]), found["usage"]
    out.show(Text(f"{len(again)} decisions, {differ} differ", "yellow" if differ else "green"))
    for name in ("as_people", "as_before"):
        out.show(label(name.replace("_", " "), "{agree} of {of}".format(**found[name])))
    for name, said in found["answers"].items():
        out.show(label(plain(name), "{agree} of {of} answered as people".format(**said)))
    tokens = used["input_tokens"] + used["output_tokens"]
    cost = f"{used['cost']} {used['currency']}, {tokens} tokens"
    out.show(label("cost", f"{cost}; {found['seconds']:.1f} s in all"))
