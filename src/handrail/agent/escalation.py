"""Escalation: what a case asks people, and what their answers make of a write. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field, JsonValue, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json, to_jsonable_python

from handrail.actions import (
    Action,
    Basis,
    Kind,
    LedgerMark,
    Receipt,
    Ruling,
    RulingRecord,
    Transition,
    Undoes,
    Usage,
    Verb,
    Verdict,
    Wire,
    as_json,
    canonical,
    digest_of,
    json_schema,
    undo_key,
)
from handrail.agent.case_notes import CaseNotes
from handrail.agent.decided import recalled
from handrail.agent.provenance import HeardTexts
from handrail.agent.round_trip import rewritten
from handrail.agent.steps import Decide, Step, Write
from handrail.agent.tool_plan import ToolPlan
from handrail.agent.units import units_of
from handrail.exceptions import Expired, InDoubt, Refused, Rejected, fallback
from handrail.oversight import Closing, GateKind, LogLine, Question, read_amendment
from handrail.states import State
from handrail.text import first_fault, first_line, one_line
from handrail.wire import (
    Attempt,
    DoubtAnswer,
    HandOff,
    HandOffState,
    RulingReading,
    WriteResult,
    WriteResultKind,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_ACTION = 32_000
"""Characters of the largest action, as JSON: it must fit into memo and details."""

OWN_QUESTION = "ask"
"""What stands for a write step in an agent's own question."""

FRESH = timedelta(minutes=1)
"""How long what the door said of a decision stands for what it would say of the write.

When people work was told from that moment on, so that it is asked again later."""

ASK_AGAIN = timedelta(minutes=1)
"""How long a case that met a stop waits before it asks again; each time twice as long, and at
most `ASK_AGAIN_MOST`. Whoever lifts a stop resumes those that wait for it."""

ASK_AGAIN_MOST = timedelta(hours=1)

_TITLE = 500
_SUMMARY = 150
_WITHIN = b"[" * 16
"""Deeper than what a ruling is sent in."""


class UndoEntry(Wire):
    """A write that may have happened, and the step that takes it back, if there is one.

    Or a hand-off: then `agent` is the one that work was handed to, and `handed_to` its case, as
    soon as that is known; `action` is the event. `units`: what its fields are in.
    """

    key: str
    step: str
    undo: str | None
    action: dict[str, JsonValue]
    digest: str
    timeout: timedelta
    receipt: Receipt | None = None
    wait: timedelta = timedelta(0)
    agent: str = ""
    handed_to: str = ""
    # Not carried on into the next run: workers of an older build could not read it.
    units: dict[str, str] = Field(default_factory=dict[str, str], exclude=True)

    def attempt(self, case: str, digest: str, **known: Any) -> Attempt:
        """The attempt that undoes it, under a key of its own that is always the same."""
        undoes = Undoes(key=self.key, receipt=self.receipt)
        return Attempt(case=case, key=undo_key(self.key), digest=digest, undoes=undoes, **known)


class CaseSnapshot(Wire):
    """What a case takes along when it continues as new."""

    writes: int
    notices: int
    undos: tuple[UndoEntry, ...]
    receipts: tuple[Receipt, ...]
    rulings: tuple[RulingRecord, ...]
    moves: tuple[Transition, ...]
    log: tuple[LogLine, ...]
    unsent: tuple[str, ...]
    usage: Usage
    pilot: bool = False
    outside: bool = False
    incidents: tuple[str, ...] = ()
    handed: HandOffState = HandOffState()
    called: dict[str, list[JsonValue] | bool] = Field(default_factory=dict[str, Any])
    notes: CaseNotes = Field(default_factory=CaseNotes)
    plan: ToolPlan | None = None
    heard: HeardTexts | None = HeardTexts()


@dataclass(frozen=True)
class Pending:
    """A ruling that must be proven before it is judged. `number`: the how-manieth it is.

    `reading`: what the classes of the moment make of what it brings.
    """

    number: int
    verb: str
    ruling: Ruling
    at: datetime
    reading: RulingReading | None = None


