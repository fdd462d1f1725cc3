"""`handrail approve`, `reject`, `amend` and `answer`."""

from __future__ import annotations

import copy
import difflib
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.text import Text
from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.service import RPCError, RPCStatusCode

from handrail.actions import DIGEST_PREFIX, Ruled, fits
from handrail.cli import words
from handrail.cli.context import SOON, client, json_of, settings
from handrail.cli.inbox import what_is_asked
from handrail.cli.listing import existing, gates_of, iso, open_gates
from handrail.cli.output import Code, Output, UsageError
from handrail.details import GateView
from handrail.exceptions import CaseError

# What a call says when no worker is there to answer it.
_NOBODY = {
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.FAILED_PRECONDITION,
}


@dataclass(frozen=True)
class Given:
    """A ruling as it was typed."""

    gate: str
    verb: str
    by: str
    why: str = ""
    digest: str | None = None
    changes: tuple[str, ...] = ()
    action: str | None = None
    said: str | None = None
    result: str | None = None


async def rule(out: Output, given: Given) -> int:
    """Rule on one gate: exactly on the action that is shown here, or was named."""
    connected = await client(settings())
    gate = await _find(connected, given.gate)
    handle = connected.get_workflow_handle(gate.case)
    fresh = await _ask_worker(handle, gate)
    gate = fresh or gate
    _require_digest(gate, given.digest)
    ruling = _ruling(gate, given)
    _show(out, gate, given, ruling)
    if not _agreed(out, given):
        out.say("nothing was sent")
        return Code.FAILED
    record = await _send(handle, given.verb, ruling) if fresh is not None else None
    if record is None:
        return await _leave(out, handle, gate, given.verb, ruling)
    return _judged(out, gate, record)


async def _find(connected: Client, named: str) -> GateView:
    """The open gate of that id, of an id that begins so, or the only one of a case.

    Raises:
        CaseError: if there is none.
        UsageError: if there are several.
    """
    if ":" in named:
        found = await gates_of(await existing(connected, named))
        lacking = f"{named} waits for nobody"
    else:
        found = [g for g in await open_gates(connected) if g.gate.startswith(named.lower())]
        lacking = f"no open gate {named}"
    if len(found) > 1:
        ids = ", ".join(f"{gate.gate} ({gate.case})" for gate in found[:5])
        raise UsageError(f"{named} is not one gate but {len(found)}: {ids}")
    if not found:
        raise CaseError(
            f"{lacking}: it may have been answered, or its time is over. "
            "`handrail inbox` lists what is open, `handrail show CASE` what became of one"
        )
    return found[0]


async def _ask_worker(handle: WorkflowHandle[Any, Any], gate: GateView) -> GateView | None:
    """The gate as its case sees it now; None when no worker answers.

    Raises:
        CaseError: if the case has closed it meanwhile.
    """
    try:
        answer: list[Any] = await handle.query("gates", rpc_timeout=SOON)
    except (WorkflowQueryFailedError, WorkflowQueryRejectedError):
        return None
    except RPCError as error:
        if error.status not in _NOBODY:
            raise
        return None
    views = [GateView.model_validate(each) for each in answer]
    now = next((each for each in views if each.gate == gate.gate), None)
    if now is None:
        raise CaseError(f"the gate {gate.gate} has closed; see `handrail show {gate.case}`")
    return now


def _require_digest(gate: GateView, named: str | None) -> None:
    if named is None or fits(gate.digest, named):
        return
    if len(named) < DIGEST_PREFIX:
        raise UsageError(f"--digest needs the first {DIGEST_PREFIX} digits or more")
    raise CaseError(
        f"the gate {gate.gate} asks about another action ({gate.digest[:DIGEST_PREFIX]}) than "
        f"the one that you name ({named}); look again: `handrail inbox`. Nothing was sent"
    )


def _ruling(gate: GateView, given: Given) -> dict[str, Any]:
    ruling: dict[str, Any] = {
        "gate": gate.gate,
        "digest": gate.digest,
        "by": given.by,
        "why": given.why,
    }
    if given.verb == "amend":
        ruling["action"] = amended(gate.action, given.changes, given.action)
    if given.said is not None:
        ruling["answer"] = given.said
    if given.result is not None:
        if given.said != "happened":
            raise UsageError("--result goes with `happened`")
        ruling["result"] = json_of(given.result, "--result")
    return ruling


