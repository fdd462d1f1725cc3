"""Text from outside, marked as such in its type, and the marks of an action's fields.

A mail, a ticket, a page, a file's name: whoever wrote it may have written it to an agent. A
field of type `Untrusted` says so, and the mark stays on it through JSON, histories and models
within models. What a decision then takes from it is told from what it takes from elsewhere:
see `handrail.agent.provenance`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, model_validator
from typing_extensions import override

from handrail.exceptions import StepError

FIELD: Final = "untrusted"
"""The one key of such a text on the wire. In other models, too, it stands for text from outside."""

_SHOWN = 60


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
