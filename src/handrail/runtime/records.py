"""The record of a case, made of its state alone, and handed over while it runs or is replayed."""

from __future__ import annotations

import itertools
import logging
import re
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from temporalio import workflow
from temporalio.exceptions import FailureError
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)
from typing_extensions import override

from handrail.agent import AgentWorkflow, Case, QuestionNote, error_in_words, runner_of
from handrail.guardrails import count_metric, count_ruling
from handrail.ledger import CaseRecord, CaseRow, DecisionRow, ErrorRow, QuestionRow
from handrail.states import ENDS, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from handrail.actions import Transition

_MONEY = Context(prec=28)
_MOST = 2**63 - 1
_NAME = 100
_KIND = 200
_SOURCE = re.compile(r"([\w-]{1,20}):")

log = logging.getLogger("handrail.records")


@dataclass(frozen=True)
class RunFacts:
    """What a record says of the run, which the case itself does not know.

    `failed`: why and when it failed past the case, if it did.
    """

    run_id: str
    build: str
    events: int
    failed: tuple[str, datetime] | None = None


def case_record(case: Case, run: RunFacts) -> CaseRecord:
    """The record of a case as it stands. Pure: the same history always gives the same one."""
    notes, last = case.notes, case.moves[-1]
    asked = notes.asked(case.gates.values())
    begun = notes.begun or case.moves[0].at
    state, why, ended = last.state.value, last.why, last.at if last.state in ENDS else None
    if ended is None and run.failed is not None:
        state, (why, ended) = State.FAILED.value, run.failed
    questions = [_question(case, each) for each in asked]
    row = CaseRow(
        case=case.id,
        run_id=run.run_id,
        agent=case.agent,
        build=run.build,
        policy=notes.policy,
        trigger=_trigger(case),
        event_digest=notes.event,
        requester=case.requester,
        parent=next(iter(case.handed.origin.chain[-1:]), None),
        begun=begun,
        ended=ended,
        state=state,
        why=why,
        seconds=_seconds(begun, case.moves),
        tokens=_tokens(case.usage.input_tokens + case.usage.output_tokens),
        cost=_money(case.usage.cost),
        currency=case.usage.currency,
        # Said as it ended well: what ended otherwise after that is worth nothing by it.
        value=None if notes.value is None or last.state is not State.DONE else _money(notes.value),
        # Where it had nothing to do in pilot it is none of the tasks either.
        pilot=case.pilot or (notes.pilot and not case.receipts),
        writes=len(case.receipts),
        questions=sum(each.kind != "planted" for each in asked),
        escalated=sum(each.escalated is not None for each in asked),
        errors=len(notes.errors),
        events=run.events,
    )
    return CaseRecord(row, tuple(_decisions(case)), tuple(questions), tuple(_errors(case)))


def _decisions(case: Case) -> Iterable[DecisionRow]:
    for number, each in enumerate(case.notes.decisions, 1):
        yield DecisionRow(
            case=case.id,
            number=number,
            agent=case.agent,
            step=each.step[:_NAME],
            at=each.at,
            inputs=each.inputs,
            kind=each.kind and each.kind[:_KIND],
            digest=each.digest,
            confidence=each.confidence,
            model=each.model,
            tokens=_tokens(each.tokens),
            cost=_money(each.cost),
        )


def _errors(case: Case) -> Iterable[ErrorRow]:
    for number, e in enumerate(case.notes.errors, 1):
        step = e.step[:_NAME]
        yield ErrorRow(case.id, number, case.agent, step, e.at, e.kind, e.attempts, e.what)


def _question(case: Case, asked: QuestionNote) -> QuestionRow:
    columns: dict[str, Any] = vars(asked) | {"step": asked.step[:_NAME]}
    return QuestionRow(case=case.id, agent=case.agent, **columns)


def _trigger(case: Case) -> str:
    """How a case was started, from what it knows of who asked for it."""
    if case.handed.origin.chain:
        return "hand-off"
    if case.requester is None:
        return "event"
    source = _SOURCE.match(case.requester)
    return source[1] if source else "person"


def _seconds(begun: datetime, moves: list[Transition]) -> dict[str, float]:
    """Seconds in each state that it has left."""
    moves = [moves[0].model_copy(update={"at": begun}), *moves[1:]]
    spent: dict[str, float] = {}
    for move, after in itertools.pairwise(moves):
        name = move.state.value
        spent[name] = spent.get(name, 0.0) + (after.at - move.at).total_seconds()
    return spent


def _money(amount: Decimal) -> str:
    return str(_MONEY.plus(amount))


def _tokens(number: int) -> int:
    return min(number, _MOST)


class RecordInterceptor(Interceptor):
    """Hands over the record of a case when a question opens or closes, and when it ends.

    Outside the workflow: no command, no event. What it raises costs the record, never the case.
    `replayed`: also while it is replayed, so that one is made again as it was.
    """

    def __init__(self, put: Callable[[CaseRecord], None], *, replayed: bool = False) -> None:
        """`put`: takes a record; it is called on the thread of the workflow."""
        self._put, self._replayed = put, replayed

    @override
    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # Temporal's name
    ) -> type[WorkflowInboundInterceptor]:
        """The interceptor of each workflow."""
        del input
        put, replayed = self._put, self._replayed

        class Recording(WorkflowInboundInterceptor):
            @override
            async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
                agent = workflow.instance()
                if not isinstance(agent, AgentWorkflow):
                    return await super().execute_workflow(input)
                runner, failed = runner_of(agent), None
                counted = set[str | int]()

                def hand_over() -> None:
                    if not workflow.in_workflow():  # its memory is being freed
                        return
                    again = workflow.unsafe.is_replaying()
                    _count(runner.case, counted, new=not (replayed or again))
                    if replayed or not again:
                        _hand_over(put, runner.case, failed)

                runner.changed = hand_over
                try:
                    return await super().execute_workflow(input)
                except FailureError as error:
                    failed = error_in_words(error), workflow.now()
                    raise
                finally:
                    if failed is not None or runner.case.state in ENDS:
                        hand_over()

        return Recording


def _count(case: Case, counted: set[str | int], *, new: bool) -> None:
    """Count errors, and how long questions were open that have closed, once in this process."""
    for number, error in enumerate(case.notes.errors):
        if number not in counted and new:
            count_metric("error", {"agent": case.agent, "step": error.step, "kind": error.kind})
        counted.add(number)
    for gate in case.gates.values():
        if gate.closed is None or gate.id in counted:
            continue
        counted.add(gate.id)
        if new and not gate.question.planted:
            seconds = (gate.closed.at - gate.opened).total_seconds()
            count_ruling(case.agent, gate.question.step, gate.closed.how, seconds)


def _hand_over(
    put: Callable[[CaseRecord], None], case: Case, failed: tuple[str, datetime] | None
) -> None:
    info = workflow.info()
    version = info.get_current_deployment_version()
    build = version.build_id if version else info.get_current_build_id()
    events = info.get_current_history_length()
    try:
        put(case_record(case, RunFacts(info.run_id, build, events, failed)))
    except Exception:  # whatever it is, the case goes on, and the sweep looks for its record
        log.exception("the record of %s could not be made", case.id)
