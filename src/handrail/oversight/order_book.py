"""The book of an agent's steward: what was ordered, how far each order got, what is in force.

Pure and deterministic. An order is asked, and then in force, refused, or waiting for a second
person until that comes or its time is over; what is in force ends when it is lifted or
replaced. What is in force is the ledger's to say: the book shows it as it was last looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field

from handrail.actions import Aware, LedgerMark, Level, Wire
from handrail.exceptions import HandrailError
from handrail.ledger import FLEET
from handrail.oversight.orders import NoOrder, Order, order_of, target_of
from handrail.oversight.signals import BadSignal, read_signal
from handrail.oversight.signatures import MAX_PROOF
from handrail.text import percent

if TYPE_CHECKING:
    from temporalio.api.common.v1 import Payload

STEWARD_WORKFLOW: Final = "Steward"
"""The type of the workflow."""

HELD_LEDGER: Final = "ledger"
"""The key in a steward's memo under which it says which ledger the agent writes in."""

SECOND_WITHIN = timedelta(days=1)
"""How long an order waits for the second person that it takes."""

KEPT = 200
"""Orders that the book keeps beside those that wait; the ledger keeps all of them."""

MAX_ASKED = 100
"""Orders that wait to be judged, signed ones and others. Beyond it: send it again."""

_OF = ("step", "case")

SAME_STOP = "the same stop waits to be judged"
"""Why another one is not taken that nobody signed."""

SEALS_KEPT = 100
"""Heads of audits that the book keeps, the latest; histories have all of them."""

IGNORED_KEPT = 20
"""Signals that were no orders, of which the book tells."""

STATEMENTS = 8
"""Statements on an order that the book keeps: the first, and the latest."""

SOMEBODY = "somebody"
"""Who gave a stop that does not say who."""


class StewardInput(Wire):
    """Whose steward it is. `carried`: the book of an earlier run; nobody else sets it."""

    agent: str
    carried: dict[str, Any] | None = None


def steward_id(agent: str) -> str:
    """The id of the workflow of an agent's steward."""
    return f"autonomy:{agent}"


class OrderState(StrEnum):
    """How far an order got."""

    ASKED = "asked"
    WAITING = "waiting for a second person"
    IN_FORCE = "in force"
    REFUSED = "refused"
    EXPIRED = "expired"
    DONE = "done"
    """A lift, and what it ended."""


class StopInForce(Wire):
    """A stop in force. `proven`: whether it is shown who gave it; it counts either way."""

    id: str
    what: str
    by: str
    at: Aware
    why: str = ""
    proven: bool = False


class StepView(Wire):
    """How much the agent does of one write by itself. `filed`: by its file; `label`: by whom.

    `most`: the highest level that anybody can set; None from a worker that does not say.
    """

    step: str
    level: Level
    rollout: int
    label: str = ""
    filed: str = ""
    most: Level | None = None


class AutonomyView(Wire):
    """What is in force for an agent. `fault`: why its policy cannot be read now.

    `writes`: those that can be stopped; empty from a worker that does not say. `more`: stops of
    single cases beyond those that are listed.
    """

    at: Aware
    policy: str = ""
    fault: str = ""
    people: tuple[str, ...] = ()
    steps: tuple[StepView, ...] = ()
    stops: tuple[StopInForce, ...] = ()
    writes: tuple[str, ...] = ()
    more: int = 0
    ledger: LedgerMark | None = None
    """The ledger in which that is so."""
    before: LedgerMark | None = None
    """What an earlier run of the steward held, which somebody ended."""
    accepted: tuple[str, ...] = ()
    """In words, the latest orders that it goes on with a ledger as it was."""

    @property
    def stopped(self) -> frozenset[str]:
        """What is stopped: the ids of stops, and the writes whose level it is."""
        steps = (f"/{each.step}" for each in self.steps if each.level is Level.STOP)
        return frozenset([*(stop.id for stop in self.stops), *steps])


