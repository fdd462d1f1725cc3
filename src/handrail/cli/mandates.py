"""`handrail mandates`: what people allow in advance, and who stands in for whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue
from rich.text import Text

from handrail.actions import person
from handrail.cli import words
from handrail.cli.context import client, settings
from handrail.cli.output import Code, Output, UsageError
from handrail.cli.record import ledger
from handrail.cli.rulings import find_gate, require_digest, value_of
from handrail.cli.signing import key_of_person
from handrail.client import gates
from handrail.client.cases import iso
from handrail.exceptions import CaseError
from handrail.oversight import (
    MANDATE_STATEMENT,
    GateKind,
    Keyring,
    Mandate,
    NoMandate,
    NotProven,
    TrustedKey,
    VerifiedMandate,
    mandate_of,
    mandate_row,
    new_delegation,
    standing_approval_like,
)

if TYPE_CHECKING:
    from handrail.ledger import Ledger, MandateRow
    from handrail.oversight import GateView, SigningKey


@dataclass(frozen=True)
class Time:
    """From when to when, as it was typed."""

    begins: datetime | None
    ends: datetime | None
    lasts: timedelta | None

    def span(self, now: datetime) -> tuple[datetime, datetime]:
        """The begin and the end.

        Raises:
            UsageError: if the end is not said once.
        """
        begins = now if self.begins is None else self.begins.astimezone(UTC)
        if (self.ends is None) == (self.lasts is None):
            raise UsageError("say when it ends: --for 8h, or --ends 2026-12-24T18:00")
        if self.lasts is not None:
            return begins, begins + self.lasts
        assert self.ends is not None  # noqa: S101  # one of the two is given
        return begins, self.ends.astimezone(UTC)


@dataclass(frozen=True)
class Allowing:
    """A standing approval as it was typed."""

    gate: str
    by: str
    up_to: tuple[str, ...]
    same: tuple[str, ...]
    uses: int
    time: Time
    role: str | None = None
    digest: str | None = None
    why: str = ""


# Listing


async def listing(out: Output, *, agent: str | None, every: bool) -> int:
    """Show the mandates that are in force, or all that ever were."""
    now, keys = datetime.now(UTC), Keyring(settings().keyring).current()
    async with ledger() as opened:
        rows = await opened.mandates(agent)
    shown = [Shown.of(row, keys, now) for row in rows]
    shown = [each for each in shown if every or each.state in _COMING]
    out.data({"mandates": [each.document() for each in shown]})
    for each in shown:
        out.show(*each.lines())
    if not shown:
        out.show("no mandates" if every else "no mandates in force; --all shows those that were")
    return Code.DONE


async def show(out: Output, named: str) -> int:
    """Show one mandate, and each write that began by it."""
    now, keys = datetime.now(UTC), Keyring(settings().keyring).current()
    async with ledger() as opened:
        row = await _find(opened, named)
        uses = await opened.mandate_uses(row.id)
    shown = Shown.of(row, keys, now)
    used = [{"effect": key, "at": iso(at)} for key, at in uses]
    out.data(shown.document() | {"uses": used, "statement": row.text})
    out.show(*shown.lines())
    for key, at in uses:
        out.show(words.label("used", f"{words.moment(at)}  {words.plain(key)}"))
    return Code.DONE


async def revoke(out: Output, named: str, by: str) -> int:
    """End a mandate: no write begins by it from now on."""
    now = datetime.now(UTC)
    async with ledger() as opened:
        row = await _find(opened, named)
        if not await opened.revoke_mandate(row.id, person(by), now):
            raise CaseError(f"the mandate {row.id} was revoked already")
        after = await opened.mandate(row.id) or row
    out.show(Text(f"revoked the mandate {row.id} of {words.plain(row.by)}", "green"))
    out.show(f"  {after.used} writes began by it; they are not taken back")
    out.data(Shown.of(after, Keyring(settings().keyring).current(), now).document())
    return Code.DONE


async def _find(opened: Ledger, named: str) -> MandateRow:
    """The mandate of that id, or of one that begins so.

    Raises:
        UsageError: if there is none, or several.
    """
    found = [row for row in await opened.mandates() if row.id.startswith(named.lower())]
    if len(found) != 1:
        many = f"is the beginning of {len(found)} mandates" if found else "is no mandate"
        raise UsageError(f"{named} {many}; `handrail mandates list --all` shows them")
    return found[0]


_COMING = frozenset({"in force", "not begun"})


@dataclass(frozen=True)
class Shown:
    """One mandate as people see it: what was signed, and what the ledger says of it."""

    row: MandateRow
    mandate: Mandate | None
    kid: str
    state: str
    fault: str = ""

    @classmethod
    def of(cls, row: MandateRow, keys: Mapping[str, TrustedKey], now: datetime) -> Shown:
        """Prove a mandate, as the door does."""
        try:
            proven = mandate_of(row.id, *MANDATE_STATEMENT.verify(row.text, keys, now))
        except (NotProven, NoMandate) as error:
            return cls(row, None, "", "not proven", str(error))
        return cls(row, proven.mandate, proven.kid, _state(row, proven, now))

    def document(self) -> dict[str, Any]:
        """It for programs."""
        said = None if self.mandate is None else self.mandate.model_dump(mode="json")
        revoked = None if self.row.revoked is None else iso(self.row.revoked)
        return {
            "id": self.row.id,
            "state": self.state,
            "why": self.fault,
            "mandate": said,
            "kid": self.kid,
            "used": self.row.used,
            "revoked": revoked,
            "revoked_by": self.row.revoked_by,
        }

    def lines(self) -> list[Text]:
        """It for people. What is not proven is not repeated."""
        colour = {"in force": "green", "not proven": "red"}.get(self.state, "dim")
        head = Text.assemble((f"{words.plain(self.row.id)}  ", "bold"), (self.state, colour))
        if self.mandate is None:
            return [head, words.label("why", words.plain(self.fault))]
        lines = [head, *said_in(self.mandate)]
        if self.mandate.uses is not None:
            lines.append(words.label("used", f"{self.row.used} of {self.mandate.uses}"))
        if self.row.revoked is not None:
            who = words.plain(self.row.revoked_by or "")
            lines.append(words.label("revoked", f"{words.moment(self.row.revoked)} by {who}"))
        return lines


def _state(row: MandateRow, proven: VerifiedMandate, now: datetime) -> str:
    mandate = proven.mandate
    if row.revoked is not None:
        return "revoked"
    if now >= mandate.ends:
        return "over"
    if mandate.uses is not None and row.used >= mandate.uses:
        return "used up"
    return "in force" if now >= mandate.begins else "not begun"


def said_in(mandate: Mandate) -> list[Text]:
    """What a mandate allows, in words."""
    who, agent = words.plain(mandate.by), words.plain(mandate.agent)
    if mandate.to is not None:
        what = f"{words.plain(mandate.to)} answers in the place of {who} for {agent}"
    else:
        what = (
            f"{who} as {words.plain(mandate.role)} allows {agent} {words.plain(mandate.step)}, "
            f"at most {mandate.uses} times"
        )
    lines = [words.label("what", what)]
    lines += [
        words.label("up to", f"{words.plain(name)} {bound:f}")
        for name, bound in mandate.up_to.items()
    ]
    lines += [
        words.label("only if", f"{words.plain(name)} is {words.plain(words.code(value, '').plain)}")
        for name, value in mandate.same.items()
    ]
    lines.append(words.label("from", words.moment(mandate.begins)))
    lines.append(words.label("until", words.moment(mandate.ends)))
    return [*lines, *([words.label("why", words.plain(mandate.why))] if mandate.why else [])]


# Giving


async def delegate(out: Output, *, agent: str, by: str, to: str, time: Time, why: str) -> int:
    """Let `to` answer in the place of `by` for a time."""
    begins, ends = time.span(datetime.now(UTC))
    try:
        mandate = new_delegation(agent=agent, by=by, to=to, begins=begins, ends=ends, why=why)
    except NoMandate as error:
        raise UsageError(str(error)) from error
    key = key_of_person(out, settings(), by)
    code = await _give(out, mandate, key)
    out.say("it counts in the roles whose `deputies:` in the policy name them, and in no other")
    return code


async def allow(out: Output, said: Allowing) -> int:
    """Allow such as an open gate asks about, for a time."""
    found = settings()
    connected = await client(found)
    gate = await find_gate(connected, said.gate)
    gate = await gates.fresh(connected, gate) or gate
    require_digest(gate, said.digest)
    mandate = of_gate(gate, said, datetime.now(UTC))
    key = key_of_person(out, found, said.by)
    code = await _give(out, mandate, key)
    out.say(f"this gate stays open: `handrail approve {gate.gate}` answers it")
    return code


def of_gate(gate: GateView, said: Allowing, now: datetime) -> Mandate:
    """The standing approval of what a gate asks about, as it was typed.

    Raises:
        UsageError: if it cannot be given for this gate, or its bounds are wrong.
    """
    if gate.kind is not GateKind.WRITE:
        raise UsageError("only what a gate asks to be written can be allowed in advance")
    begins, ends = said.time.span(now)
    try:
        return standing_approval_like(
            gate.step,
            gate.action,
            gate.risk,
            agent=gate.case.partition(":")[0],
            by=said.by,
            role=_role(gate, said),
            begins=begins,
            ends=ends,
            uses=said.uses,
            same=dict(_same(gate.action, each) for each in said.same),
            up_to=dict(_bound(each) for each in said.up_to),
            why=said.why,
        )
    except NoMandate as error:
        raise UsageError(str(error)) from error


def _role(gate: GateView, said: Allowing) -> str:
    """The role in which it is given: the one named, or the first asked that they are in."""
    who = person(said.by)
    own = [s.role for s in gate.stages if who in {person(each) for each in s.people}]
    if said.role is not None and said.role in own:
        return said.role
    if said.role is not None or not own:
        asked = ", ".join(dict.fromkeys(stage.role for stage in gate.stages))
        raise UsageError(
            f"{who} is not among the people of {said.role or 'any role asked'}; "
            f"this gate asks {asked or 'no role that is known here'}"
        )
    return own[0]


def _bound(text: str) -> tuple[str, Decimal]:
    name, equals, number = text.partition("=")
    try:
        bound = Decimal(number)
    except InvalidOperation:
        bound = Decimal("NaN")
    if not (equals and bound.is_finite()):
        raise UsageError(f"--up-to {text}: write field=number, such as extra_cost=50")
    return name, bound


def _same(action: Mapping[str, JsonValue], text: str) -> tuple[str, JsonValue]:
    """A field and its value; without `=` the value that it has in the gate's action."""
    name, equals, value = text.partition("=")
    if not equals or name not in action:
        return name, action.get(name)
    return name, value_of(action[name], value)


async def _give(out: Output, mandate: Mandate, key: SigningKey) -> int:
    """Sign it, see that the door would take it, and keep it."""
    now = datetime.now(UTC)
    text = MANDATE_STATEMENT.sign(mandate, key, now)
    row = mandate_row(mandate, text)
    async with ledger() as opened:
        await opened.add_mandate(row)
    shown = Shown.of(row, Keyring(settings().keyring).current(), now)
    if shown.mandate is None:
        out.say(f"it does not count yet: {words.plain(shown.fault)}", "yellow")
    out.show(Text(f"signed with the key {key.kid} and kept", "green"))
    out.show(*shown.lines())
    out.data(shown.document())
    return Code.DONE
