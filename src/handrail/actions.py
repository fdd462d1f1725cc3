"""What steps, door, gate and people exchange. Every model here crosses the wire.

A field may be added with a default; none may be renamed, removed or given another
meaning: histories of open cases hold these shapes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, Self, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator
from typing_extensions import TypeVar

from handrail.states import State
from handrail.text import exact_json, whole_text

if TYPE_CHECKING:
    from collections.abc import Mapping

DIGEST_PREFIX = 12
"""Hex digits of a digest that a ruling must name at least."""


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("give the time with its zone, such as 2026-01-31T10:00:00+00:00")
    try:
        value.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time lies outside the years 1 to 9999 in UTC") from None
    return value


Aware = Annotated[datetime, AfterValidator(_aware)]
"""A point in time that knows its zone."""


Words = Annotated[str, AfterValidator(lambda text: text[:1_000])]
"""A reason as people read it; what is longer is cut off."""


class Wire(BaseModel):
    """A frozen model that refuses unknown fields; built when first used, users' when defined."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Utterance(Wire):
    """What a model or a person said. Half of a character, as a stream ends with, is no text."""

    @model_validator(mode="before")
    @classmethod
    def _made_whole(cls, given: Any) -> Any:
        # Before a limit of its length is looked at, which no half of a character passes.
        if not isinstance(given, dict):
            return given
        fields = cast("dict[str, Any]", given)
        return {k: whole_text(v) if isinstance(v, str) else v for k, v in fields.items()}


class Action(Utterance, defer_build=False):
    """One thing an agent may do. Subclass it; a write step takes exactly one.

    The docstring of the subclass is what an approver reads first.
    """


class Event(Wire, defer_build=False):
    """What starts a case. Subclass it and say in `key` which case it belongs to."""

    @property
    def key(self) -> str:
        """The case key: the same event must give the same key, another event another one.

        Raises:
            NotImplementedError: if the subclass does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} must define the property `key`")


class NoEvidence(Wire):
    """The evidence of a decision that has none."""


class Usage(Wire):
    """What a decision consumed: tokens, and money in `currency`."""

    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    cost: Decimal = Field(default=Decimal(0), ge=0)
    currency: str = "EUR"
    model: str = ""

    def __add__(self, other: Self) -> Self:
        """Sum two usages. The currency and the model of the later one that has any stay."""
        return type(self)(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost=self.cost + other.cost,
            currency=other.currency if other.cost else self.currency,
            model=other.model or self.model,
        )


class AskedModel(Wire):
    """Which model decided, how often it was asked, and by what: `prompt` is its SHA-256."""

    model: str
    version: str = ""
    prompt: str = ""
    temperature: float | None = None
    requests: int = 1


A = TypeVar("A", bound=Action)
E = TypeVar("E", bound=BaseModel)
M = TypeVar("M", bound=BaseModel)


def as_json(model: BaseModel) -> Any:
    """A model as JSON: as people are shown it, its digest is taken of, and a write is given it.

    Under its fields' own names, as the rules of a policy know them; what is computed from other
    fields is left out. This, `from_json` and `json_schema` are the only way of an action.
    """
    return model.model_dump(mode="json", by_alias=False, round_trip=True, warnings=False)


def from_json(kind: type[M], value: Any) -> M:
    """What `as_json` made a model of this class to.

    Raises:
        ValidationError: if the class does not take it.
    """
    return kind.model_validate_json(json.dumps(value), by_alias=False, by_name=True)


def from_text(kind: type[M], text: str | bytes, *, by_name: bool | None = None) -> M:
    """A model from somebody's JSON, aliases and all: read by pydantic, a number loses digits.

    `by_name`: take fields under their own names, too.

    Raises:
        ValidationError: if the class does not take it.
    """
    with contextlib.suppress(ValueError, RecursionError):
        return kind.model_validate_json(json.dumps(exact_json(text)), by_name=by_name)
    return kind.model_validate_json(
        text, by_name=by_name
    )  # to say what is wrong with it as it was given


def json_schema(kind: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of what `from_json` takes."""
    return kind.model_json_schema(by_alias=False)


class Decision(Utterance, Generic[A, E], defer_build=False):
    """An action, or none, and why.

    `evidence` is a model of the agent's own, so that rules are checked against its
    fields. `confidence` is 0..1. `rationale` is the agent's own text: people see it
    as a quotation, and nothing is decided by it. A decision without evidence is a
    `Decision[SomeAction, NoEvidence]`.
    """

    action: A | None
    rationale: str = Field(max_length=10_000)
    confidence: float = Field(ge=0, le=1)
    evidence: E
    usage: Usage = Usage()
    asked: AskedModel | None = None

    def basis(self) -> Basis:
        """What a door and an approver need to know beside the action."""
        return Basis(
            rationale=self.rationale,
            confidence=self.confidence,
            evidence=as_json(self.evidence),
        )


