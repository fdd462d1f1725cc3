"""What a case was to do, as far as that was known before any text from outside had come in.

A plan binds all writes of its case, and whom it tells what (`notices`). Where the words of who asks
are among the arguments of a decision, it may choose no object but what they name. Beside what
`provenance` asks of each value: that says whether a value is real, and this whether anybody wants
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from temporalio import workflow

from handrail.actions import Basis, Decision, as_json, canonical
from handrail.agent.decided import DecidedAction, recalled
from handrail.agent.intent import UNPLANNED, LoopIntent
from handrail.agent.objects import request_in
from handrail.agent.patches import after_called, after_left_out, after_plans_within
from handrail.agent.prompts import argument_json
from handrail.agent.provenance import UNKNOWN, laid_bare, leaves
from handrail.agent.provenance_values import wanted
from handrail.agent.steps import Decide, Write
from handrail.agent.tool_plan import (
    ToolPlan,
    by_field_names,
    fixed_paths,
    is_fixed,
    plan_in_words,
)
from handrail.agent.untrusted_text import UNSEEN, holds_decided, holds_untrusted, unread
from handrail.exceptions import fallback
from handrail.wire import DecisionResult

if TYPE_CHECKING:
    from handrail.actions import Event
    from handrail.agent.case import Case


def inputs_of_plan(
    case: Case, event: Event | None, step: Decide[..., Any], given: Sequence[Any]
) -> list[Any] | None:
    """The arguments of a step that plans, without the texts from outside.

    None, where a text from outside may have had a word in them: once one has come in, only what the
    event of the case brought beside it is known to be of nobody's choosing.
    """
    pairs = list(zip(step.parameters, given, strict=True))
    plain = [unread(argument_json(p.annotation, value)) for p, value in pairs]
    known = {canonical(UNSEEN), *leaves(unread(argument_json(type(event), event)))}
    chosen = case.outside and (
        holds_decided(given)
        or workflow.info().continued_run_id is not None
        or not set(leaves(plain)) <= known
    )
    shown = [
        recalled(p.annotation, each, by_name=True)
        for (p, _), each in zip(pairs, plain, strict=True)
    ]
    # Of a request that is handed over as bare text nobody would see who said it.
    unproven = request_in([event, *given]) != request_in([event, *given], case.requester)
    if chosen or unproven or case.handed.origin.outside or laid_bare(shown, case.sources.texts):
        return None
    return shown


def bind_writes(case: Case, step: str, plan: ToolPlan) -> str:
    """Let a plan bind the writes of a case, beside one that does. Returns it in words."""
    before = () if case.plan is None else case.plan.calls
    case.plan = ToolPlan(calls=(*before, *plan.calls))
    return plan_in_words(step, plan)


def planned(case: Case, step: Write[Any, Any], proposal: DecidedAction) -> Basis | None:
    """The basis of a write, saying also what has no trusted source, or is not in the plan.

    What the plan has fixed needs no other source.
    """
    basis = case.sources.basis(proposal.action, proposal.json, proposal.basis)
    if case.plan is None:
        return basis
    kind = type(proposal.action)
    plan = ToolPlan(
        calls=tuple(
            by_field_names(c, kind, after_plans_within) if c.tool == step.name else c
            for c in case.plan.calls
        )
    )
    at = plan.fitting(step.name, proposal.json, after_plans_within)
    found = basis or Basis()
    if at is None:
        lacking = (*found.unsourced, f"plan: {step.name}: {UNPLANNED}")
    else:
        case.plan = plan.without(at)
        fixed = fixed_paths(plan.calls[at].args, proposal.json)
        lacking = tuple(e for e in found.unsourced if not is_fixed(_within_action(e), fixed))
    if lacking == found.unsourced:
        return basis
    case.foreseen.clear()  # the door knew of no plan then
    return found.model_copy(update={"unsourced": lacking})


def unwanted(
    case: Case,
    named: Sequence[tuple[str, Any]],
    decision: Decision[Any, Any],
    result: DecisionResult[Any],
) -> tuple[tuple[str, ...], DecisionResult[Any]]:
    """What of a decision has no source, and its result without what was foreseen of another.

    Where the words of who asks are among its arguments, what they say has one, and what is of
    none of the objects that they name has none.
    """
    lacking = case.sources.lacking(named, decision, result.unsourced)
    # What cannot be seen is not wanted.
    made = fallback(UNKNOWN, lambda: _unwanted(case, named, decision, lacking))
    # Cases that decided before this was looked at go on as they began.
    if made == lacking or not workflow.patched("decided-as-asked"):
        return lacking, result
    return made, result.model_copy(update={"verdict": None})


def _unwanted(
    case: Case,
    named: Sequence[tuple[str, Any]],
    decision: Decision[Any, Any],
    lacking: tuple[str, ...],
) -> tuple[str, ...]:
    values = [value for _, value in named]
    said = request_in(values)
    if not said or decision.action is None:
        return lacking
    if not (said != request_in(values, case.requester) or holds_untrusted(values)):
        return lacking
    found = wanted("action", decision.action, ())
    intent = LoopIntent(case.sources.trusted(named), case.plan, case.requester, after_called)
    out = [*intent.left_out(decision.action, as_json(decision.action), found)]
    faults = (*intent.ending(found), *(out if out and after_left_out() else ()))
    # What they say, or is of what they name, may have any field's name.
    open_ = {*map(_path, intent.unnamed(found)), *(leaf.path for leaf in found if leaf.free)}
    told = set(map(_path, faults))
    kept = [
        e for e in lacking if not _within_action(e) or (_path(e) in open_ and _path(e) not in told)
    ]
    return tuple(dict.fromkeys((*kept, *faults)))


def _path(lacking: str) -> str:
    return lacking.partition(": ")[0]


def _within_action(lacking: str) -> str:
    """The path within the action of what lacks a source; nothing if it is none of it."""
    head, _, path = _path(lacking).partition(".")
    return path if head == "action" else ""
