"""Whom no channel reached is told after all: who, when, and what is given up."""

from __future__ import annotations

from handrail.inbox.channels.again import AGAIN, again, next_round
from handrail.inbox.channels.delivery import (
    DeliveryAttempt,
    DeliveryLog,
    DeliveryStatus,
    NotificationKind,
    early,
    enter,
    see,
)
from tests.unit.inbox.messages_views import ANA, BO, BOSS, CY, OPENED, look

LOST, GOING, DROPPED = DeliveryStatus.LOST, DeliveryStatus.GOING, DeliveryStatus.DROPPED
LATER = OPENED + AGAIN


def all_lost(log: DeliveryLog, *final: str, back: bool = False) -> DeliveryLog:
    """Every message on its way fails by mail; for the people of `final` for good."""
    for number, each in enumerate(log.letters):
        if each.fate is GOING:
            bad = each.due.person in final
            tried = DeliveryAttempt(
                channel="mail", at=OPENED, why="away", final=bad, back=back and bad
            )
            known = {"fate": LOST, "tries": (*each.tries, tried)}
            log = log.with_letter(number, each.model_copy(update=known))
    return enter(log, early(log))


def fates(log: DeliveryLog) -> dict[str, DeliveryStatus]:
    return {f"{each.due.what} {each.due.person}": each.fate for each in log.letters}


def asked() -> DeliveryLog:
    ways = dict.fromkeys((ANA, BO, CY, BOSS), ("mail",))
    return see(DeliveryLog(), look(ways=ways, owner=BOSS))


def test_whom_an_absent_channel_did_not_reach_is_told_again_later_and_nobody_in_their_place() -> (
    None
):
    log = all_lost(all_lost(asked()))
    assert next_round(log) == LATER
    assert again(log, OPENED) == log
    fresh = again(log, LATER)
    assert {who: fate for who, fate in fates(fresh).items() if "asked" in who} == {
        f"asked {ANA}": GOING,
        f"asked {BO}": GOING,
    }
    assert {fate for who, fate in fates(fresh).items() if "asked" not in who} == {DROPPED}
    assert [fresh.way(each) for each in fresh.letters[:2]] == ["mail", "mail"]
    # Until it has arrived it counts as not reached, so that nobody takes them for told.
    assert fresh.unreached() == (ANA, BO)


def test_what_was_refused_for_good_is_not_offered_again() -> None:
    log = all_lost(all_lost(asked(), ANA, BO), CY, BOSS)
    assert next_round(log) is None
    assert again(log, LATER) == log
    came_back = all_lost(all_lost(asked(), ANA, BO, back=True), CY, BOSS)
    assert next_round(came_back) is None


def test_where_nobody_who_is_asked_can_be_reached_those_in_their_place_are_tried_again() -> None:
    log = all_lost(all_lost(asked(), ANA, BO))
    fresh = again(log, LATER)
    assert fates(fresh)[f"asked {ANA}"] is LOST
    assert fates(fresh)[f"{NotificationKind.OWNER} {BOSS}"] is GOING
    # Also if they had been given up, because it seemed that those who are asked could be reached.
    given_up = again(all_lost(all_lost(asked())), LATER)
    refused = all_lost(given_up, ANA, BO)
    assert fates(again(refused, LATER))[f"{NotificationKind.OWNER} {BOSS}"] is GOING


def test_what_has_arrived_is_not_sent_again() -> None:
    log = all_lost(asked())
    told = log.with_letter(0, log.letters[0].model_copy(update={"fate": DeliveryStatus.TOLD}))
    assert fates(again(told, LATER))[f"asked {ANA}"] is DeliveryStatus.TOLD
