"""Notifications of a case that a plan binds: after a text from outside, as planned or by people.

This is workflow code: the order of its commands is a wire format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from temporalio import workflow
from typing_extensions import TypeVar

from handrail.agent.intent import UNPLANNED, strings
from handrail.agent.patches import after_plans_within
from handrail.agent.prompts import argument_json
from handrail.agent.steps import Notify
from handrail.agent.tool_plan import fixed_paths
from handrail.exceptions import NotWritten

if TYPE_CHECKING:
    from handrail.agent.case import Case
    from handrail.agent.runner import CaseRunner

R = TypeVar("R")


async def tell(runner: CaseRunner, step: Notify[..., R], args: list[Any]) -> R | None:
    """Tell somebody; where a plan binds the case, and does not have this, if people say so."""
    named = {p.name: arg for p, arg in zip(step.parameters, args, strict=True)}
    why = _unplanned(runner.case, step, named)
    # Cases that told somebody before this was looked at go on as they began.
    if why and workflow.patched("planned-notices"):
        try:
            await runner.hold_read(step, named, why)
        except NotWritten as error:
            runner.case.unsent.append(f"{step.name}: {error}")
            runner.note(f"could not tell {step.name}: {error}")
            return None
    return await runner.notify(step, args)


def _unplanned(case: Case, step: Notify[..., Any], named: dict[str, Any]) -> tuple[str, ...]:
    """Why a notification waits for people in a case that a plan binds, once a text has come in.

    Where the plan names the step, it must be one of these calls. What the plan has not fixed of it
    is no text from outside, and carries none.
    """
    if case.plan is None or not case.outside:
        return ()
    given = {p.name: argument_json(p.annotation, named[p.name]) for p in step.parameters}
    at, fixed = case.plan.fitting(step.name, given, after_plans_within), frozenset[str]()
    if at is not None:
        fixed = fixed_paths(case.plan.calls[at].args, given)
        case.plan = case.plan.without(at)
    elif any(each.tool == step.name for each in case.plan.calls):
        return (f"plan: {step.name}: {UNPLANNED}",)
    known = [text for call in case.plan.calls for text in strings(call.args)]
    chosen = case.sources.chosen_outside(step, [*named.values()])
    why = {each.partition(": ")[0]: each for each in chosen}
    for name, value in given.items():
        faults = (case.sources.passed_on(text, known) for text in strings(value))
        for each in filter(None, faults):
            why.setdefault(f"{step.name}.{name}", f"{step.name}.{name}: {each}")
    return tuple(each for path, each in why.items() if path.rpartition(".")[2] not in fixed)
