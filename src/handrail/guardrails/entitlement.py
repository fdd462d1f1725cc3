"""Entitlement: who ruled is proven, whether they may, and whom else to ask.

A worker has public keys only: it can tell a ruling from a forgery, and make none. So a ruling is
judged three times, each time by what can be known there:

- in the case, `handrail.oversight.rulings`: does it answer this gate, in time, by somebody asked?
- for the case, in an activity, `Entitlement.prove`: is it signed by them, and may they, under the
  policy in force? The workflow has neither keys nor policy.
- at the write, `Entitlement.approvals`: once more, of this very action, because what a workflow
  says is not relied upon where proof is required, and what was given may be taken back or used.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from pydantic import ValidationError
from temporalio import activity
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from handrail.actions import (
    Finding,
    Kind,
    Ruling,
    RulingRecord,
    Terms,
    Verb,
    Verdict,
    as_json,
    digest_of,
    fits,
    from_json,
    person,
)
from handrail.exceptions import ConfigurationError
from handrail.guardrails.context import WriteContext
from handrail.guardrails.machine import server_time
from handrail.guardrails.ruling_judge import RulingJudge, in_place_of
from handrail.ledger import Ledger, RulingRow, RulingUsed
from handrail.oversight import (
    BY_NAME,
    LOOK_SIGNAL,
    MANDATE_STATEMENT,
    MESSAGE_QUEUE,
    NOTIFY_WORKFLOW,
    NoMandate,
    NotificationRequest,
    NotProven,
    Trust,
    TrustedKey,
    VerifiedMandate,
    VerifiedRuling,
    delegations,
    mandate_of,
    message_id,
    standing_approvals,
    verify_ruling,
)
from handrail.policy import Approval, Facts, Policy
from handrail.wire import DoubtAnswer, ProofRequest, ProofResult, RoleRequest

_UNUSUAL = ("check: ", "listed", "digest", "changed", "undo", "source", "normal", "duplicate")
"""Reasons to hold that no standing approval was given for."""


@dataclass(frozen=True)
class Approvals:
    """What people said of one attempt, as far as it counts, and the ids that it `uses` up."""

    approvals: tuple[Approval, ...] = ()
    uses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entitlement:
    """The people of one agent, as its policy, keyring and ledger know them."""

    agent: str
    ledger: Ledger
    trust: Trust

    def terms(self, policy: Policy) -> Terms:
        """How the gates of a case judge."""
        terms = policy.terms(self.trust.proof)
        return terms.model_copy(update={"inbox": self.trust.inbox})

    def proof(self, policy: Policy) -> Literal["required", "unproven"]:
        """Whether only proven rulings count."""
        return policy.proof or self.trust.proof

    # What the case asks of its rulings

    async def prove(
        self, policy: Policy, facts: Facts | None, proving: ProofRequest
    ) -> tuple[ProofResult, ...]:
        """Prove rulings, say whether their people may under the policy, and keep the proven.

        For the case, which judges them first and last (`handrail.oversight.rulings`); `approvals`
        proves once more at the write.

        Raises:
            KeyringError: if the keyring cannot be used.
            LedgerUnavailable: if the ledger cannot be written.
        """
        now, keys = server_time(), self.trust.keys()
        deputies = delegations(await self.mandates(now), self.agent, now)
        judge = RulingJudge(policy, facts, proving, deputies)
        proofs: list[ProofResult] = []
        rows: list[RulingRow] = []
        readings = proving.readings or (None,) * len(proving.rulings)
        for (verb, ruling), reading in zip(proving.rulings, readings, strict=True):
            try:
                proved = verify_ruling(ruling, verb, proving.case, keys, now, arriving=True)
                self._require_known(policy, ruling)
            except NotProven as error:
                proofs.append(ProofResult(proven=False, why=str(error), reading=reading))
                continue
            proof = judge.proof(verb, ruling, proved)
            proofs.append(proof.model_copy(update={"reading": reading}))
            rows.append(_row(proving, verb, ruling, proved, proof))
        await self.ledger.record_rulings(rows)
        return tuple(proofs)

    def _require_known(self, policy: Policy, ruling: Ruling) -> None:
        """That somebody checked who they are, where that is required."""
        known = ruling.via != BY_NAME or self.trust.by_name
        if self.proof(policy) == "required" and not known:
            raise NotProven(
                "whoever gave it is signed in by name, which proves nothing of who they are; sign "
                "in by mail or your organisation, or rule with a key"
            )

    def whom(self, policy: Policy, asked: RoleRequest) -> Verdict:
        """Whom an agent's own question asks. Refused if the policy has no such role.

        Without a role: whom the policy has asked where nothing else is said.
        """
        try:
            asks = policy.asks_of(asked.role or policy.default_role, server_time())
        except ConfigurationError as error:
            finding = Finding(check="role", kind=Kind.REFUSE, why=str(error))
            return Verdict(kind=Kind.REFUSE, findings=(finding,), policy=policy.label)
        terms = self.terms(policy)
        return Verdict(kind=Kind.HOLD, asks=asks, policy=policy.label, terms=terms)

    async def call(self, call: NotificationRequest) -> None:
        """Have the people who are asked told by message, once a gate; or told what is new."""
        client = activity.client()
        try:
            await client.start_workflow(
                NOTIFY_WORKFLOW,
                call.model_copy(update={"namespace": client.namespace}),
                id=message_id(call.gate),
                task_queue=MESSAGE_QUEUE,
                start_signal=LOOK_SIGNAL,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                static_summary=f"messages about {call.case}",
            )
        except WorkflowAlreadyStartedError:
            return  # it is over: everybody knows

    # What the door asks at the write

    async def mandates(self, now: datetime) -> list[VerifiedMandate]:
        """The mandates in force whose signature is good. A forged or altered one is none."""
        keys, found = self.trust.keys(), list[VerifiedMandate]()
        for row in await self.ledger.mandates(self.agent, now):
            try:
                each = mandate_of(row.id, *MANDATE_STATEMENT.verify(row.text, keys, now))
            except (NotProven, NoMandate):
                continue
            found.append(replace(each, spent=row.used >= (each.mandate.uses or 0)))
        return found

    async def approvals(self, write: WriteContext) -> Approvals:
        """The approvals of exactly this action, each proven again where that is required.

        Whatever `handrail.oversight.rulings` made of them in the case, and `prove` for it.

        Raises:
            KeyringError: if the keyring cannot be used.
        """
        if self.proof(write.policy) == "unproven":
            return Approvals(await self._unproven(write))
        return await self._proven(write, None)

    async def answered(self, write: WriteContext) -> bool:
        """Whether people who may have really said what an attempt says of its doubt.

        What they said is used up by this: it is no answer to a later doubt.
        """
        policy, facts, doubt = write.policy, write.facts, write.attempt.doubt
        if doubt is None or self.proof(policy) == "unproven":
            return True
        now, approvals = server_time(), await self._proven(write, doubt)
        asks = policy.default_asks(facts.step, now, facts)
        if policy.unsatisfied(asks, approvals.approvals, facts, now, write.barred):
            return False
        try:
            await self.ledger.use_rulings(approvals.uses, _mark(write, doubt))
        except RulingUsed:
            return False
        return True

    async def _unproven(self, write: WriteContext) -> tuple[Approval, ...]:
        policy, facts, digest = write.policy, write.facts, write.attempt.digest
        said = [
            r
            for r in write.attempt.rulings
            if r.accepted and r.verb in {Verb.APPROVE, Verb.AMEND} and r.digest == digest != ""
        ]
        deputies: Mapping[str, Sequence[str]] = {}
        if any(not r.stands_for and policy.cannot(r.by, facts, via=r.via) for r in said):
            # In whose place somebody rules by a delegation for a time, no case knows.
            now = server_time()
            deputies = delegations(await self.mandates(now), self.agent, now)
        seats = [r.stands_for or in_place_of(policy, facts, r.by, r.via, deputies) for r in said]
        return tuple(Approval(r.by, r.at, r.via, seat) for r, seat in zip(said, seats, strict=True))

    async def _proven(self, write: WriteContext, doubt: DoubtAnswer | None) -> Approvals:
        policy, facts, attempt = write.policy, write.facts, write.attempt
        mark, keys, now = _mark(write, doubt), self.trust.keys(), server_time()
        deputies = delegations(await self.mandates(now), self.agent, now)
        kept = {row.jti: row for row in await self.ledger.rulings(case=attempt.case)}
        revocations = [row for row in kept.values() if row.verb == Verb.REVOKE]
        rejected = {
            row.gate
            for row in kept.values()
            if row.verb == Verb.REJECT
            and policy.cannot(row.by, facts, row.stands_for, row.via) is None
        }
        proven = [
            (ruled, proved)
            for ruled in attempt.rulings
            if (proved := _again(ruled, attempt.case, keys))
            and (self.trust.by_name or ruled.via != BY_NAME)
            and (row := kept.get(proved.jti))
            and _stands(row, mark, revocations)
            # Whoever else said yes to it, and whatever the case made of both.
            and row.gate not in rejected
        ]
        delegated = {
            (ruled.ruling.gate, person(ruled.ruling.to)): proved.by
            for ruled, proved in proven
            if ruled.verb == Verb.DELEGATE and ruled.ruling and ruled.ruling.to
        }
        approvals: list[Approval] = []
        uses: list[str] = []
        for ruled, proved in proven:
            if ruled.ruling is None or not _allows(ruled, facts, attempt.digest, doubt):
                continue
            seat = delegated.get((ruled.ruling.gate, proved.by))
            seat = seat or in_place_of(policy, facts, proved.by, ruled.ruling.via, deputies)
            approvals.append(Approval(proved.by, proved.at, ruled.ruling.via, seat))
            uses.append(proved.jti)
        return Approvals(tuple(approvals), tuple(uses))

    def standing_approvals(
        self,
        write: WriteContext,
        mandates: Sequence[VerifiedMandate],
        findings: Sequence[Finding],
        roles: Collection[str],
        *,
        undo: bool,
    ) -> list[tuple[Approval, VerifiedMandate]]:
        """Those of `mandates` that approve this action, with the approval each stands for.

        `roles`: who is asked. None where something unusual holds it, such as a check that could
        not be run.
        """
        held = [finding for finding in findings if finding.kind is Kind.HOLD]
        if any(finding.check.startswith(_UNUSUAL) for finding in held):
            return []
        now, keys = server_time(), self.trust.keys()
        live = [each for each in mandates if each.mandate.kind == "standing" and not each.spent]
        found = standing_approvals(
            live, write.step, write.facts.action, self.agent, reversible=undo, now=now
        )
        return [
            (Approval(g.mandate.by, now, "key" if keys[g.kid].kind == "person" else "inbox"), g)
            for g in found
            if g.mandate.role in roles
        ]


def _mark(write: WriteContext, doubt: DoubtAnswer | None) -> str:
    """By what rulings are used up: the write, or its doubt."""
    key = write.attempt.key
    return key if doubt is None else f"{key}!{doubt.token}"


def _row(
    proving: ProofRequest, verb: str, ruling: Ruling, proved: VerifiedRuling, proof: ProofResult
) -> RulingRow:
    return RulingRow.of(
        ruling,
        verb=verb,
        case=proving.case,
        step=proving.step,
        digest=proving.digest,
        by=proved.by,
        jti=proved.jti,
        kid=proved.kid,
        at=proved.at,
        stands_for=proof.stands_for,
        planted=proving.planted,
    )


def _again(ruled: RulingRecord, case: str, keys: Mapping[str, TrustedKey]) -> VerifiedRuling | None:
    """Prove a ruling once more.

    It was in time when the gate took it; how long it is good for now the policy says.
    """
    if ruled.ruling is None:
        return None
    try:
        return verify_ruling(ruled.ruling, ruled.verb, case, keys, ruled.at)
    except NotProven:
        return None


def _stands(row: RulingRow, key: str, revocations: Sequence[RulingRow]) -> bool:
    """Whether a ruling in the ledger counts for the write of that key.

    One that is in no ledger does not: it may have been used by a write that no ledger knows.
    """
    if row.planted or row.effect not in {None, key}:
        return False
    # Signed in the same second as a revocation it counts if that is of another gate.
    back = (
        row.at < taken.at or (row.at == taken.at and row.gate == taken.gate)
        for taken in revocations
        if taken.by == row.by
    )
    return row.effect == key or not any(back)


def _allows(ruled: RulingRecord, facts: Facts, digest: str, doubt: DoubtAnswer | None) -> bool:
    """Whether the signed words are about exactly this action, and its doubt if there is one."""
    ruling = ruled.ruling
    assert ruling is not None  # noqa: S101  # only proven ones come here
    if doubt is not None:
        answer = ruled.verb == Verb.ANSWER and ruling.question is None
        said = (ruling.answer, ruling.result) == (doubt.answer, doubt.result)
        return answer and said and fits(digest, ruling.digest)
    if ruled.verb == Verb.APPROVE:
        return fits(digest, ruling.digest)
    if ruled.verb != Verb.AMEND or ruling.action is None:
        return False
    try:
        action = as_json(from_json(type(facts.action), ruling.action))
    except ValidationError:
        return False
    return digest_of(facts.step, action) == digest
