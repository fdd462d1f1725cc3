"""Admission control: what an attempt says of itself, held against Temporal, shape and ledger.

Whoever can give work to a worker words the attempt. So nothing that it says of itself makes a
verdict milder. An activity does what its own workflow asks for, for no other case. An undo is
one only if its step is the declared undo of the step in the key, and the ledger knows the effect:
then the receipt is the ledger's. What is said and is not so is refused, or held for people.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pydantic import ValidationError
from temporalio import activity

from handrail.actions import Finding, Kind, Undoes, Verb, as_json, digest_of, from_json, undo_key
from handrail.agent import asked_for, this_case
from handrail.guardrails.machine import is_sealed
from handrail.wire import HandOffOrigin

if TYPE_CHECKING:
    from handrail.actions import Action
    from handrail.guardrails.context import WriteContext
    from handrail.ledger import EffectRow, Ledger, RulingRow
    from handrail.policy import AgentShape
    from handrail.wire import Attempt

_DIGITS = 9
"""Of the number in a key."""

_REMEMBERED = 10_000
"""Runs of cases of which the door remembers who asked: it never changes in a run."""


@dataclass(frozen=True)
class Admission:
    """Who is let to the checks of one agent's door. `workflow`: the type of its workflow.

    `seal`: the key by which workers mark what they put into the ledger.
    """

    agent: str
    shape: AgentShape
    ledger: Ledger
    workflow: str | None = None
    seal: bytes = b""
    _asked: dict[str, tuple[str | None, HandOffOrigin]] = field(
        default_factory=dict[str, tuple[str | None, HandOffOrigin]], init=False
    )

    def made(self, row: EffectRow) -> bool:
        """Whether an intent is one that a worker made, of this very action."""
        return is_sealed(row.owner, self.seal, row.key, row.digest)

    def foreign(self, case: str) -> str | None:
        """Why the activity that runs may do nothing for a case; None if it is that case's own.

        A reset and a continued run keep the id, so they remain the same case. An activity that
        was started without a workflow is nobody's.
        """
        own, kind = this_case(), activity.info().workflow_type
        if own != case or not case:
            return (
                f"it is asked for in the name of {case or 'no case'}, by "
                f"{own or 'no workflow at all'}: a case alone asks for what is done in its name"
            )
        if not case.startswith(f"{self.agent}:"):
            return f"{case} is no case of {self.agent}: start it as `{self.agent}:KEY`"
        if self.workflow not in {None, kind}:
            return f"{case} runs as {kind}, and {self.agent} as {self.workflow}"
        return None

    def misnamed(self, step: str, case: str, key: str) -> str | None:
        """Why a key is not one of this step in this case; None if it is."""
        number = key.removeprefix(f"{case}/{step}/")
        plain = number.isascii() and number.isdigit() and len(number) <= _DIGITS
        if number != key and plain and not number.startswith("0"):
            return None
        return f"{key} is no key of {step} in {case}"

    def own(self, attempt: Attempt) -> bool:
        """Whether an attempt is at a write, or an undo, of the case that runs it."""
        base = attempt.key if attempt.undoes is None else attempt.undoes.key
        if attempt.undoes is not None and attempt.key != undo_key(base):
            return False
        step = base.removeprefix(f"{attempt.case}/").partition("/")[0]
        foreign = self.foreign(attempt.case) or self.misnamed(step, attempt.case, base)
        return foreign is None

    async def admitted(self, write: WriteContext) -> WriteContext:
        """The write, with what of its attempt holds, and findings on what does not.

        Raises:
            LedgerUnavailable: if the ledger cannot be used.
        """
        attempt, takes = write.attempt, self.shape.writes[write.step].action
        named = attempt.kind or type(write.facts.action).__name__
        if type(write.facts.action) is not takes or named != takes.__name__:
            begun = await self.ledger.effect(attempt.key)
            # What passed before a deploy that calls its class otherwise is carried to its end.
            if begun is None or begun.digest != attempt.digest:
                return _refused(write, "class", f"{write.step} takes {takes.__name__}, not {named}")
        if attempt.undoes is not None:
            return await self._undo(write, attempt.undoes)
        why = self.misnamed(write.step, attempt.case, attempt.key)
        if "case.requester" in write.policy.of(write.step).mentions:
            write = await self.people(write)
        return write if why is None else _refused(write, "key", why)

    async def people(self, write: WriteContext) -> WriteContext:
        """The write with those who may not approve it, whatever its attempt says of them.

        Who asked for a case stands in its memo, as do those who asked an agent that handed it on;
        what its attempt says can only add some. Who wrote an action by amending another is who
        signed that, and who wrote the other.

        Raises:
            LedgerUnavailable: if the ledger cannot be used.
            RPCError: if the server does not say who asked.
        """
        attempt = write.attempt
        asked, origin = await self._asked_for(attempt)
        wrote: defaultdict[str | None, list[RulingRow]] = defaultdict(list)
        for row in await self.ledger.rulings(case=attempt.case):
            if row.verb == Verb.AMEND and row.step == write.step:
                wrote[_amended(row, type(write.facts.action))].append(row)
        drafters, digests = [*attempt.drafters, *origin.drafters], [attempt.digest]
        for digest in digests:  # it grows by what was amended
            for row in wrote.pop(digest, ()):
                drafters.append(row.by)
                digests.append(row.digest)
        known = {
            "requester": asked,
            "drafters": tuple(dict.fromkeys(drafters)),
            "askers": tuple(dict.fromkeys((*attempt.askers, *origin.askers))),
        }
        facts = replace(write.facts, requester=asked)
        return replace(write, facts=facts, attempt=attempt.model_copy(update=known))

    async def _asked_for(self, attempt: Attempt) -> tuple[str | None, HandOffOrigin]:
        info = activity.info() if activity.in_activity() else None
        if info is None or info.started_time.timestamp() <= 0:
            return attempt.requester, HandOffOrigin()  # no server handed it out: none to ask
        run = info.workflow_run_id or ""
        if run not in self._asked:
            asked = await asked_for(activity.client(), attempt.case, run)
            if len(self._asked) >= _REMEMBERED:
                self._asked.clear()
            self._asked[run] = asked
        return self._asked[run]

    async def _undo(self, write: WriteContext, undoes: Undoes) -> WriteContext:
        attempt = write.attempt
        of = undoes.key.removeprefix(f"{attempt.case}/").partition("/")[0]
        if of not in self.shape.writes[write.step].undoes:
            return _refused(write, "undo", f"{write.step} is no undo of {of}")
        why = self.misnamed(of, attempt.case, undoes.key)
        if why is not None or attempt.key != undo_key(undoes.key):
            why = why or f"{attempt.key} is not the key of the undo of {undoes.key}"
            return _refused(write, "undo", why)
        row = await self.ledger.effect(undoes.key)
        if row is not None and row.digest == digest_of(of, write.action):
            # The receipt that the undo acts by is the one that was kept, not one that is claimed.
            known = Undoes(key=undoes.key, receipt=row.receipt)
            ordered = attempt.ordered and await self.ledger.rolled_back(attempt.case)
            attempt = attempt.model_copy(update={"undoes": known, "ordered": ordered})
            undoing = undoes.receipt is None or row.receipt is not None
            write = replace(write, attempt=attempt, undoing=undoing)
        if write.undoing or (undoes.receipt is None and (row is None or not row.digest)):
            # What never began is forbidden, and judged as any write of the step is.
            return write
        why = f"the ledger knows nothing of the effect {undoes.key} as this undo describes it"
        return replace(write, claims=(Finding(check="undo", kind=Kind.HOLD, why=why),))


def _amended(row: RulingRow, takes: type[Action]) -> str | None:
    """The digest of what an amendment made of an action; None if that is none."""
    try:
        action = from_json(takes, row.ruling.action)
    except ValidationError:
        return None
    return digest_of(row.step, as_json(action))


def _refused(write: WriteContext, check: str, why: str) -> WriteContext:
    return replace(write, claims=(Finding(check=check, kind=Kind.REFUSE, why=why),))
