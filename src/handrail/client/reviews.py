"""What ran alone is looked at afterwards; and incidents, which somebody closes."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from handrail.client.base import BY_NAME_ONLY, OperatorBase, Statement
from handrail.client.views import (
    IncidentList,
    IncidentView,
    ReviewDetails,
    ReviewList,
    ReviewOpinion,
    ReviewView,
)
from handrail.exceptions import CaseError, InvalidRequest, NotFound, NotPermitted
from handrail.ledger import AlreadyReviewed, AnswerRow
from handrail.oversight import (
    NotProven,
    Opinion,
    new_opinion,
    require_proven_answer,
    stated_by_name,
    why_not_reviewer,
)

if TYPE_CHECKING:
    from handrail.ledger import IncidentRow, ReviewedWrite, ReviewRow

_LONGEST = 4_000
_NEEDED = "an answer to a review must be signed"


class ReviewActs(OperatorBase):
    """Looking at what ran alone, and at what went wrong."""

    async def reviews(
        self,
        agent: str | None = None,
        *,
        every: bool = False,
        mine: bool = False,
        newest: bool = False,
        limit: int | None = None,
    ) -> ReviewList:
        """What waits for a look, the oldest first; `every`: what was answered too; `mine`.

        Where policies are known, those of agents whose policies name whoever looks, and `mine`.
        """
        most, of = (None, None) if mine else (limit, self._concerned())
        rows = await self.ledger.reviews(
            agent, agents=of, open_only=not every, newest=newest, limit=most
        )
        chosen = [row for row in rows if not mine or self._why_not(row) is None]
        return ReviewList(reviews=tuple(map(ReviewView.model_validate, chosen[:limit])))

    async def review(self, named: str) -> ReviewDetails:
        """One write, by its key, how that begins, or its case, as a reviewer must see it.

        Raises:
            NotFound: if there is none, or several.
        """
        row = await self._find_review(named)
        written = await self._written(row)
        verdicts = await self.ledger.verdicts(row.agent, case=row.case)
        verdict = next((each for each in reversed(verdicts) if each.key == row.key), None)
        met = [e for e in await self.ledger.incidents(case=row.case) if e.key == row.key]
        said = await self.ledger.review_answers(row.key)
        return ReviewDetails(
            **dict(ReviewView.model_validate(row)),
            digest=written.digest,
            action=written.action,
            evidence=written.evidence,
            confidence=written.confidence,
            policy=written.policy,
            receipt=written.receipt,
            undone=written.undone,
            rationale=verdict.basis.rationale if verdict and verdict.basis else None,
            findings=verdict.findings if verdict else (),
            autonomy=verdict.autonomy if verdict else None,
            incidents=tuple(each.what for each in met),
            answers=tuple(self._answer(each) for each in said),
            why_not=self._why_not(row) if self.by else None,
            units=written.units,
        )

    async def answer_review(self, named: str, answer: str, why: str = "") -> ReviewView:
        """Say of one write whether it was right, wrong or harmless, and sign it.

        Raises:
            NotFound: if there is no such review, or several.
            NotPermitted: if they may not look at it, or somebody else has answered.
            NotProven: if nothing signs for them.
            NotReviewed: if it is no answer, or one that must say why does not.
        """
        self._own_seat("answer a review")
        row, now = await self._find_review(named), self._clock()
        fault = self._why_not(row)
        if fault is not None:
            raise NotPermitted(f"{fault}; nothing was recorded")
        said = new_opinion(await self._written(row), answer, self._who(), why, now)
        await self._record(said, await self._signature(Statement(said), _NEEDED) or "")
        if self._audit_review is not None:
            place = (row.agent, row.step, row.case, row.key)
            self._audit_review(*place, answer=said.answer.value, by=said.by, why=said.why)
        return ReviewView.model_validate(await self.ledger.review_of(row.key) or row)

    async def incidents(
        self,
        agent: str | None = None,
        *,
        case: str | None = None,
        since: datetime | None = None,
        open_only: bool = False,
        limit: int | None = None,
    ) -> IncidentList:
        """What went wrong with writes, the newest first: of agents that concern whoever asks."""
        concerned = self._concerned()
        rows = await self.ledger.incidents(
            agent, case=case, agents=concerned, since=since, open_only=open_only, limit=limit
        )
        return IncidentList(incidents=tuple(map(IncidentView.model_validate, rows)))

    async def close_incident(self, named: str, why: str) -> IncidentView:
        """Close an incident, by its id or how that begins: somebody has dealt with it.

        Raises:
            CaseError: if it was closed already.
            InvalidRequest: if it does not say what was done.
            NotFound: if there is none, or several; or none that concerns them.
        """
        self._own_seat("close an incident")
        why = why.strip()
        if not why:
            raise InvalidRequest("say what was done about it, such as 'paid back by hand'", "why")
        if len(why) > _LONGEST:
            raise InvalidRequest(f"say it in {_LONGEST} characters at most", "why")
        row = await self._find_incident(named)
        if not await self.ledger.close_incident(row.id, self._who(), self._clock(), why):
            raise CaseError(f"{row.id} was closed already; nothing was recorded")
        same = await self.ledger.incidents(case=row.case)
        return IncidentView.model_validate(next(each for each in same if each.id == row.id))

    def _concerned(self) -> frozenset[str] | None:
        """The agents whose policies name whoever acts; None where no policy is known here."""
        return None if self._directory is None else self._directory.agents(self._who())

    def _why_not(self, row: ReviewRow) -> str | None:
        """Why whoever acts may not answer. Who has come to the role since it was drawn may."""
        now = self._directory.role(row.agent, row.role) if self._directory else ()
        return why_not_reviewer(row, self._who(), now)

    async def _record(self, said: Opinion, proof: str) -> None:
        kept = AnswerRow(
            key=said.key,
            answer=said.answer.value,
            by=said.by,
            at=said.at,
            note=said.why,
            proof=proof,
        )
        try:
            await self.ledger.answer_review(kept)
        except AlreadyReviewed as error:
            raise NotPermitted(f"{error}; nothing was recorded") from error

    def _answer(self, row: AnswerRow) -> ReviewOpinion:
        try:
            require_proven_answer(row, self._trusted(), self._clock())
            fault = BY_NAME_ONLY if stated_by_name(row.proof) else ""
        except NotProven as error:
            fault = str(error)
        return ReviewOpinion(
            answer=row.answer,
            by=row.by,
            at=row.at,
            why=row.note,
            proven=not fault,
            fault=fault,
            proof=row.proof,
        )

    async def _find_review(self, named: str) -> ReviewRow:
        """The review of that write, or of that case; or the only one whose key begins so."""
        exact = await self.ledger.review_of(named)
        if exact is not None:
            return exact
        found = await self.ledger.reviews(case=named)
        found = found or (await self.ledger.reviews(begins=named) if named else [])
        waiting = [row for row in found if row.answer is None]
        chosen = waiting if len(waiting) == 1 else found
        if len(chosen) != 1:
            many = f"the beginning of {len(chosen)} reviews" if chosen else "not to be reviewed"
            raise NotFound(f"{named} is {many}; `handrail review --all` lists their keys")
        return chosen[0]

    async def _written(self, row: ReviewRow) -> ReviewedWrite:
        written = await self.ledger.written(row.key)
        if written is None:
            raise NotFound(f"the ledger knows of no write {row.key}: it cannot be looked at")
        return written

    async def _find_incident(self, named: str) -> IncidentRow:
        """The incident of that id; or the only one whose id begins so, an open one first."""
        rows = await self.ledger.incidents(agents=self._concerned())
        found = [row for row in rows if named and row.id.startswith(named)]
        exact = [row for row in found if row.id == named]
        waiting = [row for row in found if row.closed is None]
        chosen = exact or (waiting if len(waiting) == 1 else found)
        if len(chosen) != 1:
            many = f"the beginning of {len(chosen)} incidents" if chosen else "no incident"
            raise NotFound(f"{named} is {many}; `handrail incidents` lists their ids")
        return chosen[0]
