"""The audit of an agent for a period: what the ledger holds, and what Temporal says against it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from pydantic import TypeAdapter, ValidationError
from temporalio.api.common.v1 import WorkflowExecution as Execution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.service import RPCError, RPCStatusCode

from handrail.agent import executions
from handrail.client.audit_views import AuditCheck, AuditReport, ErasedCase
from handrail.client.base import OperatorBase
from handrail.client.gates import quoted
from handrail.client.stewards import steward_book, tell_steward
from handrail.evidence import (
    AuditEntry,
    CaseFacts,
    body_digest,
    chain_faults,
    chained,
    history_faults,
    order_faults,
    proof_faults,
    row_name,
)
from handrail.exceptions import InvalidRequest, NotFound, NotPermitted
from handrail.ledger import OrderRow
from handrail.oversight import AuditSeal, steward_id
from handrail.text import first_fault

if TYPE_CHECKING:
    from temporalio.api.common.v1 import Payload
    from temporalio.api.history.v1 import HistoryEvent
    from temporalio.client import Client, WorkflowExecution

    from handrail.evidence import AuditKind

AT_ONCE = 8
"""Histories that are read beside each other."""

_Item = tuple["AuditKind", datetime, Mapping[str, Any]]


class AuditActs(OperatorBase):
    """Audits of what agents did, and of who let them."""

    async def audit(
        self, agent: str, since: datetime, until: datetime, *, seal: bool = False
    ) -> AuditReport:
        """Everything that the ledger holds of a period, chained to the audit before.

        `seal`: put the head into the history of the agent's steward.

        Raises:
            InvalidRequest: if the period is none, or is not over.
            LedgerUnavailable: if the ledger cannot be read.
        """
        if not since < until <= self._clock():
            raise InvalidRequest("an audit is of a time that is over, from an earlier one", "until")
        known = await _seals(await self.temporal(), agent)
        earlier = [each for each in known if each.until <= since]
        period = {
            "agent": agent,
            "since": since.isoformat(),
            "until": until.isoformat(),
            "before": max(earlier, key=lambda seal: seal.until).head if earlier else "",
        }
        items = sorted(await self._items(agent, since, until), key=lambda each: each[1])
        gone = await self._erased(agent)
        entries = chained([("period", until, period), *items], str(period["before"]), gone)
        head = entries[-1].hash
        if seal:
            said = AuditSeal(
                since=since, until=until, entries=len(entries), head=head, by=self.by[:200]
            )
            client = await self.temporal()
            await tell_steward(client, agent, "seal", said.model_dump(mode="json"))
        return AuditReport(
            agent=agent, since=since, until=until, head=head, entries=entries, sealed=seal
        )

    async def _erased(self, agent: str) -> dict[str, str]:
        """The digests of rows before they were erased, by the names of these."""
        orders = await self.ledger.orders(agent, kind="erase")
        return {k: d for order in orders for k, d in json.loads("".join(order.proofs)).items()}

    async def _items(self, agent: str, since: datetime, until: datetime) -> list[_Item]:
        """The ledger's rows that say something of a period, by when they begin to."""

        def during(*moments: datetime | None) -> bool:
            return any(at is not None and since <= at < until for at in moments)

        ledger = self.ledger
        policies, orders = await ledger.policies(agent), await ledger.orders(agent)
        incidents, reviews = await ledger.incidents(agent), await ledger.reviews(agent)
        rulings = await ledger.rulings(since=since)
        effects = await ledger.effects_during(agent, since, until)
        found: list[tuple[AuditKind, datetime, Any]] = [
            *(("policy", row.first, row) for row in policies),
            *(("order", row.at, row) for row in orders if during(row.at, row.ended)),
            *(("ruling", row.at, row) for row in rulings if row.agent == agent),
            *(("effect", row.begun, row) for row in effects),
            *(("incident", row.at, row) for row in incidents if during(row.at, row.closed)),
            *(("review", row.at, row) for row in reviews if during(row.at, row.answered)),
        ]
        return [
            (kind, at, _body(_as_of(kind, row, until))) for kind, at, row in found if at < until
        ]

    async def erase(self, case: str, why: str) -> ErasedCase:
        """Erase what is kept of a case that has ended: its content here, its histories in Temporal.

        What stays says that something was done, when, how it ended and who let it; audits of
        before stay sound. Once more it only deletes histories that were not deleted then.

        Raises:
            InvalidRequest: if the case has not ended, or a write of it is on its way.
            NotPermitted: if the policies are known, and none lets them control the agent.
            NotFound: if nothing is known of such a case.
            RPCError: if the server does not answer: say it again.
        """
        who, agent, client = self._who(), case.partition(":")[0], await self.temporal()
        if self._directory is not None and agent not in self._directory.controls(who):
            raise NotPermitted(f"the policy of {agent} does not let {self.by} erase a case of it")
        async with aclosing(executions(client, f"WorkflowId = {quoted(case, 'case')}")) as found:
            runs = [run async for run in found]
        if any(run.close_time is None for run in runs):
            raise InvalidRequest(
                f"{case} has not ended; end it first: handrail stop {case}", "case"
            )
        names = {row_name(kind, body): body_digest(body) for kind, body in await self._of(case)}
        order = OrderRow(
            id=f"erase-{hashlib.sha256(case.encode()).hexdigest()[:40]}",
            kind="erase",
            agent=agent,
            by=self.by[:200],
            at=self._clock(),
            case=case,
            why=why,
            proofs=(json.dumps(names),),
        )
        known = await self.ledger.order_of(order.id)
        if not (known or runs or names or await self.ledger.case_records([case])):
            raise NotFound(f"nothing is known of a case {case}")
        if known is None and not await self.ledger.erase_case(order):
            raise InvalidRequest(f"a write of {case} is on its way; see: handrail show {case}")
        for run in runs:
            await _delete(client, run)
        return ErasedCase(case=case, rows=len(names), histories=len(runs), at=order.at)

    async def _of(self, case: str) -> list[tuple[AuditKind, dict[str, Any]]]:
        """The rows of a case that audits hold, and that an erasure changes."""
        ledger, agent = self.ledger, case.partition(":")[0]
        rulings = await ledger.rulings(case=case)
        found: list[tuple[AuditKind, Any]] = [
            *(("effect", row) for row in await ledger.effects(case)),
            *(("ruling", row) for row in rulings),
            *(("incident", row) for row in await ledger.incidents(agent, case=case)),
            *(("review", row) for row in await ledger.reviews(agent, case=case)),
        ]
        return [(kind, _body(row)) for kind, row in found]

    async def check_audit(self, text: str) -> AuditCheck:
        """Check an audit against Temporal and the keyring, without any trust in the ledger.

        `text`: its entries, a JSON object a line. That its chain is whole and its head the one
        that was put into Temporal; that each signature is of whom it names; that each receipt and
        ruling stands in the history of its case, and each receipt of those histories in it; and
        each order that the agent's steward holds.

        Raises:
            InvalidRequest: if it is no audit.
            RPCError: if the server does not answer.
        """
        found = _read(text)
        period = found[0].body
        try:
            agent = str(period["agent"])
            since = datetime.fromisoformat(str(period["since"]))
            until = datetime.fromisoformat(str(period["until"]))
        except (KeyError, ValueError) as error:
            raise InvalidRequest(f"this is no audit: its first entry lacks {error}") from error
        client, head = await self.temporal(), found[-1].hash
        faults = chain_faults(found)
        known = await _seals(client, agent)
        seals = [seal for seal in known if (seal.since, seal.until) == (since, until)]
        before, earlier = period.get("before"), [each for each in known if each.until <= since]
        latest = max((each.until for each in earlier), default=since)
        if earlier and before not in {each.head for each in earlier if each.until == latest}:
            faults.append(f"it does not go on from the audit before it, which ended {latest}")
        faults += [
            f"another head was put into Temporal for this period, by {seal.by or 'somebody'}: "
            f"{seal.head[:12]} of {seal.entries} entries, here are {len(found)}"
            for seal in seals
            if seal.head != head
        ]
        facts = await _facts(client, agent, since, until, found)
        faults += proof_faults(found, self._trusted())
        faults += history_faults(found, facts, since, until)
        book = await steward_book(client, agent)
        faults += order_faults(found, book.changes if book else (), since, until)
        ours = [seal for seal in seals if seal.head == head]
        return AuditCheck(
            agent=agent,
            since=since,
            until=until,
            head=head,
            entries=len(found),
            cases=len(facts),
            sealed=(ours[0].by or "somebody") if ours else None,
            faults=tuple(faults),
            unseen=tuple(sorted(case for case, fact in facts.items() if fact is None)),
            erased=sum(each.erased for each in found),
        )


