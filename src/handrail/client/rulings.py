"""Ruling on a gate, and the record of what was ruled.

A ruling is bound to the action that was shown, by its digest: if the gate asks about another
one by now, nothing is sent. What is incomplete is refused here; whether the person may is said
by the case, which knows.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import JsonValue, ValidationError

from handrail.actions import Ruling, Verb, person
from handrail.client import gates
from handrail.client.base import BY_NAME_ONLY, Statement
from handrail.client.mandates import Bounds, MandateActs
from handrail.client.views import RulingList, RulingResult, SignedRuling
from handrail.exceptions import InvalidRequest
from handrail.oversight import (
    BY_NAME,
    DOUBT_ANSWERS,
    GateKind,
    GateView,
    NotProven,
    TrustedKey,
    gate_verbs,
    verify_ruling,
)
from handrail.text import first_fault

if TYPE_CHECKING:
    from handrail.client.gates import CaseReply
    from handrail.ledger import RulingRow

_HAPPENED = "happened"


class RulingActs(MandateActs):
    """Ruling on gates. Each act takes the gate as it was shown, or its id, or its case's."""

    async def approve(
        self, gate: GateView | str, why: str = "", *, such_as: Bounds | None = None, **more: Any
    ) -> RulingResult:
        """Let exactly this be done; with `such_as` also allow such as this in advance.

        `more`: as `rule` takes it.

        Raises:
            CaseError: if the gate is not open, or asks about another action by now.
            NotProven: if only proven rulings count, and nothing signs for them.
        """
        if such_as is None:
            return await self.rule(gate, Verb.APPROVE, why=why, **more)
        now, _ = await self._as_shown(gate, more.get("digest"))
        allowed = await self._allowing(now, such_as)
        ruled = await self.rule(now, Verb.APPROVE, why=why, **more)
        # What the case did not take must not be done by way of another such as it.
        mandate = await self._keep(*allowed) if ruled.accepted else None
        return ruled.model_copy(update={"mandate": mandate})

    async def reject(self, gate: GateView | str, why: str, **more: Any) -> RulingResult:
        """Do not let it be done. The agent reads why."""
        return await self.rule(gate, Verb.REJECT, why=why, **more)

    async def amend(
        self, gate: GateView | str, changes: Mapping[str, JsonValue], why: str = "", **more: Any
    ) -> RulingResult:
        """Have it done with these fields changed; a field within a field is `outer.inner`.

        Raises:
            InvalidRequest: if there is no such field, or nothing changes; and as `approve` does.
        """
        now, _ = await self._as_shown(gate, more.get("digest"))
        action = amended(now.action, changes)
        return await self.rule(now, Verb.AMEND, why=why, action=action, **more)

    async def ask(self, gate: GateView | str, to: str, question: str) -> RulingResult:
        """Ask the agent (`to` agent) or a colleague something before ruling."""
        return await self.rule(gate, Verb.ASK, why=question, to=to)

    async def answer(self, gate: GateView | str, answer: str = "", **more: Any) -> RulingResult:
        """Answer: what became of a write in doubt (happened, do it, drop), or a `question`.

        `result`: what the write returned, or the answer to the agent's own question.
        """
        return await self.rule(gate, Verb.ANSWER, answer=answer or None, **more)

    async def delegate(self, gate: GateView | str, to: str, why: str = "") -> RulingResult:
        """Have a deputy rule on this gate."""
        return await self.rule(gate, Verb.DELEGATE, why=why, to=to)

    async def revoke(self, gate: GateView | str, why: str = "") -> RulingResult:
        """Take back what they gave to this gate, as long as it is not used."""
        return await self.rule(gate, Verb.REVOKE, why=why)

    async def rule(
        self,
        gate: GateView | str,
        verb: str,
        *,
        digest: str | None = None,
        looked: float | None = None,
        **said: Any,
    ) -> RulingResult:
        """Rule. `said` are fields of `handrail.actions.Ruling`: why, to, action, answer, ...

        `digest`: the action that is meant, its first 12 digits or more. `looked`: seconds for
        which the person saw it.

        Raises:
            CaseError: if the gate is not open, or asks about another action by now.
            InvalidRequest: if it is no ruling that this gate takes, or something is missing.
            NotProven: if only proven rulings count, and nothing signs for them.
        """
        now, answers = await self._as_shown(gate, digest)
        ruling = ruling_of(now, verb, self._who(), via=self.via, looked=looked, **said)
        needed = "this gate counts only proven rulings" if now.proof == "required" else ""
        proof = await self._signature(Statement(ruling, verb, now.case), needed)
        ruling = ruling.model_copy(update={"proof": proof})
        sent = await gates.send(await self.temporal(), now, verb, ruling, at_once=answers)
        return _result(now, sent, self._clock())

    async def rulings(
        self,
        *,
        by: str | None = None,
        case: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        prove: bool = False,
    ) -> RulingList:
        """Proven rulings, the newest first; with `prove` each is proven once more."""
        who = None if by is None else person(by)
        rows = await self.ledger.rulings(by=who, case=case, since=since, limit=limit)
        keys = self._trusted() if prove else None
        return RulingList(rulings=tuple(_record(row, keys) for row in rows))


