"""`handrail check`: every fault before anything runs, and what a deploy means for open cases."""

from __future__ import annotations

import importlib.util
import logging
import shutil
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from handrail.cli.context import client, load_fleet, settings, text_of
from handrail.cli.output import PLAIN, Code, Output, label, plain
from handrail.cli.processes import systems_of
from handrail.exceptions import CaseError, ConfigurationError, InvalidRequest
from handrail.text import first_line

if TYPE_CHECKING:
    from temporalio.worker import WorkflowRunner

    from handrail.guardrails import ForeseenWrite
    from handrail.runtime import Agent, Fleet, ReplayedCase, System

OPEN = "open"
_MOST = 10_000
_FIX = "put the change behind workflow.patched, or let these cases end by the code they began with"
_WORDS = {
    "goes_on": "goes on",
    "undo_asked": "goes on; its undo would be asked about",
    "asked_again": "would be asked again",
    "step_gone": "cannot go on",
    "not_replayed": "does not replay",
}
"""What may come of a case, gravest last."""
_STYLES = {"goes_on": "green", "step_gone": "red", "not_replayed": "red"}


async def check(
    *,
    fleet: Annotated[str | None, Parameter(help="module:variable; workers.fleet:fleet.")] = None,
    against: Annotated[
        str | None,
        Parameter(
            help="What a deploy of this code means for cases: histories as JSON (a file, or a "
            "folder of them), or `open`, those of the server. Ends with 4 if people would be asked "
            "again, with 1 if a case could not go on."
        ),
    ] = None,
    out: Output = PLAIN,
) -> int:
    """Say every fault of every policy and step, with its line and its fix; run nothing."""
    name = fleet or settings().fleet
    try:
        loaded = load_fleet(name)
    except ConfigurationError as error:
        out.say(f"handrail: {error}", "red")
        out.data({"ok": False, "fleet": name, "faults": [str(error)], "notes": [], "agents": []})
        return Code.FAILED
    agents = _checked(loaded)
    faults = [fault for agent in agents for fault in agent["faults"]]
    notes = [*_system_notes(systems_of(name))]
    document = {"ok": not faults, "fleet": name, "faults": faults, "notes": notes, "agents": agents}
    cases: list[dict[str, Any]] = []
    if against is not None:
        cases = [_case(each) async for each in _replayed(loaded, against)]
        document |= {"against": against, "cases": cases}
    out.data(document)
    if not out.json:
        out.show(*(label("note", plain(note)) for note in notes))
        _print_faults(out, agents)
        if against is not None:
            _print_cases(out, cases)
    found = {each["outcome"] for each in cases}
    if faults or found & {"step_gone", "not_replayed"}:
        return Code.FAILED
    return Code.WAITS if found & {"asked_again", "undo_asked"} else Code.DONE


def _checked(fleet: Fleet) -> list[dict[str, Any]]:
    # It says in a line of its own what is said as a fault here.
    logging.getLogger("temporalio.worker.workflow_sandbox").setLevel(logging.CRITICAL)
    runner: Any = fleet.plugin(settings().payload_dir).workflow_runner
    return [_checked_agent(agent, runner(None)) for agent in fleet.agents.values()]


def _checked_agent(agent: Agent, runner: WorkflowRunner) -> dict[str, Any]:
    from handrail.cli.mistakes import mistakes, remarks  # imports Temporal

    faults = [*dict.fromkeys([*agent.faults(), *mistakes(agent, runner)])]
    return {
        "agent": agent.name,
        "workflow": agent.workflow.__name__,
        "event": agent.event.__name__,
        "policy": str(agent.policy),
        "steps": {step.name: step.posture.value for step in agent.steps},
        "checks": [each.name for each in agent.checks],
        "faults": faults,
        "notes": [*dict.fromkeys([*remarks(agent), *([] if faults else agent.notes())])],
    }


