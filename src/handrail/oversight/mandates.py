"""What people allow in advance: standing approvals, and others who stand in for them.

A mandate is signed by the person who gives it, kept in the ledger, and proven again at each
write. A standing approval says "such as this": one write step of one agent, within bounds, for
a time, so many times at most. A delegation names who answers in somebody's place for a time.
Here is only what a mandate says; whether its giver may say so is asked of the policy.

Nothing irreversible is ever done by a standing approval: `allowed` says so, whoever signed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import uuid4

from pydantic import AfterValidator, BaseModel, Field, JsonValue, ValidationError, model_validator

from handrail.actions import Aware, Wire, as_json, canonical, person
from handrail.exceptions import InvalidRequest
from handrail.ledger import MandateRow
from handrail.oversight.fields import CURRENCY
from handrail.text import first_fault

LONGEST = timedelta(days=31)
"""No mandate is in force for longer; give it again."""

MOST_USES = 1_000
"""Of one standing approval."""

_LONGEST_NUMBER = 100

Person = Annotated[str, AfterValidator(person), Field(min_length=1, max_length=200)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Bound = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]


class NoMandate(InvalidRequest):
    """A signed text is no mandate that can be used. The message says why."""


class Mandate(Wire):
    """What a person allows in advance, from `begins` until before `ends`.

    `kind` delegation: `to` answers in the place of `by`, in every role that lets them.
    `kind` standing: `by`, as one of `role`, approves the `step` of `agent` while each field in
    `same` has exactly that value (as JSON), and each in `up_to` is a number from 0 to that
    bound; at most `uses` times.
    """

    id: str = Field(min_length=8, max_length=64, pattern="^[0-9a-zA-Z-]+$")
    kind: Literal["delegation", "standing"]
    by: Person
    agent: Name
    begins: Aware
    ends: Aware
    why: str = Field(default="", max_length=1_000)
    to: Person | None = None
    step: Name | None = None
    role: Name | None = None
    same: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue], max_length=50)
    up_to: dict[str, Bound] = Field(default_factory=dict[str, Bound], max_length=50)
    uses: int | None = Field(default=None, ge=1, le=MOST_USES)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not self.begins < self.ends:
            raise ValueError("it must end after it begins")
        if self.ends - self.begins > LONGEST:
            raise ValueError(f"it may last {LONGEST.days} days at most; give it again later")
        fault = self._delegation() if self.kind == "delegation" else self._standing()
        if fault is not None:
            raise ValueError(fault)
        return self

    def _delegation(self) -> str | None:
        if self.to is None or self.to == self.by:
            return "a delegation names another person in `to`"
        if self.step or self.role or self.same or self.up_to or self.uses:
            return "a delegation has no `step`, `role`, `same`, `up_to` or `uses`"
        return None

    def _standing(self) -> str | None:
        if self.to is not None:
            return "a standing approval has no `to`"
        if self.step is None or self.role is None or self.uses is None:
            return "a standing approval needs `step`, `role` and `uses`"
        if not (self.same or self.up_to):
            return "a standing approval needs at least one field in `up_to` or in `same`"
        return None


@dataclass(frozen=True)
class VerifiedMandate:
    """A mandate whose signature was found good. `kid`: the key that signed it.

    `spent`: it has no use left.
    """

    mandate: Mandate
    kid: str
    spent: bool = False


def mandate_of(row_id: str, payload: Mapping[str, Any], by: str, kid: str) -> VerifiedMandate:
    """The mandate of a signed statement, as `MANDATE_STATEMENT.verify` gave it.

    `row_id` is the id under which the ledger keeps it, and counts and revokes it: the same
    statement under another id would be a second one.

    Raises:
        NoMandate: if it is none, or another's than it says, or kept under another id.
    """
    try:
        mandate = Mandate.model_validate(dict(payload))
    except ValidationError as error:
        raise NoMandate(f"the mandate {row_id} is not one: {first_fault(error)}") from error
    if mandate.by != person(by):
        raise NoMandate(f"the mandate {row_id} is of {mandate.by}, and signed for {person(by)}")
    if mandate.id != row_id:
        raise NoMandate(f"the mandate {row_id} was signed as {mandate.id}")
    return VerifiedMandate(mandate, kid)


def mandate_row(mandate: Mandate, text: str) -> MandateRow:
    """How the ledger keeps a mandate; `text`: the signed statement (`MANDATE_STATEMENT.sign`)."""
    return MandateRow(
        id=mandate.id,
        kind=mandate.kind,
        agent=mandate.agent,
        by=mandate.by,
        to=mandate.to,
        begins=mandate.begins,
        ends=mandate.ends,
        text=text,
    )


def standing_approval_like(
    step: str,
    action: Mapping[str, JsonValue],
    risk: str,
    *,
    agent: str,
    by: str,
    role: str,
    begins: datetime,
    ends: datetime,
    uses: int,
    same: Mapping[str, JsonValue] | None = None,
    up_to: Mapping[str, Decimal] | None = None,
    why: str = "",
) -> Mandate:
    """A standing approval of what an open gate asks about, which must be such a one itself.

    `action` is the gate's, as JSON, and `risk` as the gate says it.

    Raises:
        NoMandate: if the step cannot be undone, or its bounds are none, too wide, or would not
            let the gate's own action pass.
    """
    if risk != "reversible":
        why = "cannot be undone" if risk else "is not known to be one that can be undone"
        raise NoMandate(f"{step} {why}: each one is asked about, none in advance")
    for name in (*(same or {}), *(up_to or {})):
        if name not in action:
            known = ", ".join(action)
            raise NoMandate(f"{step} has no field {name}; there are: {known}")
    mandate = _made(
        kind="standing",
        by=by,
        agent=agent,
        begins=begins,
        ends=ends,
        why=why,
        step=step,
        role=role,
        same=dict(same or {}),
        up_to=dict(up_to or {}),
        uses=uses,
    )
    outside = [*_others(mandate, action), *_beyond(mandate, action)]
    if outside:
        raise NoMandate(
            f"the action of the gate itself would not be covered: {', '.join(outside)}; "
            "give bounds that it is within"
        )
    return mandate


def new_delegation(
    *, agent: str, by: str, to: str, begins: datetime, ends: datetime, why: str = ""
) -> Mandate:
    """`to` answers in the place of `by`. Whether they may is the policy's to say, each time.

    Raises:
        NoMandate: if it is to nobody else, has no time, or is too long.
    """
    return _made(kind="delegation", by=by, agent=agent, begins=begins, ends=ends, why=why, to=to)


def _made(**said: Any) -> Mandate:
    try:
        return Mandate.model_validate(said | {"id": uuid4().hex})
    except ValidationError as error:
        raise NoMandate(f"this is no mandate: {first_fault(error)}") from error


def covers(mandate: Mandate, step: str, action: BaseModel | Mapping[str, JsonValue]) -> bool:
    """Whether a standing approval is for this action, whoever asks, and whenever.

    `action` is the model, or what it is as JSON (where decimals are texts). Numbers are
    compared as decimals, exactly; a float is the decimal that JSON shows of it. A field that
    is missing, negative, not finite or of another type is not covered; nor is a list or an object
    that it does not name, or an amount in a currency that it does not.
    """
    if mandate.kind != "standing" or mandate.step != step:
        return False
    return not (_others(mandate, action) or _beyond(mandate, action) or _unbound(mandate, action))


def allowed(
    mandate: Mandate,
    step: str,
    action: BaseModel | Mapping[str, JsonValue],
    agent: str,
    *,
    reversible: bool,
    now: datetime,
) -> bool:
    """Whether a standing approval allows this write of `agent` at `now`.

    Never where the write is not `reversible`. Its uses are counted by the ledger.
    """
    return (
        reversible
        and mandate.agent == agent
        and in_force(mandate, now)
        and covers(mandate, step, action)
    )


def standing_approvals(
    mandates: Sequence[VerifiedMandate],
    step: str,
    action: BaseModel | Mapping[str, JsonValue],
    agent: str,
    *,
    reversible: bool,
    now: datetime,
) -> list[VerifiedMandate]:
    """The standing approvals that allow this write, the first to end first.

    Each may stand for one approval of its giver in its role; whether the giver may is asked of
    the policy. What is used goes into `Intent.mandates` with its `uses`.
    """
    found = [
        each
        for each in mandates
        if allowed(each.mandate, step, action, agent, reversible=reversible, now=now)
    ]
    return sorted(found, key=lambda g: (g.mandate.ends, g.mandate.id))


def delegations(
    mandates: Sequence[VerifiedMandate], agent: str, now: datetime
) -> dict[str, tuple[str, ...]]:
    """Who may answer in whose place at `now`: for each person those whom they named.

    Whether somebody may stand in is asked of the policy, which names its deputies.
    """
    found: dict[str, tuple[str, ...]] = {}
    for mandate in (each.mandate for each in mandates):
        live = mandate.agent == agent and in_force(mandate, now)
        if live and mandate.to is not None and mandate.to not in found.get(mandate.by, ()):
            found[mandate.by] = (*found.get(mandate.by, ()), mandate.to)
    return found


def in_force(mandate: Mandate, now: datetime) -> bool:
    """Whether `now` is in its time. Whether it was revoked is in the ledger."""
    return mandate.begins <= now < mandate.ends


def _others(mandate: Mandate, action: BaseModel | Mapping[str, JsonValue]) -> list[str]:
    """The fields that must have one value, and have another or are missing."""
    here = as_json(action) if isinstance(action, BaseModel) else action
    return [
        name
        for name, wanted in mandate.same.items()
        if name not in here or canonical(here[name]) != canonical(wanted)
    ]


def bound_anyway(action: Mapping[str, JsonValue], *, most: bool) -> dict[str, JsonValue]:
    """The fields of an action as JSON that a standing approval must name, as they are here.

    What is in a list or an object people cannot be shown in advance, and an amount is one of its
    currency. `most`: whether a number has a bound.
    """
    return {
        name: value
        for name, value in action.items()
        if isinstance(value, dict | list) or (most and name == CURRENCY)
    }


def _unbound(mandate: Mandate, action: BaseModel | Mapping[str, JsonValue]) -> list[str]:
    """The fields that nobody bound, and that are never free."""
    here = as_json(action) if isinstance(action, BaseModel) else action
    return [n for n in bound_anyway(here, most=bool(mandate.up_to)) if n not in mandate.same]


def _beyond(mandate: Mandate, action: BaseModel | Mapping[str, JsonValue]) -> list[str]:
    """The fields that have a bound and are not numbers within it."""
    # Only in JSON is a decimal a text: in a model, a text is no number.
    texts = not isinstance(action, BaseModel)
    here = dict(action) if isinstance(action, BaseModel) else action
    return [
        name
        for name, bound in mandate.up_to.items()
        if not _within(here.get(name), bound, texts=texts)
    ]


def _within(value: object, bound: Decimal, *, texts: bool) -> bool:
    number = _number(value, texts=texts)
    return number is not None and 0 <= number <= bound


def _number(value: object, *, texts: bool) -> Decimal | None:
    """A finite number as a decimal; None if it is none."""
    match value:
        case bool():
            return None
        case int() | Decimal():
            number = Decimal(value)
        case float() if math.isfinite(value):
            number = Decimal(str(value))
        case str() if texts and value.isascii() and len(value) <= _LONGEST_NUMBER:
            number = _decimal(value)
        case _:
            return None
    return number if number is not None and number.is_finite() else None


def _decimal(text: str) -> Decimal | None:
    if text != text.strip() or "_" in text:
        return None
    try:
        return Decimal(text)
    except ArithmeticError:
        return None