def _as_of(kind: AuditKind, row: Any, until: datetime) -> Any:
    """A row as it was when the period ended, so that the same period comes to the same head again.

    What came later is of a later period. A policy is loaded anew by each worker that starts.
    """

    def came_later(at: datetime | None) -> bool:
        return at is not None and at >= until

    if kind == "policy":
        return replace(row, loaded=row.first)
    if kind == "order" and came_later(row.ended):
        return replace(row, ended=None, ended_by=None, ended_why=None, ended_proofs=())
    if kind == "incident" and came_later(row.closed):
        return replace(row, closed=None, closed_by=None, closed_why=None)
    if kind == "review" and came_later(row.answered):
        return replace(row, answer=None, by=None, answered=None, note=None, proof=None)
    if kind == "effect" and row.receipt is not None and came_later(row.receipt.at):
        return replace(row, receipt=None, state=type(row.state)("intended"))
    return row


def _body(row: Any) -> dict[str, Any]:
    found: dict[str, Any] = TypeAdapter[Any](row.__class__).dump_python(row, mode="json")
    return found


async def _delete(client: Client, run: WorkflowExecution) -> None:
    """Have Temporal forget one run; it may have done so already."""
    named = Execution(workflow_id=run.id, run_id=run.run_id)
    asked = DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=named)
    try:
        await client.workflow_service.delete_workflow_execution(asked, retry=True)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


