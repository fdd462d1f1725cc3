"""Attacks on what a policy says: who may, how much, how many; and on a policy that changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from handrail import State
from handrail.oversight import Keyring, SigningKey, Trust
from handrail.runtime import EmbeddedServer
from handrail.testing import CaseHandle, Human, Outside, running
from tests import redteam
from tests.agents.fleets import ALONE, LARGE, LEAD, NO_UNDO, orders, policy, put_policy
from tests.agents.orders_steps import Order
from tests.redteam import Report, Script
from tests.redteam.arena import GENUINE, Arena, later

ANA, BO, CY, DEE = (f"{name}@example.com" for name in ("ana", "bo", "cy", "dee"))
BOSS: dict[str, Any] = {"people": [CY], "deadline": {"after": "24h", "then": "refuse"}}
UP: dict[str, Any] = {"deadline": {"after": "8h", "then": "escalate", "to": "boss"}}


def order(number: int) -> Order:
    return Order(number=f"p{number}", amount=Decimal(300))


def human(arena: Arena, who: str) -> Human:
    return next(each for each in arena.cast.approvers if each.address == who)


async def paused(case: CaseHandle) -> None:
    await case.send("pause", {})
    await case.until(lambda view: view.state is State.PAUSED)


def change(arena: Arena, **changes: Any) -> None:
    """Put another policy in place, as an operator does."""
    put_policy(arena.stage.directory, policy(version=2, **changes))


async def own_request(arena: Arena) -> None:
    case, seen = await arena.waiting(requested_by="Ana@Example.com")
    scene = later(arena.scene(case, seen, seen), "own request")
    for by in (ANA, ANA.upper(), f"  {ANA}\t"):
        for verb in ("approve", "amend"):
            ruling = scene.genuine(verb, human(arena, ANA), by=by, **scene.fields(verb))
            await arena.strike(case, "own request", f"{verb} of it", verb, ruling)
    arena.allowed.add(case.id)
    await arena.says(human(arena, BO), "approve", case, seen)
    await arena.ends(case)


async def a_role_above_before_its_turn(arena: Arena) -> None:
    case, seen = await arena.waiting()
    scene = later(arena.scene(case, seen, seen), "too soon")
    for verb in ("approve", "amend", "reject", "delegate", "revoke"):
        more: dict[str, Any] = {"to": DEE} if verb == "delegate" else {}
        ruling = scene.genuine(verb, human(arena, CY), **scene.fields(verb), **more)
        await arena.strike(case, "wrong role", verb, verb, ruling)
    arena.allowed.add(case.id)
    await arena.says(human(arena, ANA), "approve", case, seen)
    await arena.ends(case)


async def over_the_limit(arena: Arena) -> None:
    case, seen = await arena.waiting()
    scene = later(arena.scene(case, seen, seen), "over the limit")
    for who in (ANA, BO):
        for verb in ("approve", "amend"):
            ruling = scene.genuine(verb, human(arena, who), **scene.fields(verb))
            await arena.strike(case, "over the limit", verb, verb, ruling)
    arena.allowed.add(case.id)
    await arena.says(human(arena, CY), "approve", case, seen)
    await arena.ends(case)


async def an_amendment_over_the_limit(arena: Arena) -> None:
    """Who may allow 300 amends it to 900: the amendment is asked about anew, by who may."""
    case, seen = await arena.waiting()
    action = seen.action | {"amount": "900"}
    await arena.says(human(arena, ANA), "amend", case, seen, action=action)
    again = await case.gate(but=seen)
    scene = later(arena.scene(case, again, again), "over the limit")
    for who in (ANA, BO):
        ruling = scene.genuine("approve", human(arena, who))
        await arena.strike(case, "over the limit", "an amendment", "approve", ruling)
    await arena.says(human(arena, CY), "reject", case, again)
    await arena.ends(case)


async def own_amendment(arena: Arena) -> None:
    case, seen = await arena.waiting()
    action = seen.action | {"amount": "250"}
    await arena.says(human(arena, ANA), "amend", case, seen, action=action)
    again = await case.gate(but=seen)
    scene = later(arena.scene(case, again, again), "own amendment")
    for by in (ANA, ANA.upper(), f" {ANA} "):
        ruling = scene.genuine("approve", human(arena, ANA), by=by)
        await arena.strike(case, "own amendment", "approve", "approve", ruling)
    arena.allowed.add(case.id)
    await arena.says(human(arena, BO), "approve", case, again)
    await arena.ends(case)


async def a_deputy_and_the_own_seat(arena: Arena) -> None:
    """Two seats are asked: whoever sits in both, and by whatever way, is one person."""
    case, seen = await arena.waiting()
    scene = later(arena.scene(case, seen, seen), "seats")
    ana, bo, dee = (human(arena, who) for who in (ANA, BO, DEE))
    for to in (ANA, ANA.upper(), BO, CY, "dee@example.com.evil.example"):
        ruling = scene.genuine("delegate", ana, to=to)
        await arena.strike(
            case, "duplicated", "a delegation to nobody's deputy", "delegate", ruling
        )
    await arena.says(ana, "delegate", case, seen, to=DEE)
    await arena.strike(
        case, "duplicated", "who gave the seat away", "approve", scene.genuine("approve", ana)
    )
    for who, to in ((dee, BO), (dee, DEE), (bo, DEE), (bo, ANA)):
        ruling = scene.genuine("delegate", who, to=to)
        await arena.strike(case, "duplicated", "a second seat", "delegate", ruling)
    await arena.says(dee, "approve", case, seen)
    for who in (dee, ana):
        again = scene.genuine("approve", who)
        await arena.strike(case, "duplicated", "the same seat again", "approve", again)
    arena.allowed.add(case.id)
    await arena.says(bo, "approve", case, seen)
    await arena.ends(case)


async def a_revoked_delegation(arena: Arena) -> None:
    """The delegation's old bytes are in the history; taken back is taken back."""
    case, seen = await arena.waiting()
    scene = later(arena.scene(case, seen, seen), "revoked")
    ana, bo, dee = (human(arena, who) for who in (ANA, BO, DEE))
    given = await arena.says(ana, "delegate", case, seen, to=DEE)
    await arena.says(ana, "revoke", case, seen)
    await arena.strike(case, "replayed", "a delegation that was revoked", "delegate", given)
    ruling = scene.genuine("approve", dee)
    await arena.strike(case, "revoked", "by the deputy of before", "approve", ruling)
    arena.allowed.add(case.id)
    for who in (bo, ana):
        await arena.says(who, "approve", case, seen)
    await arena.ends(case)