def amended(action: dict[str, Any], changes: tuple[str, ...], whole: str | None) -> dict[str, Any]:
    """The action with its changes, or the whole other one.

    Raises:
        UsageError: if neither or both are given, or a field does not exist.
    """
    if bool(changes) == (whole is not None):
        raise UsageError("give either --set field=value (once or more), or --action JSON")
    if whole is not None:
        other = json_of(whole, "--action")
        if not isinstance(other, dict):
            raise UsageError("--action must be a JSON object")
        return other  # pyright: ignore[reportUnknownVariableType]  # JSON objects have text keys
    changed = copy.deepcopy(action)
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals:
            raise UsageError(f"--set {change}: write field=value")
        _change(changed, path.split("."), text, path)
    return changed


def _change(action: dict[str, Any], path: list[str], text: str, named: str) -> None:
    first, *rest = path
    if first not in action:
        near = difflib.get_close_matches(first, action, n=1)
        fix = f"did you mean {near[0]}?" if near else f"there are: {', '.join(action)}"
        raise UsageError(f"--set {named}: there is no field {first}; {fix}")
    if not rest:
        action[first] = _value(action[first], text)
        return
    inner = action[first]
    if not isinstance(inner, dict):
        raise UsageError(f"--set {named}: {first} has no fields")
    _change(inner, rest, text, named)  # pyright: ignore[reportUnknownArgumentType]  # JSON


def _value(before: Any, text: str) -> Any:
    """Text stays text: an order number 00123 is no number. Anything else is read as JSON."""
    if isinstance(before, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _show(out: Output, gate: GateView, given: Given, ruling: dict[str, Any]) -> None:
    verb = given.said or given.verb
    out.show(Text(f"{verb} {words.plain(gate.case)}, gate {gate.gate}", "bold"))
    out.show(*what_is_asked(gate))
    if "action" in ruling:
        out.show(words.label("instead", " "), words.code(ruling["action"]))


def _agreed(out: Output, given: Given) -> bool:
    """Ask once more, where a person approves at a terminal what they may not have seen before."""
    named = given.digest is not None or given.verb != "approve"
    if named or out.json or not sys.stdin.isatty():
        return True
    return input("Approve exactly this? [y/N] ").strip().lower() in {"y", "yes"}


async def _send(
    handle: WorkflowHandle[Any, Any], verb: str, ruling: dict[str, Any]
) -> Ruled | str | None:
    """Have the case judge it at once. The record, why it is refused, or None without answer."""
    try:
        return await handle.execute_update(  # pyright: ignore[reportUnknownMemberType]  # Temporal's own signature is
            "rule", ruling | {"verb": verb}, result_type=Ruled, rpc_timeout=SOON
        )
    except WorkflowUpdateFailedError as error:
        return getattr(error.cause, "message", None) or str(error.cause)
    except WorkflowUpdateRPCTimeoutOrCancelledError:
        return None
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise CaseError(f"the case {handle.id} has ended") from error
        if error.status not in _NOBODY:
            raise
        return None


def _judged(out: Output, gate: GateView, record: Ruled | str) -> int:
    if isinstance(record, str):
        out.say(f"handrail: not accepted: {words.plain(record)}", "red")
        out.data(_json(gate, accepted=False, note=record, record=None, sent="update"))
        return Code.REFUSED
    who = words.plain(record.by)
    proven = "" if record.proven else " (unproven)"
    out.show(
        Text(f"accepted: {record.verb} by {who}{proven} at {words.moment(record.at)}", "green")
    )
    document = record.model_dump(mode="json")
    out.data(_json(gate, accepted=True, note=record.note, record=document, sent="update"))
    return Code.DONE


async def _leave(
    out: Output,
    handle: WorkflowHandle[Any, Any],
    gate: GateView,
    verb: str,
    ruling: dict[str, Any],
) -> int:
    """Leave it for the case as a signal, to be judged when a worker runs."""
    try:
        await handle.signal(verb, ruling)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        raise CaseError(f"the case {gate.case} has ended") from error
    note = "no worker answers now: it was left for the case, which will judge it when one runs"
    out.show(Text(note, "yellow"))
    out.say(f"see `handrail show {words.plain(gate.case)}` for whether it was accepted")
    out.data(_json(gate, accepted=None, note=note, record=None, sent="signal"))
    return Code.DONE


def _json(gate: GateView, **more: Any) -> dict[str, Any]:
    at = iso(datetime.now(UTC))
    return {"gate": gate.gate, "case": gate.case, "digest": gate.digest, "sent_at": at, **more}