async def _seals(client: Client, agent: str) -> list[AuditSeal]:
    """The heads of audits that the steward of an agent holds, and that its histories have."""
    book = await steward_book(client, agent)
    found = [] if book is None else list(book.seals)
    steward = f"WorkflowId = {quoted(steward_id(agent), 'agent')}"
    async with aclosing(executions(client, steward)) as runs:
        async for run in runs:
            for event in await _events(client, run):
                signal = event.workflow_execution_signaled_event_attributes
                if signal.signal_name != "seal":
                    continue
                for value in await _values(client, signal.input.payloads):
                    # Anybody may send a signal, with anything in it.
                    with contextlib.suppress(ValidationError):
                        found.append(AuditSeal.model_validate(value))
    return [seal for number, seal in enumerate(found) if seal not in found[:number]]


async def _facts(
    client: Client, agent: str, since: datetime, until: datetime, entries: Iterable[AuditEntry]
) -> dict[str, CaseFacts | None]:
    """What histories say of the cases of an audit, and of all that were open meanwhile."""
    named = {str(case) for each in entries if (case := each.body.get("case"))}
    mine = f"HandrailAgent = {quoted(agent, 'agent')} AND HandrailState IS NOT NULL"
    then = f"StartTime < '{_z(until)}'"
    query = f"{mine} AND {then} AND (ExecutionStatus = 'Running' OR CloseTime >= '{_z(since)}')"
    runs: dict[str, list[WorkflowExecution]] = {}
    async with aclosing(executions(client, query)) as found:
        async for run in found:
            runs.setdefault(run.id, []).append(run)
    for case in named:
        async with aclosing(executions(client, f"WorkflowId = {quoted(case, 'case')}")) as found:
            runs[case] = [run async for run in found]
    slots = asyncio.Semaphore(AT_ONCE)

    async def read(case: str) -> tuple[str, CaseFacts | None]:
        async with slots:
            return case, await _of_case(client, runs[case])

    return dict(await asyncio.gather(*map(read, runs)))


def _z(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


async def _of_case(client: Client, runs: Iterable[WorkflowExecution]) -> CaseFacts | None:
    receipts: dict[str, Mapping[str, Any]] = {}
    proofs: set[str] = set()
    events = [event for run in runs for event in await _events(client, run)]
    for event in events:
        for value in await _values(client, _payloads(event)):
            held = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
            receipt: Any = held.get("receipt")
            if isinstance(receipt, dict) and "key" in receipt:
                receipts[str(cast("Any", receipt)["key"])] = cast("dict[str, Any]", receipt)
            if held.get("proof"):
                proofs.add(str(held["proof"]))
    return CaseFacts(receipts, frozenset(proofs)) if events else None


async def _events(client: Client, run: WorkflowExecution) -> list[HistoryEvent]:
    handle = client.get_workflow_handle(run.id, run_id=run.run_id)
    try:
        return list((await handle.fetch_history()).events)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return []
        raise


def _payloads(event: HistoryEvent) -> Iterable[Payload]:
    """What came to a case: results of its steps, signals, and updates that it accepted."""
    if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
        return event.activity_task_completed_event_attributes.result.payloads
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
        return event.workflow_execution_signaled_event_attributes.input.payloads
    accepted = event.workflow_execution_update_accepted_event_attributes
    return accepted.accepted_request.input.args.payloads


async def _values(client: Client, payloads: Iterable[Payload]) -> list[Any]:
    """What payloads hold. What cannot be read says nothing, for or against."""
    try:
        return await client.data_converter.decode(list(payloads))
    except Exception:  # noqa: BLE001  # codecs and converters raise anything
        return []


def _read(text: str) -> tuple[AuditEntry, ...]:
    """The entries of an audit, a line each."""
    found: list[AuditEntry] = []
    # Not `splitlines`: within JSON there may be what it takes for the end of a line.
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else (), 1):
        try:
            found.append(AuditEntry.model_validate_json(line))
        except ValidationError as error:
            raise InvalidRequest(f"line {number} is no entry: {first_fault(error)}") from error
    if not found:
        raise InvalidRequest("there is no entry in it")
    return tuple(found)
