"""Steps made of the operations of an OpenAPI 3 document.

    billing = OpenAPI("billing.json", digest="5f0c...", auth="BILLING_TOKEN")

    invoice = billing.read("getInvoice")
    pay = billing.write("createPayment", idempotency_header="Idempotency-Key")

The document is a file of the project, and its digest is pinned: what a step does changes with the
code, and never because a file did. `live` names where the system shows its own document: where
an operation in use is described otherwise there, a worker does not start, and says what differs.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2

from handrail.actions import Action, Effect
from handrail.agent import Read, Write, read, write
from handrail.exceptions import ConfigurationError, Final, StepError
from handrail.integrations.connectors.declare import as_function, caller, snake, title
from handrail.integrations.connectors.document import OpenApiDocument, Operation, Place
from handrail.integrations.connectors.http import (
    HttpRequest,
    exchange,
    looked_up,
)
from handrail.integrations.connectors.openapi_changes import (
    OpenApiChange,
    OpenApiUndo,
    Precondition,
    Recovery,
)
from handrail.integrations.connectors.openapi_requests import OpenApiRequests
from handrail.integrations.connectors.request_values import (
    KEY,
)
from handrail.text import one_line

_SAME_AGAIN = frozenset(("put", "delete"))
"""Methods that do the same once and twice, by the standard."""

_SHOWN = 20

log = logging.getLogger("handrail.connectors")


@dataclass
class OpenAPI:
    """The operations of one system, as steps.

    `document`: a file of JSON or YAML, beside the module that names it. `digest`: of what it
    says; the error without one tells it. `base_url`: where the system is; without it the first
    server of the document. `auth`: the name of the secret by which the system knows the agent,
    sent as the document demands. `live`: the address, or the path, of the system's own document.
    """

    document: str | Path | dict[str, Any]
    digest: str
    base_url: str | None = None
    auth: str | None = None
    live: str | None = None

    def __post_init__(self) -> None:
        """Read the document.

        Raises:
            ConfigurationError: if it cannot be read, is another one than is pinned, or none.
        """
        module = caller()
        name = str(module["__name__"])
        if isinstance(self.document, dict):  # as `HTTP` makes it
            self._known = OpenApiDocument(self.document, self.base_url or "", name)
        else:
            path = Path(str(module.get("__file__", ""))).parent / self.document
            self._known = OpenApiDocument.pinned(path, self.digest, name)
        servers: Any = self._known.answered.document.get("servers") or [{}]
        base_url = (self.base_url or servers[0].get("url", "")).rstrip("/")
        if urlsplit(base_url).scheme not in {"http", "https"}:
            raise ConfigurationError(
                f'{self._known.name}: it names no server\n  fix: give base_url="https://..."'
            )
        self._requests = OpenApiRequests(self._known, base_url, self.auth)

    # Steps

    def read(
        self,
        operation: str,
        /,
        *,
        name: str | None = None,
        returns: Any = None,
        trusted: Sequence[str] = (),
        reaches_out: bool = True,
        timeout: timedelta = timedelta(seconds=10),
    ) -> Read[..., Any]:
        """A step that looks: `await self.read(invoice, id="7")`.

        `returns`: a model of your own, in place of the one that is made of the document. In that
        one free text is `Untrusted`, but in fields that are `trusted`: the names that the system
        itself gives out. `reaches_out=False` of a system that is your own: of others' people are
        asked before they are sent what a text from outside may have chosen.

        Raises:
            ConfigurationError: if there is no such operation.
            StepError: if it cannot be a step.
        """
        found = self._known.operation(operation)
        names = sorted(found.places, key=lambda field: not found.places[field].required)

        async def step(*values: Any) -> Any:
            given = {n: v for n, v in zip(names, values, strict=True) if v is not None}
            request = self._requests.of(found, given)
            answer = await looked_up(request, timeout.total_seconds())
            if answer is None:
                raise Final(f"{request.named}: there is nothing there")
            return answer

        kind = returns or self._known.answered.response(title(found.name), found.answers, trusted)
        taken = {n: (Any, ... if found.places[n].required else None) for n in names}
        fn = as_function(step, name or snake(found.name), found.summary, taken, kind)
        options: dict[str, Any] = {"secrets": self._secrets, "reaches_out": reaches_out}
        return replace(read(timeout=timeout, **options)(fn), contract=self.drift)

    def write(
        self,
        operation: str,
        /,
        *,
        name: str | None = None,
        action: type[Action] | None = None,
        returns: Any = None,
        idempotency_header: str | None = None,
        keeps: timedelta | None = None,
        key_field: str | None = None,
        find: str | None = None,
        find_by: Mapping[str, str] | None = None,
        settles: timedelta | None = None,
        idempotent: bool = False,
        precondition: Precondition | None = None,
        undo: str | None = None,
        undo_by: Mapping[str, str] | None = None,
        undo_name: str | None = None,
        timeout: timedelta = timedelta(seconds=30),
        **options: Any,
    ) -> Write[Any, Any]:
        """A step that changes something: `await self.write(pay, pay.action(amount=7))`.

        `idempotency_header`: the system takes the key of an effect there, and knows it for ever or
        as long as it `keeps` it. `key_field`: the field of the request that holds the key;
        `idempotent`: the system does nothing twice under one. `find`:
        the operation that is asked whether the effect is there: of its answer, the object whose
        `key_field` is the key. `find_by`: which parameter of it gets which field of the action,
        or `"key"`. `undo`: the operation that takes it back; `undo_by` as `find_by`, and also
        `"result.FIELD"`; `undo_name`: what that step is called, where the operation takes back more
        than one write. `precondition`: `If-None-Match`, it is only made where nothing is yet;
        `If-Match`, only replaced where it is the version that the field of If-Match names. Run
        again, it is looked up: what has what was sent was done. `action` and `returns`: classes of
        your own. `options`: as those of `handrail.write`.

        Raises:
            ConfigurationError: if there is no such operation.
            StepError: if it cannot be a step, or what is declared does not fit it.
        """
        made_only = precondition if precondition == "If-None-Match" else None
        found = self._known.operation(operation, idempotency_header or made_only)
        how = self._recovery(found, idempotency_header, key_field, find, find_by or {})
        _require_key(found.name, how, idempotent=idempotent)
        places = {n: place for n, place in found.places.items() if n != how.field}
        step_name, seconds = name or snake(found.name), timeout.total_seconds()
        change = OpenApiChange(self._requests, found, places, how, seconds, precondition)
        kind = action or change.action()
        _require_fields(step_name, kind, places)
        _require_version_field(step_name, precondition, places)
        back = None
        if undo is not None:
            undoing = self._known.operation(undo, idempotency_header)
            _require_names(f"{step_name}: undo_by", undo_by or {}, undoing, places)
            sent = None if how.field is None else found.places[how.field]
            _require_whole_key(f"{step_name}: undo", undo_by or {}, undoing, sent, how.form)
            undoes = OpenApiUndo(change, undoing, undo_by or {})
            back = self._undo(undoes, undo_name or snake(undoing.name), kind, timeout)

        async def step(act: Any, effect: Effect) -> Any:
            return await change.send(act, effect)

        result = returns or self._known.answered.response(
            f"{title(found.name)}Result", found.answers, ()
        )
        made = write(
            undo=back,
            find=change.look if how.find else None,
            settles=settles,
            idempotent=(keeps or True) if how.header or idempotent else precondition is not None,
            timeout=timeout,
            secrets=self._secrets,
            **options,
        )(as_function(step, step_name, found.summary, _taken(kind), result))
        return replace(made, contract=self.drift)

    def _undo(
        self, undo: OpenApiUndo, name: str, kind: type[Action], timeout: timedelta
    ) -> Write[Any, Any]:
        of = undo.operation
        same = undo.change.how.header is not None or of.method in _SAME_AGAIN

        async def step(act: Any, effect: Effect) -> None:
            await undo.send(act, effect)

        fn = as_function(step, name, of.summary, _taken(kind), type(None))
        made = write(idempotent=same, timeout=timeout, secrets=self._secrets)(fn)
        return replace(made, contract=self.drift)

    @property
    def _secrets(self) -> tuple[str, ...]:
        return () if self.auth is None else (self.auth,)

    def _recovery(
        self,
        found: Operation,
        header: str | None,
        key_field: str | None,
        find: str | None,
        by: Mapping[str, str],
    ) -> Recovery:
        known = {place.wire: (n, place) for n, place in found.places.items()}
        if key_field is not None and key_field not in known:
            raise StepError(
                f"{found.name}: key_field: it has no `{key_field}`; it has: {', '.join(known)}"
            )
        finding = self._known.operation(find) if find else None
        if finding is not None:
            if key_field is None or KEY not in by.values():
                raise StepError(
                    f"{found.name}: to find an effect again its key must have been sent\n  fix: "
                    'give key_field="reference", find_by={"reference": "key"}, with your names'
                )
            _require_names(f"{found.name}: find_by", by, finding, found.places)
        if key_field is None:
            return Recovery(header)
        name, place = known[key_field]
        form = self._known.sent.merged(place.schema).get("format")
        if finding is not None:
            _require_whole_key(f"{found.name}: find", by, finding, place, form)
        return Recovery(header, name, form, finding, by)

    # The contract

    async def drift(self) -> list[str]:
        """How the system's own document differs, where an operation in use is concerned.

        Nothing, where none is named as `live`, or where it cannot be read now: that is logged.
        """
        if self.live is None:
            return []
        url, name = urljoin(f"{self._requests.base_url}/", self.live), self._known.name
        try:
            status, content = await exchange(HttpRequest("GET", url), 10)
            if status != HTTPStatus.OK:
                log.warning("%s: %s answered %s: not looked at", name, url, status)
                return []
            found = self._known.differs(content, url)
        except (httpx2.HTTPError, ConfigurationError) as error:
            log.warning("%s: %s cannot be looked at: %s", name, url, error)
            return []
        if not found:
            return []
        shown = "".join(f"\n  {one_line(line, 300)}" for line in found[:_SHOWN])
        more = f"\n  and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        fix = f"look at it, put it in place of {name}, and pin its digest"
        return [f"{name}: {url} says otherwise today:{shown}{more}\n  fix: {fix}"]


# Declaring


def _taken(kind: type[Action]) -> dict[str, Any]:
    return {"action": (kind, ...), "effect": (Effect, ...)}


def _require_key(name: str, how: Recovery, *, idempotent: bool) -> None:
    if idempotent and how.field is None:
        raise StepError(f"{name}: idempotent under which key? fix: name its key_field=")


def _require_version_field(
    name: str, precondition: Precondition | None, places: Mapping[str, Place]
) -> None:
    headers = {place.wire.lower() for place in places.values() if place.where == "header"}
    if precondition == "If-Match" and "if-match" not in headers:
        raise StepError(f"{name}: it has no field for If-Match; fix: `if_match: str`")


def _require_fields(name: str, kind: type[Action], places: Mapping[str, Place]) -> None:
    unknown = [each for each in kind.model_fields if each not in places]
    lacking = [n for n, place in places.items() if place.required and n not in kind.model_fields]
    if unknown or lacking:
        raise StepError(
            f"{name}: {kind.__name__} does not fit the operation; "
            f"it knows no {', '.join(unknown) or 'other field'}, and lacks "
            f"{', '.join(lacking) or 'nothing'}; fix: it takes {', '.join(places)}"
        )


def _require_whole_key(
    what: str, by: Mapping[str, str], of: Operation, sent: Place | None, form: str | None
) -> None:
    """See that a key comes whole where it is asked for: many servers part a path at its slashes.

    What is not found there for that would be done again, and what is not taken back taken for it.
    `sent`: where the write has it. In a path it would be parted, or not, like here.
    """
    safe = form == "uuid" or (sent is not None and sent.where == "path")
    paths = [place.wire for place in of.places.values() if place.where == "path"]
    if not safe and any(by.get(wire) == KEY for wire in paths):
        raise StepError(
            f"{what}: a key has slashes, and many servers part a path there: they would say that "
            "there is nothing\n  fix: ask by the query (GET /payments?reference={key}), and take "
            "back by what was answered (DELETE /payments/{result.id})"
        )


def _require_names(
    what: str, by: Mapping[str, str], of: Operation, fields: Mapping[str, Place]
) -> None:
    """See that parameters are ones of an operation, all that it demands, and from known fields."""
    names = {place.wire: place for place in of.places.values()}
    unknown = [each for each in by if each not in names]
    lacking = [wire for wire, place in names.items() if place.required and wire not in by]
    # Where an effect is looked for, nobody has its result.
    inner = "" if what.endswith("find_by") else "result."
    known = re.compile(f"{re.escape(inner)}.+" if inner else "(?!)")
    strange = [v for v in by.values() if v not in {KEY, *fields} and not known.fullmatch(v)]
    if unknown or lacking or strange:
        raise StepError(
            f"{what} must name parameters of {of.name} ({', '.join(names)}), all that it demands, "
            f"and fields of the action ({', '.join(fields)}), `key`{inner and ' or `result.FIELD`'}"
            f"; it does not for: {', '.join([*unknown, *lacking, *strange])}"
        )
