"""Open cases replayed by the code of today: whether it goes on with them, and what it asks again.

The same functions look before a deploy (`handrail check --against`), when a worker starts, and
in tests of an agent.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.plugin import SimplePlugin
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    Replayer,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowRunner,
)
from typing_extensions import override

from handrail.agent import AgentWorkflow, runner_of, words_of
from handrail.exceptions import CaseError
from handrail.guardrails import ForeseenWrite, foreseen
from handrail.runtime.records import RecordInterceptor, RunFacts, case_record
from handrail.runtime.sandbox import ContextFreeSandbox

if TYPE_CHECKING:
    from temporalio.client import WorkflowHandle

    from handrail.agent import Write
    from handrail.ledger import CaseRecord
    from handrail.runtime.agent import Agent

T = TypeVar("T")

_LONGEST = timedelta(seconds=30)
_AGAIN = 1.0
"""Seconds for which one that was given up may clean up, until it is cancelled once more."""
_DIFFERENCE = re.compile(r'\[TMPRL1100\] [^"\\]+')
"""The first difference, in the midst of what the SDK (1.35) says of it."""
_TOO_SLOW = "[TMPRL1101]"


@dataclass(frozen=True)
class ReplayedCase:
    """A case that was replayed. `fault`: where its code would go another way than it went.

    `unknown`: nobody can say, or it took too long. `held`: the writes that it holds, as the door
    will find them; empty where it has ended. `record`: the last one that it handed over; `left`:
    the one of its last moment, where that is not its end.
    """

    case: str
    fault: str | None = None
    held: tuple[ForeseenWrite, ...] = ()
    unknown: bool = False
    record: CaseRecord | None = None
    left: CaseRecord | None = None


@dataclass
class AgentReplays:
    """How many open cases of an agent were looked at, and which do not replay, and why."""

    looked: int = 0
    misfits: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    cases: list[ReplayedCase] = field(default_factory=list[ReplayedCase])

    @property
    def mostly_misfits(self) -> bool:
        """Whether it is the code that does not fit, and not a case, or a machine that is busy."""
        unknown = sum(each.unknown for each in self.cases)
        return (len(self.misfits) - unknown) * 2 > self.looked - unknown

    def add(self, replayed: ReplayedCase) -> None:
        """Count one case."""
        self.looked += 1
        self.cases.append(replayed)
        if replayed.fault is not None:
            self.misfits.append((replayed.case, replayed.fault))


async def replay_open(
    agent: Agent, plugin: SimplePlugin, handle: WorkflowHandle[Any, Any]
) -> ReplayedCase:
    """Replay one case of a server. Whatever is wrong with it is of this case alone."""
    try:
        async with asyncio.timeout(_LONGEST.total_seconds()):
            history = await handle.fetch_history()
        return await replay_history(agent, plugin, history)
    except TimeoutError:
        return ReplayedCase(handle.id, f"its history is not read within {_LONGEST}", unknown=True)
    except RPCError as error:
        fault = None if error.status is RPCStatusCode.NOT_FOUND else str(error)
    except Exception as error:  # noqa: BLE001  # its history, its payloads: anything may be wrong
        fault = f"{type(error).__name__}: {error}"
    return ReplayedCase(handle.id, fault)


async def replay_history(
    agent: Agent, plugin: SimplePlugin, history: WorkflowHistory
) -> ReplayedCase:
    """Replay one history of an agent's case. `plugin`: that of its fleet."""
    watch = _LastMoment({step.name: step for step in agent.writes}, history)
    looking = SimplePlugin(
        "handrail-looks",
        interceptors=[watch, RecordInterceptor(watch.keep, replayed=True)],
        workflow_runner=watch.around,
    )
    replayer = Replayer(
        workflows=[agent.workflow],
        plugins=[plugin, looking],
        build_id="replay",  # or Temporal reads and hashes every imported module
    )
    replaying = replayer.replay_workflow(history, raise_on_replay_failure=False)
    result = await _ended(replaying)
    if result is None:
        fault = f"it does not replay within {_LONGEST}"
        return ReplayedCase(history.workflow_id, fault, unknown=True)
    failure = result.replay_failure
    if failure is None:
        return ReplayedCase(
            history.workflow_id,
            watch.fault,
            held=watch.held,
            unknown=watch.fault is not None,
            record=watch.record,
            left=watch.left,
        )
    said = str(failure)
    difference = _DIFFERENCE.search(said)
    fault = difference.group() if difference else said
    return ReplayedCase(history.workflow_id, fault, unknown=_TOO_SLOW in said)


