"""Attacks that take several moves: each is a script on cases of its own.

A script knows nothing of the fleet but that its cases wait at a gate, and who may rule.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from handrail.actions import Ruling, RulingRecord
from handrail.oversight import GateView
from handrail.states import State
from handrail.testing import CaseHandle
from handrail.wire import Attempt
from tests.redteam.arena import GENUINE, Arena, later
from tests.redteam.rulings import RULINGS
from tests.redteam.scene import OUTSIDER, Scene

_AN_HOUR = timedelta(hours=1)

Script = Callable[[Arena], Awaitable[None]]


async def _paused(case: CaseHandle) -> None:
    """Begin no further step: so that what was approved is not yet used."""
    await case.send("pause", {})
    await case.until(lambda view: view.state is State.PAUSED)


async def replayed_when_it_was_used(arena: Arena) -> None:
    """The same bytes again: at once, after the write, and when the case is over."""
    case, seen = await arena.waiting()
    sent = await arena.approve(case, seen)
    for _ in range(3):
        await arena.strike(case, "replayed", "at once", "approve", sent)
    await arena.ends(case)
    await arena.strike(case, "replayed", "after the case", "approve", sent)


async def replayed_after_a_revocation(arena: Arena) -> None:
    """What somebody took back is sent again by whoever has read the history."""
    case, seen = await arena.waiting()
    await _paused(case)
    first = arena.cast.approvers[0]
    sent = await arena.says(first, "approve", case, seen)
    taken_back = await arena.says(first, "revoke", case, seen)
    await arena.strike(case, "replayed", "an approval that was revoked", "approve", sent)
    await arena.strike(case, "replayed", "a revocation", "revoke", taken_back)
    closed = not await arena.is_open(case, seen)
    await case.send("resume", {})
    again = await case.gate(but=seen if closed else None)
    await arena.strike(case, "revoked", "at the gate that opens again", "approve", sent)
    moved = sent | {"gate": again.gate}
    await arena.strike(case, "replayed", "in a later gate", "approve", moved)
    await arena.approve(case, again)
    await arena.ends(case)


async def from_case_to_case(arena: Arena) -> None:
    """What was really said of one case is sent to another."""
    (one, seen), (two, other) = await arena.waiting(), await arena.waiting()
    sent = await arena.approve(one, seen)
    for changes in ({}, {"gate": other.gate}, {"gate": other.gate, "digest": other.digest}):
        await arena.strike(two, "foreign", "a ruling of another case", "approve", sent | changes)
    for case in (one, two):
        if case is two:
            await arena.says(arena.cast.approvers[0], "reject", two, other)
        await arena.ends(case)


async def early(arena: Arena) -> None:
    """Rulings that come before their gate are not kept for it."""
    case, seen = await arena.waiting()
    scene = later(arena.scene(case, seen, seen), "early")
    gates = [uuid.uuid4().hex[:16] for _ in range(5)]
    for gate in gates:
        ruling = scene.genuine("approve", scene.approver, gate=gate)
        await arena.strike(case, "early", "before its gate", "approve", ruling)
    await arena.says(arena.cast.approvers[0], "reject", case, seen)
    await arena.ends(case)


async def late(arena: Arena) -> None:
    """A ruling after the deadline finds the gate expired, and it stays so."""
    case, seen = await arena.waiting()
    scene = later(arena.scene(case, seen, seen), "late")
    ruling = scene.genuine("approve", scene.approver)
    await _paused(case)
    ends = max(stage.until for stage in seen.stages)
    await case.pass_time(ends - seen.opened + timedelta(seconds=1))
    await case.until(lambda view: not view.gates)
    await arena.strike(case, "late", "after the deadline", "approve", ruling)
    await case.send("resume", {})
    await arena.ends(case)
    await arena.strike(case, "late", "after the end of the case", "approve", ruling)


async def approved_after_a_rejection(arena: Arena) -> None:
    """A rejection is the end of it."""
    case, seen = await arena.waiting()
    await _paused(case)
    first, *others = arena.cast.approvers
    await arena.says(first, "reject", case, seen)
    scene = later(arena.scene(case, seen, seen), "too late")
    for human in (first, *others):
        for verb in ("approve", "amend"):
            ruling = scene.genuine(verb, human, **scene.fields(verb))
            await arena.strike(case, "late", f"{verb} after a rejection", verb, ruling)
    await case.send("resume", {})
    await arena.ends(case)


async def amended_after_an_approval(arena: Arena) -> None:
    """What was approved is what is done, whatever is said then."""
    case, seen = await arena.waiting()
    await _paused(case)
    await arena.approve(case, seen)
    scene = later(arena.scene(case, seen, seen), "too late")
    for human in arena.cast.approvers:
        for verb in ("amend", "reject", "delegate", "answer"):
            more: dict[str, Any] = {"to": OUTSIDER} if verb == "delegate" else {}
            ruling = scene.genuine(verb, human, **scene.fields(verb), **more)
            await arena.strike(case, "late", f"{verb} after an approval", verb, ruling)
    await case.send("resume", {})
    await arena.ends(case)


async def twice_by_one_person(arena: Arena) -> None:
    """One person is one voice, however they are spelt and however often they speak."""
    case, seen = await arena.waiting()
    first = arena.cast.approvers[0]
    await _paused(case)
    sent = await arena.says(first, "approve", case, seen)
    scene = later(arena.scene(case, seen, seen), "again")
    spellings = (first.address, first.address.upper(), f" {first.address} ")
    for by in spellings:
        ruling = scene.genuine("approve", first, by=by)
        await arena.strike(case, "duplicated", "the same person again", "approve", ruling)
    await arena.strike(case, "duplicated", "the same bytes again", "approve", sent)
    if await arena.is_open(case, seen):
        await _the_others(arena, case, seen)
    arena.allowed.add(case.id)
    await case.send("resume", {})
    await arena.ends(case)


async def _the_others(arena: Arena, case: CaseHandle, seen: GateView) -> None:
    for human in arena.cast.approvers[1:]:
        await arena.says(human, "approve", case, seen)
        if not await arena.is_open(case, seen):
            return


async def reset(arena: Arena) -> None:
    """Temporal's reset applies old signals again: what they said was of another gate."""
    case, seen = await arena.waiting()
    await _paused(case)
    scene = later(arena.scene(case, seen, seen), GENUINE)
    ruling = scene.genuine("approve", arena.cast.approvers[0])
    await case.send("approve", ruling)
    await case.until(lambda view: any(r.accepted for r in view.rulings))
    await _reset(arena, case)
    # The pause is applied again too, before there is a gate.
    await case.send("resume", {})
    again = await case.gate(but=seen)
    for gate in (seen.gate, again.gate):
        moved = ruling | {"gate": gate}
        await arena.strike(case, "replayed", "after a reset", "approve", moved)
    await arena.approve(case, again)
    await arena.ends(case)


