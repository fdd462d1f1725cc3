"""Who must be told what, from what was seen of a gate: pure."""

from __future__ import annotations

import functools
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail.inbox.channels.closing import closing
from handrail.inbox.channels.delivery import (
    ConsultationSummary,
    Delivery,
    DeliveryAttempt,
    DeliveryLog,
    DeliveryStatus,
    GateOutcome,
    MessageRef,
    Notification,
    NotificationKind,
    bounced,
    early,
    enter,
    see,
)
from handrail.oversight import GateView
from tests.unit.inbox.messages_views import (
    ANA,
    BO,
    BOSS,
    CY,
    LATER,
    LEAD,
    OPENED,
    look,
    stage,
    view,
)

HOUR = timedelta(hours=1)


def due(book: DeliveryLog) -> list[str]:
    return [f"{each.due.what} {each.due.person}" for each in book.letters]


def told(book: DeliveryLog, channel: str = "mail") -> DeliveryLog:
    """Everything that is on its way arrives."""
    for number, letter in enumerate(book.letters):
        if letter.fate is DeliveryStatus.GOING:
            ref = MessageRef(channel=channel, id=f"<{number}>", tag=f"tag-{letter.due.person}")
            tried = DeliveryAttempt(channel=channel, at=OPENED, ref=ref)
            changed = {"tries": (*letter.tries, tried), "fate": DeliveryStatus.TOLD}
            book = book.with_letter(number, letter.model_copy(update=changed))
    return book


def lost(book: DeliveryLog, *people: str, who: tuple[str, ...] = ()) -> DeliveryLog:
    for number, letter in enumerate(book.letters):
        if letter.due.person in (*people, *who):
            book = book.with_letter(number, letter.model_copy(update={"fate": DeliveryStatus.LOST}))
    return book


def test_everybody_who_is_asked_is_entered_once_however_often_it_is_seen() -> None:
    book = see(see(see(DeliveryLog(), look()), look()), look())
    assert due(book) == [f"asked {ANA}", f"asked {BO}"]


def test_who_agreed_already_or_may_not_approve_is_not_asked() -> None:
    assert due(see(DeliveryLog(), look(view(given=(ANA,), barred=(BO.upper(),))))) == []


def test_a_moment_that_passes_and_ends_nothing_is_a_reminder_for_who_still_owes_an_answer() -> None:
    book = told(see(DeliveryLog(), look()))
    later = view(next=OPENED + 4 * HOUR, given=(BO,))
    book = see(see(book, look(later)), look(later))
    assert due(book)[2:] == [f"reminder {ANA}"]
    again = told(see(book, look(view(next=OPENED + 6 * HOUR))))
    assert due(again)[3:] == [f"reminder {ANA}", f"reminder {BO}"]


@pytest.mark.parametrize(
    "seen",
    [
        view(stage("lead", ANA, BO, hours=10), LATER, next=OPENED + 4 * HOUR),
        view(next=OPENED + HOUR),
        view(next=None),
    ],
    ids=["the clock stood still", "earlier", "nothing more"],
)
def test_what_only_moves_the_next_moment_is_no_reminder(seen: GateView) -> None:
    assert len(see(told(see(DeliveryLog(), look())), look(seen)).letters) == 2


def test_what_a_silent_case_published_long_ago_changes_nothing() -> None:
    book = told(see(DeliveryLog(), look(view(next=OPENED + 4 * HOUR))))
    stale = see(book, look(fresh=False))
    assert due(see(stale, look(view(next=OPENED + 4 * HOUR)))) == due(book)


def test_when_it_escalates_the_new_role_is_asked_and_the_old_one_is_told() -> None:
    book = told(see(DeliveryLog(), look()))
    now = view(stage("operations", CY, hours=32), people=(ANA, BO, CY))
    book = see(book, look(now))
    assert due(book)[2:] == [f"asked {CY}", f"passed_on {ANA}", f"passed_on {BO}"]
    assert book.letters[2].due.why == "nobody of lead answered in time"


def test_when_nobody_of_a_role_is_reached_the_next_role_and_the_owner_are_told_early() -> None:
    book = lost(see(DeliveryLog(), look()), ANA)
    assert early(book) == []
    book = lost(book, BO)
    book = enter(book, early(book))
    assert due(book)[2:] == [f"early {CY}", f"owner {BOSS}"]
    assert book.unreached() == (ANA, BO)
    assert due(see(enter(book, early(book)), look())) == due(book)


def test_the_last_role_without_anybody_to_reach_is_the_owners_to_know() -> None:
    book = lost(see(DeliveryLog(), look(view(LEAD))), ANA, BO)
    assert [f"{each.what} {each.person}" for each in early(book)] == [f"owner {BOSS}"]