class OrderResult(Wire):
    """What became of an order. `people`: who is shown to have given it.

    `judged`: how many statements on it were judged. `ledger`: with which the agent goes on.
    """

    stand: OrderState
    why: str = ""
    proven: bool = False
    people: tuple[str, ...] = ()
    judged: int = 0
    ledger: LedgerMark | None = None


class Change(Wire):
    """One order in the book, and how far it got. `note`: why no further, in words."""

    order: Order
    statements: tuple[str, ...]
    stand: OrderState = OrderState.ASKED
    since: Aware
    note: str = ""
    proven: bool = False
    people: tuple[str, ...] = ()
    judged: int = 0
    """How many statements it was judged by."""

    @property
    def is_open(self) -> bool:
        """Whether nothing has come of it yet."""
        return self.stand in {OrderState.ASKED, OrderState.WAITING}

    def may_become(self, stand: OrderState) -> bool:
        """Whether it can get so far from where it is; what is over stays over."""
        if self.stand is OrderState.IN_FORCE:
            return stand is OrderState.DONE
        waits = self.stand is OrderState.WAITING
        return self.is_open and stand is not OrderState.ASKED and (waits or stand != "expired")


class IgnoredSignal(Wire):
    """A signal that was no order, and why not."""

    at: Aware
    text: str


class AuditSeal(Wire):
    """The head of the audit of a period, kept where whoever writes the ledger cannot change it."""

    since: Aware
    until: Aware
    entries: Annotated[int, Field(ge=1)]
    head: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    by: Annotated[str, Field(max_length=200)] = ""


@dataclass(frozen=True)
class AskedOrders:
    """Orders that wait to be judged: how many, and what their stops stop (step, case).

    `signed`: those that claim to be. What nobody signed takes no room from them.
    """

    signed: int
    unsigned: int
    stops: frozenset[tuple[str | None, str | None]]


