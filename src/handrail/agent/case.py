"""The state of one case: what has happened, what is asked, what can be undone.

Bookkeeping without Temporal in it: the workflow says what time it is, and publishes what changed.
Whatever a human sends is judged here, by one function for signals and updates, and never raises.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import JsonValue, ValidationError

from handrail.actions import (
    Outcome,
    Receipt,
    Ruling,
    RulingRecord,
    Transition,
    Usage,
    Verb,
    Verdict,
    fits,
    person,
)
from handrail.agent.case_notes import CaseNotes
from handrail.agent.decided import Decisions
from handrail.agent.escalation import AnswerModel, CaseSnapshot, Pending, UndoEntry, as_sent
from handrail.agent.provenance import CaseSources
from handrail.agent.tool_plan import ToolPlan
from handrail.exceptions import HandrailError
from handrail.oversight import (
    BY_NAME,
    NOT_PROVEN,
    THE_AGENT,
    UNPROVEN,
    BadSignal,
    CaseView,
    Closing,
    Consultation,
    Gate,
    GateView,
    LogLine,
    Question,
    answered_by_agent,
    brings_result,
    closed_view,
    gate_view,
    judge_ruling,
    needs_proof,
    open_gate,
    pass_time,
    read_signal,
    refused_record,
    seconds_in_states,
    unproven_people,
    why_unproven,
    withdraw_gate,
)
from handrail.states import State, may_move
from handrail.text import first_fault, unproven
from handrail.wire import HandOffState, ProofRequest, ProofResult, RulingReading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.api.common.v1 import Payload

MAX_RECORDED = 500
"""Refused rulings that are kept; beyond it only their number grows."""

MAX_UNPROVEN = 2_000
"""Rulings that wait to be proven. Beyond it the next ones are refused: send them again."""

_STIRRING = frozenset({Verb.ASK, Verb.DELEGATE, Verb.REVOKE})

PROVEN_AT_ONCE = 50
"""Rulings that one activity proves."""

_CARRIED_LOG = 200


@dataclass
class Case:
    """One case. `order` is what an operator wants to become of it; or, `by_itself`, the policy.

    `proposed`: what an amended action, by its digest, was put in the place of. `pending`:
    rulings to be proven, oldest first. `stirred`: gates that people did not close
    but changed. `parked`: a write waits for the end of a stop. `pilot`: a write was only
    recorded, so every later one is. `sources`: where what it does comes from. `unused`: keys of
    writes that have not used what their gates gave them; `revoked`: when somebody took back what
    they gave to a gate. `lifted`: how often it was said that a stop is over; `called`:
    see `CallBacks`. `notes`: what only its record needs. `plan`: what of it is still to be written.
    """

    id: str = ""
    agent: str = ""
    title: str = ""
    requester: str | None = None
    state: State = State.WORKING
    moves: list[Transition] = field(default_factory=list[Transition])
    log: list[LogLine] = field(default_factory=list[LogLine])
    gates: dict[str, Gate] = field(default_factory=dict[str, Gate])
    rulings: list[RulingRecord] = field(default_factory=list[RulingRecord])
    receipts: list[Receipt] = field(default_factory=list[Receipt])
    undos: list[UndoEntry] = field(default_factory=list[UndoEntry])
    unsent: list[str] = field(default_factory=list[str])
    usage: Usage = field(default_factory=Usage)
    writes: int = 0
    notices: int = 0
    busy: int = 0
    ignored: int = 0
    lifted: int = 0
    order: Literal["stop", "roll_back"] | None = None
    ordered: str = ""
    by_itself: bool = False
    paused: bool = False
    parked: bool = False
    pilot: bool = False
    sources: CaseSources = field(default_factory=CaseSources)
    decisions: Decisions = field(default_factory=Decisions)
    incidents: list[str] = field(default_factory=list[str])
    notes: CaseNotes = field(default_factory=CaseNotes)
    plan: ToolPlan | None = None
    handed: HandOffState = field(default_factory=HandOffState)
    rolling_back: bool = False
    foreseen: dict[str, tuple[Verdict, datetime]] = field(default_factory=dict[str, Any])
    proposed: dict[str, dict[str, JsonValue]] = field(
        default_factory=dict[str, dict[str, JsonValue]]
    )
    pending: list[Pending] = field(default_factory=list[Pending])
    stirred: set[str] = field(default_factory=set[str])
    unused: set[str] = field(default_factory=set[str])
    revoked: dict[tuple[str, str], datetime] = field(
        default_factory=dict[tuple[str, str], datetime]
    )
    called: dict[str, list[JsonValue] | bool] = field(default_factory=dict[str, Any])
    _keys: dict[str, str] = field(default_factory=dict[str, str])
    _heard: set[str] = field(default_factory=set[str])
    _arrived: int = 0
    _models: dict[str, AnswerModel] = field(default_factory=dict[str, "AnswerModel"])

    def begin(
        self,
        case_id: str,
        title: str,
        requester: str | None,
        carried: CaseSnapshot | None,
        now: datetime,
    ) -> None:
        """Begin, or go on with what an earlier run carried over."""
        self.id = case_id
        self.agent = case_id.partition(":")[0]
        self.title = title
        self.requester = requester
        if carried is None:
            self.moves = [Transition(state=State.WORKING, at=now)]
            self.note("the case began", now)
            return
        for name, value in carried:
            kept = list(cast("tuple[Any, ...]", value)) if isinstance(value, tuple) else value
            if name == "heard":
                self.sources.go_on(carried.heard)
            else:
                setattr(self, name, kept)
        self.state = self.moves[-1].state
        self.note("the case continued in a new run", now)

    def carry(self, event: object) -> CaseSnapshot:
        """What the next run needs, which begins with that event."""
        kept = {n: getattr(self, n) for n in CaseSnapshot.model_fields if n != "heard"}
        kept |= {"log": self.log[-_CARRIED_LOG:], "heard": self.sources.heard(event)}
        kept["notes"] = self.notes.carried(self.gates.values())
        return CaseSnapshot.model_validate(kept)

    def note(self, text: str, now: datetime) -> None:
        """Add a line to the log of the case."""
        self.log.append(LogLine(at=now, text=text))

    def move(self, state: State, now: datetime, why: str = "") -> None:
        """Go to another state.

        Raises:
            HandrailError: if the table of moves has no such move; a mistake of the engine.
        """
        if state is self.state:
            return
        if not may_move(self.state, state):
            raise HandrailError(f"{self.id}: no move from {self.state} to {state}")
        self.state = state
        self.moves.append(Transition(state=state, at=now, why=why))

    @property
    def outside(self) -> bool:
        """Whether text from outside came into the case, in this run or an earlier one."""
        return self.sources.outside

    @outside.setter
    def outside(self, came: bool) -> None:
        self.sources.outside = came

    @property
    def open_gates(self) -> list[Gate]:
        """The questions that wait for an answer, oldest first."""
        return [g for g in self.gates.values() if g.closed is None]

    def views(self) -> list[GateView]:
        """The open questions as people see them."""
        return [gate_view(g, self.id, self.handed.origin.chain) for g in self.open_gates]

    def view(self) -> CaseView:
        """Everything about the case."""
        return CaseView(
            case=self.id,
            agent=self.agent,
            title=self.title,
            state=self.state,
            since=self.moves[-1].at,
            why=self.moves[-1].why,
            requester=self.requester,
            gates=tuple(self.views()),
            receipts=tuple(self.receipts),
            rulings=tuple(self.rulings),
            moves=tuple(self.moves),
            log=tuple(self.log),
            usage=self.usage,
            closed=tuple(
                view for view in map(closed_view, self.gates.values()) if view is not None
            ),
            incidents=tuple(self.incidents),
            handed=self.handed.cases,
            chain=self.handed.origin.chain,
            outside=self.outside,
        )

    def form(self, gate_id: str) -> dict[str, Any]:
        """The JSON schema of what an open question takes; empty if there is no such one."""
        known = self.gates.get(gate_id)
        if known is None or known.closed is not None:
            return {}
        return self._models[gate_id].form(known.question.kind)

    def outcome(self, status: State, why: str, now: datetime) -> Outcome:
        """The result of the case as it stands."""
        return Outcome(
            status=status,
            why=why,
            receipts=tuple(self.receipts),
            rulings=tuple(self.rulings),
            unsent=tuple(self.unsent),
            seconds=seconds_in_states(self.moves, now),
            usage=self.usage,
            incidents=tuple(self.incidents),
            handed=self.handed.cases,
            outside=self.outside,
        )

    def incident(self, what: str, now: datetime) -> None:
        """Keep what was found wrong after a write."""
        self.incidents.append(what)
        self.note(f"incident: {what}", now)

    # Questions and answers

    def ask(  # a question, whose, and when
        self, gate_id: str, question: Question, model: AnswerModel, key: str, now: datetime
    ) -> None:
        """Open a gate about the write of that key."""
        self._keys[gate_id] = key
        self.gates[gate_id] = open_gate(gate_id, question, now)
        self._models[gate_id] = model
        roles = ", ".join(self.gates[gate_id].waiting_for)
        self.note(f"asked {roles} about {question.step}: {question.why}", now)

    def pass_time(self, gate_id: str, now: datetime) -> bool:
        """Let it be `now` for one gate. True if anything that people see has changed."""
        self.gates[gate_id], passed = pass_time(self.gates[gate_id], now)
        for event in passed:
            if event.what == "reminder":
                self.notes.reminded.setdefault(gate_id, event.at)
            to = f" to {event.to}" if event.to else ""
            self.note(f"{event.what} for {event.role}{to}", event.at)
        return bool(passed)

    def withdraw(self, gate_id: str, now: datetime, why: str) -> None:
        """Close a gate that nobody needs answered any more."""
        self.gates[gate_id] = withdraw_gate(self.gates[gate_id], now, why)

    def judge(self, verb: str, payloads: Sequence[Payload], now: datetime) -> RulingRecord:
        """Judge a ruling and change nothing. One that must be proven is taken to be so."""
        read = self._read(verb, payloads, now)
        if isinstance(read, RulingRecord):
            return read
        proof = ProofResult(proven=True) if self._to_be_proven(read) else UNPROVEN
        return self._judge(Pending(0, verb, read, now), proof)[1]

    def receive(
        self, verb: str, payloads: Sequence[Payload], now: datetime, *, kept: bool = False
    ) -> RulingRecord | Pending:
        """Judge a ruling, and let it count; or keep it until it is proven.

        The record is kept whatever it was. `kept`: what a class says of what it brings is kept,
        too, by the activity that proves; otherwise it is judged by the class of whenever.
        """
        read = self._read(verb, payloads, now)
        if isinstance(read, RulingRecord):
            return self._record(read)
        if self._flooded(read):
            self.ignored += 1
            return refused_record(verb, now, NOT_PROVEN, read)
        self._arrived += 1
        reading = self._reading(verb, read) if kept else None
        came = Pending(self._arrived, verb, read, now, reading)
        if reading is not None or self._to_be_proven(read):
            if len(self.pending) >= MAX_UNPROVEN:
                note = f"{MAX_UNPROVEN} others wait to be proven; send it again"
                return self._record(refused_record(verb, now, note, read))
            # Nothing is refused here for what a class says of it.
            taken = None if reading is None else as_sent(read)
            proven = self._to_be_proven(read)
            supposed = self._judge(came, ProofResult(proven=proven, reading=taken))[1]
            if not supposed.accepted:
                return self._record(supposed.model_copy(update={"proven": False, "ruling": None}))
            self.pending.append(came)
            return came
        return self.prove(came, UNPROVEN)

    def _reading(self, verb: str, ruling: Ruling) -> RulingReading | None:
        """What the classes of today make of a ruling; None if they have nothing to say of it."""
        if verb != Verb.AMEND and not brings_result(self.gates[ruling.gate], verb, ruling):
            return None
        return self._models[ruling.gate].reading(verb, ruling)

    def _flooded(self, ruling: Ruling) -> bool:
        """Whether it need not even be judged: it cannot count, and its record is not kept."""
        full = len(self.rulings) >= MAX_RECORDED and ruling.proof is None
        return full and self.gates[ruling.gate].question.terms.proof == "required"

    def prove(self, came: Pending, proof: ProofResult) -> RulingRecord:
        """Judge a ruling of which it is known whether it is proven, and let it count."""
        changed, record = self._judge(came, proof)
        if changed is not None:
            if changed.closed is not None and changed.closed.how == "expired":
                self.pass_time(changed.id, came.at)
            self.gates[changed.id] = changed
        if record.accepted and came.ruling.proof is not None:
            self._heard.add(came.ruling.proof)
        if record.accepted and (record.verb in _STIRRING or came.ruling.question):
            self.stirred.add(record.gate)
        if record.accepted and record.verb == Verb.REVOKE:
            self._revoke(record)
        return self._record(record)

    def proves(self, gate_id: str) -> bool:
        """Whether rulings wait to be proven that came before the time of an open gate was over."""
        deadline = self.gates[gate_id].deadline
        return deadline is not None and any(
            came.ruling.gate == gate_id and came.at < deadline for came in self.pending
        )

    def proving(self) -> tuple[tuple[Pending, ...], ProofRequest]:
        """The oldest rulings to be proven together: those on one gate."""
        first = self.gates[self.pending[0].ruling.gate]
        batch = [p for p in self.pending if p.ruling.gate == first.id][:PROVEN_AT_ONCE]
        asked = first.question
        return tuple(batch), ProofRequest(
            case=self.id,
            gate=first.id,
            step=asked.step,
            action=asked.action,
            digest=asked.digest,
            kind=asked.kind,
            basis=asked.basis,
            requester=asked.requester,
            drafters=asked.drafters,
            askers=asked.askers,
            planted=asked.planted,
            roles=tuple(dict.fromkeys(s.role for leg in first.legs for s in leg.reached)),
            seats={d.to: d.by for d in first.delegated},
            rulings=tuple((p.verb, p.ruling) for p in batch),
            readings=tuple(p.reading for p in batch) if any(p.reading for p in batch) else (),
        )

    def _read(self, verb: str, payloads: Sequence[Payload], now: datetime) -> Ruling | RulingRecord:
        try:
            ruling = Ruling.model_validate(read_signal(payloads))
        except BadSignal as error:
            return refused_record(verb, now, str(error))
        except ValidationError as error:
            return refused_record(verb, now, first_fault(error))
        if ruling.gate in self.gates:
            return ruling
        note = f"no gate {ruling.gate} was ever open in this run; ask for the open ones again"
        return refused_record(verb, now, note, ruling)

    def _to_be_proven(self, ruling: Ruling) -> bool:
        return ruling.proof is not None and needs_proof(self.gates[ruling.gate], ruling)

    def _judge(self, came: Pending, proof: ProofResult) -> tuple[Gate | None, RulingRecord]:
        if came.ruling.proof in self._heard:
            # Whoever reads the history has it, and could undo by it what was taken back.
            note = "this very ruling was taken before, and counts once; sign a new one"
            return None, refused_record(came.verb, came.at, note, came.ruling)
        known = self.gates[came.ruling.gate]
        late = known.closed is not None and self._keys[known.id] in self.unused
        if came.verb == Verb.REVOKE and late:
            return None, self._late_revocation(known, came, proof)
        model, verb = self._models[known.id], came.verb
        return judge_ruling(
            known, verb, came.ruling, came.at, model.action, result_fault=model.fault, proof=proof
        )

    def _late_revocation(self, known: Gate, came: Pending, proof: ProofResult) -> RulingRecord:
        """Judge the revocation of an approval that closed its gate, and is not used yet."""
        by = person(came.ruling.by)
        given = any(r.by == by and r.accepted for r in known.rulings)
        refusal = why_unproven(known, came.ruling, proof)
        if refusal is None and not fits(known.question.digest, came.ruling.digest):
            refusal = "its digest is not that of the action that was asked about"
        if refusal is None and not given:
            refusal = f"{by} has given nothing that could be revoked"
        note = refusal or "accepted"
        record = refused_record(came.verb, came.at, note, came.ruling)
        proven = proof.proven and came.ruling.via != BY_NAME
        return record.model_copy(update={"accepted": refusal is None, "proven": proven})

    def _revoke(self, record: RulingRecord) -> None:
        """Take back all that somebody gave to the gates of one write."""
        key = self._keys[record.gate]
        gates = (gate_id for gate_id, other in self._keys.items() if other == key)
        self.revoked |= {(gate_id, record.by): record.at for gate_id in gates}

    def still_given(self, rulings: Sequence[RulingRecord]) -> tuple[RulingRecord, ...]:
        """The rulings that nobody has taken back."""
        back = self.revoked
        return tuple(r for r in rulings if (r.gate, r.by) not in back or r.at > back[r.gate, r.by])

    def questions_to_agent(self, gate_id: str) -> tuple[Consultation, ...]:
        """What approvers asked the agent about an open gate, and it has not answered."""
        known = self.gates[gate_id]
        if known.closed is not None:
            return ()
        return tuple(asked for asked in known.unanswered() if asked.to == THE_AGENT)

    def explained(self, gate_id: str, question: str, answer: str, now: datetime) -> None:
        """Take the agent's answer to an approver's question."""
        self.gates[gate_id] = answered_by_agent(self.gates[gate_id], question, answer, now)
        self.stirred.add(gate_id)
        self.note(f"answered the question {question}", now)

    def _record(self, record: RulingRecord) -> RulingRecord:
        if not record.accepted and len(self.rulings) >= MAX_RECORDED:
            self.ignored += 1
            return record
        self.rulings.append(record)
        what = "accepted" if record.accepted else f"refused: {record.note}"
        who = f"{record.by or 'somebody'}{unproven(proven=record.proven, via=record.via)}"
        self.note(f"{record.verb} by {who} {what}", record.at)
        return record

    def answered(self, gate_id: str, now: datetime) -> None:
        """Note how a gate closed. What it gave may be taken back until it is used."""
        closed = self.gates[gate_id]
        closing = closed.closed
        assert closing is not None  # noqa: S101  # it was waited for
        self.unused.add(self._keys[gate_id])
        if closed.question.planted:
            self.note(
                "that proposal was planted, to see whether people look: it is never done", now
            )
        by = f" by {', '.join(closing.by)}{self.unproven(closing)}" if closing.by else ""
        self.note(f"{closing.how}{by}{f': {closing.why}' if closing.why else ''}", now)

    def unproven(self, closing: Closing) -> str:
        """What to add to the names of those who closed a gate, if one of them is not proven."""
        return unproven_people((r for r in self.rulings if r.accepted), closing.by)

    # What can be taken back

    def register(self, entry: UndoEntry) -> None:
        """Remember a write before it begins."""
        self.unregister(entry.key)
        self.undos.append(entry)

    def unregister(self, key: str) -> None:
        """Forget a write that certainly did not happen, or was taken back."""
        self.undos = [entry for entry in self.undos if entry.key != key]

    def wrote(
        self, receipt: Receipt, now: datetime, action: dict[str, JsonValue] | None = None
    ) -> None:
        """Keep the receipt of a write, and what was written, as the door has it."""
        self.receipts.append(receipt)
        known = {"receipt": receipt} | ({} if action is None else {"action": action})
        self.undos = [
            entry.model_copy(update=known) if entry.key == receipt.key else entry
            for entry in self.undos
        ]
        self.note(f"{receipt.step} {receipt.how}", now)
