"""Text from outside, marked as such in its type, and the marks of an action's fields.

A mail, a ticket, a page, a file's name: whoever wrote it may have written it to an agent. A
field of type `Untrusted` says so, and the mark stays on it through JSON, histories and models
within models. What a decision then takes from it is told from what it takes from elsewhere:
see `handrail.agent.provenance`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, model_validator
from typing_extensions import override

from handrail.exceptions import StepError

FIELD: Final = "untrusted"
"""The one key of such a text on the wire. In other models, too, it stands for text from outside."""

LEAST = 100
"""Answers of a classifier that must have been looked at before a rule relies on it."""

_SHOWN = 60
_DOUBT = 0.05
_HALVINGS = 30


class Untrusted(BaseModel, frozen=True, extra="forbid"):
    """Text that somebody outside wrote. Use it as a field of events and of what reads return.

        class Mail(Event):
            number: str
            body: Untrusted

    Mark a text by `Untrusted(untrusted="...")`. `mail.body.text` is the text itself; `str()`
    gives it quoted and cut short, so that it does not slip bare into a prompt, a query or a
    sentence. On the wire it is `{"untrusted": "..."}`; plain JSON text is taken where one is
    expected.
    """

    untrusted: str

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        return {FIELD: given} if isinstance(given, str) else given

    @property
    def text(self) -> str:
        """The bare text. It may say anything, and address anybody."""
        return self.untrusted

    @override
    def __repr__(self) -> str:
        cut = "…" if len(self.untrusted) > _SHOWN else ""
        return f"Untrusted({self.untrusted[:_SHOWN]!a}{cut})"

    @override
    def __str__(self) -> str:
        return repr(self)


class Personal:
    """Marks a field of an action or of evidence as personal: `Annotated[str, Personal]`."""


class FreeText:
    """Marks a field of an action that the agent words itself: `Annotated[str, FreeText]`.

    A note or a greeting, never a target, an amount or anything that a system acts on: its
    wording is not traced. Only text is let off; a number marked so is traced all the same.
    """


class Request:
    """Marks a field of an event as the words of who asks: `Annotated[str, Request]`.

    They are a source: what they say, and the objects that they name, is what a model that calls
    tools may act on. Only what somebody said whom the agent works for may stand there.

    What comes by webhook, folder or mail proves no person: such words are text from outside, and
    each write on them is held, unless their trigger is named: `Request("hook:crm")`.
    """

    def __init__(self, *triggers: str) -> None:
        """`triggers`: those, as `hook:NAME`, that see themselves who it is that asks."""
        self.triggers = triggers


@dataclass(frozen=True)
class From:
    """Says of which model a field of an action or of the evidence is.

        amount: Annotated[Decimal, From(Order, "total")]

    The value must then be the `field` of a `model` among the arguments of the decision, and of
    the same one as the other fields that are of such a model.
    """

    model: type[BaseModel]
    field: str

    def __post_init__(self) -> None:
        """See that there is such a field.

        Raises:
            StepError: if there is none.
        """
        if self.field not in self.model.model_fields:
            known = ", ".join(self.model.model_fields) or "none"
            raise StepError(
                f"From({self.model.__name__}, {self.field!r}): {self.model.__name__} has no such "
                f"field; it has: {known}"
            )


@dataclass(frozen=True)
class Classified:
    """Marks a field of the evidence as the answer of a classifier that was measured.

        urgency: Annotated[Literal["low", "high"], Classified(wrong=3, of=400)]

    It has read text from outside, which may have chosen the answer, but only among a closed set: a
    `Literal`, an `Enum`, true or false. On `of` texts as they come, with those of people who try to
    mislead it among them, it was `wrong` so often. Then a rule may rely on the answer; on any other
    word of a model no rule does.
    """

    wrong: int
    of: int

    def __post_init__(self) -> None:
        """See that it is a measurement.

        Raises:
            StepError: if it is none.
        """
        if not (self.of >= LEAST and 0 <= self.wrong <= self.of):
            raise StepError(
                f"Classified(wrong={self.wrong}, of={self.of}) is no measurement; fix: look at "
                f"{LEAST} answers or more, on texts as they come and hostile ones, and say how "
                "many are wrong"
            )

    @property
    def at_most(self) -> float:
        """The share of wrong answers that it may have with 95 %: Clopper and Pearson's bound."""
        low, high = self.wrong / self.of, 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self._chance(middle) > _DOUBT else (low, middle)
        return high

    def _chance(self, share: float) -> float:
        """How likely so few are wrong if this share is."""
        if share >= 1:
            return float(self.wrong == self.of)
        n, odds = self.of, math.log(share) - math.log1p(-share)
        whole = math.lgamma(n + 1) + n * math.log1p(-share)
        terms = (
            whole - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * odds
            for k in range(self.wrong + 1)
        )
        return math.fsum(map(math.exp, terms))
