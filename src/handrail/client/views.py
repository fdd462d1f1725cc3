"""What the client answers: frozen documents whose JSON is what `--json` prints.

A document bears a `version`; a field may be added to it, none is renamed or removed without
another number. `docs/client.schema.json` is their JSON Schema. Times are UTC and end with `Z`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from handrail.actions import Aware, Finding, HandedCase, Outcome, Receipt, RulingRecord, Transition
from handrail.oversight import (
    AutonomyView,
    GateView,
    IgnoredSignal,
    LogLine,
    Mandate,
    Order,
    OrderState,
)
from handrail.states import State

Moment = Annotated[Aware, AfterValidator(lambda at: at.astimezone(UTC))]
CaseState: TypeAlias = State | Literal["paused (by Temporal)"]
"""The state of a case as it says, unless Temporal's own Pause holds it."""


class Document(BaseModel):
    """What one call answers. `model_dump(mode="json")` is what the command line prints."""

    model_config = ConfigDict(frozen=True, from_attributes=True, defer_build=True)

    version: Literal[1] = 1


# Cases


class FailingStep(Document):
    """A step that goes on failing; `workflow task` where it is the code of the case itself.

    `since`: when it began. `attempt`: the present one, or the next. `error`: how the last one
    ended. `next_try`: None while it is being tried.
    """

    step: str
    attempt: int
    since: Moment
    error: str
    next_try: Moment | None = None


class CaseSummary(Document):
    """One case of a list. `waiting_for`: the roles that it waits for.

    `why`: why it asks, or how it ended, where that is known. `failing`: what goes on failing in
    it, where that was looked at: of one case, and of those that are stuck.
    """

    case: str
    agent: str
    state: CaseState
    waiting_for: tuple[str, ...] = ()
    deadline: Moment | None = None
    started: Moment | None = None
    closed: Moment | None = None
    why: str = ""
    failing: tuple[FailingStep, ...] = ()


class CaseList(Document):
    """Cases, the open ones first; `total` counts those beyond the limit too."""

    cases: tuple[CaseSummary, ...]
    total: int


class EffectView(Document):
    """One write as the ledger has it."""

    key: str
    step: str
    digest: str
    state: str
    begun: Moment
    receipt: Receipt | None = None
    error: str | None = None


class IncidentView(Document):
    """What went wrong with a write; `closed` when somebody has dealt with it."""

    id: str
    agent: str
    step: str
    case: str
    key: str
    kind: str
    what: str
    at: Moment
    closed: Moment | None = None
    closed_by: str | None = None
    closed_why: str | None = None


class IncidentList(Document):
    """Incidents, the newest first."""

    incidents: tuple[IncidentView, ...]


class ReviewView(Document):
    """A write that a human looks at afterwards, and the answer that counts."""

    key: str
    agent: str
    step: str
    case: str
    at: Moment
    why: str
    share: float
    role: str
    people: tuple[str, ...]
    requester: str | None = None
    answer: str | None = None
    by: str | None = None
    answered: Moment | None = None
    note: str | None = None


class ReviewList(Document):
    """Reviews, those that wait longest first."""

    reviews: tuple[ReviewView, ...]


