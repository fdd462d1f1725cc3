"""`handrail approve`, `reject`, `amend`, `answer`, `ask`, `delegate`, `revoke` and `rulings`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Parameter
from rich.text import Text

from handrail.cli.context import (
    By,
    Digest,
    Gate,
    Since,
    Why,
    json_of,
    moment_of,
    operator,
    value_of,
)
from handrail.cli.inbox import what_is_asked
from handrail.cli.output import PLAIN, Code, Output, exactly, label, moment, plain
from handrail.exceptions import InvalidRequest
from handrail.text import unproven

if TYPE_CHECKING:
    from handrail.client import RulingResult, SignedRuling
    from handrail.oversight import GateView


async def approve(
    gate: Gate, *, by: By, why: Why = "", digest: Digest = None, out: Output = PLAIN
) -> int:
    """Let a write happen, exactly as it is shown."""
    return await _rule(out, gate, "approve", by, digest, said=lambda _: {"why": why})


async def reject(
    gate: Gate, *, by: By, why: Why, digest: Digest = None, out: Output = PLAIN
) -> int:
    """Do not let a write happen."""
    return await _rule(out, gate, "reject", by, digest, said=lambda _: {"why": why})


async def amend(
    gate: Gate,
    *,
    by: By,
    set_: Annotated[
        tuple[str, ...],
        Parameter(name="--set", help="Change one field: field=value. May be repeated."),
    ] = (),
    action: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True, help="The whole action as JSON, @file, or - for stdin."
        ),
    ] = None,
    why: Why = "",
    digest: Digest = None,
    out: Output = PLAIN,
) -> int:
    """Have another action done instead. It passes the door again."""

    def said(shown: GateView) -> dict[str, Any]:
        return {"why": why, "action": amended_action(shown.action, set_, action)}

    return await _rule(out, gate, "amend", by, digest, said=said)


async def answer(
    gate: Gate,
    what: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    *,
    by: By,
    question: Annotated[
        str | None,
        Parameter(help="The question of an approver that it answers: how its id begins."),
    ] = None,
    result: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True, help="With `happened`: what the write returned, as JSON."
        ),
    ] = None,
    why: Why = "",
    digest: Digest = None,
    out: Output = PLAIN,
) -> int:
    """Say what became of a write in doubt, or answer a question.

    Parameters
    ----------
    what
        Of a write in doubt: happened (do not repeat it), do-it (it did not happen), or drop
        (leave it at that). To an agent's question: JSON, @file, or -. With --question: words.
    """

    def said(shown: GateView) -> dict[str, Any]:
        return {"why": why, **answered(shown, what, result, question)}

    return await _rule(out, gate, "answer", by, digest, said=said)


async def ask(
    gate: Gate,
    question: str,
    *,
    by: By,
    to: Annotated[str, Parameter(help="Whom: `agent`, or a person whom the policy names.")],
    digest: Digest = None,
    out: Output = PLAIN,
) -> int:
    """Ask the agent or a colleague before you rule. The answer is added to the evidence."""
    return await _rule(out, gate, "ask", by, digest, said=lambda _: {"why": question, "to": to})


async def delegate(
    gate: Gate,
    *,
    by: By,
    to: Annotated[str, Parameter(help="Who rules in your place: one whom the policy lets.")],
    why: Why = "",
    digest: Digest = None,
    out: Output = PLAIN,
) -> int:
    """Let somebody else rule on this one gate in your place."""
    return await _rule(out, gate, "delegate", by, digest, said=lambda _: {"why": why, "to": to})


async def revoke(
    gate: Gate, *, by: By, why: Why = "", digest: Digest = None, out: Output = PLAIN
) -> int:
    """Take back what you said to a gate that is still open."""
    return await _rule(out, gate, "revoke", by, digest, said=lambda _: {"why": why})


async def _rule(
    out: Output,
    named: str,
    verb: str,
    by: str,
    digest: str | None,
    *,
    said: Callable[[GateView], dict[str, Any]],
) -> int:
    """Rule on one gate: exactly on the action that is shown here, or was named."""
    async with operator(out, by, signs=True, ledger="none") as person:
        found = await person.find(named)
        gate = await person.gate(found.case, found.gate)
        fields = said(gate)
        # A person at a terminal may not have seen before what they approve.
        asked = verb == "approve" and digest is None and not out.json and sys.stdin.isatty()
        if asked:
            _show(out, gate, verb, fields)
            if not _agreed():
                out.say("nothing was sent")
                return Code.FAILED
        try:
            ruled = await person.rule(gate, verb, digest=digest, **fields)
        except InvalidRequest as error:
            # That a gate takes no such ruling was always the case's answer: it was refused.
            if error.field != "verb" or verb == "answer":
                raise
            return out.failed(str(error), "refused", Code.REFUSED)
    if not asked:
        _show(out, gate, verb, fields)
    out.data(ruled)
    return _say_ruled(out, ruled)


def _agreed() -> bool:
    return input("Approve exactly this? [y/N] ").strip().lower() in {"y", "yes"}


def amended_action(
    action: dict[str, Any], changes: tuple[str, ...], whole: str | None
) -> dict[str, Any]:
    """The action with its changes, or the whole other one.

    Raises:
        InvalidRequest: if neither or both are given, or a field does not exist.
    """
    from handrail.client import amended

    if bool(changes) == (whole is not None):
        raise InvalidRequest("give either --set field=value (once or more), or --action JSON")
    if whole is not None:
        other = json_of(whole, "--action")
        if not isinstance(other, dict):
            raise InvalidRequest("--action must be a JSON object")
        return cast("dict[str, Any]", other)
    found: dict[str, Any] = {}
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals:
            raise InvalidRequest(f"--set {change}: write field=value")
        found[path] = value_of(_at(action, path.split(".")), text)
    return amended(action, found)


def _at(action: Any, path: list[str]) -> Any:
    for name in path:
        action = cast("dict[str, Any]", action).get(name) if isinstance(action, dict) else None
    return action


def answered(
    gate: GateView, what: str | None, result: str | None, question: str | None
) -> dict[str, Any]:
    """What was typed as an answer: to an approver's question, the agent's own, or of a doubt.

    Raises:
        InvalidRequest: if what must be JSON is none.
    """
    if question is not None:
        ids = [each.id for each in gate.asked if question and each.id.startswith(question)]
        return {"answer": what, "question": ids[0] if len(ids) == 1 else question}
    if gate.kind != "question":
        given = None if result is None else json_of(result, "--result")
        return {"answer": what, "result": given}
    if (what is None) == (result is None):
        raise InvalidRequest("give the answer as JSON, or --result with it")
    return {"result": json_of(what or result or "", "the answer")}


def _show(out: Output, gate: GateView, verb: str, fields: dict[str, Any]) -> None:
    said = fields.get("answer") or verb
    out.show(Text(f"{plain(said)} {plain(gate.case)}, gate {gate.gate}", "bold"))
    out.show(*what_is_asked(gate))
    if "action" in fields:
        out.show(label("instead", " "), exactly(fields["action"]))
    if "to" in fields:
        out.show(label("to", plain(fields["to"])))


def _say_ruled(out: Output, ruled: RulingResult) -> Code:
    if ruled.accepted is None:
        out.show(Text(ruled.note, "yellow"))
        out.say(f"see `handrail show {plain(ruled.case)}` for whether it was accepted")
        return Code.DONE
    record = ruled.record
    if not ruled.accepted or record is None:
        out.say(f"handrail: not accepted: {plain(ruled.note)}", "red")
        return Code.REFUSED
    who = f"{plain(record.by)}{unproven(proven=record.proven, via=record.via)}"
    out.show(Text(f"accepted: {record.verb} by {who} at {moment(record.at)}", "green"))
    return Code.DONE


# The record


async def rulings(
    *,
    by: Annotated[str | None, Parameter(help="Of this person only.")] = None,
    case: Annotated[str | None, Parameter(help="On this case only.")] = None,
    since: Since = None,
    limit: Annotated[int, Parameter(help="At most so many, the newest.")] = 50,
    verify: Annotated[
        bool,
        Parameter(negative=(), help="Prove each again with the keyring; 1 if one fails."),
    ] = False,
    out: Output = PLAIN,
) -> int:
    """List rulings as they were signed, the newest first."""
    from handrail.client import BY_NAME_ONLY

    begin = moment_of(since)
    async with operator(out, ledger="needed") as somebody:
        found = await somebody.rulings(by=by, case=case, since=begin, limit=limit, prove=verify)
    out.data(found)
    for row in found.rulings:
        out.show(*_lines(row))
    out.show_rest(len(found.rulings), limit, "no signed rulings")
    bad = sum(row.proven is False and row.why != BY_NAME_ONLY for row in found.rulings)
    if bad:
        out.say(f"handrail: {bad} of {len(found.rulings)} do not prove themselves", "red")
    return Code.FAILED if bad else Code.DONE


def _lines(row: SignedRuling) -> list[Text]:
    place = f" for {plain(row.stands_for)}" if row.stands_for else ""
    via = f" by {plain(row.via)}" if row.via else ""
    looked = f", looked {row.looked:.0f} s" if row.looked is not None else ""
    head = Text.assemble(
        f"{moment(row.at)}  {plain(row.by)}{place}  ",
        (row.verb, "bold"),
        f"  {plain(row.case)}  {plain(row.step)} {row.digest[:12]}{via}{looked}",
        ("  planted", "yellow") if row.planted else "",
    )
    lines = [head]
    if row.effect:
        lines.append(label("used for", plain(row.effect)))
    if row.proven:
        lines.append(label("proven", f"by the key {plain(row.kid)}", "green"))
    if row.proven is False:
        lines.append(label("NOT PROVEN", plain(row.why), "red"))
    return lines