class Basis(Wire):
    """The reasons of a decision, without its action.

    `unsourced`: what of the action and the evidence stems from no trusted read although the
    decision had read text from outside (`action.account`, `evidence.vip`); `*` when nobody
    knows where any of it comes from.
    """

    rationale: str = ""
    confidence: float | None = None
    evidence: JsonValue = None
    unsourced: tuple[str, ...] = ()


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: the bytes that a digest is taken of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(step: str, action: Mapping[str, Any]) -> str:
    """The SHA-256, in hex, of exactly this action (as JSON) by exactly this write step."""
    return hashlib.sha256(canonical({"step": step, "action": action}).encode()).hexdigest()


def fits(digest: str, named: str) -> bool:
    """Whether `named`, a prefix that a person sent, names `digest`."""
    return len(named) >= DIGEST_PREFIX and digest.startswith(named.lower())


def person(address: str) -> str:
    """One spelling for one person.

    Letters beyond ASCII are left as they are: among them are different ones that fold into
    the same, and nobody may rule as somebody else whose address only looks alike.
    """
    text = address.strip()
    return text.lower() if text.isascii() else text


WHOLE = 10_000
"""All cases, in the unit of a share: a hundredth of a percent."""


class Level(StrEnum):
    """How much an agent does of one action by itself, from nothing to all that no rule holds."""

    STOP = "stop"
    PILOT = "pilot"
    """Judged and recorded, never done."""
    HUMAN_LED = "human_led"
    SUPERVISED = "supervised"
    FULL = "full"

    def exceeds(self, other: Level) -> bool:
        """Whether it lets the agent do more than `other` does."""
        order = list(Level)
        return order.index(self) > order.index(other)


class Kind(StrEnum):
    """What the door says of an action."""

    PASS = "pass"  # noqa: S105  # the verdict, not a secret
    HOLD = "hold"
    REFUSE = "refuse"


class Finding(Wire):
    """One reason behind a verdict: which check, what it says, in words."""

    check: Words
    kind: Kind
    why: Words
    role: str | None = None


class RoleStage(Wire):
    """One role that is asked, and what happens when it does not answer in time.

    `remind` and `after` are working time where the role has any: `open` holds it as
    intervals of seconds since 1970, UTC, the first to last of which they are counted in.
    `deputies` may be delegated to. `stops`: the clock stands still while a question is out.
    """

    role: str
    people: tuple[str, ...]
    quorum: int = Field(default=1, ge=1)
    remind: timedelta | None = None
    after: timedelta
    open: tuple[tuple[int, int], ...] = ()
    stops: bool = False
    deputies: tuple[str, ...] = ()


class Ask(Wire):
    """A chain of stages: each escalates to the next; after the last the write is refused."""

    stages: tuple[RoleStage, ...] = Field(min_length=1)


class Terms(Wire):
    """How a gate judges, as the policy and the settings of its door have it.

    `drafter`: whether who wrote an amendment may approve it. `apart`: a person counts for
    one of the chains asked, not for all of them. `inbox`: the address of the inbox whose
    people are told by message; empty where there is none. `planted`: a bad action that is
    asked about first and never done, to see whether people look.
    """

    proof: Literal["required", "unproven"] = "unproven"
    drafter: bool = True
    apart: bool = False
    inbox: str = ""
    planted: dict[str, JsonValue] | None = None


class Verdict(Wire):
    """What the door says, with every finding, and whom to ask, and how, when it holds.

    `heard`: whose approvals it was brought and could count; None where none was brought. The
    others must be asked again. `policy` and `autonomy`: the version of the policy, and the
    level with its share of the cases, under which it fell.
    """

    kind: Kind
    findings: tuple[Finding, ...] = ()
    asks: tuple[Ask, ...] = ()
    policy: str = ""
    terms: Terms = Terms()
    heard: tuple[str, ...] | None = None
    autonomy: str = ""

    def why(self) -> str:
        """The findings that led to the verdict, in words, each reason once."""
        return "; ".join(dict.fromkeys(f.why for f in self.findings if f.kind == self.kind))


class Verb(StrEnum):
    """What a human may say to a gate. The values are the names of the signals."""

    APPROVE = "approve"
    REJECT = "reject"
    AMEND = "amend"
    ANSWER = "answer"
    ASK = "ask"
    DELEGATE = "delegate"
    REVOKE = "revoke"