async def removed_while_waiting(arena: Arena) -> None:
    case, seen = await arena.waiting()
    await paused(case)
    sent = await arena.says(human(arena, ANA), "approve", case, seen)
    change(arena, roles={"lead": LEAD | {"people": [BO]}})
    await case.send("resume", {})
    again = await case.gate(but=seen)
    scene = later(arena.scene(case, again, again), "removed")
    ruling = scene.genuine("approve", human(arena, ANA))
    await arena.strike(case, "policy changed", "a person removed", "approve", ruling)
    await arena.strike(case, "policy changed", "what they said before", "approve", sent)
    arena.allowed.add(case.id)
    await arena.says(human(arena, BO), "approve", case, again)
    await arena.ends(case)


async def quorum_raised_while_waiting(arena: Arena) -> None:
    case, seen = await arena.waiting()
    await paused(case)
    sent = await arena.says(human(arena, ANA), "approve", case, seen)
    change(arena, roles={"lead": LEAD | {"quorum": 2}})
    await case.send("resume", {})
    again = await case.gate(but=seen)
    scene = later(arena.scene(case, again, again), "raised")
    for ruling in (sent, scene.genuine("approve", human(arena, ANA))):
        await arena.strike(case, "policy changed", "the quorum raised", "approve", ruling)
    arena.allowed.add(case.id)
    await arena.says(human(arena, BO), "approve", case, again)
    await arena.ends(case)


async def role_renamed_while_waiting(arena: Arena) -> None:
    case, seen = await arena.waiting()
    await paused(case)
    await arena.says(human(arena, ANA), "approve", case, seen)
    change(arena, roles={"chief": LEAD | {"people": [BO]}})
    await case.send("resume", {})
    again = await case.gate(but=seen)
    scene = later(arena.scene(case, again, again), "renamed")
    ruling = scene.genuine("approve", human(arena, ANA))
    await arena.strike(case, "policy changed", "the role renamed", "approve", ruling)
    arena.allowed.add(case.id)
    await arena.says(human(arena, BO), "approve", case, again)
    await arena.ends(case)


