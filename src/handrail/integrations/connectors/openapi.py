"""Steps made of the operations of an OpenAPI 3 document.

    billing = OpenAPI("billing.json", digest="5f0c...", auth="BILLING_TOKEN")

    invoice = billing.read("getInvoice")
    pay = billing.write("createPayment", idempotency_header="Idempotency-Key")

The document is a file of the project, and its digest is pinned: what a step does changes with the
code, and never because a file did. `live` names where the system shows its own document: where
an operation in use is described otherwise there, a worker does not start, and says what differs.
"""

from __future__ import annotations

import base64
import dataclasses
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urljoin, urlsplit

import httpx2

from handrail.actions import Action, Effect
from handrail.agent import Read, Write, read, secret, write
from handrail.exceptions import ConfigurationError, Final, StepError
from handrail.integrations.connectors.declare import as_function, caller, snake, title
from handrail.integrations.connectors.document import OpenApiDocument, Operation, Place
from handrail.integrations.connectors.http import (
    STRONG,
    HttpRequest,
    as_key,
    changed,
    exchange,
    looked_up,
)
from handrail.integrations.connectors.request_values import (
    KEY,
    body_of,
    chosen,
    having,
    texts_of,
    values_of,
)
from handrail.integrations.connectors.schemas import as_object
from handrail.text import one_line

_SAME_AGAIN = frozenset(("put", "delete"))
"""Methods that do the same once and twice, by the standard."""

_SHOWN = 20

Precondition = Literal["If-None-Match", "If-Match"]
"""What a server sees to before it makes or replaces something, by the standard."""

