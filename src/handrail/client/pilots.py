"""The pilot: what people did comes in, is held against what was proposed, and is judged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pydantic import JsonValue, ValidationError, create_model

from handrail import evidence
from handrail import policy as policy_files
from handrail.actions import Aware, Wire, as_json, person
from handrail.client.base import OperatorBase, Statement
from handrail.client.pilot_views import (
    BadOutcome,
    Disagreement,
    OutcomeImport,
    PilotView,
    disagreement,
    pilot_view,
)
from handrail.exceptions import InvalidRequest, NotFound, NotPermitted
from handrail.ledger import AnswerRow, KeptDifference, OutcomeRow, outcome_id
from handrail.oversight import NotProven, Opinion, ReviewAnswer, require_proven_answer
from handrail.text import first_fault

if TYPE_CHECKING:
    from handrail.evidence import Pairing, PilotReport
    from handrail.ledger import Comparison, ProposedAction
    from handrail.oversight import TrustedKey
    from handrail.policy import AgentShape, FileDoc, PilotDoc, WriteShape

_LONGEST = 4_000
_AT_ONCE = 1_000
_DAY = timedelta(days=1)
_NEEDED = "who was right must be signed"
_SAID: Final = {
    "agent": ReviewAnswer.RIGHT,
    "people": ReviewAnswer.WRONG,
    "both": ReviewAnswer.HARMLESS,
}
"""What is signed of the proposal."""


class OutcomeReport(Wire):
    """What people did in a case, as it comes in. `action` is null where they did nothing.

    `case`: its id, or its key. `step` may be left out where the agent has one write.
    """

    case: str
    at: Aware
    action: dict[str, JsonValue] | None
    step: str | None = None
    by: str = ""


@dataclass(frozen=True)
class _Pilot:
    """One agent's pilot, as the ledger has it. `unproven`: judgements that prove nothing."""

    report: PilotReport
    doc: FileDoc | None
    unproven: int


