"""Gates: those that are open, one of them as it is now, its form, and who may do what there.

Reading needs no worker: what waits is in the memo of its case. Whether a ruling is accepted is
said by the case alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from weakref import WeakKeyDictionary

from pydantic import ValidationError
from temporalio.client import (
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import RawValue
from temporalio.service import RPCError, RPCStatusCode

from handrail.actions import DIGEST_PREFIX, Ruling, RulingRecord, digest_of, fits
from handrail.agent import OPEN_QUERY, WAITING_FOR_ATTRIBUTE, describe_execution, is_paused
from handrail.client.gate_lists import GateList, GateReader
from handrail.exceptions import CaseError, InvalidRequest
from handrail.oversight import CaseView, GateView, strict_json
from handrail.text import one_line

if TYPE_CHECKING:
    from temporalio.client import Client, WorkflowExecution, WorkflowExecutionDescription

SOON = timedelta(seconds=5)
"""How long an answer is waited for that only a worker can give."""

WAITING = f"HandrailWaitingFor IS NOT NULL AND {OPEN_QUERY}"
"""The query for the cases that wait for a human."""

# What a call says when no worker is there to answer it.
_NOBODY = {
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.FAILED_PRECONDITION,
}


# Cases that left a question unanswered, and when, of each client.
_silent: WeakKeyDictionary[Client, dict[str, float]] = WeakKeyDictionary()


def _answers_nothing(client: Client, case: str) -> bool:
    """Whether a case left a question unanswered a moment ago: then it is not waited for again.

    Else who rules where a worker has just died waits for each question of a page in turn, longer
    than a browser does.
    """
    since = _silent.get(client, {}).get(case)
    return since is not None and time.monotonic() - since < SOON.total_seconds()


def _unanswered(client: Client, case: str) -> None:
    now = time.monotonic()
    known = _silent.get(client, {}).items()
    kept = {each: at for each, at in known if now - at < SOON.total_seconds()}
    _silent[client] = kept | {case: now}


class ImpossibleName(InvalidRequest):
    """A name that no role, agent or case can have, so that nothing was looked for."""


@dataclass(frozen=True)
class CaseReply:
    """What a case said to a ruling.

    `accepted` is None when no worker answered: the ruling was left for the case, which
    judges it when one runs. `note` says why it was not accepted. `record` is what the case
    keeps of it, where it said so.
    """

    accepted: bool | None
    note: str
    record: RulingRecord | None = None


LEFT = "no worker answers now: it was left for the case, which will judge it when one runs"

LEFT_PAUSED = (
    "the case is paused in Temporal: it was left for the case, which will judge it when somebody "
    "unpauses it there"
)


def quoted(value: str, what: str) -> str:
    """A value in a query of Temporal's.

    Raises:
        ImpossibleName: if it cannot stand in one.
    """
    if any(c in value for c in "'\"`\\\n"):
        raise ImpossibleName(f"{value!r} names no {what}")
    return f"'{value}'"


async def waiting(client: Client, role: str | None = None) -> GateList:
    """The open gates of every case, and the cases of which they cannot be read.

    Raises:
        ImpossibleName: if there can be no such role.
    """
    wanted = WAITING
    if role is not None:
        wanted += f" AND HandrailWaitingFor = {quoted(role, 'role')}"
    return await GateReader(client, wanted, memo_gates).look()


def gate_reader(client: Client) -> GateReader:
    """What keeps the open gates of every case for many who look."""
    return GateReader(client, WAITING, memo_gates)


async def gates_of(execution: WorkflowExecution) -> list[GateView]:
    """The open gates of one case; none where they cannot be read."""
    try:
        return await memo_gates(execution)
    except CaseError:
        return []


async def memo_gates(execution: WorkflowExecution) -> list[GateView]:
    """The open gates of one case. Its memo counts only while it waits for somebody.

    Raises:
        CaseError: if they cannot be read, or are not its own.
    """
    if not execution.typed_search_attributes.get(WAITING_FOR_ATTRIBUTE):
        return []
    try:
        raw = await execution.memo_value("gates", type_hint=RawValue)
        given: Any = strict_json(raw.payload.data)
    except Exception as error:  # anybody may have written it
        raise _unreadable(execution.id, error) from error
    return views_of(execution.id, given)


def _unreadable(case: str, error: Exception) -> CaseError:
    return CaseError(
        f"the questions of {case} cannot be read ({one_line(str(error), 200)}): Handrail did not "
        "write them, or a payload is lost; its page in Temporal's Web UI shows what it is"
    )


def views_of(case: str, given: Any) -> list[GateView]:
    """Open gates as a case gave them. What each shows is what its digest is of.

    Whoever may start workflows can have one say anything: people would see one action, and
    sign for another; and what cannot be shown would hide all the others.

    Raises:
        CaseError: if one cannot be shown, shows something else, or speaks for another case.
    """
    try:
        views = [GateView.model_validate(each) for each in given]
        genuine = all(each.case == case and is_shown(each) for each in views)
        for each in views:
            each.model_dump_json()
    except (ValueError, TypeError, RecursionError) as error:
        raise _unreadable(case, error) from error
    if genuine:
        return views
    raise CaseError(
        f"what {case} shows is not what would be done: it was not written by Handrail. Do not "
        "rule on it, and tell whoever runs Temporal"
    )


def is_shown(view: GateView) -> bool:
    """Whether the action that a gate shows is the one that its digest is of."""
    return digest_of(view.step, view.action) == view.digest


async def existing_case(client: Client, case: str) -> WorkflowExecutionDescription:
    """What the server knows of a case.

    Raises:
        CaseError: if there is none of that id.
    """
    try:
        return await describe_execution(client, case)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        raise CaseError(
            f"there is no case {case}; `handrail cases` lists them (an id is agent:key)"
        ) from error


async def fresh(client: Client, known: GateView) -> GateView | None:
    """A gate as its case sees it now; None when no worker answers.

    Raises:
        CaseError: if the case has closed it meanwhile, or shows what it is not.
    """
    answered = await query_case(client, known.case, "gates")
    if answered is None:
        return None
    views = views_of(known.case, answered)
    now = next((each for each in views if each.gate == known.gate), None)
    if now is None:
        raise closed(known.case, known.gate)
    return now


def closed(case: str, gate_id: str) -> CaseError:
    """What is said of a gate that is not open any more."""
    return CaseError(f"the gate {gate_id} has closed; see `handrail show {case}`")


async def case_view(client: Client, case: str) -> CaseView | None:
    """Everything about a case; None when nobody answers, or what answers is no agent."""
    try:
        answer = await query_case(client, case, "case")
        view = None if answer is None else CaseView.model_validate(answer)
    except (RPCError, ValidationError):
        return None
    genuine = view is not None and all(g.case == case and is_shown(g) for g in view.gates)
    return view if genuine else None


async def query_case(client: Client, case: str, name: str, *args: Any) -> Any:
    """Ask a case; None when no worker answers, or its code cannot.

    Raises:
        CaseError: if there is no such case.
        RPCError: if the server refuses for another reason.
    """
    if _answers_nothing(client, case):
        return None
    handle = client.get_workflow_handle(case)
    try:
        return await handle.query(name, args=args, rpc_timeout=SOON)
    except (WorkflowQueryFailedError, WorkflowQueryRejectedError):
        return None
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise CaseError(f"there is no case {case}") from error
        if error.status not in _NOBODY:
            raise
        _unanswered(client, case)
        return None
    # It is paused in Temporal, whose status the SDK does not know; or no agent of ours answers.
    except Exception:  # noqa: BLE001  # decoding raises anything
        return None


async def send(
    client: Client, to: GateView, verb: str, ruling: Ruling, *, at_once: bool = True
) -> CaseReply:
    """Have a case judge a ruling, or leave it for the case when no worker answers.

    `at_once=False` leaves it without asking first.

    Raises:
        CaseError: if the case has ended.
    """
    # Only what was said: an older worker knows no field that came later.
    said = ruling.model_dump(mode="json", exclude_defaults=True)
    if at_once:
        sent = await _update(client, to.case, verb, said)
        if sent is not None:
            return sent
    try:
        await client.get_workflow_handle(to.case).signal(verb, said)
    except RPCError as error:
        raise _ended(to.case, error) from error
    paused = is_paused(await existing_case(client, to.case))
    return CaseReply(None, LEFT_PAUSED if paused else LEFT)


async def _update(client: Client, case: str, verb: str, said: dict[str, Any]) -> CaseReply | None:
    if _answers_nothing(client, case):
        return None
    handle: Any = client.get_workflow_handle(case)
    try:
        record: RulingRecord = await handle.execute_update(
            "rule", said | {"verb": verb}, result_type=RulingRecord, rpc_timeout=SOON
        )
    except WorkflowUpdateFailedError as error:
        return CaseReply(False, getattr(error.cause, "message", None) or str(error.cause))
    except WorkflowUpdateRPCTimeoutOrCancelledError:
        return None
    except RPCError as error:
        if error.status in _NOBODY:
            return None
        raise _ended(case, error) from error
    return CaseReply(record.accepted, record.note, record)


def _ended(case: str, error: RPCError) -> Exception:
    if error.status is not RPCStatusCode.NOT_FOUND:
        return error
    return CaseError(f"the case {case} has ended")


def case_url(ui_url: str, namespace: str, case: str) -> str:
    """The page of a case in Temporal's Web UI. Without a run id: it goes on in later runs."""
    return f"{ui_url}/namespaces/{quote(namespace, safe='')}/workflows/{quote(case, safe='')}"


def require_digest(gate: GateView, named: str | None) -> None:
    """See that a gate asks about the action that was named, if one was.

    Raises:
        InvalidRequest: if too little of it was named.
        CaseError: if it asks about another.
    """
    if named is None or fits(gate.digest, named):
        return
    if len(named) < DIGEST_PREFIX:
        raise InvalidRequest(f"a digest needs its first {DIGEST_PREFIX} digits or more", "digest")
    raise CaseError(
        f"the gate {gate.gate} asks about another action ({gate.digest[:DIGEST_PREFIX]}) than "
        f"the one that you name ({named[:DIGEST_PREFIX]}); look again at what it asks now. "
        "Nothing was sent"
    )
