"""What a rollout has done in a worker: orders are judged, builds compared, shares set."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from temporalio import activity
from temporalio.api.workflowservice.v1 import (
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentRampingVersionRequest,
)
from temporalio.client import Client

from handrail.agent import Activity
from handrail.client import LOOKED_AT, agents_of, build_cases, routing, why_unready
from handrail.evidence import BuildJudgement, judge_build
from handrail.exceptions import PolicyError
from handrail.guardrails import alert_owner, audit_order, server_time
from handrail.ledger import Ledger
from handrail.oversight import (
    Alert,
    OrderResult,
    OrderState,
    RolloutState,
    Trust,
    order_givers,
    order_lacks,
    order_proven,
    order_row,
)
from handrail.policy import PolicyFile
from handrail.runtime.rollout import (
    BEGIN_ROLLOUT,
    JUDGE_ROLLOUT_ORDER,
    LOOK_AT_ROLLOUT,
    SET_SHARE,
    TELL_OWNERS,
    RolloutLook,
    RolloutOrder,
    RolloutStart,
)
from handrail.text import percent

log = logging.getLogger("handrail.rollout")


@dataclass(frozen=True)
class RolloutActivities:
    """The activities of rollouts. `policies`: of all agents of this fleet."""

    policies: Mapping[str, PolicyFile]
    ledger: Ledger
    trust: Trust

    def activities(self) -> list[Activity]:
        """Them, to be registered with every worker that is versioned."""

        @activity.defn(name=BEGIN_ROLLOUT)
        async def begin(state: RolloutState) -> RolloutStart:
            return await self.begin(activity.client(), state)

        @activity.defn(name=JUDGE_ROLLOUT_ORDER)
        async def judge(asked: RolloutOrder) -> OrderResult:
            return await self.judge(asked, activity.info().workflow_run_id or "")

        @activity.defn(name=LOOK_AT_ROLLOUT)
        async def look(state: RolloutState) -> RolloutLook:
            return await look_at_builds(activity.client(), state)

        @activity.defn(name=SET_SHARE)
        async def share(state: RolloutState) -> None:
            await set_share(activity.client(), state)

        @activity.defn(name=TELL_OWNERS)
        async def tell(state: RolloutState) -> None:
            await self.tell(state)

        return [begin, judge, look, share, tell]

    async def begin(self, client: Client, state: RolloutState) -> RolloutStart:
        """Whether it may begin: who is concerned, whether workers are there, what the band is.

        Raises:
            RPCError: if the server does not answer.
        """
        ramp, old = state.ramp, state.before
        agents = await agents_of(client, ramp.deployment, ramp.build)
        if old:
            agents |= await agents_of(client, ramp.deployment, old)
        fault = await why_unready(client, ramp.deployment, ramp.build, old)
        fault = fault or await _changed(client, state)
        unknown = sorted(agents - set(self.policies))
        if unknown:
            fault = (
                f"the workers of {old or ramp.build} have no policy of {', '.join(unknown)}, and "
                "cannot say who may roll it out; fix: run all agents of a deployment in each worker"
            )
        if fault or not old:
            return RolloutStart(agents=tuple(sorted(agents)), fault=fault)
        known = await build_cases(client, ramp.deployment, old, until=state.begun, most=LOOKED_AT)
        band = "".join(map(str, known.ended))
        return RolloutStart(agents=tuple(sorted(agents)), band=band)

    async def judge(self, asked: RolloutOrder, run: str) -> OrderResult:
        """Judge an order: what gives a new build more takes those who control all its agents.

        Raises:
            PolicyError: if a policy cannot be read.
            KeyringError: if the keyring cannot be used.
            LedgerUnavailable: if it cannot be kept.
        """
        order, statements = asked.word.order, asked.word.statements
        keys, now = self.trust.keys(), server_time()
        people = order_givers(order, statements, keys)
        if order.ramp is None:
            return OrderResult(stand=OrderState.REFUSED, why="it is no order of a rollout")
        for name in asked.agents if order.ramp.raises else ():
            policy = self.policies[name].current()
            proof = policy.proof or self.trust.proof
            lacks = order_lacks(order, statements, policy, keys, proof, now=now)
            if lacks is not None:
                return OrderResult(stand=OrderState.REFUSED, why=lacks[:1_000], people=people)
        if not await self._keep(asked, run):
            return OrderResult(stand=OrderState.REFUSED, why="this order was given before")
        proven = order_proven(people, statements)
        audit_order(
            order.kind,
            order.agent,
            by=order.by,
            why=order.why,
            id=order.id,
            step=None,
            case=None,
            level=None,
            rollout=order.ramp.shares[0] if order.ramp.shares else None,
            ended=order.ramp.to == "back",
            proven=proven,
        )
        stand = OrderState.IN_FORCE if order.ramp.to == "shares" else OrderState.DONE
        return OrderResult(stand=stand, proven=proven, people=people)

    async def _keep(self, asked: RolloutOrder, run: str) -> bool:
        """Keep an order, which is over with being given. False if another rollout has taken it."""
        order, taken = asked.word.order, f"taken by the rollout {run}"
        await self.ledger.order(order_row(order, asked.word.statements))
        await self.ledger.end_order(order.id, order.by, server_time(), taken)
        kept = await self.ledger.order_of(order.id)
        return kept is not None and (kept.kind, kept.ended_why) == ("rollout", taken)

    async def tell(self, state: RolloutState) -> None:
        """Tell each owner once how a rollout ended."""
        log.warning("rollout of %s: %s: %s", state.ramp.build, state.stand, state.why)
        owners, faults = dict[str, str](), list[Exception]()
        for name in state.agents:
            try:
                owners.setdefault(self.policies[name].current().owner, name)
            except PolicyError as error:  # of this agent alone
                faults.append(error)
        for name in owners.values():
            try:
                await alert_owner(rollout_alert(name, state), self.trust.inbox)
            except Exception as error:  # noqa: BLE001  # whoever cannot be told, the others are
                faults.append(error)
        if faults:
            raise faults[0]


def rollout_alert(agent: str, state: RolloutState) -> Alert:
    """What the owner of an agent is told of the end of a rollout."""
    ramp, old = state.ramp, state.before or "none"
    titles = {
        "done": f"{ramp.build} is the current build of {ramp.deployment}",
        "back": f"{ramp.build} was taken back: {old} gets all new cases of {ramp.deployment}",
    }
    keep = f"Its open cases stay on it: keep workers of {ramp.build} until they have ended."
    keep_old = f"Open cases of {old} stay on it: keep its workers until they have ended."
    return Alert(
        agent=agent,
        what="rollout",
        id=f"{ramp.deployment} {ramp.build} {state.begun.isoformat()}"[:400],
        title=titles.get(state.stand, f"The rollout of {ramp.build} goes on no more"),
        lines=(state.why, keep_old if state.stand == "done" else keep, "handrail rollout"),
        at=server_time(),
    )


async def look_at_builds(client: Client, state: RolloutState) -> RolloutLook:
    """Judge the new build by the old one's band.

    Raises:
        RPCError: if the server does not answer.
    """
    ramp = state.ramp
    new = await build_cases(client, ramp.deployment, ramp.build, since=state.begun)
    allowed = None if ramp.allowed is None else ramp.allowed / 10_000
    judged = judge_build(
        [int(each) for each in state.band],
        new.flags,
        fresh=sum(at >= state.since for at in new.ends),
        needed=ramp.cases,
        allowed=allowed,
    )
    band = _band(state, judged)
    why = (
        f"{sum(new.flags)} of {len(new.flags)} cases of {ramp.build} were bad (failed "
        f"{new.failed}, refused {new.refused}, incidents {new.incidents}); allowed: {band}"
    )
    # Whose workers all die has no bad cases, only ones that wait.
    gone = await why_unready(client, ramp.deployment, ramp.build, state.before)
    return RolloutLook(
        verdict="worse" if gone else judged.verdict,
        why=gone or why,
        allowed=band,
        left=await _changed(client, state),
    )


def _band(state: RolloutState, judged: BuildJudgement) -> str:
    most = f"at most {judged.test.allowed:.1%}"
    if judged.declared:
        return f"{most}, as declared"
    bad = state.band.count("1")
    return f"{most}, by {len(state.band)} cases of {state.before} of which {bad} were bad"


async def _changed(client: Client, state: RolloutState) -> str:
    """Who else changed the deployment: a rollout does not go on over that."""
    now = await routing(client, state.ramp.deployment)
    if now is None:
        return "the deployment is gone"
    current, ramping = now.current_deployment_version.build_id, now.ramping_deployment_version
    share = round(now.ramping_version_percentage * 100) if ramping.build_id else 0
    has = (current, ramping.build_id or state.ramp.build, share)
    if has == (state.before, state.ramp.build, state.share):
        return ""
    return (
        f"the deployment was changed by other means: {current or 'no build'} is current, and "
        f"{ramping.build_id or 'none'} has {percent(share)}; nothing was changed over that"
    )


async def set_share(client: Client, state: RolloutState) -> None:
    """Give the new build its share: of an end all or none. Done before, it is done.

    Raises:
        RPCError: if the server does not answer, or refuses it.
    """
    ramp, share = state.ramp, 0 if state.stand == "back" else state.share
    service, by = client.workflow_service, f"handrail rollout by {state.by}"
    if state.stand == "done":
        current = SetWorkerDeploymentCurrentVersionRequest(
            namespace=client.namespace,
            deployment_name=ramp.deployment,
            build_id=ramp.build,
            identity=by,
        )
        await service.set_worker_deployment_current_version(current, retry=True)
        return
    ramping = SetWorkerDeploymentRampingVersionRequest(
        namespace=client.namespace,
        deployment_name=ramp.deployment,
        build_id=ramp.build if share else "",
        percentage=share / 100,
        identity=by,
    )
    await service.set_worker_deployment_ramping_version(ramping, retry=True)