def _system_notes(systems: Sequence[System]) -> Iterator[str]:
    """Outside systems that `handrail dev` could not run here; where they are real none is."""
    for system in systems:
        match system.argv:
            case ("{python}", "-m", module, *_):
                there = _is_importable(module)
            case (module, *_):
                there = module == "{python}" or shutil.which(module) is not None
            case _:
                module, there = "nothing", False
        if not there:
            yield (
                f"the system {system.name} runs {module}, which is not here: `handrail dev` would "
                "end at once; fix: correct its name"
            )


def _is_importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:  # of a package that it is said to be in
        return False


def _print_faults(out: Output, agents: list[dict[str, Any]]) -> None:
    for found in agents:
        steps = ", ".join(f"{name} ({posture})" for name, posture in found["steps"].items())
        out.show(Text(f"{found['agent']}  {found['workflow']}({found['event']})", "bold"))
        out.show(label("policy", found["policy"]), label("steps", steps))
        if found["checks"]:
            out.show(label("checks", ", ".join(found["checks"])))
        for note in found["notes"]:
            out.show(label("note", plain(note)))
        for fault in found["faults"]:
            out.show(Text(fault, "red"))
    count = sum(len(found["faults"]) for found in agents)
    of = f"{len(agents)} agent{'s' * (len(agents) != 1)}"
    text = f"{count} fault{'s' * (count != 1)}" if count else f"no faults in {of}"
    out.show(Text(text, "red" if count else "green"))


# What a deploy means for cases


async def _replayed(fleet: Fleet, against: str) -> AsyncGenerator[ReplayedCase]:
    given = settings()
    if against == OPEN:
        connected = await client(given)
        found = await fleet.replays(connected, given.payload_dir, most=_MOST)
        for agent in found.values():
            for case in agent.cases:
                yield case
        return
    for each in _histories(against):
        try:
            yield await fleet.replayed(text_of(f"@{each}"), given.payload_dir)
        except CaseError as error:
            raise InvalidRequest(f"{each}: {error}") from error


def _histories(given: str) -> list[Path]:
    path = Path(given).expanduser()
    found = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    if not found:
        raise InvalidRequest(f"there is no history in {path}: they are files called *.json")
    return found


def _case(replayed: ReplayedCase) -> dict[str, Any]:
    held = [_held(each) for each in replayed.held]
    if replayed.fault is not None:
        fault = first_line(replayed.fault)
        return {"case": replayed.case, "outcome": "not_replayed", "why": fault, "fix": _FIX}
    found = [each["outcome"] for each in held]
    outcome = max(["goes_on", *found], key=list(_WORDS).index)
    return {"case": replayed.case, "outcome": outcome, "writes": held}


def _held(write: ForeseenWrite) -> dict[str, Any]:
    known: dict[str, Any] = {"step": write.step, "way": write.way}
    came = write.came
    if came is None:
        why = f"the agent has no step `{write.step}` any more; fix: keep it until they have ended"
        return known | {"outcome": "step_gone", "why": why}
    if not came.differs:
        return known | {"outcome": "goes_on"}
    outcome = "undo_asked" if write.way == "undo" else "asked_again"
    more = {"misfit": bool(came.misfit), "changes": came.changes}
    return known | {"outcome": outcome, "why": came.changed} | more


def _print_cases(out: Output, cases: list[dict[str, Any]]) -> None:
    for case in cases:
        outcome = case["outcome"]
        style = _STYLES.get(outcome, "yellow")
        out.show(Text(f"{plain(case['case'])}  ").append(_WORDS[outcome], style))
        if "fix" in case:
            out.show(label("why", plain(case["why"])), label("fix", case["fix"]))
        for write in case.get("writes", ()):
            if "why" in write:
                out.show(label(write["step"], plain(write["why"])))
    count = Counter(case["outcome"] for case in cases)
    said = [f"{count[each]} {words}" for each, words in _WORDS.items() if count[each]]
    many = "1 case" if len(cases) == 1 else f"{len(cases)} cases"
    out.show(Text(f"{many}: {', '.join(said)}" if cases else "no case is open", "bold"))