class OrderBook(Wire):
    """Everything that the steward of an agent knows."""

    agent: str
    changes: tuple[Change, ...] = ()
    picture: AutonomyView | None = None
    ledger: LedgerMark | None = None
    """The ledger in which the agent writes, and how high it was when that was looked at last."""
    strange: LedgerMark | None = None
    """Another one, or a lower one, that a worker has: nothing is written in it."""
    ignored: tuple[IgnoredSignal, ...] = ()
    seals: tuple[AuditSeal, ...] = ()

    def change(self, order_id: str) -> Change | None:
        """The change of that order."""
        return next((each for each in self.changes if each.order.id == order_id), None)

    @property
    def waiting(self) -> tuple[Change, ...]:
        """The orders that wait for a second person."""
        return tuple(each for each in self.changes if each.stand is OrderState.WAITING)

    def until(self) -> datetime | None:
        """When the first of those that wait has waited long enough."""
        return min((each.since + SECOND_WITHIN for each in self.waiting), default=None)

    # What is heard

    def heard(self, change: Change) -> OrderBook:
        """With an order that came in; one that came before changes nothing."""
        if self.change(change.order.id) is not None:
            return self
        # By their ids: models that are compared, each with each, cost seconds for a hundred.
        over = {c.order.id for c in [c for c in self.changes if not c.is_open][:-KEPT]}
        kept = (c for c in self.changes if c.order.id not in over)
        return self.model_copy(update={"changes": (*kept, change)})

    def asked(self) -> AskedOrders:
        """What waits to be judged."""
        found = [each for each in self.changes if each.stand is OrderState.ASKED]
        signed = sum(not text.startswith("{") for each in found for text in each.statements[:1])
        orders = (each.order for each in found)
        stops = frozenset((each.step, each.case) for each in orders if each.kind == "stop")
        return AskedOrders(signed, len(found) - signed, stops)

    def declines(self, kind: str, payloads: Sequence[Payload], asked: AskedOrders) -> str | None:
        """Why an order that comes in is not taken; None if it is. Anybody may send thousands.

        It is said before it is made a model of. Of the agent, and of each of its writes, one
        stop is always taken; what cannot be read is for `change_of`.
        """
        try:
            body = read_signal(payloads) if payloads else {}
        except BadSignal:
            body = {}
        # As text: whatever else it is cannot be looked for.
        step, case = (None if (v := body.get(name)) is None else str(v) for name in _OF)
        writes = self.picture.writes if self.picture else ()
        if kind == "stop" and step is not None and writes and step not in writes:
            return f"{self.agent} has no write {step[:100]}; there are: {', '.join(writes)}"
        signed = "proof" in body
        full = (asked.signed if signed else asked.unsigned) >= MAX_ASKED
        if kind == "stop" and (full or not signed):
            if (step, case) in asked.stops:
                return SAME_STOP
            if case is None and (step is None or step in writes):
                return None
        return f"{MAX_ASKED} orders wait to be judged; send it again" if full else None

    def noted(self, text: str, now: datetime) -> OrderBook:
        """With a signal that was no order."""
        ignored = (*self.ignored, IgnoredSignal(at=now, text=text))[-IGNORED_KEPT:]
        return self.model_copy(update={"ignored": ignored})

    def sealed(self, seal: AuditSeal) -> OrderBook:
        """With the head of an audit."""
        return self.model_copy(update={"seals": (*self.seals, seal)[-SEALS_KEPT:]})

    def seconded(self, order_id: str, text: str) -> OrderBook:
        """With the word of a second person on an order that waits for it."""
        change = self.change(order_id)
        said = () if change is None else change.statements
        kept = (*said[:1], *said[1:][2 - STATEMENTS :], text)
        return self._with(order_id, {"statements": kept})

    # What came of it

    def entered(self, order_id: str, entered: OrderResult, now: datetime) -> OrderBook:
        """With what became of an order.

        Raises:
            HandrailError: if it cannot have; a mistake of the engine.
        """
        change = self.change(order_id)
        if change is None or not change.may_become(entered.stand):
            raise HandrailError(f"{order_id}: no move from {change and change.stand}")
        # While it waits its time runs on from when it began to.
        again = change.stand is entered.stand
        values = {
            "stand": entered.stand,
            "since": change.since if again else now,
            "note": entered.why,
            "proven": entered.proven,
            "people": entered.people,
            "judged": max(change.judged, entered.judged),
            # The ledger has what was signed. Here nobody needs it again, and all of it is carried.
            "statements": change.statements if again or entered.stand is OrderState.WAITING else (),
        }
        book = self._with(order_id, values)
        if entered.ledger is None:
            return book
        return book.model_copy(update={"ledger": entered.ledger, "strange": None})

    def expired(self, now: datetime) -> OrderBook:
        """With what nobody seconded in time."""
        book = self
        for change in self.waiting:
            if change.since + SECOND_WITHIN <= now:
                why = f"nobody else said so within {SECOND_WITHIN}"
                book = book.entered(
                    change.order.id, OrderResult(stand=OrderState.EXPIRED, why=why), now
                )
        return book

    def seen(self, picture: AutonomyView) -> tuple[OrderBook, bool]:
        """With what is in force now; and whether what was stopped may go on."""
        mark, held, earlier = picture.ledger, self.ledger, picture.before
        if earlier is not None and (held is None or _follows(earlier, held)):
            # Whoever ends or resets a steward must not have it take another ledger for its own.
            held = earlier
        if mark is not None and held is not None and not _follows(mark, held):
            # What it lacks is not over for that: a stop stands until a person has said.
            return self.model_copy(update={"strange": mark, "ledger": held}), False
        before = self.picture.stopped if self.picture else frozenset[str]()
        over = before - picture.stopped
        if picture.more and self.picture:
            # What is not listed is not over for that.
            over -= {stop.id for stop in self.picture.stops if ":" in stop.what}
        known = {"picture": picture, "ledger": mark or held, "strange": None}
        book = self.model_copy(update=known)
        for change in self.changes:
            if change.order.id in over and change.stand is OrderState.IN_FORCE:
                done = OrderResult(
                    stand=OrderState.DONE, why="lifted", proven=change.proven, people=change.people
                )
                book = book.entered(change.order.id, done, picture.at)
        return book, bool(over)

    def _with(self, order_id: str, values: Mapping[str, Any]) -> OrderBook:
        changed = tuple(
            c.model_copy(update=values) if c.order.id == order_id else c for c in self.changes
        )
        return self.model_copy(update={"changes": changed})