@dataclass(frozen=True)
class AnswerModel:
    """What the answers to one question must be made of: an action, or a write's result."""

    action: type[Action]
    result: TypeAdapter[Any] | None = None

    def fault(self, result: JsonValue) -> str | None:
        """What is wrong with a result that a human names; None if it will do."""
        if self.result is None:
            return None
        try:
            self.result.validate_json(to_json(result), by_alias=True, by_name=True)
        except ValidationError as error:
            asks = self.action is Action
            what = "it is not what is asked" if asks else "`result` is not what this write returns"
            return f"{what}: {first_fault(error)}"
        # The agent's own validators: whatever they raise, a ruling must not wedge the case.
        except Exception as error:  # noqa: BLE001
            return f"`result` cannot be judged: {type(error).__name__}: {error}"
        return None

    def reading(self, verb: str, ruling: Ruling) -> RulingReading:
        """What the classes of today make of an amendment or an answer."""
        if verb == Verb.AMEND:
            read = read_amendment(self.action, ruling)
            sent, made = ruling.action, read.action
            unlike = "it cannot be compared"
            other = made and fallback(unlike, lambda: rewritten(sent, made, ""))
            if other:
                why = f"the class of the action makes another one of it: {other}; send that"
                read = RulingReading(fault=why)
        else:
            read = RulingReading(fault=self.fault(ruling.result))
        # What a validator says may quote half a character, which has no bytes.
        fault = read.fault and read.fault.encode(errors="backslashreplace").decode()
        return read.model_copy(update={"fault": fault})

    def form(self, kind: GateKind) -> dict[str, Any]:
        """The JSON schema of what a human fills in: the action, or the result."""
        if kind is GateKind.WRITE:
            return json_schema(self.action)
        return self.result.json_schema(by_alias=False) if self.result is not None else {}


def as_sent(ruling: Ruling) -> RulingReading:
    """A ruling before any class has said anything of it."""
    try:
        # Half of a character is a text, and has no bytes; what is nested deep is not read again.
        from_json(_WITHIN + to_json(ruling) + _WITHIN.replace(b"[", b"]"))
    except (ValueError, RecursionError) as error:
        return RulingReading(fault=f"it cannot be kept: {error}"[:_TITLE])
    return RulingReading(action=ruling.action)


def foreseen(verdict: Verdict | None, asked: bool) -> WriteResult | None:  # noqa: FBT001
    """What the door said when the decision was made, if it would not just let it pass.

    It did not know then who `asked`, so it is asked again where somebody did.
    """
    if verdict is None or verdict.kind is Kind.PASS or asked:
        return None
    held = verdict.kind is Kind.HOLD
    return WriteResult(
        kind=WriteResultKind.HELD if held else WriteResultKind.REFUSED, verdict=verdict
    )


def digest(step: Write[Any, Any], given: Mapping[str, Any]) -> str:
    """The digest of an action as JSON, if it is small enough to ask people about.

    Raises:
        Refused: if it is not.
    """
    size = len(canonical(given))
    if size > LARGEST_ACTION:
        raise Refused(
            step.name,
            f"the action has {size} characters and {LARGEST_ACTION} are the most that people can "
            "be asked about; refer to large data by its id",
        )
    return digest_of(step.name, given)


def undo_entry(step: Write[Any, Any], action: dict[str, JsonValue], attempt: Attempt) -> UndoEntry:
    """What to remember of a write before it begins."""
    return UndoEntry(
        key=attempt.key,
        step=step.name,
        undo=step.undo.name if step.undo else None,
        action=action,
        digest=attempt.digest,
        timeout=step.undo.timeout if step.undo else step.timeout,
        wait=_wait(step),
        units=units_of("action", step.action, action),
    )


def handed_entry(key: str, asked: HandOff) -> UndoEntry:
    """What to remember of a hand-off before it begins."""
    return UndoEntry(
        key=key,
        step=f"hand_off to {asked.to}",
        undo=None,
        action=asked.event,
        digest="",
        timeout=timedelta(0),
        agent=asked.to,
    )


def _wait(step: Write[Any, Any]) -> timedelta:
    """How long an undo may have to wait: for the write, and for what it sent itself before."""
    writes = [step] if step.undo is None else [step, step.undo]
    return step.timeout + sum((each.settles or timedelta(0) for each in writes), timedelta(0))


