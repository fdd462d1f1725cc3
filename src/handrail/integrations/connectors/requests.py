"""Requests of HTTP as steps, of a system that describes itself nowhere.

    billing = HTTP("https://billing.example.com", auth="BILLING_TOKEN")

    pay = billing.write(
        "pay", Pay, "POST /invoices/{invoice}/payments", idempotency_header="Idempotency-Key"
    )

What the author says of a request becomes an operation of OpenAPI, and is called as one: one way
to hold arguments against their types, to tell answers apart, and to look for what was done.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from handrail.actions import Action
from handrail.agent import Read, Write
from handrail.exceptions import StepError
from handrail.integrations.connectors.openapi import OpenAPI

A = TypeVar("A", bound=Action)

_REQUEST = re.compile(r"(GET|PUT|POST|PATCH|DELETE) (/[^?#\s]*)(?:\?([^#\s]*))?")
_FIELD = re.compile(r"\{([A-Za-z_][\w.]*)\}")
_ASKED = re.compile(r"([^={}&]+)=\{([A-Za-z_][\w.]*)\}")
_WITH_BODY = frozenset(("PUT", "POST", "PATCH"))
_PLAIN = {"type": ["string", "integer"]}
_ANYTHING: dict[str, Any] = {"content": {"application/json": {"schema": {}}}}
_BEARER = {"type": "http", "scheme": "bearer"}


@dataclass(frozen=True)
class HTTP:
    """The requests of one system, as steps.

    `auth`: the name of the secret by which it knows the agent; sent as `security` says, a security
    scheme as OpenAPI writes one: `{"type": "apiKey", "in": "header", "name": "X-Api-Key"}`.
    """

    base_url: str
    auth: str | None = None
    security: Mapping[str, str] = field(default_factory=lambda: _BEARER)

    def read(self, name: str, request: str, **options: Any) -> Read[..., Any]:
        """A step that looks: `billing.read("payment", "GET /payments/{id}")`, by `id=`.

        `options`: those of `OpenAPI.read`. Without `returns` what comes back is text from outside.

        Raises:
            StepError: if the request cannot be one.
        """
        asked = _Template.of(name, request)
        return self._with({name: asked.operation(name)}).read(name, **options)

    def write(
        self,
        name: str,
        action: type[A],
        request: str,
        *,
        find: str | None = None,
        undo: str | None = None,
        key_field: str | None = None,
        **options: Any,
    ) -> Write[A, Any]:
        """A step that changes something: the fields of its action that the URL lacks are its body.

        `find`, with `key_field` and `settles`: the request that is asked whether it is there, such
        as `GET /payments?reference={key}`. `undo`: the one that takes it back, such as
        `DELETE /payments/{result.id}`. `options`: those of `OpenAPI.write`; without any of
        `idempotency_header`, `precondition` and `find` people are asked, where nobody knows.

        Raises:
            StepError: if the request cannot be one, or what is declared does not fit it.
        """
        schema = action.model_json_schema(
            mode="serialization", ref_template="#/components/schemas/{model}"
        )
        parts: dict[str, Any] = schema.get("properties", {})
        needed = [wire for wire in parts if _is_needed(action, wire)]
        sent = _Template.of(name, request)
        taken = sent.body(parts, needed, key_field, options.get("precondition"))
        made = {name: sent.operation(name, parts, needed, *taken)}
        made[name][2]["summary"] = (action.__doc__ or name).strip()
        for option, template in (("find", find), ("undo", undo)):
            if template is not None:
                other, known = f"{option}_{name}", _Template.of(name, template)
                made[other] = known.operation(other)
                options |= {option: other, f"{option}_by": known.sources}
        api = self._with(made, schema.get("$defs", {}))
        return cast("Write[A, Any]", api.write(name, action=action, key_field=key_field, **options))

    def _with(self, operations: Mapping[str, tuple[str, str, Any]], schemas: Any = None) -> OpenAPI:
        paths = dict[str, dict[str, Any]]()
        for path, method, node in operations.values():
            paths.setdefault(path, {})[method] = node
        secured = {"securitySchemes": {"auth": dict(self.security)}} if self.auth else {}
        document: dict[str, Any] = {
            "openapi": "3.1.0",
            "paths": paths,
            "components": {"schemas": schemas or {}, **secured},
            "security": [{"auth": []}] if self.auth else [],
        }
        return OpenAPI(document, "", base_url=self.base_url, auth=self.auth)


@dataclass(frozen=True)
class _Template:
    """A request as its author writes it. `query`: of each parameter, what it is filled with."""

    method: str
    path: str
    query: Mapping[str, str]

    @classmethod
    def of(cls, name: str, request: str) -> _Template:
        found = _REQUEST.fullmatch(request)
        asked = [_ASKED.fullmatch(each) for each in (found[3] or "").split("&")] if found else []
        whole = found is not None and (all(asked) or not found[3])
        if found is None or not whole or re.search(r"[{}]", _FIELD.sub("", found[2])):
            raise StepError(
                f"{name}: {request!r} is no request; fix: a method, a path and what is asked, each "
                "value a field: POST /invoices/{invoice}/payments, GET /payments?reference={key}"
            )
        return cls(found[1], found[2], {each[1]: each[2] for each in asked if each})

    @property
    def sources(self) -> dict[str, str]:
        """Which parameter is filled with what: a field of the action, the key, or of a result."""
        return {each: each for each in _FIELD.findall(self.path)} | dict(self.query)

    def operation(
        self,
        name: str,
        fields: Mapping[str, Any] | None = None,
        needed: Sequence[str] | None = None,
        headers: Mapping[str, Any] | None = None,
        body: Any = None,
    ) -> tuple[str, str, Any]:
        """The path, the method and the operation, as OpenAPI has them."""
        given: list[dict[str, Any]] = [
            {
                "in": "query" if wire in self.query else "path",
                "name": wire,
                "schema": (fields or {}).get(source, _PLAIN),
                "required": wire not in self.query or needed is None or source in needed,
            }
            for wire, source in self.sources.items()
        ]
        for wire, schema in (headers or {}).items():
            given.append({"in": "header", "name": wire, "schema": schema, "required": True})
        node: dict[str, Any] = {
            "operationId": name,
            "parameters": given,
            "responses": {"200": _ANYTHING},
        }
        if body is not None:
            content = {"application/json": {"schema": body}}
            node["requestBody"] = {"required": True, "content": content}
        return self.path, self.method.lower(), node

    def body(
        self,
        fields: Mapping[str, Any],
        needed: Sequence[str],
        key_field: str | None,
        precondition: str | None,
    ) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """The headers, and the body: what of an action's fields, and the key, the URL lacks."""
        rest = {wire: part for wire, part in fields.items() if wire not in self.sources.values()}
        headers = dict[str, Any]()
        if precondition == "If-Match" and "if_match" in rest:
            headers = {"if-match": rest.pop("if_match")}
        required = [wire for wire in rest if wire in needed]
        if key_field is not None:
            rest, required = {**rest, key_field: {"type": "string"}}, [*required, key_field]
        if self.method not in _WITH_BODY or not rest:
            return headers, None
        return headers, {"type": "object", "properties": rest, "required": required}


def _is_needed(action: type[Action], wire: str) -> bool:
    fields = action.model_fields.items()
    return any(each.is_required() for name, each in fields if wire in {name, each.alias})
