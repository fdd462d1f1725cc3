"""What the research agent is asked, knows, may do, and shows of it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field
from typing_extensions import override

from activities.research_extract import Found, Name
from handrail import Action, Event

How = Literal["value", "sum", "count"]
DOCUMENT = r"^[A-Za-z0-9][\w.-]{0,80}$"


class Asked(Event):
    """What a person wants to know of the documents."""

    reference: str = Field(pattern=r"^[A-Za-z0-9][\w-]{0,40}$")
    question: str = Field(min_length=3, max_length=300)

    @property
    @override
    def key(self) -> str:
        return self.reference


class Wanted(BaseModel, frozen=True):
    """A question as it is understood: a field, and how its values are put together."""

    field: Name
    how: How


class Record(BaseModel, frozen=True):
    """A document that a question is about. `fields`: those that the answer needs."""

    document: str = Field(pattern=DOCUMENT)
    fields: dict[Name, Found]


class Consulted(BaseModel, frozen=True):
    """What the folder has on a question. `unread`: documents without a text."""

    wanted: Wanted | None = None
    records: tuple[Record, ...] = ()
    unread: tuple[str, ...] = ()


class Reading(BaseModel, frozen=True):
    """What a person reads in a document."""

    value: str = Field(min_length=1, max_length=60)


class Cite(BaseModel, frozen=True):
    """A record that a sentence stands on: what a field of a document says."""

    document: str
    field: Name
    value: str


class Sentence(BaseModel, frozen=True):
    """One sentence of an answer, with what it stands on."""

    text: str = Field(min_length=1, max_length=400)
    how: How
    cites: tuple[Cite, ...]


class Answer(Action):
    """Put down the answer to a question, at the desk and for who asked."""

    reference: str
    question: str
    sentences: tuple[Sentence, ...]


class Grounds(BaseModel, frozen=True, extra="forbid"):
    """The evidence: what an answer stands on. `said`: values that a person read."""

    documents: int
    said: int = 0
    left_out: int = 0
    """Documents that are asked about, and of which nobody could say."""


class Made(BaseModel, frozen=True):
    """What the tracker made: its id there."""

    id: str
