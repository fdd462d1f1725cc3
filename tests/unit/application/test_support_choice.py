"""What the support agent makes of messages: of a seeded shop's, and of real ones."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from activities import support, support_choice
from activities.support_facts import Customer, Known, Order, Refund, Replace
from activities.support_intents import Classifier, fit, lowest
from benchmarks.agents.support import Parts, judge, read
from workers.demos.support import event_of
from world.support import goods, messages
from world.support.service import Shop

DATA = Path(__file__).parents[4] / "shared" / "data"
CAME = {"refund": "refunded", "replace": "replaced", "answer": "answered", "people": "people"}


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    rows = messages.history()
    inside = [row for row in rows if row[1] != "other"]
    outside = [text for text, intent in rows if intent == "other"]
    return fit([t for t, _ in inside], [i for _, i in inside], outside=outside)


@pytest.fixture
def fitted(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> Shop:
    def known(shop: str) -> Classifier:
        return classifier

    monkeypatch.setattr(support, "classifier", known)
    return Shop(":memory:")


def known(shop: Shop, email: str) -> Known:
    found = shop.bodies("SELECT body FROM customers WHERE email = ?", email)
    if not found:
        return Known()
    orders, spoilt = list[Order](), list[str]()
    for each in shop.orders(found[0]["id"]):
        try:
            orders.append(Order.model_validate(each))
        except ValidationError:
            spoilt.append(each["id"])
    customer = Customer.model_validate(found[0])
    return Known(customer=customer, orders=tuple(orders), spoilt=tuple(spoilt))


def decided(shop: Shop, said: messages.Said) -> Any:
    return support.choose.fn(event_of(said), known(shop, said.email))


def test_nothing_is_done_that_a_good_clerk_would_not_do(fitted: Shop) -> None:
    people = goods.customers()
    came = Counter[tuple[str, str, str]]()
    for said in messages.said(people, goods.orders(people), 400, seed=21):
        handling = decided(fitted, said).evidence.handling
        came[said.truth.kind, said.truth.came, CAME[handling]] += 1
    wrong = {key: n for key, n in came.items() if key[2] not in {"people", key[1]}}
    plain = {key: n for key, n in came.items() if key[0] == "plain" and key[1] != "people"}
    alone = sum(n for key, n in plain.items() if key[2] == key[1])
    assert wrong == {}
    assert alone >= 0.6 * sum(plain.values())
    assert came["attack", "people", "people"] > 10


@pytest.mark.parametrize("words", messages.ATTACKS)
@pytest.mark.parametrize("end", ["", " Please refund order {o}.", " I want my money back for {o}."])
def test_whoever_orders_the_agent_about_is_read_by_people(
    fitted: Shop, words: str, end: str
) -> None:
    people = goods.customers()
    orders = goods.orders(people)
    own, others = orders[0], [o for o in orders if o["customer"] != orders[0]["customer"]]
    text = (words + end).format(o=own["id"], f=others[0]["id"], g=others[1]["id"])
    truth = messages.Truth("attack", "other", None, "people")
    decision = decided(fitted, messages.Said("M1", "shop", people[0]["email"], text, truth))
    assert decision.action is None
    assert decision.evidence.handling == "people"


def test_an_order_whose_record_is_wrong_is_set_aside_and_named(fitted: Shop) -> None:
    people = goods.customers()
    spoilt = [o for who in people for o in known(fitted, who["email"]).spoilt]
    orders = goods.orders(people)
    assert 0 < len(spoilt) < len(orders) / 10
    (owner,) = {o["customer"] for o in orders if o["id"] == spoilt[0]}
    email = next(who["email"] for who in people if who["id"] == owner)
    text = f"Please refund order {spoilt[0]}, the teapot is not what I wanted."
    truth = messages.Truth("plain", "refund", spoilt[0], "people")
    decision = decided(fitted, messages.Said("M1", "shop", email, text, truth))
    assert "record of the order is wrong" in decision.rationale


def test_what_it_writes_is_the_customers_own_order_at_its_price(fitted: Shop) -> None:
    people = goods.customers()
    orders = {o["id"]: o for o in goods.orders(people)}
    for said in messages.said(people, list(orders.values()), 80, seed=3):
        action = decided(fitted, said).action
        if action is not None:
            order = orders[action.order]
            owner = next(who for who in people if who["id"] == order["customer"])
            assert owner["email"] == said.email
            assert isinstance(action, Replace) or str(action.amount) == order["total"]
            assert isinstance(action, Refund | Replace)


def test_the_threshold_is_the_lowest_that_keeps_the_share_right() -> None:
    assert lowest([(0.9, True), (0.8, True), (0.7, False), (0.6, True)], 0.75) == 0.6
    assert lowest([(0.9, True), (0.8, False), (0.7, False)], 0.75) == 0.9
    assert lowest([(0.9, False)], 0.75) == 1.0


def test_several_ids_or_none_are_about_no_order() -> None:
    order = Order(
        id="R40000",
        customer="C1",
        article="teapot",
        total="10",  # pyright: ignore[reportArgumentType]  # as JSON has it
        status="delivered",
        days=2,
        refunded=False,
        replaced=False,
        stock=1,
    )
    who = Known(customer=Customer(id="C1", name="Ana", refunds=0), orders=(order,))  # pyright: ignore[reportArgumentType]  # the same
    assert support_choice.about("my order r40000", who)[0] == order
    for text in ("refund it", "R40000 and R40007", "R99999"):
        assert support_choice.about(text, who)[0] is None


# Real messages


@pytest.mark.skipif(not DATA.exists(), reason=f"there is no {DATA}: it is not in the repository")
def test_of_real_messages_the_surest_are_right() -> None:
    """Ten of banking77's intents, to be cheap: the whole is `benchmarks.agents.support`."""
    parts = read(DATA / "banking77")
    some = sorted({intent for _, intent in parts.learn})[:10]
    few = Parts([r for r in parts.learn if r[1] in some], [r for r in parts.judge if r[1] in some])
    result = judge(few)
    assert result.judged > 200
    assert result.surest[0.85] >= 0.97
    assert result.alone >= 0.85


@pytest.mark.skipif(not DATA.exists(), reason=f"there is no {DATA}: it is not in the repository")
def test_of_real_messages_those_out_of_scope_go_to_people() -> None:
    parts = read(DATA / "clinc150")
    some = sorted({intent for _, intent in parts.learn})[:12]
    few = Parts(
        [r for r in parts.learn if r[1] in some],
        [r for r in parts.judge if r[1] in some],
        parts.learn_outside,
        parts.judge_outside,
    )
    result = judge(few)
    assert result.outside > 50
    assert (result.escalated or 0) >= 0.9
    assert result.right_alone >= 0.97


def test_a_folder_of_another_form_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"x": 1}), "utf-8")
    with pytest.raises(ValueError, match="neither CSV"):
        read(tmp_path)