async def refused_while_waiting(arena: Arena) -> None:
    """What was approved is refused by a rule that came after: it never happens."""
    case, seen = await arena.waiting()
    await paused(case)
    await arena.says(human(arena, ANA), "approve", case, seen)
    never = [{"when": "action.amount > 250", "why": "no more"}]
    change(arena, actions={"pay": LARGE | {"refuse": never}})
    await case.send("resume", {})
    state = await arena.ends(case)
    arena.report.attack("policy changed", "refused meanwhile", accepted=state != "refused")


async def proof_required_while_waiting(arena: Arena) -> None:
    """What counted unproven when it was said does not count when it is used."""
    case, seen = await arena.waiting()
    await paused(case)
    bare = {"gate": seen.gate, "digest": seen.digest, "by": ANA, "why": GENUINE}
    arena.taken[case.id] += await arena.update(case, "approve", bare)
    change(arena, proof="required")
    await case.send("resume", {})
    again = await case.gate(but=seen)
    for who in (ANA, BO):
        ruling = {"gate": again.gate, "digest": again.digest, "by": who}
        await arena.strike(case, "policy changed", "proof required", "approve", ruling)
    arena.allowed.add(case.id)
    await arena.says(human(arena, BO), "approve", case, again)
    await arena.ends(case)


@dataclass(frozen=True)
class Group:
    """A policy, those whom it knows, and the attacks on it."""

    document: Mapping[str, Any]
    people: Sequence[str]
    scripts: Sequence[Script]


OTHERS: dict[str, Any] = {
    step: (NO_UNDO if step == "post" else ALONE) | {"for": "boss"}
    for step in ("ship", "post", "call")
}
STRICT: dict[str, Any] = {"proof": "required", "drafter": "may not approve"}


def _groups() -> list[Group]:
    plain = policy(**STRICT)
    above = policy(roles={"lead": LEAD | UP, "boss": BOSS}, **STRICT)
    limit = LEAD | UP | {"up to": "action.amount <= 250"}
    limits = policy(actions=OTHERS, roles={"lead": limit, "boss": BOSS}, **STRICT)
    higher = limits | {"roles": {"lead": limit | {"up to": "action.amount <= 400"}, "boss": BOSS}}
    two = policy(roles={"lead": LEAD | {"quorum": 2, "deputies": [DEE]}}, **STRICT)
    open_ = policy(proof="unproven")
    leads = (ANA, BO)
    changing = (removed_while_waiting, quorum_raised_while_waiting, role_renamed_while_waiting)
    return [
        Group(plain, leads, (own_request, own_amendment)),
        Group(above, (*leads, CY), (a_role_above_before_its_turn,)),
        Group(limits, (*leads, CY), (over_the_limit,)),
        Group(higher, (*leads, CY), (an_amendment_over_the_limit,)),
        Group(two, (*leads, CY, DEE), (a_deputy_and_the_own_seat, a_revoked_delegation)),
        *(Group(plain, leads, (script,)) for script in (*changing, refused_while_waiting)),
        Group(open_, leads, (proof_required_while_waiting,)),
    ]


async def attack(server: EmbeddedServer, home: Path, seed: int) -> Report:
    """Make all of them, each on a policy of its own."""
    report = Report(seed)
    for number, group in enumerate(_groups()):
        directory = home / f"policy{number}"
        report.add(await _attack(server, directory, group, seed))
    return report


async def _attack(server: EmbeddedServer, directory: Path, group: Group, seed: int) -> Report:
    keyring, people = known(directory, group.people)
    fleet = orders(directory, group.document)
    with Outside(directory / "outside.db").installed() as outside:
        async with running(fleet, server, directory, trust=Trust(keyring=keyring)) as stage:
            return await redteam.attack(
                stage,
                "orders",
                order,
                approvers=people,
                keyring=keyring,
                books=outside.effects,
                rulings=0,
                scripts=group.scripts,
                seed=seed,
            )


def known(directory: Path, people: Sequence[str]) -> tuple[Keyring, list[Human]]:
    """People with keys, and the keyring that trusts them."""
    directory.mkdir(exist_ok=True)
    keyring, now = Keyring(directory / "trusted.json"), datetime.now(UTC)
    humans = [Human(who, SigningKey.new(who, now)) for who in people]
    for each in humans:
        assert each.key is not None
        keyring.trust(each.key.public())
    return keyring, humans