def _follows(mark: LedgerMark, held: LedgerMark) -> bool:
    """Whether a ledger is the one that was held, and lacks nothing of it."""
    return mark.id == held.id and mark.height >= held.height


# What people send


def change_of(
    kind: str, agent: str, payloads: Sequence[Payload], now: datetime, new_id: str
) -> Change:
    """An order from a signal: its fields, and `proof` where it is signed.

    What need not be said is filled in: a stop that cannot be read stops the whole agent, for
    a stop must not fail because its reason is misspelt.

    Raises:
        BadSignal: if it is none, with what to send instead.
    """
    defaults = {"id": new_id, "kind": kind, "agent": agent, "at": now.isoformat()}
    try:
        body = read_signal(payloads) if payloads else {}
        proof = _proof(body)
        order = _order(defaults | ({"by": SOMEBODY} if kind == "stop" else {}) | body, agent)
    except (BadSignal, NoOrder) as error:
        if kind != "stop":
            raise BadSignal(str(error)) from error
        said = {"by": SOMEBODY, "why": f"what was sent with it cannot be read: {error}"[:1_000]}
        order, proof = order_of(defaults | said), None
    text = proof if isinstance(proof, str) else order.model_dump_json()
    return Change(order=order, statements=(text,), since=now)


def second_of(book: OrderBook, payloads: Sequence[Payload], now: datetime) -> tuple[str, str]:
    """Which order that waits is seconded, and the words of whoever does.

    Raises:
        BadSignal: if there is none of that id, or nobody says so.
    """
    body = read_signal(payloads)
    change = book.change(str(body.get("id", "")))
    if change is None or change.stand is not OrderState.WAITING:
        raise BadSignal(f"no order {str(body.get('id'))[:64]!r} waits for a second person")
    proof = _proof(body)
    if isinstance(proof, str):
        return change.order.id, proof
    said = {"by": body.get("by"), "why": body.get("why", ""), "at": now.isoformat()}
    try:
        return change.order.id, order_of(
            change.order.model_dump(mode="json") | said
        ).model_dump_json()
    except NoOrder as error:
        raise BadSignal(str(error)) from error


def _proof(body: dict[str, Any]) -> object:
    """What signs an order, taken out of it.

    Raises:
        BadSignal: if it is longer than any: all that is heard is carried along.
    """
    proof = body.pop("proof", None)
    if isinstance(proof, str) and len(proof) > MAX_PROOF:
        raise BadSignal(f"its proof has {len(proof)} characters; {MAX_PROOF} are the most")
    return proof


def _order(said: Mapping[str, Any], agent: str) -> Order:
    order = order_of(said)
    if order.agent not in {agent, FLEET}:
        raise NoOrder(f"this is the steward of {agent}, not of {order.agent}")
    return order


def order_in_words(order: Order) -> str:
    """An order in words, without who gave it."""
    if order.kind == "lift":
        return f"lift {order.lifts}"
    target = target_of(order).words
    if order.kind == "stop":
        return f"stop {target}"
    if order.kind == "ledger":
        return f"{target} goes on with the ledger {order.ledger} from height {order.height}"
    if order.ramp is not None:
        shares = ", ".join(map(percent, order.ramp.shares)) or order.ramp.to
        return f"rollout of {order.ramp.build} ({order.ramp.deployment}): {shares}"
    share = "" if order.rollout is None else f" {percent(order.rollout)}"
    return f"{order.level}{share} for {target}"
