"""What a gate's workflow and the inbox's activities exchange. Every model here crosses the wire."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from handrail.actions import Aware, Wire
from handrail.oversight import GateView, NotificationRequest

Short = Annotated[str, AfterValidator(lambda text: text[:500])]
"""Words for people; what is longer is cut off."""


class What(StrEnum):
    """What a person is told."""

    ASKED = "asked"
    REMINDER = "reminder"
    PASSED_ON = "passed_on"
    """Nobody answered in time: another role is asked now as well."""
    EARLY = "early"
    """Nobody of the role that is asked can be reached: told before it is their turn."""
    OWNER = "owner"
    """The same, to the owner of the policy."""
    QUESTION = "question"
    ANSWER = "answer"
    CLOSED = "closed"


class Due(Wire):
    """One message that is to go out, once. `n` tells those of one kind apart."""

    what: What
    person: str
    n: str = "0"
    role: str = ""
    why: Short = ""

    def key(self, gate: str) -> str:
        """What it is known by: the same in every retry and after every restart."""
        return f"{gate}/{self.person}/{self.what}/{self.n}"


class Ref(Wire):
    """Where a message went: `id` is a Message-ID or a Slack `ts`, `room` a Slack channel.

    `tag` is the mark by which mail that comes back is known.
    """

    channel: str
    id: str = ""
    room: str = ""
    tag: str = ""


class Query(Wire):
    """A question that one person asked another, or the agent; `answer` is empty until it comes."""

    id: str
    by: str
    to: str
    text: Short
    answer: Short = ""
    answered_by: str = ""


class Ended(Wire):
    """How a gate closed, when and by whom. `how` is `gone` when the case cannot be asked."""

    how: str
    at: Aware | None = None
    by: tuple[str, ...] = ()
    why: Short = ""


class Looking(Wire):
    """Which gate to look at, and whose channels must be known beside those of the asked."""

    call: NotificationRequest
    people: tuple[str, ...] = ()


class Look(Wire):
    """A gate as it is now: open, ended, or neither when nobody can say.

    `fresh` is false when no worker answered, and what is known is what the case last
    published. `ways`: the channels of each person, by name. `owner`: of the agent's policy.
    `fault`: what is wrong with the people file, so that everybody is told by mail. `silent`:
    the inbox has no channel at all, and people look into it by themselves.
    """

    view: GateView | None = None
    ended: Ended | None = None
    fresh: bool = True
    questions: tuple[Query, ...] = ()
    fault: Short = ""
    ways: dict[str, tuple[str, ...]] = Field(default_factory=dict[str, tuple[str, ...]])
    owner: str = ""
    silent: bool = False


class Telling(Wire):
    """One message by one channel. `root`: the first message of this gate to this person."""

    call: NotificationRequest
    due: Due
    view: GateView
    channel: str
    at: Aware
    root: Ref | None = None
    ended: Ended | None = None
    question: Query | None = None

    @property
    def key(self) -> str:
        """What the message is known by."""
        return self.due.key(self.call.gate)


class Locking(Wire):
    """A Slack message that nobody can act on any more."""

    call: NotificationRequest
    view: GateView
    ref: Ref
    ended: Ended