class Ruling(Wire):
    """A human's answer to one gate, as it comes in by signal or update.

    `why` is the reason, or with `ask` the question. `to`: with `delegate` a person, with
    `ask` a person or `agent`. `question`: with `answer`, which question it answers.
    `result`: with `answer`, what a write in doubt returned, or the typed answer that an
    agent asked for. `via`: by which channel it came; `looked`: for how many seconds the
    person saw what they ruled on. `proof` covers all of it.
    """

    gate: str = Field(min_length=1, max_length=64)
    digest: str = Field(min_length=DIGEST_PREFIX, max_length=64, pattern="^[0-9a-fA-F]+$")
    by: str = Field(min_length=1, max_length=200)
    why: str = Field(default="", max_length=4_000)
    action: dict[str, JsonValue] | None = None
    answer: str | None = Field(default=None, max_length=4_000)
    result: JsonValue = None
    to: str | None = Field(default=None, min_length=1, max_length=200)
    question: str | None = Field(default=None, max_length=64)
    via: str = Field(default="", max_length=20)
    looked: float | None = Field(default=None, ge=0)
    proof: str | None = Field(default=None, max_length=8_000)


class RulingRecord(Wire):
    """A ruling as it was judged: the record that is kept of every one, good or bad.

    `digest` is the action it allows: for an amendment that of the amended action.
    `proven` is false as long as nobody has checked who sent it. `stands_for`: in whose
    place, by delegation. `ruling`: as it was sent, where it is proven, so that the door can
    prove it again.
    """

    verb: str
    gate: str
    by: str
    at: Aware
    accepted: bool
    note: str
    why: str = ""
    digest: str = ""
    role: str | None = None
    answer: str | None = None
    proven: bool = False
    stands_for: str | None = None
    to: str | None = None
    via: str = ""
    looked: float | None = None
    ruling: Ruling | None = None


class Undoes(Wire):
    """Which effect an undo takes back. `receipt` is None when nobody knows if it happened.

    `left`: in older histories, when its last attempt ended; nothing relies on it.
    """

    key: str
    receipt: Receipt | None = None
    left: datetime | None = None


class Effect(Wire):
    """One write to the outside world. Give it `key` and `attempt`, a fencing token, if it can.

    The key is the same in each retry, replay, reset and run. `begun`: since when it may be there.
    """

    key: str
    case: str
    step: str
    undoes: Undoes | None = None
    attempt: int = 1
    begun: datetime | None = None

    def message_id(self, domain: str) -> str:
        """The `Message-ID` of its mail, the same at each try; mailers cut some keys."""
        return f"<{hashlib.sha256(self.key.encode()).hexdigest()[:32]}@{domain}>"


class CallBack(Wire):
    """What a write returns that is answered later: `await self.called_back(due, Answer, ...)`."""

    key: str


def undo_key(key: str) -> str:
    """The key under which the effect of `key` is taken back: always the same one."""
    return f"{key}/undo"


class LedgerMark(Wire):
    """Which ledger, and how high it was: a height that rises with every intent of an agent."""

    id: str
    height: int


class Receipt(Wire):
    """Proof that an effect happened.

    `how`: written, found (the outside system was asked), or confirmed (a human said so).
    `ledger`: in which ledger it is kept, and how high that was when it began.
    """

    key: str
    step: str
    digest: str
    at: Aware
    how: Literal["written", "found", "confirmed"] = "written"
    result: JsonValue = None
    ledger: LedgerMark | None = None


class Transition(Wire):
    """One move of a case between states, and why."""

    state: State
    at: Aware
    why: str = ""


class HandedCase(Wire):
    """A case of another agent that work was handed to, and how it ended as far as that is known.

    `receipts` and `usage`: with those of the cases that it handed work to itself.
    """

    agent: str
    case: str
    status: State | None = None
    why: str = ""
    receipts: tuple[Receipt, ...] = ()
    usage: Usage = Usage()


class Outcome(Wire):
    """The result of a case.

    `seconds`: in each state; `unsent`: notifications that failed; `incidents`: found wrong after;
    `handed`: cases given work, whose receipts only the totals add; `outside`: may hold such text.
    """

    status: State
    why: str = ""
    receipts: tuple[Receipt, ...] = ()
    rulings: tuple[RulingRecord, ...] = ()
    unsent: tuple[str, ...] = ()
    seconds: dict[State, float] = Field(default_factory=dict[State, float])
    usage: Usage = Usage()
    incidents: tuple[str, ...] = ()
    handed: tuple[HandedCase, ...] = ()
    outside: bool = False

    @property
    def total_usage(self) -> Usage:
        """What it consumed, and the cases that it handed work to and waited for."""
        return sum((each.usage for each in self.handed), self.usage)

    @property
    def all_receipts(self) -> tuple[Receipt, ...]:
        """Its receipts, and those of the cases that it handed work to and waited for."""
        return (*self.receipts, *(r for each in self.handed for r in each.receipts))
