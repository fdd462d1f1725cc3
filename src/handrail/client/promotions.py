"""Promotions: the system proposes on evidence that an agent may do more, and people sign it.

A proposal is kept as an alert of the owner's until somebody answers it; so is everything that
became of it, so that one list tells how the agent came to do what it does. What lowers is ordered
by itself, as a breaker does.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from temporalio.service import RPCError

from handrail import evidence
from handrail import policy as policy_files
from handrail.actions import WHOLE, Level
from handrail.client.autonomy_timeline import timeline
from handrail.client.orders import OrderActs
from handrail.client.pilot_views import (
    AutonomyEvent,
    Expected,
    PromotionDone,
    PromotionList,
    PromotionView,
    agreement_view,
)
from handrail.client.pilots import PilotActs
from handrail.client.promotable_writes import (
    PromotableWrite,
    WriteStand,
    begins_with,
    falling_among,
    proposal_id,
    shown_in_words,
    still_stands,
)
from handrail.client.promotion_words import (
    judged_by,
    last_change,
    reviewed_by,
    takes_back,
    wanted,
)
from handrail.exceptions import (
    CaseError,
    InvalidRequest,
    NotFound,
    NotPermitted,
    ServerUnavailable,
)
from handrail.ledger import PROPOSED, AlertRow
from handrail.oversight import OrderState, setting_in_force

if TYPE_CHECKING:
    from handrail.client.views import OrderOutcome
    from handrail.evidence import (
        AgreementBound,
        Drift,
        PilotReport,
    )
    from handrail.ledger import PolicyRow
    from handrail.policy import ActionDoc, Setting

_BACK: Final = "step back"
_EVENTS: Final = (PROPOSED, "signed", "agreed", "declined", "later", _BACK, "restarted")
_AHEAD: Final = timedelta(days=30)
_CASES: Final = 200
_LONGEST: Final = 190
BY_ITSELF: Final = "handrail"
"""Who orders a step back."""
_OTHERS: Final = "two people"


class PromotionActs(OrderActs, PilotActs):
    """Looking at what an agent has shown, proposing more, agreeing to it, and taking it back."""

    async def promotions(self, agent: str) -> PromotionList:
        """How far each write of an agent is from doing more, what is proposed, and what was.

        Raises:
            InvalidRequest: if there is no such agent.
            NotPermitted: if the policies are known, and none names them for the agent.
        """
        self._sees(agent)
        rows = await self._events(agent)
        found = [await self._promotion_view(each, rows) for each in await self._writes(agent)]
        events = [AutonomyEvent.of(*_named(row), row) for row in reversed(rows)]
        whole = timeline(events, await self.ledger.orders(agent))
        return PromotionList(agent=agent, writes=tuple(found), timeline=whole)

    async def evaluate_promotions(self, agent: str) -> PromotionDone:
        """Propose what is due, and take back what has become worse. To be called again and again.

        Raises:
            InvalidRequest: if there is no such agent.
        """
        proposed: list[str] = []
        back: list[str] = []
        rows, now = await self._events(agent), self._clock()
        for write in await self._writes(agent):
            open_ = _open(rows, write.step)
            for row in open_:
                if not still_stands(row, write):
                    await self.ledger.change_alert(row.id, ended=now)
                    if f" to {write.setting}: " in row.value:  # by the second of two people
                        await self._note_event("agreed", write, write.setting.label, by=_OTHERS)
            told = write.since in {row.began for row in rows if _named(row) == (_BACK, write.step)}
            if write.seen.restarted and write.since is not None and not told:
                said = f"{write.seen.restarted}; its evidence counts from then on"
                await self._note_event("restarted", write, said, by=BY_ITSELF, at=write.since)
            why = await self._worse(write)
            if why is not None:
                back.append(await self._step_back(write, why))
            elif await self._propose(write, open_):
                proposed.append(f"{write.step}: {begins_with(write)}{shown_in_words(write)}")
        return PromotionDone(agent=agent, proposed=tuple(proposed), back=tuple(back))

    async def agree_promotion(self, named: str, why: str = "") -> OrderOutcome:
        """Sign that an agent may do more, as proposed. Two people must where the policy says so.

        The second of them signs the order that the first one gave.

        Raises:
            NotFound: if no such proposal is open.
            NotPermitted: if the policies are known, and none names them for the agent.
        """
        row = await self._proposal(named)
        write = await self._write_of(row)
        to = write.next.to
        if to is None or not still_stands(row, write):
            await self.ledger.change_alert(row.id, ended=self._clock())
            lacking = "; ".join(write.next.lacking) or f"it is {write.setting} now"
            raise InvalidRequest(f"what it rested on has changed: {lacking}", "proposal")
        share = None if to.rollout == WHOLE else Decimal(to.rollout) / 100
        words = why.strip() or f"as proposed: {row.value}"
        if write.signed is not None:
            became = await self.second(write.signed.order.id, words[:_LONGEST])
        else:
            named = f"{write.agent}/{write.step}"
            became = await self.set_level(named, to.level.value, share, words[:_LONGEST])
        if became.stand is OrderState.WAITING:
            await self._note_event("signed", write, f"{to}: {words}", by=self._who())
        if became.stand is OrderState.IN_FORCE:
            await self._note_event("agreed", write, f"{to}: {words}", by=self._who())
            await self.ledger.change_alert(row.id, ended=self._clock())
        return became

    async def decline_promotion(self, named: str, why: str, *, later: bool = False) -> None:
        """Leave an agent as it is, and say why. `later`: the proposal stays open.

        Raises:
            InvalidRequest: if no reason is given.
            NotFound: if no such proposal is open.
            NotPermitted: if the policies are known, and do not let them.
        """
        row, now = await self._proposal(named), self._clock()
        if not why.strip():
            raise InvalidRequest("say why: whoever reads it later wants to know", "why")
        if self._directory is not None and row.agent not in self._directory.controls(self._who()):
            raise NotPermitted(f"the policy of {row.agent} does not let {self.by} answer it")
        acknowledged = {"acknowledged": now, "acknowledged_by": self._who()}
        ends = {} if later else {"ended": now}
        await self.ledger.change_alert(row.id, **acknowledged, **ends)
        write = await self._write_of(row)
        await self._note_event("later" if later else "declined", write, why.strip(), by=self._who())

    # What is known

    async def _writes(self, agent: str) -> list[PromotableWrite]:
        """The writes of which the policy says what a promotion takes."""
        policies = await self.ledger.policies(agent)
        if not policies:
            self._shape_of(agent)
            return []
        doc = policy_files.known_policy(policies[0].text)
        docs = {} if doc is None else {n: d for n, d in doc.actions.items() if d.promote}
        stands = await self._stands(agent, policies[0]) if docs else {}
        # A policy that is newer than what its steward has seen counts from its next look on.
        known = [name for name in docs if name in stands]
        return [await self._write(agent, name, docs[name], stands[name]) for name in known]

    async def _stands(self, agent: str, latest: PolicyRow) -> dict[str, WriteStand]:
        """How far each write is, by its steward, also where its code is not here; or the ledger."""
        found: dict[str, WriteStand] = {}
        if self._connected is not None:
            with contextlib.suppress(CaseError, ServerUnavailable, RPCError):
                book = (await self.autonomy(agent)).agents[0]
                waiting = [each for each in book.changes if each.stand is OrderState.WAITING]
                for e in book.picture.steps if book.picture else ():
                    if e.most is not None:
                        mine = tuple(each for each in waiting if each.order.step == e.step)
                        found[e.step] = WriteStand(
                            policy_files.Setting(e.level, e.rollout, e.label), e.most, mine
                        )
        return found or await self._ledger_stands(agent, latest)

    async def _ledger_stands(self, agent: str, latest: PolicyRow) -> dict[str, WriteStand]:
        shape, orders = self._shape_of(agent), await self.ledger.orders(agent, live=True)
        # It is read in full, which takes its time: others who ask meanwhile do not wait for it.
        policy = await asyncio.to_thread(
            policy_files.parse_policy, latest.text, latest.label, shape
        )
        keys, proof = self._trusted(), policy.proof or "required"

        def setting(step: str) -> Setting:
            return setting_in_force(orders, step, policy, keys, proof) or policy.of(step).own

        return {step: WriteStand(setting(step), policy.of(step).most) for step in policy.steps}

    async def _write(
        self, agent: str, step: str, doc: ActionDoc, stand: WriteStand
    ) -> PromotableWrite:
        rule, setting = doc.promote or policy_files.PromoteDoc(), stand.setting
        keys = None if self.keyring is None else self._trusted()
        now, measure = self._clock(), evidence.measure_track_record
        seen, rows = await self._first_seen(agent), await self.ledger.policies(agent)
        back = await self._backs(agent, step)
        since, restarted = max(last_change(seen, rows, step, judged_by), back, key=_when)
        looked, reviewed = max(last_change(seen, rows, step, reviewed_by), back, key=_when)
        # Each reads much of the ledger, and somebody waits for the page.
        (report, bound, first, alone), record = await asyncio.gather(
            self._agreed(agent, step, setting, since),
            measure(self.ledger, agent, step, keys=keys, now=now, since=looked),
        )
        if setting.level is Level.FULL:
            since, restarted = looked, reviewed
        shown = evidence.PromotionEvidence(
            first=first,
            agreement=bound,
            wrong=record.wrong,
            settled=record.settled,
            alone=alone,
            open_incidents=record.open_incidents,
            waiting=record.waiting,
            planted=record.planted,
            caught=record.caught,
            restarted=restarted,
        )
        after = evidence.next_step(rule, setting, stand.most, shown, self._clock())
        return PromotableWrite(agent, step, rule, doc, stand, since, report, record, shown, after)

    async def _agreed(
        self, agent: str, step: str, setting: Setting, since: datetime | None
    ) -> tuple[PilotReport, AgreementBound, datetime | None, int]:
        """The pilot, and the agreement, its begin, and how many ran alone since."""
        report = (await self._pilot(agent, step, since, _CASES, points=0)).report
        return report, *await self._shown(agent, step, setting, since, report)

    async def _shown(
        self,
        agent: str,
        step: str,
        setting: Setting,
        since: datetime | None,
        report: PilotReport,
    ) -> tuple[AgreementBound, datetime | None, int]:
        """The agreement with people, in pilot or as they approve, and when the evidence began.

        With how many ran alone since then, where any does.
        """
        if setting.level in {Level.SUPERVISED, Level.HUMAN_LED}:
            said = await self.ledger.ruled(agent, step, _RULED, since)
            if said.ruled:
                return evidence.bound_of(said.ruled, said.ruled - said.approved), said.first, 0
        if setting.level is Level.FULL:
            # Of how long: since it does as much alone as now. A share is a step, and no formality.
            begins = [at for at in (since, await self._stepped(agent, step)) if at is not None]
            first, n = await self.ledger.first_alone(agent, step, max(begins, default=None))
            return report.writes, first, n
        return report.writes, report.since, 0

    async def _backs(self, agent: str, step: str) -> tuple[datetime | None, str]:
        """When it last stepped back by itself: what it had shown before goes up no second time."""
        rows = await self._events(agent)
        found = [row.began for row in rows if _named(row) == (_BACK, step)]
        return max(found, default=None), "a step back" if found else ""

    async def _first_seen(self, agent: str) -> list[tuple[str, str, datetime]]:
        """When which other build or model came: what was there first is no change."""
        kinds, found = set[str](), list[tuple[str, str, datetime]]()
        for kind, value, at in await self.ledger.first_seen(agent):
            if kind in kinds:
                found.append((kind, value, at))
            kinds.add(kind)
        return found

    # What is done

    async def _propose(self, write: PromotableWrite, open_: Sequence[AlertRow]) -> bool:
        """Propose what is due, once; False where it is not, or is proposed or was answered."""
        if not write.next.due or any(still_stands(row, write) for row in open_):
            return False
        value = f"{begins_with(write)}{shown_in_words(write)}"
        apart = [each.proposed.case for each in write.report.disagreements]
        row = AlertRow(
            id=proposal_id(write),
            agent=write.agent,
            rule=f"{PROPOSED}: {write.step}",
            began=self._clock(),
            value=value[:_LONGEST],
            limit=wanted(write.rule),
            cases=tuple(apart),
        )
        return await self.ledger.begin_alert(row)

    async def _worse(self, write: PromotableWrite) -> str | None:
        """Why what runs alone must run less so, judged by what came since the last step up."""
        up = await self._stepped(write.agent, write.step)
        if up is None or write.setting.level is not Level.FULL:
            return None
        met = await self.ledger.incidents(write.agent, step=write.step, since=up)
        open_ = [f"{each.case}: {each.what}" for each in met if each.closed is None]
        since = (write.agent, "contract_changed", write.step, up)
        contract = [each.what for each in await self.ledger.errors_recorded(*since)]
        looked = await self.ledger.reviews(write.agent, step=write.step)
        answered = [each for each in looked if each.answer is not None]
        differ, n = write.report.differ, write.report.bound.n
        before = [True] * differ + [False] * (n - differ)
        mine = [each for each in answered if write.since is None or each.at >= write.since]
        before += [each.answer == "wrong" for each in mine if each.at <= up]
        after = [each.answer == "wrong" for each in answered if each.at > up]
        changed = await self._first_seen(write.agent)
        models = [value for kind, value, at in changed if kind == "model" and at > up]
        drifts = await self._drifts(write, up)
        return evidence.why_step_back(
            write.rule, before, after, open_, drifts, contract=contract, models=models
        )

    async def _stepped(self, agent: str, step: str) -> datetime | None:
        """When how much it does by itself was set last; None where it is as the policy says."""
        orders = await self.ledger.orders(agent, live=True, kind="level")
        return max((each.at for each in orders if each.step in {None, step}), default=None)

    async def _drifts(self, write: PromotableWrite, up: datetime) -> dict[str, Drift]:
        """How far what is watched has moved since then: its class, and what the policy names."""
        kind = write.doc.pilot.kind
        fields = {"what it decides": f"action.{kind}"} if kind else {}
        for name in write.rule.watch:
            fields[name] = name if "." in name or name == "confidence" else f"action.{name}"
        found: dict[str, Drift] = {}
        for name, field in fields.items():
            then, now = await self.ledger.proposed_values(write.agent, write.step, field, up)
            found[name] = evidence.drift_of(then, now)
        return found

    async def _step_back(self, write: PromotableWrite, why: str) -> str:
        to = evidence.setting_before(write.setting, write.rule.shares)
        assert to is not None  # noqa: S101  # only what runs alone is taken back
        share = None if to.rollout == WHOLE else Decimal(to.rollout) / 100
        lower = PromotionActs(
            self._connected,
            self._ledger,
            by=BY_ITSELF,
            agents=self._agents,
            clock=self._clock,
        )
        await lower.set_level(f"{write.agent}/{write.step}", to.level.value, share, why)
        await self._note_event(_BACK, write, f"{write.setting} to {to}: {why}", by=BY_ITSELF)
        return f"{write.step}: {to}, {why}"

    async def _note_event(
        self, event: str, write: PromotableWrite, value: str, *, by: str, at: datetime | None = None
    ) -> None:
        now = at or self._clock()
        said = f"{event}/{write.agent}/{write.step}/{now.timestamp()}"
        row = AlertRow(
            id=hashlib.sha256(said.encode()).hexdigest()[:32],
            agent=write.agent,
            rule=f"{event}: {write.step}",
            began=now,
            value=value[:_LONGEST],
            limit="",
            acknowledged=now,
            acknowledged_by=by,
            ended=now,
        )
        await self.ledger.begin_alert(row)

    # Reading

    async def _events(self, agent: str) -> list[AlertRow]:
        rows = await self.ledger.alerts(agent, every=True)
        return [row for row in rows if _named(row)[0] in _EVENTS]

    async def _proposal(self, named: str) -> AlertRow:
        rows = await self.ledger.alerts()
        found = [
            row for row in rows if row.id.startswith(named.lower()) and _named(row)[0] == PROPOSED
        ]
        if not named or len(found) != 1:
            is_ = f"the beginning of {len(found)} proposals" if found else "no open proposal"
            raise NotFound(
                f"{named or 'it'} is {is_}; `handrail promote show AGENT` lists their ids"
            )
        self._sees(found[0].agent)
        return found[0]

    async def _write_of(self, row: AlertRow) -> PromotableWrite:
        step = _named(row)[1]
        for write in await self._writes(row.agent):
            if write.step == step:
                return write
        raise InvalidRequest(f"the policy of {row.agent} promotes no {step} any more")

    async def _promotion_view(
        self, write: PromotableWrite, rows: Sequence[AlertRow]
    ) -> PromotionView:
        open_ = [row for row in _open(rows, write.step) if still_stands(row, write)]
        return PromotionView(
            step=write.step,
            now=str(write.setting),
            to=str(write.next.to) if write.next.to else None,
            lacking=write.next.lacking,
            proposal=open_[0].id if open_ else None,
            signed=write.signed.people or (write.signed.order.by,) if write.signed else (),
            second=write.signed.note if write.signed else "",
            since=write.since,
            restarted=write.seen.restarted,
            agreement=agreement_view(write.seen.agreement, write.rule.agreement / WHOLE),
            wrong=write.record.wrong,
            settled=write.record.settled,
            open_incidents=write.record.open_incidents,
            waiting=write.record.waiting,
            planted=write.record.planted,
            caught=write.record.caught,
            expected=await self._expected(write) if write.next.to else None,
            takes_back=takes_back(write.doc, write.rule),
        )

    async def _expected(self, write: PromotableWrite) -> Expected:
        """What the step up would have meant in the last 30 days."""
        to, begin = write.next.to, self._clock() - _AHEAD
        share = to.rollout if to is not None and to.level is Level.FULL else 0
        now = write.setting.rollout if write.setting.level is Level.FULL else 0
        found = await self.ledger.proposed_since(write.agent, write.step, begin)
        alone = await asyncio.to_thread(falling_among, write, found, range(now, share))
        rows = await self.ledger.baselines(write.agent)
        live = {row.name: row for row in rows if row.replaced is None}
        costs = {name: Decimal(row.amount) for name, row in live.items()}
        minutes, cost = costs.get("minutes_per_case"), costs.get("cost_per_case")
        seen = write.seen.agreement
        wrong = write.record.wrong if write.setting.level is Level.FULL else None
        low, high = (wrong.low, wrong.high) if wrong else (1 - seen.high, 1 - seen.low)
        return Expected(
            cases=sum(found.values()),
            alone=alone,
            minutes=None if minutes is None else minutes * alone,
            cost=None if cost is None else cost * alone,
            wrong_low=round(alone * low, 1),
            wrong_high=round(alone * high, 1),
            unit="" if cost is None else live["cost_per_case"].unit,
        )


_RULED: Final = frozenset({"approved", "rejected", "amended"})


def _when(change: tuple[datetime | None, str]) -> tuple[bool, datetime]:
    """Where a change stands among others; before all others, where there is none."""
    at = change[0]
    return at is not None, at or datetime.min.replace(tzinfo=UTC)


def _named(row: AlertRow) -> tuple[str, str]:
    event, _, step = row.rule.partition(": ")
    return event, step


def _open(rows: Sequence[AlertRow], step: str) -> list[AlertRow]:
    return [row for row in rows if row.ended is None and _named(row) == (PROPOSED, step)]
