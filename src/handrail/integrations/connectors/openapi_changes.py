"""Writes of an OpenAPI document's operations: sent once, looked for, and taken back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from handrail.actions import Action, Effect
from handrail.exceptions import Final
from handrail.integrations.connectors.declare import title
from handrail.integrations.connectors.document import Operation, Place
from handrail.integrations.connectors.http import STRONG, HttpRequest, as_key, changed, looked_up
from handrail.integrations.connectors.openapi_requests import OpenApiRequests
from handrail.integrations.connectors.request_values import (
    chosen,
    having,
    keys_of,
    values_of,
)

Precondition = Literal["If-None-Match", "If-Match"]
"""What a server sees to before it makes or replaces something, by the standard."""


@dataclass(frozen=True)
class Recovery:
    """How an effect is known again: by a `header`, or by the `field` of the request with its key.

    `form`: which the field demands. `find`: the operation that is asked for it, with the parameters
    `by`.
    """

    header: str | None = None
    field: str | None = None
    form: str | None = None
    find: Operation | None = None
    by: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])


@dataclass(frozen=True)
class OpenApiChange:
    """The write that an operation is: how it is sent once, and looked for."""

    requests: OpenApiRequests
    operation: Operation
    places: Mapping[str, Place]
    """Of its action's fields; the key's is none of them."""
    how: Recovery
    seconds: float
    precondition: Precondition | None

    def action(self) -> type[Action]:
        """The class of its action, made of the document, which refuses what may not be sent."""
        fields = {n: (place.wire, place.schema, place.required) for n, place in self.places.items()}

        def faults(made: Any) -> list[str]:
            return self.requests.faults(self.operation, self._given(made, "a:1/b/1"), self._keys)

        of = self.operation
        return self.requests.document.sent.action(title(of.name), of.summary, fields, faults)

    @property
    def _keys(self) -> tuple[str, ...]:
        return () if self.how.field is None else (self.how.field,)

    def _given(self, act: Any, key: str) -> dict[str, Any]:
        values, how = self.values(act), self.how
        return values if how.field is None else values | {how.field: as_key(key, how.form)}

    def values(self, act: Any) -> dict[str, Any]:
        """What is sent of an action's fields, as JSON."""
        return values_of(self.requests.document.sent, self.places, act)

    async def send(self, act: Any, effect: Effect) -> Any:
        """Do it, and return what the system answers.

        Raises:
            Final: if the request is not as the document says, or the system refuses it.
            Unanswered: if nobody knows whether it was done.
        """
        headers: dict[str, str] = {}
        if self.how.header:
            headers[self.how.header] = as_key(effect.key, self.operation.key_form)
        if self.precondition == "If-None-Match":
            headers["If-None-Match"] = "*"
        request = self.requests.of(
            self.operation, self._given(act, effect.key), headers, self._keys
        )
        _require_version(request)
        conditional = self.precondition is not None
        return await changed(request, self.seconds, effect.attempt, preconditioned=conditional)

    async def look(self, act: Any, effect: Effect) -> Any:
        """What the system has under the effect's key; None where it has nothing."""
        how = self.how
        assert how.find is not None  # noqa: S101  # it is only used where there is one
        key = as_key(effect.key, how.form)
        given = chosen(how.by, self.values(act), key, None)
        request = self.requests.of(how.find, given, keys=keys_of(how.by))
        answer = await looked_up(request, self.seconds, surely=True)
        wire = "" if how.field is None else self.operation.places[how.field].wire
        return next(having(answer, wire, key), None)


@dataclass(frozen=True)
class OpenApiUndo:
    """The undo that an operation is of a change; `by`: what its parameters get."""

    change: OpenApiChange
    operation: Operation
    by: Mapping[str, str]

    async def send(self, act: Any, effect: Effect) -> None:
        """Take back the effect that this one undoes; nothing, where it never came to be."""
        given = await self._given(act, effect)
        if given is None:
            return
        change = self.change
        key = as_key(effect.key, self.operation.key_form)
        headers = {change.how.header: key} if change.how.header else {}
        request = change.requests.of(self.operation, given, headers, keys_of(self.by))
        await changed(request, change.seconds, effect.attempt, gone=True)

    async def _given(self, act: Any, effect: Effect) -> dict[str, Any] | None:
        of, change = effect.undoes, self.change
        assert of is not None  # noqa: S101  # the door has looked
        known: Any = of.receipt.result if of.receipt is not None else None
        if of.receipt is None and change.how.find is not None:
            known = await change.look(act, effect.model_copy(update={"key": of.key}))
            if known is None:
                return None
        key = as_key(of.key, change.how.form)
        return chosen(self.by, change.values(act), key, known)


def _require_version(request: HttpRequest) -> None:
    """See that what is replaced is one version: `*` would be any.

    Raises:
        Final: if it is not.
    """
    for name, tag in request.headers.items():
        if name.lower() == "if-match" and not STRONG.fullmatch(tag):
            raise Final(f"{tag!r} is no ETag of one version; nothing was sent")