log = logging.getLogger("handrail.connectors")


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
        self._base = (self.base_url or servers[0].get("url", "")).rstrip("/")
        if urlsplit(self._base).scheme not in {"http", "https"}:
            raise ConfigurationError(
                f'{self._known.name}: it names no server\n  fix: give base_url="https://..."'
            )

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
            request = self._request(found, given)
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
        `"result.FIELD"`. `precondition`: `If-None-Match`, it is only made where nothing is yet;
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
        fields = {n: (place.wire, place.schema, place.required) for n, place in places.items()}
        kind = action or self._known.sent.action(
            title(found.name),
            found.summary,
            fields,
            lambda made: self._faults(found, _with_key(values_of(places, made), how, "a:1/b/1")),
        )
        _require_fields(step_name, kind, places)
        named = {place.wire.lower() for place in places.values() if place.where == "header"}
        if precondition == "If-Match" and "if-match" not in named:
            raise StepError(f"{step_name}: it has no field for If-Match; fix: `if_match: str`")

        async def step(act: Any, effect: Effect) -> Any:
            given = _with_key(values_of(places, act), how, effect.key)
            headers = {how.header: as_key(effect.key, found.key_form)} if how.header else {}
            headers |= {made_only: "*"} if made_only else {}
            request = self._request(found, given, headers)
            _require_version(request)
            return await changed(
                request, seconds, effect.attempt, preconditioned=precondition is not None
            )

        async def look(act: Any, effect: Effect) -> Any:
            assert how.find is not None  # noqa: S101  # it is only used where there is one
            key = as_key(effect.key, how.form)
            asked = self._request(how.find, chosen(how.by, values_of(places, act), key, None))
            answer = await looked_up(asked, seconds)
            return next(having(answer, key_field or "", key), None)

        result = returns or self._known.answered.response(
            f"{title(found.name)}Result", found.answers, ()
        )
        taken = {"action": (kind, ...), "effect": (Effect, ...)}
        back = None
        if undo is not None:
            undoing = self._known.operation(undo, idempotency_header)
            _require_names(f"{step_name}: undo_by", undo_by or {}, undoing, places)

            async def take_back(act: Any, effect: Effect) -> None:
                given = await _to_undo(effect, act, values_of(places, act))
                if given is None:
                    return
                key = as_key(effect.key, undoing.key_form)
                headers = {how.header: key} if how.header else {}
                undone = self._request(undoing, given, headers)
                await changed(undone, seconds, effect.attempt, gone=True)

            async def _to_undo(effect: Effect, act: Any, values: dict[str, Any]) -> Any:
                of = effect.undoes
                assert of is not None  # noqa: S101  # the door has looked
                known: Any = of.receipt.result if of.receipt is not None else None
                if of.receipt is None and how.find is not None:
                    known = await look(act, effect.model_copy(update={"key": of.key}))
                    if known is None:
                        return None
                return chosen(undo_by or {}, values, as_key(of.key, how.form), known)

            same = how.header is not None or undoing.method in _SAME_AGAIN
            fn = as_function(take_back, snake(undoing.name), undoing.summary, taken, type(None))
            back = write(idempotent=same, timeout=timeout, secrets=self._secrets)(fn)
            back = replace(back, contract=self.drift)
        fn = as_function(step, step_name, found.summary, taken, result)
        made = write(
            undo=back,
            find=look if how.find else None,
            settles=settles,
            idempotent=(keeps or True) if how.header or idempotent else precondition is not None,
            timeout=timeout,
            secrets=self._secrets,
            **options,
        )(fn)
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
        return Recovery(
            header, name, self._known.sent.merged(place.schema).get("format"), finding, by
        )

    # The contract

    async def drift(self) -> list[str]:
        """How the system's own document differs, where an operation in use is concerned.

        Nothing, where none is named as `live`, or where it cannot be read now: that is logged.
        """
        if self.live is None:
            return []
        url, name = urljoin(f"{self._base}/", self.live), self._known.name
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

    # Requests

    def _faults(self, operation: Operation, given: Mapping[str, Any]) -> list[str]:
        """What of a request is not as the document says: nothing of such a one is sent."""
        found: list[str] = []
        for name, place in operation.places.items():
            if place.where == "body":
                continue
            if name not in given:
                found += [f"{place.wire}: it is missing"] if place.required else []
                continue
            found += self._known.sent.faults(place.schema, given[name], place.wire)
            if place.where == "path" and str(given[name]) in {"", ".", ".."}:
                found.append(f"{place.wire}: {given[name]!r} is no part of a path")
            if place.where == "header" and not re.fullmatch(
                "[ -~]*", ",".join(texts_of(given[name]))
            ):
                found.append(f"{place.wire}: {given[name]!r} is no value of a header")
        if any(place.where == "body" for place in operation.places.values()):
            found += self._known.sent.faults(operation.body, body_of(operation, given))
        return found

    def _request(
        self, operation: Operation, given: Mapping[str, Any], more: Mapping[str, str] | None = None
    ) -> HttpRequest:
        faults = self._faults(operation, given)
        if faults:
            raise Final(f"{operation.name}: {'; '.join(faults)}; nothing was sent")
        path, query, headers = operation.path, list[tuple[str, str]](), dict(more or {})
        for name, place in operation.places.items():
            if name not in given or place.where in {"body", "whole"}:
                continue
            texts = texts_of(given[name])
            if place.where == "path":
                path = path.replace(f"{{{place.wire}}}", quote(",".join(texts), safe=""))
            elif place.where == "query":
                parts = texts if place.explode else [",".join(texts)]
                query += [(place.wire, text) for text in parts]
            else:
                headers[place.wire] = ",".join(texts)
        self._sign_in(operation, query, headers)
        body = body_of(operation, given)
        return HttpRequest(operation.method.upper(), self._base + path, query, headers, body)

    def _sign_in(
        self, operation: Operation, query: list[tuple[str, str]], headers: dict[str, str]
    ) -> None:
        known: Any = self._known.answered.document.get("components", {}).get("securitySchemes", {})
        named = [known[n] for each in operation.security for n in each if n in known]
        if self.auth is None or (known and not named):
            return
        scheme = as_object(self._known.answered.resolved(named[0])) if named else {}
        value = secret(self.auth).get_secret_value()
        if scheme.get("type") == "apiKey" and scheme.get("in") == "query":
            query.append((scheme["name"], value))
        elif scheme.get("type") == "apiKey":
            headers[scheme["name"]] = value
        elif scheme.get("scheme", "").lower() == "basic":
            headers["Authorization"] = f"Basic {base64.b64encode(value.encode()).decode()}"
        else:
            headers["Authorization"] = f"Bearer {value}"


def _with_key(values: dict[str, Any], how: Recovery, key: str) -> dict[str, Any]:
    return values if how.field is None else values | {how.field: as_key(key, how.form)}


def _require_version(request: HttpRequest) -> None:
    """See that what is replaced is one version: `*` would be any.

    Raises:
        Final: if it is not.
    """
    for name, tag in request.headers.items():
        if name.lower() == "if-match" and not STRONG.fullmatch(tag):
            raise Final(f"{tag!r} is no ETag of one version; nothing was sent")


# Declaring


def _require_key(name: str, how: Recovery, *, idempotent: bool) -> None:
    if idempotent and how.field is None:
        raise StepError(f"{name}: idempotent under which key? fix: name its key_field=")


def _require_fields(name: str, kind: type[Action], places: Mapping[str, Place]) -> None:
    unknown = [each for each in kind.model_fields if each not in places]
    lacking = [n for n, place in places.items() if place.required and n not in kind.model_fields]
    if unknown or lacking:
        raise StepError(
            f"{name}: {kind.__name__} does not fit the operation; "
            f"it knows no {', '.join(unknown) or 'other field'}, and lacks "
            f"{', '.join(lacking) or 'nothing'}; fix: it takes {', '.join(places)}"
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