def test_a_question_goes_to_the_colleague_and_its_answer_to_who_asked() -> None:
    asked = ConsultationSummary(id="q1", by=ANA, to=BO, text="is it theirs?")
    book = see(DeliveryLog(), look(questions=(asked,)))
    assert due(book)[2:] == [f"question {BO}"]
    answered = asked.model_copy(update={"answer": "yes"})
    assert due(see(book, look(questions=(answered,))))[3:] == [f"answer {ANA}"]


def test_a_question_to_the_agent_is_nobodys_mail() -> None:
    asked = ConsultationSummary(id="q1", by=ANA, to="agent", text="why?", answer="because")
    assert due(see(DeliveryLog(), look(questions=(asked,))))[2:] == [f"answer {ANA}"]


def test_mail_that_comes_back_goes_the_next_way_and_later_mail_does_not_go_that_way() -> None:
    book = told(see(DeliveryLog(ways={}), look(ways={ANA: ("mail", "slack"), BO: ("mail",)})))
    book = told(see(book, look(view(next=OPENED + 4 * HOUR), ways={ANA: ("mail", "slack")})))
    back = bounced(book, f"tag-{ANA}", "5.1.1 no such mailbox")
    fates = [each.fate for each in back.letters if each.due.person == ANA]
    assert fates == [DeliveryStatus.GOING, DeliveryStatus.DROPPED]
    assert back.way(back.letters[0]) == "slack"
    assert back.way(Delivery(due=Notification(what=NotificationKind.ANSWER, person=ANA))) == "slack"
    assert bounced(book, "", "x") == bounced(book, "tag-of-nobody", "x") == book


def test_what_follows_a_message_goes_its_way_first() -> None:
    book = see(DeliveryLog(), look(ways={ANA: ("mail", "slack", "also 1")}))
    book = told(book, "slack")
    follows = Delivery(due=Notification(what=NotificationKind.REMINDER, person=ANA))
    assert book.way(follows) == "slack"
    tried = DeliveryAttempt(channel="slack", at=OPENED, why="refused")
    assert book.way(follows.model_copy(update={"tries": (tried,)})) == "mail"


def test_at_the_end_everybody_who_had_mail_and_did_not_end_it_gets_one_more() -> None:
    book = see(see(DeliveryLog(), look()), look(view(next=OPENED + 4 * HOUR)))
    over = told(book).model_copy(update={"ended": GateOutcome(how="expired")})
    assert due(closing(over))[4:] == [f"closed {ANA}", f"closed {BO}"]
    approved = told(book).model_copy(update={"ended": GateOutcome(how="approved", by=(ANA,))})
    assert due(closing(approved)) == [*due(book), f"closed {BO}"]
    # As it is for those whose messages began before that was so.
    assert due(closing(approved, everybody=False)) == due(book)
    assert due(closing(over, everybody=False))[4:] == [f"closed {ANA}", f"closed {BO}"]
    in_slack = told(book, "slack").model_copy(update={"ended": GateOutcome(how="expired")})
    assert due(closing(in_slack)) == due(book)


def test_what_was_not_sent_when_it_ended_is_dropped() -> None:
    ended = see(
        see(DeliveryLog(), look()), look(None, view=None, ended=GateOutcome(how="approved"))
    )
    assert {each.fate for each in closing(ended).letters} == {DeliveryStatus.DROPPED}


LOOKS = st.sampled_from(
    [
        look(),
        look(view(next=OPENED + 4 * HOUR)),
        look(view(given=(ANA,))),
        look(view(stage("operations", CY, hours=32), people=(ANA, BO, CY))),
        look(questions=(ConsultationSummary(id="q", by=ANA, to=CY, text="?", answer="!"),)),
        look(fresh=False),
    ]
)
FATES: list[Any] = [
    told,
    functools.partial(lost, who=(ANA,)),
    functools.partial(lost, who=(BO, CY)),
]


@given(st.lists(st.tuples(LOOKS, st.sampled_from(FATES)), max_size=12))
def test_whatever_is_seen_in_whatever_order_no_message_is_entered_twice(
    seen: list[tuple[Any, Any]],
) -> None:
    book = DeliveryLog()
    for each, becomes in seen:
        before = len(book.letters)
        book = becomes(see(book, each))
        assert len(see(book, each).letters) >= before
    keys = [each.due.key("g") for each in book.letters]
    assert len(keys) == len(set(keys))
    asked = {each.due.person for each in book.letters if each.due.what is NotificationKind.ASKED}
    owed = {p for each, _ in seen if each.fresh and each.view for p in each.view.people}
    agreed = {p for each, _ in seen if each.view for p in each.view.given}
    assert owed - agreed <= asked
