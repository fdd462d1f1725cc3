"""The book of a steward: how far an order gets, what is heard, and what the UI shows of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload

from handrail.actions import LedgerMark, Level
from handrail.exceptions import HandrailError
from handrail.oversight.order_book import (
    IGNORED_KEPT,
    KEPT,
    SECOND_WITHIN,
    AutonomyView,
    Change,
    OrderBook,
    OrderResult,
    OrderState,
    StepView,
    StopInForce,
    change_of,
    order_in_words,
    second_of,
)
from handrail.oversight.orders import Order, Target, level_order, order_of, stop_order
from handrail.oversight.signals import BadSignal
from handrail.runtime.steward import LARGEST_PAGE, page

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANA, BO = "ana@example.com", "bo@example.com"
RAISE = level_order(
    Target("shipments", step="rebook"), Level.FULL, 2_500, ANA, NOW, why="it went well"
)
WAITS = OrderResult(stand=OrderState.WAITING, why="it takes a second person", people=(ANA,))
IN_FORCE = OrderResult(stand=OrderState.IN_FORCE, proven=True, people=(ANA, BO))


def payload(value: Any) -> list[Payload]:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return [Payload(metadata={"encoding": b"json/plain"}, data=data)]


def heard(kind: str, value: Any) -> Order:
    return change_of(kind, "shipments", payload(value), NOW, "f" * 32).order


def change(order: Order = RAISE) -> Change:
    return Change(order=order, statements=("a.b.c",), since=NOW)


def waiting() -> OrderBook:
    return OrderBook(agent="shipments").heard(change()).entered(RAISE.id, WAITS, NOW)


def standing(order_id: str = "a" * 32, of: str = "shipments", **more: Any) -> StopInForce:
    return StopInForce(id=order_id, what=of, by=ANA, at=NOW, **more)


# What is heard


def test_a_stop_takes_nothing_and_stops_the_whole_agent() -> None:
    order = change_of("stop", "shipments", [], NOW, "f" * 32).order
    assert (order.kind, order.agent, order.step, order.by) == (
        "stop",
        "shipments",
        None,
        "somebody",
    )
    assert heard("stop", {"by": BO, "step": "rebook", "why": "odd"}).step == "rebook"


@pytest.mark.parametrize(
    "sent",
    [b"not json", b"[]", {"who": ANA}, {"step": 7}, {"agent": "others"}, {"level": "full"}],
)
def test_a_stop_that_cannot_be_read_stops_all_the_same(sent: Any) -> None:
    order = heard("stop", sent)
    assert (order.kind, order.agent, order.step) == ("stop", "shipments", None)
    assert "cannot be read" in order.why


@pytest.mark.parametrize(
    ("kind", "sent", "why"),
    [
        ("level", {"by": ANA}, "a level has `level`"),
        ("level", {"level": "full"}, "by"),
        ("level", {"level": "more", "by": ANA}, "level"),
        ("level", {"level": "full", "by": ANA, "agent": "others"}, "steward of shipments"),
        ("lift", {"by": ANA}, "`lifts`"),
        ("lift", b"{", "not JSON"),
    ],
)
def test_what_lets_it_do_more_must_be_read_to_the_letter(kind: str, sent: Any, why: str) -> None:
    with pytest.raises(BadSignal, match=why):
        heard(kind, sent)


def test_what_is_signed_is_kept_as_it_was_signed_and_what_is_not_as_it_was_said() -> None:
    body = RAISE.model_dump(mode="json")
    signed = change_of("level", "shipments", payload(body | {"proof": "x.y.z"}), NOW, "f" * 32)
    assert (signed.order, signed.statements) == (RAISE, ("x.y.z",))
    said = change_of("level", "shipments", payload(body), NOW, "f" * 32)
    assert order_of(json.loads(said.statements[0])) == RAISE


def test_a_second_person_says_so_of_an_order_that_waits() -> None:
    order_id, text = second_of(waiting(), payload({"id": RAISE.id, "by": BO}), NOW)
    assert order_id == RAISE.id
    assert order_of(json.loads(text)).same_as(RAISE)
    assert order_of(json.loads(text)).by == BO
    book = waiting().seconded(order_id, text)
    assert book.changes[0].statements == ("a.b.c", text)


@pytest.mark.parametrize("sent", [{}, {"id": "f" * 32, "by": BO}, {"id": RAISE.id}, b"7"])
def test_nobody_is_second_to_nothing(sent: Any) -> None:
    with pytest.raises(BadSignal):
        second_of(waiting(), payload(sent), NOW)


def test_a_proof_that_is_too_long_is_none_and_a_stop_stops_without_it() -> None:
    body = RAISE.model_dump(mode="json") | {"proof": "x" * 8_001}
    with pytest.raises(BadSignal, match="8000 are the most"):
        heard("level", body)
    with pytest.raises(BadSignal, match="8000 are the most"):
        second_of(waiting(), payload({"id": RAISE.id, "proof": "x" * 8_001}), NOW)
    stopped = heard("stop", {"by": ANA, "proof": "x" * 8_001})
    assert (stopped.kind, stopped.agent, stopped.step) == ("stop", "shipments", None)


def test_what_is_carried_along_stays_small_whatever_is_sent() -> None:
    """Over 2 MB a workflow cannot go on: an activity's input, or a new run's."""
    book = waiting()
    for number in range(100):
        book = book.seconded(RAISE.id, f"{number} {'x' * 7_990}")
    said = book.changes[0].statements
    assert said[0] == "a.b.c"
    assert said[-1].startswith("99 ")
    for number in range(KEPT + 20):
        body = {"id": f"{number:032}", "by": ANA, "why": "w" * 1_000, "proof": "x" * 8_000}
        new = change_of("stop", "shipments", payload(body), NOW, "f" * 32)
        book = book.heard(new).entered(new.order.id, IN_FORCE, NOW)
    assert len(book.model_dump_json()) < 500_000


# How far an order gets


def test_an_order_waits_for_its_second_person_and_is_in_force() -> None:
    book = waiting()
    assert [each.order for each in book.waiting] == [RAISE]
    assert book.until() == NOW + SECOND_WITHIN
    later = NOW + timedelta(hours=1)
    book = book.entered(RAISE.id, IN_FORCE, later)
    assert (book.changes[0].stand, book.changes[0].since) == (OrderState.IN_FORCE, later)
    assert (book.changes[0].people, book.until()) == ((ANA, BO), None)


def test_a_second_word_that_does_not_count_gives_no_more_time() -> None:
    book = waiting().entered(RAISE.id, WAITS, NOW + timedelta(hours=20))
    assert book.until() == NOW + SECOND_WITHIN


def test_an_order_that_nobody_seconds_expires() -> None:
    assert waiting().expired(NOW + SECOND_WITHIN - timedelta(seconds=1)) == waiting()
    assert waiting().expired(NOW + SECOND_WITHIN).changes[0].stand is OrderState.EXPIRED


@pytest.mark.parametrize("end", [OrderState.REFUSED, OrderState.EXPIRED, OrderState.DONE])
def test_what_is_over_stays_over(end: OrderState) -> None:
    book = waiting().entered(RAISE.id, OrderResult(stand=end), NOW)
    with pytest.raises(HandrailError, match="no move"):
        book.entered(RAISE.id, IN_FORCE, NOW)


def test_an_order_that_comes_twice_is_one() -> None:
    assert waiting().heard(change()) == waiting()


def test_what_waits_is_never_forgotten_and_the_rest_only_when_there_is_much() -> None:
    book = waiting()
    for _ in range(KEPT + 50):
        order = stop_order(Target("shipments"), ANA, NOW)
        book = book.heard(change(order)).entered(order.id, IN_FORCE, NOW)
    assert book.changes[0].order == RAISE
    assert len(book.changes) == KEPT + 2
    for number in range(IGNORED_KEPT + 5):
        book = book.noted(f"{number}", NOW)
    assert len(book.ignored) == IGNORED_KEPT


def test_a_stop_that_is_no_more_was_lifted_wherever_that_was_done() -> None:
    order = stop_order(Target("shipments"), ANA, NOW)
    book = OrderBook(agent="shipments").heard(change(order)).entered(order.id, IN_FORCE, NOW)
    book, freed = book.seen(AutonomyView(at=NOW, stops=(standing(order.id),)))
    assert not freed
    book, freed = book.seen(AutonomyView(at=NOW))
    assert freed
    assert book.changes[0].stand is OrderState.DONE


def test_a_write_whose_level_is_stop_may_go_on_when_it_is_another() -> None:
    def seen(level: Level) -> AutonomyView:
        return AutonomyView(at=NOW, steps=(StepView(step="rebook", level=level, rollout=10_000),))

    book = OrderBook(agent="shipments").seen(seen(Level.STOP))[0]
    assert book.seen(seen(Level.SUPERVISED))[1]
    assert not book.seen(seen(Level.STOP))[1]


# What is shown


@pytest.mark.parametrize(
    ("stops", "said"),
    [
        ((), "shipments runs"),
        ((standing(),), "shipments is stopped"),
        ((standing(of="every agent"),), "shipments is stopped"),
        ((standing(of="shipments/rebook"),), "shipments is stopped in part"),
    ],
)
def test_the_first_line_says_whether_it_runs(stops: tuple[StopInForce, ...], said: str) -> None:
    book = OrderBook(agent="shipments", picture=AutonomyView(at=NOW, stops=stops))
    assert page(book).splitlines()[0] == f"### {said}"


def test_the_page_says_what_is_in_force_what_waits_and_what_changed() -> None:
    step = StepView(
        step="rebook", level=Level.FULL, rollout=2_500, label="set by ana@example.com",
        filed="supervised",
    )  # fmt: skip
    picture = AutonomyView(at=NOW, policy="shipments v3", people=(ANA, BO), steps=(step,))
    text = page(waiting().seen(picture)[0].noted("level: not JSON", NOW))
    assert "- rebook: **full 25%**, set by ana@example.com (the file says supervised)" in text
    assert f"handrail autonomy --second {RAISE.id} --by" in text
    assert (
        "- 2026-11-22 12:00:00 UTC: full 25% for shipments/rebook by ana@example.com (unproven): "
        "it went well: **waiting for a second person** (it takes a second person)"
    ) in text
    assert "ignored level: not JSON" in text


def test_what_people_write_is_shown_and_never_taken_for_markup_or_too_long() -> None:
    evil = "# no\n[a](http://x) | `b` <i>" + "\u202e" + "x" * 5_000
    stops = tuple(standing(f"{n:032}", why=evil[:900]) for n in range(200))
    text = page(OrderBook(agent="shipments", picture=AutonomyView(at=NOW, stops=stops)))
    assert len(text.encode()) < LARGEST_PAGE + 100
    assert "\n# no" not in text
    assert "[a](" not in text
    assert "\u202e" not in text


def test_orders_in_words() -> None:
    assert order_in_words(RAISE) == "full 25% for shipments/rebook"
    assert order_in_words(stop_order(Target("*"), ANA, NOW)) == "stop every agent"


# Which ledger the agent writes in


def mark(height: int, of: str = "a") -> LedgerMark:
    return LedgerMark(id=of * 32, height=height)


def looked(now: LedgerMark, before: LedgerMark | None = None) -> AutonomyView:
    return AutonomyView(at=NOW, ledger=now, before=before)


@pytest.mark.parametrize(
    ("own", "before", "now", "held", "strange"),
    [
        (None, None, mark(7), mark(7), False),  # the first steward of all
        (None, mark(7), mark(9), mark(9), False),  # somebody ended it, and nothing else happened
        (None, mark(7), mark(5), mark(7), True),  # and the ledger went back
        (None, mark(7), mark(9, "b"), mark(7), True),  # and it is another
        (mark(3), mark(7), mark(5), mark(7), True),  # somebody reset it
        (mark(3), mark(7), mark(8), mark(8), False),
        (mark(20, "b"), mark(7), mark(21, "b"), mark(21, "b"), False),  # another was accepted since
        (mark(20), mark(7), mark(21), mark(21), False),
    ],
)
def test_a_steward_holds_what_an_earlier_one_held(
    own: LedgerMark | None,
    before: LedgerMark | None,
    now: LedgerMark,
    held: LedgerMark,
    *,
    strange: bool,
) -> None:
    book, _ = OrderBook(agent="shipments", ledger=own).seen(looked(now, before))
    assert (book.ledger, book.strange) == (held, now if strange else None)