class PilotActs(OperatorBase):
    """Taking in what people did, and judging where they and an agent differ."""

    async def import_outcomes(
        self,
        agent: str,
        given: Iterable[OutcomeReport | Mapping[str, Any] | tuple[str, Mapping[str, Any] | str]],
        source: str,
    ) -> OutcomeImport:
        """Keep what people did. What comes in again is the same; what is wrong stops nothing.

        `given`: outcomes, or the name of a place beside each, such as `line 3`; a text in the
        place of an outcome says why it is none. `source`: where they come from.

        Raises:
            InvalidRequest: if there is no such agent.
            NotPermitted: if the policies are known, and do not let them.
        """
        shape, doc = self._shape_of(agent), await self._doc_of(agent)
        if self._directory is not None and agent not in self._directory.controls(self._who()):
            raise NotPermitted(f"the policy of {agent} does not let {self.by} say what people did")
        rows: list[OutcomeRow] = []
        bad: list[BadOutcome] = []
        now = self._clock()
        for number, each in enumerate(given, 1):
            where, said = each if isinstance(each, tuple) else (f"outcome {number}", each)
            try:
                rows.append(_row(_read(said), shape, doc, source, now))
            except InvalidRequest as error:
                bad.append(BadOutcome(where=where, why=str(error)))
        new = 0
        for begin in range(0, len(rows), _AT_ONCE):
            new += await self.ledger.keep_outcomes(rows[begin : begin + _AT_ONCE])
        await self._compare(agent, doc)
        return OutcomeImport(agent=agent, new=new, known=len(rows) - new, bad=tuple(bad))

    async def pilot(
        self,
        agent: str,
        step: str | None = None,
        since: datetime | None = None,
        *,
        limit: int | None = None,
    ) -> PilotView:
        """How often an agent proposes what people do, by class and over time, and where not.

        `limit`: no more of the disagreements, those first that are to be judged.

        Raises:
            NotPermitted: if the policies are known, and none names them for the agent.
        """
        found = await self._pilot(agent, step, since, limit)
        undecided = await self.ledger.undecided_pilots(agent, since or found.report.since)
        goal, left = _goal(found.doc, step), (found.unproven, undecided)
        return pilot_view(agent, step, found.report, goal, left)

    async def judge_outcome(self, named: str, right: str, why: str = "") -> Disagreement:
        """Say who was right where people did something else: agent, people or both. It is signed.

        `named`: the id of the outcome, as `pilot` lists it, or how that begins.

        Raises:
            InvalidRequest: if it is no answer, or there is nothing to judge.
            NotFound: if there is no such outcome, or there are several.
            NotPermitted: if they did it themselves, no policy names them, or somebody has judged.
            NotProven: if nothing signs for them.
        """
        self._own_seat("say who was right")
        row, who, now = await self._outcome(named), self._who(), self._clock()
        if right not in set(evidence.WhoWasRight):
            raise InvalidRequest(f"{right!r} is no answer: say agent, people or both", "right")
        if len(why) > _LONGEST:
            raise InvalidRequest(f"say it in {_LONGEST} characters at most", "why")
        found = await self._difference(row)
        if found is None:
            raise InvalidRequest(f"{row.id} is no disagreement that is to be judged", "outcome")
        if row.by and person(row.by) == who:
            raise NotPermitted("you did it yourself, so somebody else must say who was right")
        answer = _SAID[evidence.WhoWasRight(right)]
        digest, why = found.proposed.digest, why.strip()
        said = Opinion(key=row.id, digest=digest, answer=answer, by=who, at=now, why=why)
        proof = await self._signature(Statement(said), _NEEDED) or ""
        kept = AnswerRow(row.id, said.answer.value, said.by, said.at, said.why, proof)
        if not await self.ledger.judge_outcome(right, kept):
            raise NotPermitted("somebody else has judged it; theirs stands, nothing was recorded")
        judged = replace(row, judged=right, judged_by=who, judged_at=now, judged_why=said.why)
        return disagreement(replace(found, outcome=judged))

    async def _outcome(self, named: str) -> OutcomeRow:
        found = await self.ledger.outcomes_named(named.strip().lower())
        if len(found) != 1:
            is_ = "the beginning of several outcomes" if found else "no outcome"
            raise NotFound(f"{named or 'it'} is {is_}; `handrail pilot AGENT` lists their ids")
        return found[0]

    async def _difference(self, row: OutcomeRow) -> Pairing | None:
        """The disagreement that an outcome makes, if it makes one."""
        self._sees(row.agent)
        await self._compare(row.agent, await self._doc_of(row.agent))
        found = await self.ledger.differences(row.agent, row.step, outcome=row.id)
        return next(iter(_compared(found)), None)

    async def _pilot(
        self,
        agent: str,
        step: str | None,
        since: datetime | None,
        limit: int | None = None,
        *,
        points: int = evidence.POINTS,
    ) -> _Pilot:
        self._sees(agent)
        doc, now = await self._doc_of(agent), self._clock()
        await self._compare(agent, doc)
        waits = {name: now - rule.wait for name, rule in _rules(doc).items()}
        of = (agent, step, since)
        figures = await self.ledger.comparison_figures(*of, waits=waits, points=points)
        judged = _compared(await self.ledger.differences(*of, judged=True))
        apart = _compared(await self.ledger.differences(*of, judged=False, limit=limit))
        judged, unproven = await self._proven(judged)
        if unproven:
            apart = sorted([*apart, *unproven], key=lambda e: (e.proposed.at, e.proposed.key))
        report = evidence.measure_pilot(figures, apart, judged)
        shown = replace(report, disagreements=report.disagreements[:limit])
        return _Pilot(shown, doc, len(unproven))

    async def _compare(self, agent: str, doc: FileDoc | None) -> None:
        """Compare what came in since somebody looked; after another rule all of it."""
        rules = _rules(doc)

        def compare(
            step: str, proposed: Sequence[ProposedAction], done: Sequence[OutcomeRow]
        ) -> list[Comparison]:
            return evidence.compare_place(agent, step, proposed, done, rules.get(step, rules[""]))

        digests = {step: evidence.rule_digest(rule) for step, rule in rules.items()}
        await self.ledger.compare(agent, digests, compare)

    async def _proven(self, judged: list[Pairing]) -> tuple[list[Pairing], list[Pairing]]:
        """Those that somebody is shown to have signed; and the others, as if nobody had judged."""
        if self.keyring is None:
            return judged, []
        answers = await self.ledger.last_answers([each.outcome.id for each in judged])
        # A signature each: others are served meanwhile.
        return await asyncio.to_thread(_parted, judged, answers, self._trusted(), self._clock())

    def _sees(self, agent: str) -> None:
        if self._directory is not None and agent not in self._directory.agents(self._who()):
            raise NotPermitted(f"no policy names {self.by} for {agent}")

    async def _doc_of(self, agent: str) -> FileDoc | None:
        """The policy in force, as its file says it; None before any worker has loaded it."""
        rows = await self.ledger.policies(agent)
        return policy_files.known_policy(rows[0].text) if rows else None

    def _shape_of(self, agent: str) -> AgentShape:
        known = self._agents.get(agent)
        if known is None:
            names = ", ".join(sorted(self._agents)) or "none"
            raise InvalidRequest(f"there is no agent {agent}; there are: {names}", "agent")
        return known.shape