def ruling_of(gate: GateView, verb: str, by: str, **said: Any) -> Ruling:
    """What was said, as a ruling on exactly what a gate shows.

    Raises:
        InvalidRequest: if the gate does not take it, something is missing, or it is no ruling.
    """
    if isinstance(said.get("why"), str):
        said["why"] = said["why"].strip()
    if gate.kind is GateKind.IN_DOUBT and said.get("answer") and not said.get("question"):
        said["answer"] = said["answer"].replace("-", " ")
    _require_taken(gate, verb, said)
    _require_whole(gate, verb, said)
    try:
        return Ruling(gate=gate.gate, digest=gate.digest, by=by, **said)
    except ValidationError as error:
        raise InvalidRequest(f"this is no ruling: {first_fault(error)}") from error


def _require_taken(gate: GateView, verb: str, said: Mapping[str, Any]) -> None:
    if verb in gate_verbs(gate.kind) or (verb == Verb.ANSWER and said.get("question")):
        return
    known = ", ".join(gate_verbs(gate.kind))
    raise InvalidRequest(f"this gate does not take `{verb}`; it takes: {known}", "verb")


def _require_whole(gate: GateView, verb: str, said: Mapping[str, Any]) -> None:
    if verb == Verb.REJECT and not said.get("why"):
        raise InvalidRequest("say why: the agent reads it", "why")
    if verb in {Verb.ASK, Verb.DELEGATE} and not (said.get("to") or "").strip():
        raise InvalidRequest("say whom: one of the people whom the policy names", "to")
    if verb == Verb.ASK and not said.get("why"):
        raise InvalidRequest("write your question", "why")
    if verb == Verb.AMEND:
        _require_changed(gate, said.get("action"))
    if verb == Verb.ANSWER:
        _require_answer(gate, said)


def _require_changed(gate: GateView, action: Any) -> None:
    if not isinstance(action, dict):
        raise InvalidRequest("an amendment needs the whole action as it shall be", "action")
    if action == gate.action:
        raise InvalidRequest("the amendment changes nothing; approve instead", "action")


def _require_answer(gate: GateView, said: Mapping[str, Any]) -> None:
    answer = said.get("answer") or ""
    if said.get("question"):
        if not answer.strip():
            raise InvalidRequest("write your answer", "answer")
    elif gate.kind is GateKind.IN_DOUBT:
        if answer not in DOUBT_ANSWERS:
            known = ", ".join(each.replace(" ", "-") for each in DOUBT_ANSWERS)
            raise InvalidRequest(f"say what became of it: {known}", "answer")
        if answer != _HAPPENED and said.get("result") is not None:
            raise InvalidRequest("a result goes with `happened`", "result")


def amended(action: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The action with its changes; a field within a field is `outer.inner`.

    Raises:
        InvalidRequest: if a field does not exist.
    """
    changed = copy.deepcopy(action)
    for name, value in changes.items():
        _change(changed, name.split("."), value, name)
    return changed


def _change(action: dict[str, Any], path: list[str], value: Any, named: str) -> None:
    first, *rest = path
    if first not in action:
        near = difflib.get_close_matches(first, action, n=1)
        fix = f"did you mean {near[0]}?" if near else f"there are: {', '.join(action)}"
        raise InvalidRequest(f"{named}: there is no field {first}; {fix}", named)
    if not rest:
        action[first] = value
    elif isinstance(action[first], dict):
        _change(cast("dict[str, Any]", action[first]), rest, value, named)
    else:
        raise InvalidRequest(f"{named}: {first} has no fields", named)


def _result(gate: GateView, sent: CaseReply, at: datetime) -> RulingResult:
    how: Literal["signal", "update"] = "signal" if sent.accepted is None else "update"
    return RulingResult(
        gate=gate.gate,
        case=gate.case,
        digest=gate.digest,
        sent_at=at,
        accepted=sent.accepted,
        note=sent.note,
        record=sent.record,
        sent=how,
    )


# The record


_AS_KEPT = SignedRuling.model_fields.keys() - {"version", "ruling", "proven", "why"}


def _record(row: RulingRow, keys: Mapping[str, TrustedKey] | None) -> SignedRuling:
    said: dict[str, Any] = {name: getattr(row, name) for name in _AS_KEPT}
    if keys is not None:
        fault = fault_of(row, keys)
        named = row.via == BY_NAME
        said |= {"proven": fault is None and not named, "why": fault or (BY_NAME_ONLY * named)}
    return SignedRuling(**said, ruling=row.text)


def fault_of(row: RulingRow, keys: Mapping[str, TrustedKey]) -> str | None:
    """Why a row does not prove itself; None if it does.

    It is judged as of when it was signed: that it is not good for a write any more is no
    fault. What its signature does not cover (the step, whom it stood for, which write used
    it, whether it was planted) is the ledger's word.
    """
    try:
        ruling = row.ruling
        proved = verify_ruling(ruling, row.verb, row.case, keys, row.at)
    except ValidationError:
        return "it is no ruling any more: the ledger was altered"
    except NotProven as error:
        return str(error)
    signed = {name: getattr(proved, name) for name in ("jti", "by", "kid", "at")}
    signed |= {name: getattr(ruling, name) for name in ("gate", "digest", "via", "looked")}
    signed["agent"] = row.case.partition(":")[0]
    altered = [name for name, value in signed.items() if getattr(row, name) != value]
    if altered:
        return f"the ledger was altered: {', '.join(altered)} is not what was signed"
    return None
