"""Allowing in advance: standing approvals of what a gate asks about, and who stands in for whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import JsonValue

from handrail.actions import person
from handrail.client.base import BY_NAME_ONLY, Statement
from handrail.client.gate_acts import GateActs
from handrail.client.views import MandateDetails, MandateList, MandateUse, MandateView
from handrail.exceptions import CaseError, InvalidRequest, NotFound, NotPermitted
from handrail.oversight import (
    MANDATE_STATEMENT,
    MOST_USES,
    GateKind,
    Mandate,
    NoMandate,
    NotProven,
    VerifiedMandate,
    bound_anyway,
    bound_units,
    mandate_of,
    mandate_row,
    new_delegation,
    standing_approval_like,
    stated_by_name,
)

if TYPE_CHECKING:
    from decimal import Decimal

    from handrail.ledger import MandateRow
    from handrail.oversight import GateView

_COMING = frozenset({"in force", "not begun"})
_NEEDED = "a mandate must be signed"


@dataclass(frozen=True)
class Term:
    """From when to when. Say the end once: `ends`, or how long it `lasts`."""

    lasts: timedelta | None = None
    ends: datetime | None = None
    begins: datetime | None = None

    def span(self, now: datetime) -> tuple[datetime, datetime]:
        """The begin, not before now, and the end.

        Raises:
            InvalidRequest: if the end is not said once, or is over.
        """
        begins = max(now, (self.begins or now).astimezone(UTC))
        if (self.ends is None) == (self.lasts is None):
            raise InvalidRequest("say when it ends: for how long, or until when; once", "ends")
        ends = (self.ends or begins + (self.lasts or timedelta())).astimezone(UTC)
        if ends <= begins:
            raise InvalidRequest("it must end at a time to come, after it begins", "ends")
        return begins, ends


@dataclass(frozen=True)
class Bounds:
    """How far a standing approval goes: such as this, so many times, for a time.

    `up_to`: numbers that are not exceeded. `same`: values that stay. A field in neither is
    free, unless it is a list or an object, or the currency of what is not exceeded: those stay as
    the gate shows them. `role`: as whom; the first asked that they are in.
    """

    uses: int
    term: Term
    up_to: Mapping[str, Decimal] = field(default_factory=dict[str, "Decimal"])
    same: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    role: str | None = None
    why: str = ""


class MandateActs(GateActs):
    """Allowing in advance."""

    async def allow(
        self, gate: GateView | str, bounds: Bounds, *, digest: str | None = None
    ) -> MandateView:
        """Allow such as an open gate asks about. The gate itself stays open.

        Raises:
            CaseError: if the gate is not open, or asks about another action by now.
            NoMandate: if it cannot be undone, or the gate's own action would not be covered.
            NotPermitted: if they are of no role asked, or may not approve it themselves.
            NotProven: if nothing signs for them.
        """
        now, _ = await self._as_shown(gate, digest)
        return await self._keep(*await self._allowing(now, bounds))

    async def stand_in(self, agent: str, to: str, term: Term, why: str = "") -> MandateView:
        """Have `to` answer in the place of whoever acts, for a time.

        It counts in the roles whose `deputies:` in the policy name them, and in no other.

        Raises:
            NoMandate: if it is to nobody else, or too long.
            NotPermitted: if the policy is known, and does not let them.
            NotProven: if nothing signs for them.
        """
        self._own_seat("have somebody stand in for you")
        by, (begins, ends) = self._who(), term.span(self._clock())
        if self._directory is not None:
            may = self._directory.deputies(agent, by)
            if person(to) not in may:
                known = ", ".join(sorted(may)) or "nobody"
                raise NotPermitted(f"the policy of {agent} lets {known} stand in for {by}")
        mandate = new_delegation(
            agent=agent, by=by, to=to, begins=begins, ends=ends, why=why.strip()
        )
        return await self._keep(mandate, await self._signed(mandate))

    async def mandates(self, agent: str | None = None, *, every: bool = False) -> MandateList:
        """What is allowed in advance, and who stands in; with `every` what is over too."""
        now = self._clock()
        shown = [self._view(row, now) for row in await self.ledger.mandates(agent)]
        coming = [each for each in shown if every or each.state in _COMING]
        return MandateList(mandates=await self._with_units(coming))

    async def mandate(self, named: str) -> MandateDetails:
        """One mandate, by its id or how it begins, with each write that began by it.

        Raises:
            NotFound: if there is none, or several.
        """
        row = await self._find_mandate(named)
        uses = tuple(
            MandateUse(effect=key, at=at) for key, at in await self.ledger.mandate_uses(row.id)
        )
        (shown,) = await self._with_units([self._view(row, self._clock())])
        return MandateDetails(**dict(shown), uses=uses, statement=row.text)

    async def revoke_mandate(self, named: str) -> MandateView:
        """End a mandate: no write begins by it any more. What began is not taken back.

        Raises:
            CaseError: if it was revoked already.
            NotFound: if there is none, or several.
            NotPermitted: if it is neither by nor for them, and they do not control the agent.
        """
        self._own_seat("revoke what was allowed")
        row, by = await self._find_mandate(named), self._who()
        controls = self._directory.controls(by) if self._directory else frozenset[str]()
        if row.revoked is None and by not in {row.by, row.to} and row.agent not in controls:
            raise NotPermitted(
                f"the mandate {row.id} is of {row.by}: only they revoke it, or whoever controls "
                f"{row.agent}. To halt it now: `handrail stop {row.agent}`"
            )
        if not await self.ledger.revoke_mandate(row.id, by, self._clock()):
            raise CaseError(f"the mandate {row.id} was revoked already")
        return self._view(await self.ledger.mandate(row.id) or row, self._clock())

    async def _allowing(self, gate: GateView, bounds: Bounds) -> tuple[Mandate, str]:
        """A standing approval of such as a gate asks about, signed, and not kept yet."""
        self._own_seat("approve in advance")
        if gate.kind is not GateKind.WRITE:
            raise NoMandate("only what a gate asks to be written can be allowed in advance")
        if self._who() in gate.barred:
            raise NotPermitted(
                f"{self.by} asked for this or wrote it, and may not approve it, so not such as "
                "this either; somebody else must"
            )
        if not (bounds.same or bounds.up_to):
            raise NoMandate(
                "bind at least one field: up to how much, or that it stays the same", "bounds"
            )
        if not 1 <= bounds.uses <= MOST_USES:
            raise NoMandate(f"uses: write a number from 1 to {MOST_USES}", "uses")
        begins, ends = bounds.term.span(self._clock())
        whole = bound_anyway(gate.action, most=bool(bounds.up_to))
        mandate = standing_approval_like(
            gate.step,
            gate.action,
            gate.risk,
            agent=gate.case.partition(":")[0],
            by=self.by,
            role=self._role(gate, bounds.role),
            begins=begins,
            ends=ends,
            uses=bounds.uses,
            same=whole | dict(bounds.same),
            up_to=bounds.up_to,
            why=bounds.why.strip(),
        )
        return mandate, await self._signed(mandate)

    def _role(self, gate: GateView, wanted: str | None) -> str:
        """The role in which it is given: the one named, or the first asked that they are in."""
        own = [s.role for s in gate.stages if self.by in {person(each) for each in s.people}]
        if wanted in own or (wanted is None and own):
            return wanted or own[0]
        asked = ", ".join(dict.fromkeys(stage.role for stage in gate.stages))
        raise NotPermitted(
            f"{self.by} is not among the people of {wanted or 'any role asked'}; "
            f"this gate asks {asked or 'no role that is known here'}"
        )

    async def _signed(self, mandate: Mandate) -> str:
        return await self._signature(Statement(mandate), _NEEDED) or ""

    async def _keep(self, mandate: Mandate, text: str) -> MandateView:
        row = mandate_row(mandate, text)
        await self.ledger.add_mandate(row)
        (kept,) = await self._with_units([self._view(row, self._clock())])
        return kept

    async def _with_units(self, shown: Sequence[MandateView]) -> tuple[MandateView, ...]:
        """The same, each with what its bounds are in. A currency that it binds itself counts."""
        of = {(m.agent, m.step) for each in shown if (m := each.mandate) and m.step}
        known = {(agent, step): await self.ledger.units(agent, step) for agent, step in of}
        found: list[MandateView] = []
        for each in shown:
            m = each.mandate
            units = known.get((m.agent, m.step or ""), {}) if m else {}
            found.append(each.model_copy(update={"units": bound_units(units, m.same if m else {})}))
        return tuple(found)

    async def _find_mandate(self, named: str) -> MandateRow:
        rows, begins = await self.ledger.mandates(), named.lower()
        found = [row for row in rows if begins and row.id.startswith(begins)]
        if len(found) != 1:
            many = f"is the beginning of {len(found)} mandates" if found else "is no mandate"
            raise NotFound(f"{named or 'it'} {many}; `handrail mandates list --all` shows them")
        return found[0]

    def _view(self, row: MandateRow, now: datetime) -> MandateView:
        """A mandate, proven as the door does it."""
        try:
            proven = mandate_of(row.id, *MANDATE_STATEMENT.verify(row.text, self._trusted(), now))
        except (NotProven, NoMandate) as error:
            return _as_view(row, "not proven", why=str(error))
        why = BY_NAME_ONLY if stated_by_name(row.text) else ""
        return _as_view(row, _state(row, proven, now), proven, why)


def _as_view(
    row: MandateRow, state: str, proven: VerifiedMandate | None = None, why: str = ""
) -> MandateView:
    return MandateView(
        id=row.id,
        state=state,
        why=why,
        mandate=proven.mandate if proven else None,
        kid=proven.kid if proven else "",
        used=row.used,
        revoked=row.revoked,
        revoked_by=row.revoked_by,
    )


def _state(row: MandateRow, proven: VerifiedMandate, now: datetime) -> str:
    mandate = proven.mandate
    if row.revoked is not None:
        return "revoked"
    if now >= mandate.ends:
        return "over"
    if mandate.uses is not None and row.used >= mandate.uses:
        return "used up"
    return "in force" if now >= mandate.begins else "not begun"