def _rules(doc: FileDoc | None) -> dict[str, PilotDoc]:
    """How each step is compared; `""`: those of which the policy says nothing."""
    rules = {} if doc is None else {name: each.pilot for name, each in doc.actions.items()}
    return {**rules, "": policy_files.PilotDoc()}


def _compared(kept: Iterable[KeptDifference]) -> list[Pairing]:
    return [evidence.Pairing(e.proposed, e.outcome, e.kind, e.fields, e.above) for e in kept]


def _parted(
    judged: Sequence[Pairing],
    answers: Mapping[str, AnswerRow],
    keys: Mapping[str, TrustedKey],
    now: datetime,
) -> tuple[list[Pairing], list[Pairing]]:
    """Those whose judgement was signed, and those whose was not, as if it were none."""
    found, unproven = list[evidence.Pairing](), list[evidence.Pairing]()
    for each in judged:
        row = each.outcome
        answer = answers.get(row.id)
        try:
            said = None if answer is None else require_proven_answer(answer, keys, now)
        except NotProven:
            said = None
        right = (
            _SAID[evidence.WhoWasRight(row.judged)]
            if row.judged in set(evidence.WhoWasRight)
            else None
        )
        if said is None or (right, said.by) != (said.answer, row.judged_by):
            unproven.append(replace(each, outcome=replace(row, judged=None)))
        else:
            found.append(each)
    return found, unproven


def _goal(doc: FileDoc | None, step: str | None) -> float | None:
    """The agreement that a promotion takes: of the step, or the highest of all."""
    actions = {} if doc is None else doc.actions
    goals = [
        each.promote.agreement / 10_000
        for name, each in actions.items()
        if each.promote is not None and step in {None, name}
    ]
    return max(goals, default=None)


def _read(said: OutcomeReport | Mapping[str, Any] | str) -> OutcomeReport:
    if isinstance(said, str):
        raise InvalidRequest(said)
    try:
        return OutcomeReport.model_validate(said)
    except ValidationError as error:
        raise InvalidRequest(first_fault(error)) from error


def _row(
    given: OutcomeReport, shape: AgentShape, doc: FileDoc | None, source: str, now: datetime
) -> OutcomeRow:
    """What comes in, as it is kept.

    Raises:
        InvalidRequest: if it is none of the agent's, with what is wrong.
    """
    writes = [write for write in shape.writes.values() if not write.undoes]
    step = given.step or (writes[0].name if len(writes) == 1 else "")
    write = shape.writes.get(step)
    if write is None:
        names = ", ".join(each.name for each in writes)
        raise InvalidRequest(f"step is {step!r}: {shape.agent} writes {names}", "step")
    if given.at > now + timedelta(hours=1):
        zone = "; a time without a zone is taken for UTC" if given.at < now + _DAY else ""
        raise InvalidRequest(f"{given.at} has not come yet{zone}", "at")
    case = given.case if given.case.startswith(f"{shape.agent}:") else f"{shape.agent}:{given.case}"
    listed = None if doc is None else doc.actions.get(step)
    row = OutcomeRow(
        id="",
        agent=shape.agent,
        case=case,
        step=step,
        at=given.at,
        received=now,
        source=source,
        by=given.by and person(given.by),
        action=_action(given.action, write, listed.pilot if listed else policy_files.PilotDoc()),
        raw=given.model_dump_json(),
    )
    return replace(row, id=outcome_id(row))


def _action(
    given: dict[str, JsonValue] | None, write: WriteShape, rule: PilotDoc
) -> dict[str, JsonValue] | None:
    """What was done, as the action of the write has it; what is not compared may be left out."""
    if given is None:
        return None
    fields, ignored = write.action.model_fields, evidence.free_texts([write.action])
    ignored |= {name for name, within in rule.match.items() if within.amount is None}
    if unknown := given.keys() - fields.keys():
        raise InvalidRequest(f"{', '.join(sorted(unknown))}: {write.action.__name__} has no such")
    lacking = fields.keys() - given.keys() - ignored
    if lacking:
        raise InvalidRequest(
            f"{', '.join(sorted(lacking))} is missing; fix: name it, or write ignore for it below "
            f"pilot: match: of {write.name} in the policy"
        )
    compared = given.keys() - ignored
    named: dict[str, Any] = {n: (f.annotation, f) for n, f in fields.items() if n in compared}
    part = create_model(write.action.__name__, **named)
    try:
        return as_json(part.model_validate({name: given[name] for name in named}, by_name=True))
    except ValidationError as error:
        raise InvalidRequest(first_fault(error)) from error
