"""Who may stop an agent, and turn its freedom up and down; and what their orders come to.

Pure: orders, signatures and policy in, a judgement out. The direction decides what an order
takes. Whatever lets the agent do less counts, signed or not, whoever gave it: a stop, a lower
level, what a breaker does. Whatever lets it do more counts only with the signatures of the people
whom the policy names for that (`control:`), of two different ones where it says so.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from handrail.actions import WHOLE, Level, person
from handrail.oversight.keys import TrustedKey
from handrail.oversight.orders import NoOrder, Order, order_of, target_of
from handrail.oversight.signatures import NotProven, verify_order
from handrail.policy import Setting
from handrail.text import moment_in_words

if TYPE_CHECKING:
    from handrail.ledger import OrderRow
    from handrail.policy import Policy

Keys = Mapping[str, TrustedKey]
Required = Literal["required", "unproven"]

STOPPED = "stopped since"
"""How the reason begins for which a stop in force leaves a write undone."""

_SETTLED = datetime(2200, 1, 1, tzinfo=UTC)
"""A time at which nothing that was taken once has been signed too early."""


# What is in force


def why_stopped(rows: Sequence[OrderRow], step: str | None, case: str) -> str | None:
    """Why a write is stopped, in words: who, when and why; None if it is not.

    `rows` are those in force for its agent. Signed or not, a stop counts.
    """
    for row in rows:
        of_step = row.step is None or row.step == step
        of_case = row.case is None or row.case == case
        if row.kind == "stop" and row.ended is None and of_step and of_case:
            return stop_in_words(row)
    return None


def stop_in_words(row: OrderRow) -> str:
    """Who stopped what, when and why."""
    why = f": {row.why}" if row.why else ""
    return f"{STOPPED} {moment_in_words(row.at)} by {row.by} ({target_of(row).words}){why}"


def setting_in_force(
    rows: Sequence[OrderRow], step: str, policy: Policy, keys: Keys, proof: Required
) -> Setting | None:
    """How much the agent does of `step` by itself, as orders have it; None if none does.

    The last order for the step or for the whole agent counts. One that lets it do more than
    what was in force before counts only if it is by those who may; else it is as if it were
    not there. `proof`: whether orders must be signed, as the policy or the settings say.
    """
    now, made = policy.of(step).own, None
    for row in _levels(rows, step):
        new = asked_setting(row)
        if (
            setting_exceeds(new, now)
            and order_lacks(order_of_row(row), row.proofs, policy, keys, proof) is not None
        ):
            continue
        now = made = new
    return made


def setting_exceeds(one: Setting, other: Setting) -> bool:
    """Whether one setting lets the agent do more than another."""
    if one.level is other.level is Level.FULL:
        return one.rollout > other.rollout
    return one.level.exceeds(other.level)


def _levels(rows: Sequence[OrderRow], step: str) -> list[OrderRow]:
    mine = (r for r in rows if r.kind == "level" and r.ended is None and r.step in {None, step})
    return sorted(mine, key=lambda row: (row.at, row.id))


def asked_setting(order: Order | OrderRow) -> Setting:
    """The setting that an order of a level asks for.

    Raises:
        NoOrder: if it is of another kind.
    """
    if order.level is None:
        raise NoOrder(f"{order.id} sets no level")
    return Setting(order.level, WHOLE if order.rollout is None else order.rollout, _whose(order))


def _whose(row: Order | OrderRow) -> str:
    why = f": {row.why}" if row.why else ""
    return f"set by {row.by} at {moment_in_words(row.at)}{why}"


def order_of_row(row: OrderRow) -> Order | None:
    """What a row says; None if it is no order that could be given."""
    try:
        return order_of(
            {
                "id": row.id,
                "kind": row.kind,
                "agent": row.agent,
                "step": row.step,
                "case": row.case,
                "level": row.level,
                "rollout": row.rollout,
                "by": row.by,
                "at": row.at,
                "why": row.why[:1_000],
            }
        )
    except NoOrder:
        return None


# Who gave it


@dataclass(frozen=True)
class Giver:
    """Who gave an order. `order_givers`: their signature was found good."""

    order: Order
    by: str
    proven: bool


def unsigned_statement(order: Order) -> str:
    """An order that nobody signed, as it is kept beside those that are signed."""
    return order.model_dump_json()


def giver(text: str, keys: Keys, proof: Required, now: datetime | None = None) -> Giver:
    """Who states an order. `now`: nobody has seen it before.

    Raises:
        NotProven: if they cannot be shown to, or it must be signed and is not.
        NoOrder: if what they state is none.
    """
    if not text.startswith("{"):
        order = order_of(_proven(text, keys, now))
        return Giver(order, order.by, proven=True)
    if proof == "required":
        raise NotProven("it is not signed; give it by `handrail` with your key, or in the inbox")
    try:
        order = Order.model_validate_json(text)
    except ValidationError as error:
        raise NoOrder(f"this is no order: {error.errors()[0]['msg']}") from error
    return Giver(order, order.by, proven=False)


def order_lacks(  # noqa: PLR0917  # an order, and what it is judged by
    order: Order | None,
    statements: Sequence[str],
    policy: Policy,
    keys: Keys,
    proof: Required,
    now: datetime | None = None,
    *,
    two: bool | None = None,
) -> str | None:
    """What an order that lets the agent do more lacks, in words; None if it counts.

    `statements`: what its givers signed. `two`: whether it takes two different people; as the
    policy says of its level if None.
    """
    if order is None:
        return "it is no order"
    people, faults = _people(order, statements, keys, proof, now)
    may = {person(each) for each in policy.control.people}
    others = sorted(people - may)
    faults += [f"{who} may not turn the autonomy of {policy.agent}" for who in others]
    needed = two if two is not None else order.level in policy.control.two
    missing = (2 if needed else 1) - len(people & may)
    if missing <= 0:
        return None
    named = ", ".join(sorted(may - people)) or "nobody else"
    wanted = "a second person" if people & may else "somebody who may"
    return "; ".join([*faults, f"it takes {wanted}: {named}"])


def waits_for_second(
    order: Order, statements: Sequence[str], policy: Policy, keys: Keys, proof: Required
) -> bool:
    """Whether an order lacks nothing but a second person."""
    people, _ = _people(order, statements, keys, proof, None)
    may = {person(each) for each in policy.control.people}
    return len(people & may) == 1 and len(may) > 1


def order_givers(order: Order, statements: Sequence[str], keys: Keys) -> tuple[str, ...]:
    """Who is shown by a signature to have given an order."""
    return tuple(sorted(_people(order, statements, keys, "required", None)[0]))


def _people(
    order: Order, statements: Sequence[str], keys: Keys, proof: Required, now: datetime | None
) -> tuple[set[str], list[str]]:
    """Who is shown to have given exactly this order, and what is wrong with the rest."""
    people, faults = set[str](), list[str]()
    for text in statements or [""]:
        try:
            given = giver(text or unsigned_statement(order), keys, proof, now)
        except (NotProven, NoOrder) as error:
            faults.append(str(error))
            continue
        if given.order.same_as(order):
            people.add(given.by)
        else:
            faults.append(f"what {given.by} signed is another order")
    return people, faults


def _proven(text: str, keys: Keys, now: datetime | None) -> Mapping[str, Any]:
    if now is not None:
        return verify_order(text, keys, now, arriving=True)[0]
    key = keys.get(_kid(text))
    if key is None:
        return verify_order(text, keys, _SETTLED)[0]  # says what is wrong
    return _seen(text, key.model_dump_json())


@functools.lru_cache(maxsize=1_024)
def _seen(text: str, key: str) -> Mapping[str, Any]:
    """What was signed by exactly this key, as it stands in the keyring: it stays so."""
    trusted = TrustedKey.model_validate_json(key)
    return verify_order(text, {trusted.kid: trusted}, _SETTLED)[0]


def _kid(text: str) -> str:
    """The key that a signed text names, for looking it up; nothing else of it is believed."""
    head = text.partition(".")[0]
    try:
        header: Any = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
        return str(header["kid"])
    except (ValueError, LookupError, TypeError):
        return ""