def as_the_door_has_it(
    answer: WriteResult, attempt: Attempt, action: dict[str, JsonValue]
) -> tuple[Attempt, dict[str, JsonValue]]:
    """What people are asked about: another action, where the class has changed since."""
    if answer.action is None:
        return attempt, action
    return attempt.model_copy(update={"digest": answer.digest}), answer.action


def ledger_seen(receipts: Sequence[Receipt]) -> LedgerMark | None:
    """The ledger of the last receipt that says it."""
    return next((each.ledger for each in reversed(receipts) if each.ledger is not None), None)


def may_come(answer: WriteResult) -> bool:
    """Whether the receipt of what people are asked about may come after all."""
    unsure = {WriteResultKind.IN_DOUBT, WriteResultKind.FAILED}
    return answer.kind in unsure or bool(answer.token) or answer.sent is not None


def about_write(
    step: Write[Any, Any],
    action: dict[str, JsonValue],
    answer: WriteResult,
    attempt: Attempt,
    evidence: BaseModel | None = None,
) -> Question:
    """May this be done? Or, of a write in doubt: did it happen?"""
    told = attempt.basis.evidence if attempt.basis else None
    doubtful = answer.kind is WriteResultKind.IN_DOUBT
    return Question(
        kind=GateKind.IN_DOUBT if doubtful else GateKind.WRITE,
        step=step.name,
        title=first_line(step.action.__doc__ or "") or step.summary,
        summary=said_in_a_line(step.action, action),
        units=units_of("action", step.action, action) | units_of("evidence", type(evidence), told),
        action=action,
        digest=attempt.digest,
        misfit=answer.misfit,
        why=answer.why or answer.verdict.why(),
        asks=answer.verdict.asks,
        findings=answer.verdict.findings,
        basis=attempt.basis,
        requester=attempt.requester,
        drafters=attempt.drafters,
        askers=attempt.askers,
        given=() if doubtful else _heard(attempt.rulings, answer.verdict.heard),
        risk="reversible" if step.undo is not None else "irreversible",
        policy=answer.verdict.policy,
        terms=answer.verdict.terms.model_copy(update={"planted": None}),
    )


def said_in_a_line(kind: type[Action], action: Mapping[str, JsonValue]) -> str:
    """What an action says of itself by its property `summary`; empty where it has none."""
    if not isinstance(getattr(kind, "summary", None), property):
        return ""
    # Its fault must not hold up the question.
    return fallback(
        "", lambda: one_line(str(recalled(kind, action, by_name=True).summary), _SUMMARY)
    )


def ui_line(*said: str) -> str:
    """A summary for Temporal's UI, which takes 400 bytes of one."""
    return ": ".join(filter(None, said)).encode()[:300].decode(errors="ignore")


def waiting_line(roles: str, asked: Question) -> str:
    """What Temporal's UI says of the timer of a gate."""
    where = asked.summary or "the question is in the tab User Metadata"
    return ui_line(f"waiting for {roles}", where)


def _heard(
    rulings: tuple[RulingRecord, ...], heard: tuple[str, ...] | None
) -> tuple[RulingRecord, ...]:
    """The rulings that count still. Whose do not, may rule again."""
    return rulings if heard is None else tuple(r for r in rulings if r.by in heard)


def planted(step: Write[Any, Any], answer: WriteResult, asked: Question) -> Question | None:
    """A bad proposal that is asked about before the real one, and never done; mostly None."""
    bad = answer.verdict.terms.planted
    if bad is None or asked.kind is not GateKind.WRITE or asked.given:
        return None
    changed: dict[str, Any] = {"action": bad, "digest": digest_of(step.name, bad), "planted": True}
    changed["units"] = asked.units | units_of("action", step.action, bad)
    return asked.model_copy(update=changed | {"summary": said_in_a_line(step.action, bad)})