async def _reset(arena: Arena, case: CaseHandle) -> None:
    events = (await case.history()).events
    first = next(
        e.event_id for e in events if e.HasField("workflow_task_completed_event_attributes")
    )
    await arena.stage.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=arena.stage.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=case.id),
            reason="an attack",
            workflow_task_finish_event_id=first,
            request_id=str(uuid.uuid4()),
        )
    )


async def an_agent_that_approves_itself(arena: Arena) -> None:
    """Workflow code signals the case with all that it can make, from inside Temporal."""
    (case, seen), (two, other) = await arena.waiting(), await arena.waiting()
    scene = later(arena.scene(case, seen, other), "from inside")
    made = [attack.make(scene) for attack in RULINGS if attack.family != "no ruling"]
    said = [(each.verb, dict(each.said)) for each in made if each.said is not None]
    await arena.access.signal_from_inside(case.id, said)
    for _ in said:
        arena.report.attack("self-approval", "by a signal from inside", accepted=False)
    await case.until(lambda view: len(view.rulings) >= len(said))
    for each, gate in ((case, seen), (two, other)):
        await arena.says(arena.cast.approvers[0], "reject", each, gate)
        await arena.ends(each)


async def past_the_gate(arena: Arena) -> None:
    """The write's own activity is called by another workflow, with rulings made up for it."""
    (case, seen), (two, other) = await arena.waiting(), await arena.waiting()
    elsewhere = await arena.approve(two, other)
    await arena.ends(two)
    scene = later(arena.scene(case, seen, other), "past the gate")
    for name, action, attempt in _attempts(scene, two.id, elsewhere):
        answer = await arena.access.call(arena.agent, seen.step, action, attempt)
        written = answer.get("kind") == "written"
        arena.report.attack("past the gate", name, accepted=written, what=str(answer)[:200])
    await arena.says(arena.cast.approvers[0], "reject", case, seen)
    await arena.ends(case)


def _attempts(
    scene: Scene, other_case: str, elsewhere: dict[str, Any]
) -> list[tuple[str, dict[str, Any], Attempt]]:
    """Attempts at the write, as a workflow that lies would make them."""
    seen, first = scene.seen, scene.cast.approvers[0]
    key = f"{scene.case}/{seen.step}/1"

    def ruled(ruling: dict[str, Any] | None, **more: Any) -> RulingRecord:
        said = {
            "verb": "approve",
            "gate": seen.gate,
            "by": first.address,
            "at": scene.now,
            "accepted": True,
            "note": "accepted",
            "digest": seen.digest,
            "proven": True,
            "ruling": Ruling.model_validate(ruling) if ruling else None,
        }
        return RulingRecord.model_validate(said | more)

    forged = [attack.make(scene).said for attack in RULINGS if attack.family != "no ruling"]
    whole = [said for said in forged if said is not None and _is_ruling(said)]
    unheard = scene.genuine("approve", first)
    plain = Attempt(case=scene.case, key=key, digest=seen.digest)
    right = seen.action
    cases = [
        ("no rulings", right, plain),
        ("a record without a ruling", right, _with(plain, ruled(None))),
        ("a ruling of another case", right, _with(plain, ruled(elsewhere))),
        ("a ruling that no case took", right, _with(plain, ruled(unheard))),
        ("its time set back", right, _with(plain, ruled(unheard, at=scene.now - _AN_HOUR))),
        ("another key", right, _with(plain, ruled(unheard), key=f"{scene.case}/{seen.step}/99")),
        ("another action", scene.amended(), _with(plain, ruled(unheard))),
        (
            "as the other case",
            right,
            _with(plain, ruled(elsewhere), case=other_case, key=f"{other_case}/{seen.step}/77"),
        ),
    ]
    cases += [("a forged ruling", right, _with(plain, ruled(dict(said)))) for said in whole]
    return cases


def _with(attempt: Attempt, *rulings: RulingRecord, **changes: Any) -> Attempt:
    return attempt.model_copy(update={"rulings": rulings, **changes})


def _is_ruling(said: Any) -> bool:
    try:
        Ruling.model_validate(said)
    except ValueError:
        return False
    return True


SCRIPTS: tuple[Script, ...] = (
    replayed_when_it_was_used,
    replayed_after_a_revocation,
    from_case_to_case,
    early,
    late,
    approved_after_a_rejection,
    amended_after_an_approval,
    twice_by_one_person,
    reset,
    an_agent_that_approves_itself,
    past_the_gate,
)
"""Every attack that takes several moves."""
