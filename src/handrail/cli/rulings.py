"""`handrail approve`, `reject`, `amend`, `answer`, `ask`, `delegate` and `revoke`."""

from __future__ import annotations

import copy
import difflib
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from rich.text import Text
from temporalio.client import Client

from handrail.actions import DIGEST_PREFIX, Ruling, fits
from handrail.cli import signing, words
from handrail.cli.context import client, json_of, settings
from handrail.cli.inbox import what_is_asked
from handrail.cli.output import Code, Output, UsageError
from handrail.client import gates
from handrail.client.cases import iso
from handrail.client.gates import CaseReply
from handrail.exceptions import CaseError
from handrail.oversight import DOUBT_ANSWERS, GateKind, GateView
from handrail.text import first_fault


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
    to: str | None = None
    question: str | None = None


async def rule(out: Output, given: Given) -> int:
    """Rule on one gate: exactly on the action that is shown here, or was named."""
    found = settings()
    connected = await client(found)
    gate = await find_gate(connected, given.gate)
    fresh = await gates.fresh(connected, gate)
    gate = fresh or gate
    require_digest(gate, given.digest)
    ruling = ruling_of(gate, given)
    key = signing.key_of(out, found, gate, given.by)
    _show(out, gate, given, ruling)
    if not _agreed(out, given):
        out.say("nothing was sent")
        return Code.FAILED
    ruling = signing.signed(ruling, given.verb, gate.case, key)
    sent = await gates.send(connected, gate, given.verb, ruling, at_once=fresh is not None)
    return _judged(out, gate, sent)


async def find_gate(connected: Client, named: str) -> GateView:
    """The open gate of that id, of an id that begins so, or the only one of a case.

    Raises:
        CaseError: if there is none.
        UsageError: if there are several.
    """
    if ":" in named:
        found = await gates.gates_of(await gates.existing(connected, named))
        lacking = f"{named} waits for nobody"
    else:
        found = [g for g in await gates.open_gates(connected) if g.gate.startswith(named.lower())]
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


def require_digest(gate: GateView, named: str | None) -> None:
    """See that a gate asks about the action that was named, if one was.

    Raises:
        UsageError: if too little of it was named.
        CaseError: if it asks about another.
    """
    if named is None or fits(gate.digest, named):
        return
    if len(named) < DIGEST_PREFIX:
        raise UsageError(f"--digest needs the first {DIGEST_PREFIX} digits or more")
    raise CaseError(
        f"the gate {gate.gate} asks about another action ({gate.digest[:DIGEST_PREFIX]}) than "
        f"the one that you name ({named}); look again: `handrail inbox`. Nothing was sent"
    )


def ruling_of(gate: GateView, given: Given) -> Ruling:
    """What was typed, as a ruling on this gate.

    Raises:
        UsageError: if the gate does not take it, or it is no ruling.
    """
    said: dict[str, Any] = {
        "gate": gate.gate,
        "digest": gate.digest,
        "by": given.by,
        "why": given.why,
    }
    if given.verb == "amend":
        said["action"] = amended(gate.action, given.changes, given.action)
    if given.verb == "answer":
        said |= _answer(gate, given)
    if given.to is not None:
        said["to"] = given.to
    try:
        return Ruling.model_validate(said)
    except ValidationError as error:
        raise UsageError(f"this is no ruling: {first_fault(error)}") from error


def _answer(gate: GateView, given: Given) -> dict[str, Any]:
    """What was answered: to an approver's question, to the agent's own, or of a write in doubt."""
    if given.question is not None:
        return {"answer": given.said, "question": given.question}
    if gate.kind is GateKind.IN_DOUBT:
        return _of_doubt(given)
    if gate.kind is not GateKind.QUESTION:
        raise UsageError("this gate is approved, amended or rejected; --question ID answers one")
    if (given.said is None) == (given.result is None):
        raise UsageError("give the answer as JSON, or --result with it")
    return {"result": json_of(given.said or given.result or "", "the answer")}


def _of_doubt(given: Given) -> dict[str, Any]:
    said = (given.said or "").replace("-", " ")
    if said not in DOUBT_ANSWERS:
        known = ", ".join(each.replace(" ", "-") for each in DOUBT_ANSWERS)
        raise UsageError(f"say what became of it: {known}")
    if given.result is None:
        return {"answer": said}
    if said != "happened":
        raise UsageError("--result goes with `happened`")
    return {"answer": said, "result": json_of(given.result, "--result")}


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
        action[first] = value_of(action[first], text)
        return
    inner = action[first]
    if not isinstance(inner, dict):
        raise UsageError(f"--set {named}: {first} has no fields")
    _change(inner, rest, text, named)  # pyright: ignore[reportUnknownArgumentType]  # JSON


def value_of(before: Any, text: str) -> Any:
    """Text stays text: an order number 00123 is no number. Anything else is read as JSON."""
    if isinstance(before, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _show(out: Output, gate: GateView, given: Given, ruling: Ruling) -> None:
    verb = given.said or given.verb
    out.show(Text(f"{verb} {words.plain(gate.case)}, gate {gate.gate}", "bold"))
    out.show(*what_is_asked(gate))
    if ruling.action is not None:
        out.show(words.label("instead", " "), words.code(ruling.action))
    if ruling.to is not None:
        out.show(words.label("to", words.plain(ruling.to)))


def _agreed(out: Output, given: Given) -> bool:
    """Ask once more, where a person approves at a terminal what they may not have seen before."""
    named = given.digest is not None or given.verb != "approve"
    if named or out.json or not sys.stdin.isatty():
        return True
    return input("Approve exactly this? [y/N] ").strip().lower() in {"y", "yes"}


def _judged(out: Output, gate: GateView, sent: CaseReply) -> int:
    record = sent.record
    if sent.accepted is None:
        out.show(Text(sent.note, "yellow"))
        out.say(f"see `handrail show {words.plain(gate.case)}` for whether it was accepted")
        out.data(_json(gate, accepted=None, note=sent.note, record=None, sent="signal"))
        return Code.DONE
    if not sent.accepted or record is None:
        out.say(f"handrail: not accepted: {words.plain(sent.note)}", "red")
        out.data(_json(gate, accepted=False, note=sent.note, record=None, sent="update"))
        return Code.REFUSED
    who = words.plain(record.by)
    proven = "" if record.proven else " (unproven)"
    out.show(
        Text(f"accepted: {record.verb} by {who}{proven} at {words.moment(record.at)}", "green")
    )
    document = record.model_dump(mode="json")
    out.data(_json(gate, accepted=True, note=record.note, record=document, sent="update"))
    return Code.DONE


def _json(gate: GateView, **more: Any) -> dict[str, Any]:
    at = iso(datetime.now(UTC))
    return {"gate": gate.gate, "case": gate.case, "digest": gate.digest, "sent_at": at, **more}