class CaseDetails(CaseSummary):
    """Everything about a case. `lacking`: what could not be found out, and why.

    `moves` and `log` are None without a worker; `effects`, `incidents` and `reviews` without
    a ledger. `thinking`: the end of what its model has said so far, in the step that runs.
    `reset`: when, by whom and why it was last opened again by Temporal's reset.
    """

    title: str | None = None
    requester: str | None = None
    why: str = ""
    reset: str = ""
    thinking: str = ""
    gates: tuple[GateView, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    rulings: tuple[RulingRecord, ...] = ()
    moves: tuple[Transition, ...] | None = None
    log: tuple[LogLine, ...] | None = None
    outcome: Outcome | None = None
    effects: tuple[EffectView, ...] | None = None
    incidents: tuple[IncidentView, ...] | None = None
    reviews: tuple[ReviewView, ...] | None = None
    handed: tuple[HandedCase, ...] = ()
    chain: tuple[str, ...] = ()
    worker_answered: bool = False
    lacking: tuple[str, ...] = ()
    url: str = ""


class ChainedCase(Document):
    """A case in a chain of hand-offs, and which one handed it on. `state`: None if forgotten."""

    case: str
    agent: str
    state: CaseState | None
    parent: str | None
    depth: int


class CaseChain(Document):
    """What cases handed to each other, each after the one that it comes from."""

    cases: tuple[ChainedCase, ...]


class StartedCase(Document):
    """A case that was started. `duplicate`: it was there already, and nothing was begun.

    `changed`: it is there of another event under the same key. `taken`: the case goes on, and its
    agent takes that as a change; otherwise nothing is done for it.
    """

    case: str
    duplicate: bool
    changed: bool = False
    taken: bool = False


class WaitResult(Document):
    """How far a case has come. `outcome` is None as long as it has not ended."""

    case: str
    state: CaseState
    outcome: Outcome | None = None


# Gates and rulings


class RulingResult(Document):
    """What a case said to a ruling. `accepted` is None when no worker answered: it was left.

    `note` says why it was not accepted. `sent`: as an update, which answers, or as a signal.
    `mandate`: the standing approval that was kept with it.
    """

    gate: str
    case: str
    digest: str
    sent_at: Moment
    accepted: bool | None
    note: str
    record: RulingRecord | None = None
    sent: Literal["update", "signal"]
    mandate: MandateView | None = None


class SignedRuling(Document):
    """A ruling as it was signed. `proven`: None unless it was proven again; `why` not.

    `via` name: whoever sent it only said who they are, so that it is never `proven`.
    """

    jti: str
    at: Moment
    by: str
    stands_for: str | None
    verb: str
    case: str
    gate: str
    step: str
    digest: str
    kid: str
    via: str
    looked: float | None
    planted: bool | None
    effect: str | None
    ruling: str
    proven: bool | None = None
    why: str = ""


class RulingList(Document):
    """Signed rulings, the newest first."""

    rulings: tuple[SignedRuling, ...]


# Orders


class StopView(Document):
    """A stop: of all agents, of one, of a write or of a case; `lifted` when it is over.

    `case_ended`: nothing is left that it could stop; None where the server was not asked.
    """

    id: str
    what: str
    agent: str
    step: str | None
    case: str | None
    by: str
    proven: bool
    at: Moment
    why: str
    lifted: Moment | None
    lifted_by: str | None
    lifted_why: str | None
    case_ended: bool | None = None


class StopList(Document):
    """Stops, the oldest first."""

    stops: tuple[StopView, ...]


class CaseOrder(Document):
    """What became of an order to a case. `state`: None where nobody waited for it.

    `note`: what must happen before the case does as it was told.
    """

    case: str
    ok: bool
    state: CaseState | None = None
    outcome: Outcome | None = None
    error: str = ""
    note: str = ""


class CaseOrderList(Document):
    """What became of one order to several cases."""

    order: str
    cases: tuple[CaseOrder, ...]


class StopResult(CaseOrderList):
    """What was stopped. `in_force`: the ledger has it, so that no write of it begins any more.

    `untold`: who could not be told, which changes nothing of that.
    """

    order: str = "stop"
    in_force: bool
    stops: tuple[StopView, ...]
    untold: str = ""


class OrderOutcome(Document):
    """What became of an order. `stand` is None when no worker answered: it was left for one."""

    order: str
    what: str
    id: str
    lifts: str | None = None
    by: str
    stand: OrderState | None
    note: str = ""
    proven: bool | None = None
    people: tuple[str, ...] = ()


class LiftResult(Document):
    """What became of the orders that were to be lifted."""

    order: Literal["lift"] = "lift"
    lifted: tuple[OrderOutcome, ...]


class ChangeView(Document):
    """One order in the book of an agent, and how far it got."""

    order: Order
    stand: OrderState
    since: Moment
    note: str = ""
    proven: bool = False
    people: tuple[str, ...] = ()
    judged: int = 0


class AgentAutonomy(Document):
    """How much an agent may do by itself, what waits for a second person, and what was ordered."""

    agent: str
    changes: tuple[ChangeView, ...] = ()
    picture: AutonomyView | None = None
    ignored: tuple[IgnoredSignal, ...] = ()


class AutonomyList(Document):
    """The agents, and those (`silent`) whose workers do not answer."""

    agents: tuple[AgentAutonomy, ...]
    silent: tuple[str, ...] = ()


# Schedules


class ScheduledRun(Document):
    """One time that a schedule's case was started for. `case` is empty until it is."""

    at: Moment
    case: str = ""


class ScheduleView(Document):
    """A schedule: its next five times, its last runs, and the times of a day that had none.

    `late` and `skipped`: how many of Temporal's own starts were given up, because they came after
    the catch-up window, or because the case before went on. `note`: who paused it, and why.
    """

    schedule: str
    agent: str
    spec: str
    paused: bool
    note: str = ""
    next: tuple[Moment, ...] = ()
    runs: tuple[ScheduledRun, ...] = ()
    missed: tuple[Moment, ...] = ()
    late: int = 0
    skipped: int = 0


class ScheduleList(Document):
    """Schedules, by agent and name."""

    schedules: tuple[ScheduleView, ...]


class ScheduleRuns(Document):
    """What was asked of a schedule: runs for these times."""

    schedule: str
    runs: tuple[ScheduledRun, ...]


# Mandates


class MandateView(Document):
    """What somebody allowed in advance, as it was signed; None if it does not prove itself.

    `state`: in force, not begun, over, used up, revoked, or not proven (and `why`). `units`: what
    the fields were in when such a write was judged last.
    """

    id: str
    state: str
    why: str = ""
    mandate: Mandate | None
    kid: str = ""
    used: int = 0
    revoked: Moment | None = None
    revoked_by: str | None = None
    units: dict[str, str] = Field(default_factory=dict[str, str])


class MandateUse(Document):
    """A write that began by a standing approval."""

    effect: str
    at: Moment


class MandateDetails(MandateView):
    """A mandate with each of its uses, and the signed statement."""

    uses: tuple[MandateUse, ...]
    statement: str


class MandateList(Document):
    """Mandates, the last to end first."""

    mandates: tuple[MandateView, ...]


# Reviews


class ReviewOpinion(Document):
    """One answer to a review. `fault`: why it does not prove itself."""

    answer: str
    by: str
    at: Moment
    why: str
    proven: bool
    fault: str = ""
    proof: str


class ReviewDetails(ReviewView):
    """A write as a reviewer must see it. `why_not`: why whoever asks may not answer."""

    digest: str
    action: dict[str, JsonValue]
    evidence: JsonValue = None
    confidence: float | None = None
    policy: str = ""
    receipt: Receipt | None = None
    undone: Moment | None = None
    rationale: str | None = None
    findings: tuple[Finding, ...] = ()
    autonomy: str | None = None
    incidents: tuple[str, ...] = ()
    answers: tuple[ReviewOpinion, ...] = ()
    why_not: str | None = None
    units: dict[str, str] = Field(default_factory=dict[str, str])


def iso(at: datetime) -> str:
    """A time for programs, as the documents write it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


RulingResult.model_rebuild()
