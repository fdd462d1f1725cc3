"""Steps of an agent that fetches what a text from outside may name."""

from __future__ import annotations

from pydantic import BaseModel
from typing_extensions import override

from handrail import Action, Decision, Event, Untrusted, decide, read
from handrail.testing import Outside


class Notice(Event):
    """A notice with a link that is known otherwise, and a text from outside."""

    number: str
    link: str
    text: Untrusted

    @property
    @override
    def key(self) -> str:
        return self.number


class Look(Action):
    """Look at a page."""

    url: str


class Nothing(BaseModel):
    """No evidence."""


@decide
async def choose(notice: Notice) -> Decision[Look, Nothing]:
    """Obey the text."""
    url = notice.text.text.rpartition(" ")[2]
    return Decision(action=Look(url=url), rationale="it says so", confidence=1, evidence=Nothing())


@read(reaches_out=True)
async def fetch(url: str) -> Untrusted:
    """Fetch a page."""
    await Outside.current().do("fetch", url)
    return Untrusted(untrusted="a page")
