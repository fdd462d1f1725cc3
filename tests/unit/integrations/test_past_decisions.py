"""Past decisions from a file: what JSON takes for a character is no end of a line."""

from __future__ import annotations

import json
from typing import Literal

import pytest
from pydantic import BaseModel

from handrail import Action, Decision, decide
from handrail.evidence import agreement
from handrail.integrations import evaluate
from handrail.integrations.evaluation import given_decisions


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\u0085", "\u202e", "\x1c"])
def test_past_decisions_are_read_whatever_they_were_given(odd: str) -> None:
    given = {"case": "a:1", "given": {"text": f"a{odd}b"}}
    lines = "\n".join(json.dumps(given, ensure_ascii=False) for _ in range(10))
    found = given_decisions(lines, "a file")
    assert [each.given["text"] for each in found] == [f"a{odd}b"] * 10


class Queue(Action):
    """Put a mail into a queue."""

    mail: str


class Triage(BaseModel):
    """What the step answers."""

    urgency: Literal["low", "high"]
    words: str


@decide
async def sort_mail(mail: str) -> Decision[Queue, Triage]:
    """Answer, and put it into the queue of those that are answered by and by."""
    urgency: Literal["low", "high"] = "high" if "fire" in mail else "low"
    shown = Triage(urgency=urgency, words=mail)
    action = None if urgency == "high" else Queue(mail=mail)
    return Decision(action=action, rationale="", confidence=1, evidence=shown)


def line(mail: str, **known: object) -> str:
    return json.dumps({"case": mail, "given": {"mail": mail}} | known)


async def test_answers_are_held_against_what_people_answered() -> None:
    alone = {"people": {"answers": {"urgency": "high"}}}
    both = {"people": {"kind": "Queue", "action": {"mail": "c"}, "answers": {"urgency": "low"}}}
    lines = [line("fire", **alone), line("b", **alone), line("c", **both)]
    lines += [line("d", people={}), line("fire!", people={})]
    found = agreement(await evaluate(sort_mail, given_decisions("\n".join(lines), "a file")))
    assert found["answers"] == {"urgency": {"agree": 2, "of": 3}}
    assert found["as_people"] == {"agree": 3, "of": 5}
    assert [each["case"] for each in found["differ"]] == ["b", "d"]
    assert found["differ"][0]["now"]["answers"] == {"urgency": "low"}


async def test_what_was_answered_before_counts_where_it_is_of_a_closed_set() -> None:
    action = {"kind": "Queue", "action": {"mail": "b"}}
    lines = [line("b", decided=action | {"answers": {"urgency": each}}) for each in ("low", "high")]
    found = agreement(await evaluate(sort_mail, given_decisions("\n".join(lines), "a file")))
    assert (found["as_before"], found["answers"]) == ({"agree": 1, "of": 2}, {})


async def test_an_answer_that_the_step_does_not_give_is_named() -> None:
    given = line("b", people={"answers": {"urgncy": "low"}})
    [found] = await evaluate(sort_mail, given_decisions(given, "a file"))
    assert "no field `urgncy`; there are: urgency, words" in found.error