async def _ended(replaying: Coroutine[Any, Any, T]) -> T | None:
    """What a replay came to; None if it came to no end.

    The SDK (1.35) waits for its worker after a cancellation, too, and the next one ends that.
    """
    task = asyncio.ensure_future(replaying)
    try:
        await asyncio.wait([task], timeout=_LONGEST.total_seconds())
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=_AGAIN)
    return None if task.cancelled() else task.result()


def read_history(text: str) -> tuple[WorkflowHistory, str]:
    """A history from Temporal's JSON, and the task queue on which its case began.

    Raises:
        CaseError: if it is none.
    """
    try:
        started = json.loads(text)["events"][0]["workflowExecutionStartedEventAttributes"]
        history = WorkflowHistory.from_json(started["workflowId"], text)
        return history, str(started["taskQueue"]["name"])
    # Whatever a file may hold; protobuf's own errors are no ValueErrors.
    except Exception as error:
        raise CaseError(
            f"it is no history of a workflow ({type(error).__name__}: {error}); "
            "fix: `temporal workflow show --output json`, or handrail.testing.record"
        ) from error


class _LastMoment(Interceptor):
    """Looks at a replayed case at the end of its history, before it is put away.

    To put a workflow away is to cancel it, after which its case is another.
    """

    def __init__(self, writes: Mapping[str, Write[Any, Any]], history: WorkflowHistory) -> None:
        self._writes, self._history, self.run = writes, history, ""
        self.record: CaseRecord | None = None
        self.left: CaseRecord | None = None
        self.agent: AgentWorkflow | None = None
        self.held: tuple[ForeseenWrite, ...] = ()
        self.fault: str | None = None

    @override
    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # Temporal's name
    ) -> type[WorkflowInboundInterceptor]:
        """What keeps the workflow."""
        del input
        watch = self

        class Keeping(WorkflowInboundInterceptor):
            @override
            async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
                watch.agent = cast("AgentWorkflow", workflow.instance())
                watch.run = workflow.info().run_id
                try:
                    return await super().execute_workflow(input)
                finally:
                    watch.agent = None  # it has ended, and holds nothing

        return Keeping

    def around(self, runner: WorkflowRunner | None) -> WorkflowRunner:
        """The same runner, which lets a workflow be looked at before it is put away."""
        return replace(cast("ContextFreeSandbox", runner), before_eviction=self.look)

    def look(self) -> None:
        """Keep what the case holds now."""
        try:
            self._look()
        except Exception as error:  # noqa: BLE001  # Temporal would ask again for ever
            self.fault = f"what it holds cannot be told: {words_of(error)}"

    def _look(self) -> None:
        if self.agent is not None:
            case = runner_of(self.agent).case
            self.held, self.agent = tuple(foreseen(case, self._writes)), None
            events = self._history.events
            self.left = case_record(case, RunFacts(self.run, _build(events), len(events)))

    def keep(self, record: CaseRecord) -> None:
        """Keep the last record that the case hands over."""
        self.record = record


def _build(events: Sequence[Any]) -> str:
    """The build of the worker that had the last task of a history."""
    for event in reversed(events):
        done = event.workflow_task_completed_event_attributes
        if event.HasField("workflow_task_completed_event_attributes"):
            return str(done.deployment_version.build_id or done.worker_version.build_id)
    return ""
