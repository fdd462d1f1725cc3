"""What messages say, the same by every channel.

The action is rendered from the bytes that its digest is of. Whatever an agent or the outside
world wrote is shown as its own, with every character that could disguise it spelt out.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from handrail.actions import DIGEST_PREFIX
from handrail.inbox.channels.delivery import GateOutcome, NotificationKind
from handrail.oversight import (
    FIELD_OUTSIDE,
    FIELD_PATH,
    GateKind,
    action_lines,
    evidence_lines,
    gate_lines,
    unproven_people,
    was_called,
)
from handrail.text import CUT, escape_hidden, moment_in_words, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from handrail.inbox.channels.delivery import DeliveryRequest
    from handrail.oversight import FieldLine, GateView

CHANGES = "What changes"
LONGEST_SUBJECT = 150
LONGEST_VALUE = 2_000
MOST_ROWS = 60

_ASKS = {
    GateKind.WRITE: "May this be done?",
    GateKind.IN_DOUBT: "Did this happen?",
    GateKind.UNDO: "This undo failed. Try it again?",
    GateKind.UNDECIDED: "The agent cannot decide. Try it again?",
    GateKind.READ: "May this be sent to somebody outside?",
}
_YES_NO = frozenset({GateKind.WRITE, GateKind.UNDO, GateKind.UNDECIDED, GateKind.READ})
_TO_RULE_ON = frozenset(
    {
        NotificationKind.ASKED,
        NotificationKind.REMINDER,
        NotificationKind.QUESTION,
        NotificationKind.ANSWER,
        NotificationKind.PASSED_ON,
    }
)


class MessageLinks(Protocol):
    """Where links lead. Both are pages that show; what is decided is decided there by POST."""

    def mail(self, person: str, case: str, gate: str) -> str:
        """A link for this person alone, which lets them in without signing in."""
        ...

    def page(self, case: str, gate: str) -> str:
        """A link for everybody; whoever follows it must sign in."""
        ...

    def waiting(self) -> str:
        """A link to all that waits for whoever is signed in."""
        ...


@dataclass(frozen=True)
class MessageContent:
    """A message in words: a heading, what is to be known first, and tables under titles.

    `changes`: the fields that will be others than they are, each with its value before and after;
    `was`: what the one before is called.
    `over`: whether nobody is asked any more. `rule`: whether the person may approve or reject now.
    `whole`: whether all of the action is in it, so that nobody approves what they have not seen.
    """

    subject: str
    opening: tuple[str, ...]
    tables: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    closing: tuple[str, ...]
    rule: bool
    whole: bool = True
    over: bool = False
    changes: tuple[tuple[str, str, str], ...] = ()
    was: str = "now"

    @property
    def beside(self) -> tuple[tuple[str, str], ...]:
        """What changes, as rows: of each field the value before, and after it the other one."""
        return tuple(
            row
            for name, before, after in self.changes
            for row in ((f"{name}, {self.was}", before), (f"{name}, then", after))
        )


def note(telling: DeliveryRequest) -> MessageContent:
    """What a message says."""
    view = telling.view
    return MessageContent(
        subject=subject(view),
        opening=_opening(telling),
        tables=() if telling.ended else _tables(view),
        closing=() if telling.ended else _closing(view),
        rule=telling.due.what in _TO_RULE_ON and telling.ended is None and view.kind in _YES_NO,
        whole=is_whole(view),
        over=telling.ended is not None,
        changes=() if telling.ended else _changes(view),
        was=was_called(view),
    )


def of_view(view: GateView, opening: str) -> MessageContent:
    """A question that this person cannot rule on any more, with what is to be said of it."""
    return MessageContent(subject(view), (opening,), _tables(view), (), rule=False)


def is_whole(view: GateView) -> bool:
    """Whether every field of an action is shown in full."""
    shown = _action(view)
    return len(shown) <= MOST_ROWS and not any(value(e.said).endswith(CUT) for e in shown)


def subject(view: GateView) -> str:
    """One line that says what is asked of which case: no field of the action is in it.

    The same for all messages of a gate, so that mail programs keep them together.
    """
    return one_line(f"{ask(view)} {view.says} ({view.case})", LONGEST_SUBJECT)


def ask(view: GateView) -> str:
    """The question of a gate of this kind."""
    return _ASKS.get(view.kind, "An agent asks you")


def value(text: str) -> str:
    """What a value says, with what could disguise it spelt out, and cut where it is too long."""
    # A line break is shown as one, and cannot pass for another row.
    shown = escape_hidden(text)
    return shown if len(shown) <= LONGEST_VALUE else f"{shown[:LONGEST_VALUE]}{CUT}"


def ended_words(ended: GateOutcome) -> str:
    """How a gate closed, with who and when."""
    if ended.how == "gone":
        return "This question is closed: the case has ended."
    who = f" by {', '.join(map(one_line, ended.by))}{ended.unproven}" if ended.by else ""
    when = f" at {moment_in_words(ended.at)}" if ended.at else ""
    why = f": {one_line(ended.why)}" if ended.why else ""
    return f"{ended.how.capitalize()}{who}{when}{why}"


def _opening(telling: DeliveryRequest) -> tuple[str, ...]:
    due, view = telling.due, telling.view
    role = one_line(due.role or ", ".join(view.waiting_for), 200)
    asked = telling.question
    match due.what:
        case NotificationKind.ASKED:
            because = f": {one_line(due.why)}" if due.why else ""
            return (f"You are asked as {role}{because}.",)
        case NotificationKind.REMINDER:
            said = (f"Reminder: nobody has answered yet. You are asked as {role}.",)
        case NotificationKind.PASSED_ON:
            said = (f"Nobody answered in time, and {role} is asked now as well.",)
        case NotificationKind.EARLY:
            said = ("You are told early, because the people who are asked cannot be reached.",)
        case NotificationKind.OWNER:
            said = ("You own this agent's policy, and people who are asked cannot be reached.",)
        case NotificationKind.QUESTION:
            said = (f"{one_line(asked.by)} asks you: {one_line(asked.text)}",) if asked else ()
        case NotificationKind.ANSWER:
            said = (_answered(telling),)
        case NotificationKind.CLOSED:
            said = (ended_words(telling.ended or GateOutcome(how="gone")),)
    return (*said, *([one_line(due.why)] if due.why else []))


def _answered(telling: DeliveryRequest) -> str:
    asked = telling.question
    if asked is None:
        return "Your question has been answered."
    who = one_line(asked.answered_by or asked.to)
    return f"You asked: {one_line(asked.text)} {who} answers: {one_line(asked.answer)}"


def _tables(view: GateView) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    titled = [
        ("What will be done", (("step", one_line(view.step)), *_rows(_action(view)))),
        ("Why you are asked", (("because", one_line(view.why)), *_more(view))),
        ("Evidence", _rows(evidence_lines(view))),
    ]
    return tuple((title, tuple(rows)) for title, rows in titled if rows)


def _more(view: GateView) -> Iterable[tuple[str, str]]:
    if view.risk:
        yield "risk", one_line(view.risk)
    if view.rationale:
        sure = "" if view.confidence is None else f" ({view.confidence:.0%} sure)"
        yield f"the agent says{sure}", value(view.rationale)
    if view.given:
        unproven = unproven_people(view.rulings, view.given)
        yield "agreed so far", one_line(f"{', '.join(view.given)}{unproven}")


def _action(view: GateView) -> list[FieldLine]:
    """All that will be done, and nothing beside it."""
    return action_lines(view.action, None, view.units)


def _changes(view: GateView) -> tuple[tuple[str, str, str], ...]:
    lines = [] if view.kind is GateKind.QUESTION else gate_lines(view)
    return tuple(
        (_name(each.name), value(each.said_before), value(each.said))
        for each in [each for each in lines if each.changes][:MOST_ROWS]
    )


def _rows(lines: list[FieldLine]) -> tuple[tuple[str, str], ...]:
    rows = tuple((_name(each.name), value(each.said)) for each in lines)
    left = len(rows) - MOST_ROWS
    return (*rows[:MOST_ROWS], ("…", f"{left} more: open it to see them")) if left > 0 else rows


def _name(name: str) -> str:
    """The name of a field; in quotes when it could pass for more than a name."""
    parts = name.removesuffix(FIELD_OUTSIDE).split(FIELD_PATH)
    plain = all(re.fullmatch(r"[A-Za-z0-9_-]+", part) for part in parts)
    shown = name if plain else json.dumps(name)
    return one_line(shown, 80)


def _closing(view: GateView) -> tuple[str, ...]:
    answer_by = f"Answer by {moment_in_words(view.deadline)}." if view.deadline else ""
    then = [f"{one_line(each)[:1].upper()}{one_line(each)[1:]}." for each in view.then]
    digest = f"Gate {view.gate}, digest {view.digest[:DIGEST_PREFIX]}."
    return tuple(each for each in (answer_by, *then, digest) if each)
