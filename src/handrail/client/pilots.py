"""The pilot: what people did comes in, is held against what was proposed, and is judged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pydantic import JsonValue, ValidationError, create_model

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
from handrail.evidence import (
    Judged,
    PilotReport,
    free_texts,
    measure_pilot,
)
from handrail.exceptions import InvalidRequest, NotFound, NotPermitted
from handrail.ledger import AnswerRow, OutcomeRow, Proposed, outcome_id
from handrail.oversight import NotProven, Opinion, ReviewAnswer, require_proven_answer
from handrail.policy import Faults, FileDoc, PilotDoc, read_policy_file
from handrail.text import first_fault

if TYPE_CHECKING:
    from handrail.policy import AgentShape, WriteShape

_LONGEST = 4_000
_AT_ONCE = 1_000
_NEEDED = "who was right must be signed"
_SAID: Final = {
    Judged.AGENT: ReviewAnswer.RIGHT,
    Judged.PEOPLE: ReviewAnswer.WRONG,
    Judged.BOTH: ReviewAnswer.HARMLESS,
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
        return OutcomeImport(agent=agent, new=new, known=len(rows) - new, bad=tuple(bad))

    async def pilot(
        self, agent: str, step: str | None = None, since: datetime | None = None
    ) -> PilotView:
        """How often an agent proposes what people do, by class and over time, and where not.

        Raises:
            NotPermitted: if the policies are known, and none names them for the agent.
        """
        found = await self._pilot(agent, step, since)
        return pilot_view(agent, step, found.report, _goal(found.doc, step), found.unproven)

    async def judge_outcome(self, named: str, right: str, why: str = "") -> Disagreement:
        """Say who was right where people did something else: agent, people or both. It is signed.

        `named`: the id of the outcome, as `pilot` lists it.

        Raises:
            InvalidRequest: if it is no answer, or there is nothing to judge.
            NotFound: if there is no such outcome.
            NotPermitted: if they did it themselves, no policy names them, or somebody has judged.
            NotProven: if nothing signs for them.
        """
        self._own_seat("say who was right")
        row, who, now = await self.ledger.outcome(named), self._who(), self._clock()
        if row is None:
            raise NotFound(f"there is no outcome {named}; `handrail pilot AGENT` lists their ids")
        if right not in set(Judged):
            raise InvalidRequest(f"{right!r} is no answer: say agent, people or both", "right")
        if len(why) > _LONGEST:
            raise InvalidRequest(f"say it in {_LONGEST} characters at most", "why")
        compared = (await self._pilot(row.agent, row.step, None, row.case)).report.disagreements
        found = next((each for each in compared if each.outcome.id == row.id), None)
        if found is None:
            raise InvalidRequest(f"{row.id} is no disagreement that is to be judged", "outcome")
        if row.by and person(row.by) == who:
            raise NotPermitted("you did it yourself, so somebody else must say who was right")
        answer = _SAID[Judged(right)]
        digest, why = found.proposed.digest, why.strip()
        said = Opinion(key=row.id, digest=digest, answer=answer, by=who, at=now, why=why)
        proof = await self._signature(Statement(said), _NEEDED) or ""
        kept = AnswerRow(row.id, said.answer.value, said.by, said.at, said.why, proof)
        if not await self.ledger.judge_outcome(right, kept):
            raise NotPermitted("somebody else has judged it; theirs stands, nothing was recorded")
        judged = replace(row, judged=right, judged_by=who, judged_at=now, judged_why=said.why)
        return disagreement(replace(found, outcome=judged))

    async def _pilot(
        self, agent: str, step: str | None, since: datetime | None, case: str | None = None
    ) -> _Pilot:
        self._sees(agent)
        doc, of = await self._doc_of(agent), {"step": step, "case": case}
        proposals = await self.ledger.proposals(agent, since=since, pilot=True, **of)
        outcomes = await self.ledger.outcomes(agent, **of)
        outcomes, unproven = await self._proven(outcomes)
        proposals += await self._nothing(proposals, outcomes, since)
        rules = {} if doc is None else {name: each.pilot for name, each in doc.actions.items()}
        # Of many it takes seconds, in which others are to be heard.
        given = (proposals, outcomes, rules, self._clock())
        return _Pilot(await asyncio.to_thread(measure_pilot, *given), doc, unproven)

    async def _nothing(
        self, proposals: list[Proposed], outcomes: list[OutcomeRow], since: datetime | None
    ) -> list[Proposed]:
        """The cases in which the agent found nothing to do, of those that people decided."""
        known = {each.case for each in proposals}
        of = {row.case: row.step for row in outcomes if row.case not in known}
        found = await self.ledger.case_records(list(of))
        return [
            Proposed(case, of[case], last.at, None, key=case, digest=last.inputs)
            for case, record in found.items()
            if record.case.ended and not record.case.writes and record.decisions
            for last in [record.decisions[-1]]
            if last.kind is None and (since is None or last.at >= since)
        ]

    async def _proven(self, rows: list[OutcomeRow]) -> tuple[list[OutcomeRow], int]:
        """The outcomes, without judgements that nobody is shown to have signed; and how many."""
        if self.keyring is None:
            return rows, 0
        keys, now, found, unproven = self._trusted(), self._clock(), list[OutcomeRow](), 0
        for row in rows:
            if row.judged is not None:
                answers = await self.ledger.review_answers(row.id)
                try:
                    said = require_proven_answer(answers[-1], keys, now) if answers else None
                except NotProven:
                    said = None
                if said is None or (_SAID.get(Judged(row.judged)), said.by) != (
                    said.answer,
                    row.judged_by,
                ):
                    row, unproven = replace(row, judged=None), unproven + 1  # noqa: PLW2901
            found.append(row)
        return found, unproven

    def _sees(self, agent: str) -> None:
        if self._directory is not None and agent not in self._directory.agents(self._who()):
            raise NotPermitted(f"no policy names {self.by} for {agent}")

    async def _doc_of(self, agent: str) -> FileDoc | None:
        """The policy in force, as its file says it; None before any worker has loaded it."""
        rows = await self.ledger.policies(agent)
        return read_policy_file(rows[0].text, Faults(rows[0].label)) if rows else None

    def _shape_of(self, agent: str) -> AgentShape:
        known = self._agents.get(agent)
        if known is None:
            names = ", ".join(sorted(self._agents)) or "none"
            raise InvalidRequest(f"there is no agent {agent}; there are: {names}", "agent")
        return known.shape


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
        raise InvalidRequest(f"{given.at} has not come yet", "at")
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
        action=_action(given.action, write, listed.pilot if listed else PilotDoc()),
        raw=given.model_dump_json(),
    )
    return replace(row, id=outcome_id(row))


def _action(
    given: dict[str, JsonValue] | None, write: WriteShape, rule: PilotDoc
) -> dict[str, JsonValue] | None:
    """What was done, as the action of the write has it; what is not compared may be left out."""
    if given is None:
        return None
    fields, ignored = write.action.model_fields, free_texts([write.action])
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
