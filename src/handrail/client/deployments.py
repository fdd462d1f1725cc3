"""Temporal's worker deployments: which builds there are, who runs them, and how their cases do."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from temporalio.api.deployment.v1 import RoutingConfig
from temporalio.api.deployment.v1 import WorkerDeploymentVersion as Version
from temporalio.api.enums.v1 import TaskQueueType, VersionDrainageStatus
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentVersionRequest,
    ListWorkerDeploymentsRequest,
)
from temporalio.client import WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from handrail.agent import (
    INCIDENT,
    PROBLEM_ATTRIBUTE,
    RISK_ATTRIBUTE,
    STATE_ATTRIBUTE,
    describe_execution,
    executions,
)
from handrail.client.gates import quoted
from handrail.oversight import MESSAGE_QUEUE, ROLLOUT_WORKFLOW
from handrail.states import State

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from temporalio.api.taskqueue.v1 import PollerInfo
    from temporalio.client import Client, WorkflowExecution

GONE_AFTER = timedelta(seconds=100)
"""A worker that has not asked for work for so long is gone: it asks at least once a minute."""

LOOKED_AT = 1_000
"""Cases of the old build of which its band is made, the latest."""

MOST_CASES = 10_000
"""Cases of a new build that are looked at."""

_DESCRIBED = 20
"""Cases without a build that are asked which one cannot run them."""

_OPEN = "HandrailState IS NOT NULL AND ExecutionStatus = 'Running'"
_WORKFLOWS = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
_PROBLEMS = SearchAttributeKey.for_keyword_list("TemporalReportedProblems")
_FAILED = {State.FAILED, State.ROLLED_BACK}
_REFUSED = {State.REFUSED, State.REJECTED}
_BROKE_OFF = {
    WorkflowExecutionStatus.FAILED,
    WorkflowExecutionStatus.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT,
}


@dataclass
class BuildCases:
    """The cases that ran under a build. `ended`: 1 for each bad one, 0 for each good one, in order.

    A case is bad once: one that failed, that the door or a person refused, in which something was
    found wrong, or of which the code cannot go on. `ends`: when. `wrong`: open ones that are bad.
    """

    open: int = 0
    failed: int = 0
    refused: int = 0
    incidents: int = 0
    wrong: int = 0
    ended: list[int] = field(default_factory=list[int])
    ends: list[datetime] = field(default_factory=list[datetime])

    @property
    def cases(self) -> int:
        """How many there are."""
        return self.open + len(self.ended)

    @property
    def flags(self) -> list[int]:
        """What the build is judged by: those that ended, and the open ones that are bad."""
        return [*self.ended, *[1] * self.wrong]

    def add(self, found: WorkflowExecution) -> None:
        """Count one more, which ended after those before it."""
        known = found.typed_search_attributes
        state, is_open = known.get(STATE_ATTRIBUTE), found.close_time is None
        stuck = is_open and bool(known.get(_PROBLEMS))
        failed = stuck or state in _FAILED or (not is_open and found.status in _BROKE_OFF)
        # Before the problem had an attribute of its own the risk said it, too.
        said = known.get(PROBLEM_ATTRIBUTE), known.get(RISK_ATTRIBUTE)
        refused, incident = state in _REFUSED, INCIDENT in said
        self.failed += failed
        self.refused += refused
        self.incidents += incident
        bad = failed or refused or incident
        if found.close_time is None:
            self.open += 1
            self.wrong += bad
        else:
            self.ended.append(int(bad))
            self.ends.append(found.close_time)


async def build_cases(
    client: Client,
    deployment: str,
    build: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    most: int = MOST_CASES,
) -> BuildCases:
    """The cases of a build that began after `since`, or that had ended by `until`.

    Raises:
        RPCError: if the server does not answer.
    """
    version = quoted(f"{deployment}:{build}", "build")
    whose = f"TemporalWorkerDeploymentVersion = {version}"
    query = f"HandrailState IS NOT NULL AND ExecutionStatus != 'ContinuedAsNew' AND {whose}"
    if since is not None:
        query += f" AND StartTime >= '{since.isoformat()}'"
    if until is not None:
        query += f" AND CloseTime <= '{until.isoformat()}'"
    found = [each async for each in executions(client, query, most)]
    far = datetime.max.replace(tzinfo=UTC)
    counted = BuildCases()
    for each in sorted(found, key=lambda each: (each.close_time or far, each.id)):
        counted.add(each)
    if since is not None:
        async for each in _never_begun(client, deployment, build, since):
            counted.add(each)
    return counted


async def _never_begun(
    client: Client, deployment: str, build: str, since: datetime
) -> AsyncGenerator[WorkflowExecution]:
    """Cases of which the code of a build cannot run the first task: they are of no build yet."""
    query = (
        "HandrailState IS NOT NULL AND TemporalWorkerDeploymentVersion IS NULL AND "
        f"TemporalReportedProblems IS NOT NULL AND StartTime >= '{since.isoformat()}'"
    )
    async for each in executions(client, query, _DESCRIBED):
        found = await describe_execution(client, each.id, each.run_id)
        info = found.raw_description.workflow_execution_info.versioning_info
        tried = info.version_transition.deployment_version
        if (tried.deployment_name, tried.build_id) == (deployment, build):
            yield found


async def deployments(client: Client) -> list[str]:
    """The names of all worker deployments.

    The server's list lacks one for a moment now and then, whose own workflow goes on in a new run:
    what has had a rollout is asked for by its name.
    """
    names, token = set[str](), b""
    while True:
        answer = await client.workflow_service.list_worker_deployments(
            ListWorkerDeploymentsRequest(namespace=client.namespace, next_page_token=token),
            retry=True,
        )
        names |= {each.name for each in answer.worker_deployments}
        token = answer.next_page_token
        if not token:
            break
    query = f"WorkflowType = '{ROLLOUT_WORKFLOW}'"
    rolled = {each.id.partition(":")[2] async for each in executions(client, query)}
    there = [name for name in rolled - names if await routing(client, name) is not None]
    return sorted(names.union(there))


async def routing(client: Client, deployment: str) -> RoutingConfig | None:
    """Which build is current, and which one gets a share; None if there is no such deployment."""
    asked = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=deployment)
    with _missing():
        answer = await client.workflow_service.describe_worker_deployment(asked, retry=True)
        return answer.worker_deployment_info.routing_config
    return None


async def open_cases(client: Client, deployment: str) -> dict[str, int]:
    """How many cases are open on each build that has any: workers of it must stay."""
    asked = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=deployment)
    found: dict[str, int] = {}
    with _missing():
        answer = await client.workflow_service.describe_worker_deployment(asked, retry=True)
        for each in answer.worker_deployment_info.version_summaries:
            build = each.deployment_version.build_id
            whose = quoted(f"{deployment}:{build}", "build")
            query = f"{_OPEN} AND TemporalWorkerDeploymentVersion = {whose}"
            if each.drainage_status != VersionDrainageStatus.VERSION_DRAINAGE_STATUS_DRAINED:
                found[build] = (await client.count_workflows(query)).count
    return {build: count for build, count in found.items() if count}


async def agents_of(client: Client, deployment: str, build: str) -> frozenset[str]:
    """The agents that workers of a build have run; empty if none ever did."""
    asked = DescribeWorkerDeploymentVersionRequest(
        namespace=client.namespace,
        deployment_version=Version(deployment_name=deployment, build_id=build),
    )
    with _missing():
        answer = await client.workflow_service.describe_worker_deployment_version(asked, retry=True)
        found = answer.worker_deployment_version_info.task_queue_infos
        return frozenset(e.name for e in found if e.type == _WORKFLOWS) - {MESSAGE_QUEUE}
    return frozenset()


async def pollers(client: Client, queue: str) -> list[PollerInfo]:
    """Who asked for the workflow tasks of a queue in the last minutes."""
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=_WORKFLOWS,
        ),
        retry=True,
    )
    return list(answer.pollers)


async def workers_of(client: Client, agent: str, deployment: str, build: str) -> int:
    """How many workers of a build ask for the work of an agent now."""
    latest = datetime.now(UTC) - GONE_AFTER
    return sum(
        each.last_access_time.ToDatetime(UTC) >= latest
        for each in await pollers(client, agent)
        if each.deployment_options.deployment_name == deployment
        and each.deployment_options.build_id == build
    )


async def why_unready(client: Client, deployment: str, build: str, before: str) -> str:
    """Why a build can get no cases, and what to do; empty if it can.

    Raises:
        RPCError: if the server does not answer.
    """
    new = await agents_of(client, deployment, build)
    needed = new | (await agents_of(client, deployment, before) if before else frozenset[str]())
    idle = [e for e in sorted(needed) if not await workers_of(client, e, deployment, build)]
    if needed and not idle:
        return ""
    whose = f" runs {', '.join(idle)}" if idle else ""
    return (
        f"no worker of the build {build}{whose} now: its cases would wait; fix: start `handrail "
        f"worker` with TEMPORAL_DEPLOYMENT_NAME={deployment} TEMPORAL_WORKER_BUILD_ID={build}"
    )


@contextlib.contextmanager
def _missing() -> Any:
    try:
        yield
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
