"""Rollouts: a new build of the workers gets a share of the new cases, then more, or none.

Which build gets which share is Temporal's to keep, and how far a rollout is stands in the memo of
its workflow: both are read without a worker. Who may begin one or let it go on is judged by a
worker of the build that is current; whoever takes it back, or pauses it, is taken at their word.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from temporalio.common import (
    PinnedVersioningOverride,
    WorkerDeploymentVersion,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from handrail.actions import WHOLE
from handrail.agent import describe_execution
from handrail.client.base import OperatorBase, Statement
from handrail.client.deployments import (
    agents_of,
    build_cases,
    deployments,
    open_cases,
    routing,
    why_unready,
    workers_of,
)
from handrail.client.orders import share_of
from handrail.client.starts import TASK_TIMEOUT
from handrail.client.views import Document, Moment, OrderOutcome
from handrail.exceptions import CaseError, HandrailError, InvalidRequest, NotFound, NotPermitted
from handrail.oversight import (
    ROLLOUT_MEMO,
    ROLLOUT_SIGNAL,
    ROLLOUT_WORKFLOW,
    Order,
    OrderResult,
    Ramp,
    RolloutInput,
    RolloutState,
    RolloutWord,
    order_in_words,
    rollout_id,
    rollout_order,
)
from handrail.text import percent

if TYPE_CHECKING:
    from temporalio.client import Client

LADDER = (1_000, 2_500, 5_000, WHOLE)
"""The shares that a new build gets one after the other, if nobody says others."""

_PATIENCE = timedelta(seconds=10)
"""How long a worker is waited for that judges an order."""

_POLL = timedelta(milliseconds=100)
_LONGEST_WHY = 1_000


class BuildView(Document):
    """A build of a deployment: what it gets, and its cases since the rollout began.

    `open`: all of its open ones, whenever they began: its workers must stay until they have ended.
    `share`: of new cases, in percent. `bad`: the share of its cases that failed, were refused or
    had an incident, each counted once; None without any. `band`: how large that may be.
    """

    build: str
    current: bool
    share: str
    workers: int
    cases: int
    open: int
    failed: int
    refused: int
    incidents: int
    bad: float | None
    band: str = ""


class DeploymentView(Document):
    """A worker deployment and its latest rollout; `stand` is empty where there was none."""

    deployment: str
    agents: tuple[str, ...]
    builds: tuple[BuildView, ...]
    stand: str = ""
    build: str = ""
    shares: tuple[str, ...] = ()
    by: str = ""
    begun: Moment | None = None
    since: Moment | None = None
    why: str = ""


class RolloutList(Document):
    """All worker deployments, by name. `lacking`: those that could not be looked at, and why."""

    deployments: tuple[DeploymentView, ...]
    lacking: tuple[str, ...] = ()


class RolloutActs(OperatorBase):
    """Rolling out a build of the workers, and what becomes of it."""

    async def rollouts(self) -> RolloutList:
        """Every deployment: its builds with their shares and cases, and its latest rollout.

        Raises:
            RPCError: if the server does not answer.
        """
        client = await self.temporal()
        found, lacking = list[DeploymentView](), list[str]()
        for each in await deployments(client):
            try:
                found.append(await _view(client, each))
            except HandrailError as error:  # of this one alone: its name, what stands in its memo
                lacking.append(f"{each}: {error}")
        return RolloutList(deployments=tuple(found), lacking=tuple(lacking))

    async def roll_out(
        self,
        build: str,
        to: Sequence[str] = ("10%",),
        *,
        deployment: str | None = None,
        cases: int | None = None,
        every: timedelta | None = None,
        allowed: str | None = None,
        why: str = "",
    ) -> OrderOutcome:
        """Give a new build a share of the new cases, and more while it does as well as the old one.

        `to`: the shares; of one alone the usual ones follow, and the last is always all. `cases`:
        so many must have ended at each share. `every`: how often it is looked. `allowed`: the share
        of bad cases that is allowed, instead of the old build's band.

        Raises:
            InvalidRequest: if no worker runs the build, or a share is none.
            CaseError: if another rollout of the deployment is on.
            NotPermitted: if the policies are known, and do not let them.
        """
        self._own_seat("roll out a build")
        client = await self.temporal()
        name = deployment or await self._deployment(client, build)
        ramp = _ramp(name, build, to, cases=cases, every=every, allowed=allowed)
        await self._require_control(client, name, build)
        known = await _latest(client, name)
        if known is not None and known.is_on:
            raise CaseError(_is_on(known))
        now = await routing(client, name)
        before = now.current_deployment_version.build_id if now is not None else ""
        fault = "it is current already" if before == build else ""
        fault = fault or await why_unready(client, name, build, before)
        fault = fault or (before and await why_unready(client, name, before, ""))
        if fault:
            raise InvalidRequest(fault, "build")
        order = rollout_order(ramp, self._who(), self._clock(), why.strip()[:_LONGEST_WHY])
        given = RolloutInput(word=await self._word(order), before=before)
        agents = sorted(await agents_of(client, name, before or build))
        # Judged by the build that is current: never by the one that is on trial.
        judge = WorkerDeploymentVersion(deployment_name=name, build_id=before or build)
        try:
            await client.start_workflow(
                ROLLOUT_WORKFLOW,
                given,
                id=rollout_id(name),
                task_queue=agents[0],
                task_timeout=TASK_TIMEOUT,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                versioning_override=PinnedVersioningOverride(judge),
                static_summary=f"rollout of {build} ({name}), by {order.by}",
            )
        except WorkflowAlreadyStartedError as error:
            known = await _latest(client, name)
            raise CaseError(_is_on(known) if known else f"a rollout of {name} is on") from error
        return await self._became(client, name, order)

    async def steer_rollout(
        self, to: Literal["pause", "resume", "back"], deployment: str | None = None, why: str = ""
    ) -> OrderOutcome:
        """Take a rollout back, hold it at its share, or let it go on.

        Raises:
            NotFound: if none is on, or several are and none is named.
            NotPermitted: if the policies are known, and do not let them.
        """
        self._own_seat("steer a rollout")
        client = await self.temporal()
        names = [deployment] if deployment else await deployments(client)
        on = [each for name in names if (each := await _latest(client, name)) and each.is_on]
        if len(on) != 1:
            several = "several are on; name one of the deployments " + ", ".join(
                each.ramp.deployment for each in on
            )
            raise NotFound(several if on else "no rollout is on; `handrail rollout` shows the last")
        ramp, name = on[0].ramp, on[0].ramp.deployment
        await self._require_control(client, name, ramp.build, raises=to == "resume")
        told = Ramp(deployment=name, build=ramp.build, to=to)
        order = rollout_order(told, self._who(), self._clock(), why.strip()[:_LONGEST_WHY])
        handle = client.get_workflow_handle(rollout_id(name))
        try:
            await handle.signal(ROLLOUT_SIGNAL, await self._word(order))
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            raise NotFound("the rollout has just ended; `handrail rollout` says how") from error
        return await self._became(client, name, order)

    async def _deployment(self, client: Client, build: str) -> str:
        names = await deployments(client)
        found = [name for name in names if await agents_of(client, name, build)]
        if len(found) == 1:
            return found[0]
        if found:
            raise InvalidRequest(f"{build} is of several: say which, {', '.join(found)}", "to")
        raise InvalidRequest(
            f"no worker of a build {build} has ever been here; fix: start `handrail worker` with "
            f"TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID={build}",
            "build",
        )

    async def _require_control(
        self, client: Client, deployment: str, build: str, *, raises: bool = True
    ) -> None:
        """That the policies of all its agents let whoever acts; to take it back, that one does."""
        if self._directory is None:
            return
        agents, who = await agents_of(client, deployment, build), self._who()
        allowed = agents <= self._directory.controls(who)
        if not raises:
            allowed = bool(agents & self._directory.agents(who))
        if not allowed:
            raise NotPermitted(f"the policies do not let {self.by} roll out {deployment}")

    async def _word(self, order: Order) -> RolloutWord:
        proof = await self._signature(Statement(order))
        return RolloutWord(order=order, statements=(proof or order.model_dump_json(),))

    async def _became(self, client: Client, deployment: str, order: Order) -> OrderOutcome:
        """What became of an order, when a worker has judged it."""
        end, result = time.monotonic() + _PATIENCE.total_seconds(), None
        while result is None and time.monotonic() < end:
            known = await _latest(client, deployment)
            result: OrderResult | None = known.answer(order.id) if known is not None else None
            await asyncio.sleep(0 if result else _POLL.total_seconds())
        return OrderOutcome(
            order="rollout",
            what=order_in_words(order),
            id=order.id,
            by=order.by,
            stand=None if result is None else result.stand,
            note="" if result is None else result.why,
            proven=None if result is None else result.proven,
            people=() if result is None else result.people,
        )


def _ramp(
    deployment: str,
    build: str,
    to: Sequence[str],
    *,
    cases: int | None,
    every: timedelta | None,
    allowed: str | None,
) -> Ramp:
    shares = [share_of(part) or 0 for text in to for part in text.split(",")]
    if len(shares) == 1:
        shares += [each for each in LADDER if each > shares[0]]
    if shares[-1:] != [WHOLE]:
        shares.append(WHOLE)
    given: dict[str, Any] = {"cases": cases, "every": every, "allowed": share_of(allowed)}
    said = {name: value for name, value in given.items() if value is not None}
    try:
        return Ramp(deployment=deployment, build=build, to="shares", shares=tuple(shares), **said)
    except ValueError as error:
        raise InvalidRequest(
            "write shares that rise, such as 10% or 5%,20%,100%; at least 1 case a share, a look "
            "each second to each day, and an allowed share between 0% and 100%",
            "to",
        ) from error


def _is_on(known: RolloutState) -> str:
    shares = f"at {percent(known.share)}" if known.stage >= 0 else "just begun"
    return (
        f"a rollout of {known.ramp.deployment} is on: {known.ramp.build}, {shares}, by {known.by}; "
        "fix: wait for its end, or take it back: handrail rollout --back"
    )


async def _latest(client: Client, deployment: str) -> RolloutState | None:
    """How far the latest rollout of a deployment is, as its workflow has written down."""
    try:
        found = await describe_execution(client, rollout_id(deployment))
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    known: RolloutState | None = None
    with contextlib.suppress(ValueError, RuntimeError, LookupError):  # what others wrote there
        known = await found.memo_value(ROLLOUT_MEMO, None, type_hint=RolloutState)
    if known is not None and known.is_on and found.close_time is not None:
        how = "it was ended by other means; its share stays as it was"
        return known.model_copy(update={"stand": "left", "why": how})
    return known


async def _view(client: Client, deployment: str) -> DeploymentView:
    known, now = await _latest(client, deployment), await routing(client, deployment)
    current = now.current_deployment_version.build_id if now is not None else ""
    ramping = now.ramping_deployment_version.build_id if now is not None else ""
    share = round(now.ramping_version_percentage * 100) if now is not None and ramping else 0
    tried = known.ramp.build if known is not None else ""
    before = known.before if known is not None else ""
    waiting = await open_cases(client, deployment)
    builds = [each for each in dict.fromkeys((before, current, ramping, tried, *waiting)) if each]
    shares = {current: WHOLE - share} | ({ramping: share} if ramping else {})
    since = known.begun if known is not None else None
    agents = await agents_of(client, deployment, tried or current)
    rows: list[BuildView] = []
    for build in builds:
        cases = await build_cases(client, deployment, build, since=since)
        seen = [await workers_of(client, each, deployment, build) for each in agents]
        rows.append(
            BuildView(
                build=build,
                current=build == current,
                share=percent(shares.get(build, 0)),
                workers=min(seen, default=0),
                cases=cases.cases,
                open=waiting.get(build, 0),
                failed=cases.failed,
                refused=cases.refused,
                incidents=cases.incidents,
                bad=sum(cases.flags) / len(cases.flags) if cases.flags else None,
                band=known.allowed if known is not None and build == tried else "",
            )
        )
    told: dict[str, Any] = {}
    if known is not None:
        told = {
            "stand": known.stand,
            "build": tried,
            "shares": tuple(map(percent, known.ramp.shares)),
            "by": known.by,
            "begun": known.begun,
            "since": known.since,
            "why": known.why,
        }
    return DeploymentView(
        deployment=deployment, agents=tuple(sorted(agents)), builds=tuple(rows), **told
    )