def agents_own(
    text: str, form: dict[str, Any], evidence: BaseModel | None, whom: Verdict
) -> Question:
    """An agent's own question to people."""
    shown = None if evidence is None else as_json(evidence)
    action: dict[str, JsonValue] = {"question": text, "answer": form.get("title", "an answer")}
    return Question(
        kind=GateKind.QUESTION,
        step=OWN_QUESTION,
        title=text[:_TITLE],
        action=action,
        digest=digest_of(OWN_QUESTION, action),
        why="the agent asks",
        asks=whom.asks,
        basis=Basis(evidence=shown),
        units=units_of("evidence", type(evidence), shown),
        policy=whom.policy,
        terms=whom.terms,
    )


def about_decision(step: Decide[..., Any], why: str, whom: Verdict) -> Question:
    """Shall a step try again that could not decide?"""
    action: dict[str, JsonValue] = {"step": step.name, "tries": step.tries, "error": why}
    return Question(
        kind=GateKind.UNDECIDED,
        step=step.name,
        title=step.summary,
        action=action,
        digest=digest_of(step.name, action),
        why=f"the agent cannot decide: {why}",
        asks=whom.asks,
        policy=whom.policy,
        terms=whom.terms,
    )


def about_read(
    step: Step[..., Any], args: Mapping[str, Any], why: Sequence[str], whom: Verdict
) -> Question:
    """May a read, or a notification, be sent that a text from outside may have chosen?"""
    given = to_jsonable_python(args, by_alias=False, fallback=repr)
    return Question(
        kind=GateKind.READ,
        step=step.name,
        title=step.summary,
        action=given,
        digest=digest_of(step.name, given),
        why=f"it reaches somebody outside: {'; '.join(why)}",
        asks=whom.asks,
        policy=whom.policy,
        terms=whom.terms,
    )


def about_undo(
    entry: UndoEntry, action: dict[str, JsonValue], attempt: Attempt, answer: WriteResult
) -> Question:
    """What to do of an undo that was held, failed, or is in doubt."""
    kinds = {WriteResultKind.FAILED: GateKind.UNDO, WriteResultKind.IN_DOUBT: GateKind.IN_DOUBT}
    return Question(
        kind=kinds.get(answer.kind, GateKind.WRITE),
        step=entry.undo or entry.step,
        title=f"Take back {entry.step}",
        units=entry.units,
        action=action,
        before=entry.action if action != entry.action else None,
        digest=attempt.digest,
        why=answer.why or answer.verdict.why(),
        asks=answer.verdict.asks,
        findings=answer.verdict.findings,
        policy=answer.verdict.policy,
        terms=answer.verdict.terms.model_copy(update={"planted": None}),
    )


def what_next(
    step: Write[Any, Any],
    action: dict[str, JsonValue],
    closing: Closing,
    answer: WriteResult,
    who: str,
) -> tuple[dict[str, JsonValue], DoubtAnswer | None]:
    """What to attempt after a gate closed by `who`, in words.

    Raises:
        Rejected: if a human rejected it.
        Expired: if nobody ruled in time.
        InDoubt: if it is left in doubt.
    """
    # Of what is withdrawn its receipt came late: the door has it.
    if closing.how in {"approved", "withdrawn"}:
        return action, None
    if closing.how == "amended":
        assert closing.action is not None  # noqa: S101  # that is what an amendment is
        return closing.action, None
    said = doubt(closing, answer)
    if said is not None:
        return action, said
    if answer.kind is WriteResultKind.IN_DOUBT:
        why = f"nobody knows whether it happened; {closing.how} {', '.join(closing.by)}".rstrip()
        raise InDoubt(step.name, why, State.EXPIRED if closing.how == "expired" else State.REJECTED)
    if closing.how == "rejected":
        raise Rejected(step.name, f"rejected by {who}: {closing.why}".rstrip(": "))
    raise Expired(step.name, closing.why)


def doubt(closing: Closing, answer: WriteResult) -> DoubtAnswer | None:
    """What people said of a write in doubt; None if they said nothing, or to drop it."""
    if closing.how != "answered" or closing.answer == "drop":
        return None
    return DoubtAnswer(
        answer="happened" if closing.answer == "happened" else "do it",
        by=", ".join(closing.by),
        token=answer.token,
        result=closing.result,
    )
