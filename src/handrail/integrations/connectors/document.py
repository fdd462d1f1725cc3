"""An OpenAPI 3 document: its operations, and what each demands."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from handrail.actions import canonical
from handrail.exceptions import ConfigurationError, StepError
from handrail.integrations.connectors.schemas import (
    Schemas,
    as_list,
    as_object,
    differences,
    field_name,
)
from handrail.text import one_line

_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
_JSON = re.compile(r"application/([\w.-]+\+)?json\b")


@dataclass(frozen=True)
class Place:
    """Where a field of a request goes: `path`, `query`, `header`, `body`, or `whole` (the body)."""

    where: str
    wire: str
    schema: Any
    required: bool
    explode: bool = True


@dataclass(frozen=True)
class Operation:
    """One operation of a document: what it takes, and what it answers.

    `key_form`: which form the header demands that takes the key of an effect.
    """

    name: str
    method: str
    path: str
    summary: str
    places: Mapping[str, Place]
    body: Any
    answers: Any
    security: Sequence[Mapping[str, Any]]
    key_form: str | None = None


class OpenApiDocument:
    """A pinned document. `used`: the operations that steps are made of, by path and method."""

    def __init__(self, given: dict[str, Any], name: str, module: str) -> None:
        """Take the document, and make of it what is sent and what is answered."""
        self.name = name
        self.answered = Schemas(given, self.name, module)
        self.sent = Schemas(_writable(given), self.name, module)
        self.used: dict[tuple[str, str], None] = {}

    @classmethod
    def pinned(cls, path: Path, digest: str, module: str) -> OpenApiDocument:
        """Read the document of a file.

        Raises:
            ConfigurationError: if it cannot be read, is another one than is pinned, or none.
        """
        try:
            given = _parsed(path.read_bytes(), path.name)
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}; fix: put it there") from None
        found = hashlib.sha256(canonical(given).encode()).hexdigest()
        if digest.lower() != found:
            raise ConfigurationError(
                f"{path.name}: its digest is {found}, and {digest or 'none'} is pinned\n"
                f'  fix: look at what it says now, and then write digest="{found}"'
            )
        return cls(given, path.name, module)

    def differs(self, content: bytes, url: str) -> list[str]:
        """How another document describes the operations in use, a line for each difference.

        Raises:
            ConfigurationError: if it is none.
        """
        now = Schemas(_parsed(content, url), url, "")
        found: list[str] = []
        for path, method in self.used:
            before, after = (_contract(each, path, method) for each in (self.answered, now))
            at = f"{method.upper()} {path}"
            lines = differences(before, after) if after else []
            found += [f"{at}: {line}" for line in lines] if after else [f"{at} is gone"]
        return found

    def operation(self, name: str, header: str | None = None) -> Operation:
        """An operation by its id, or as `POST /payments`; it is in use from now on.

        `header`: the one that takes the key of an effect, and so is no field of an action.
        """
        known: dict[str, tuple[str, str]] = {}
        for path, item in self.answered.document.get("paths", {}).items():
            for method in set(_METHODS) & set(self.answered.resolved(item)):
                node = self.answered.resolved(item)[method]
                known[f"{method.upper()} {path}"] = known[node.get("operationId", "")] = (
                    path,
                    method,
                )
        if name not in known or not name:
            ids = sorted(filter(None, known))
            raise ConfigurationError(
                f"{self.name}: it has no operation {name!r}; it has: {', '.join(ids[:40])}"
            )
        path, method = known[name]
        self.used[path, method] = None
        node = _described(self.sent, path, method)
        summary = node.get("summary") or node.get("description") or f"{method.upper()} {path}"
        keyed = [
            one
            for one in node["parameters"]
            if header and (one["in"], one["name"].lower()) == ("header", header.lower())
        ]
        node["parameters"] = [one for one in node["parameters"] if one not in keyed]
        body = node.get("requestBody", {})
        schema = self._content(name, body) if body else None
        return Operation(
            name=node.get("operationId") or f"{method} {path}",
            method=method,
            path=path,
            summary=one_line(str(summary), 200),
            places=self._places(name, node, schema, needed=body.get("required") is True),
            body=schema,
            answers=self._answers(_described(self.answered, path, method)),
            security=node.get("security", self.answered.document.get("security", ())),
            key_form=self.sent.merged(keyed[0].get("schema", {})).get("format") if keyed else None,
        )

    def _content(self, name: str, body: Mapping[str, Any]) -> Any:
        kinds: Any = body.get("content", {})
        found = next((kinds[k] for k in kinds if _JSON.match(k)), None)
        if found is None:
            raise StepError(
                f"{self.name}: {name} takes {', '.join(kinds) or 'nothing'}, and no JSON; fix: "
                "write this step by hand"
            )
        return found.get("schema", True)

    def _answers(self, node: Mapping[str, Any]) -> Any:
        """The schema of what comes back; none, where nothing does, or anything."""
        for code, answer in sorted(node["responses"].items()):
            kinds: Any = answer.get("content", {})
            for kind in kinds:
                if str(code).startswith("2") and _JSON.match(kind):
                    return kinds[kind].get("schema")
        return None

    def _places(
        self, name: str, node: Mapping[str, Any], body: Any, *, needed: bool
    ) -> dict[str, Place]:
        given: list[tuple[str, Place]] = []
        for one in node["parameters"]:
            schema = one.get("schema")
            required = one.get("required") is True or one["in"] == "path"
            shape = as_object(self.sent.merged(schema)).get("type")
            style = one.get("style", "form" if one["in"] == "query" else "simple")
            odd = schema is None or shape == "object" or style not in {"form", "simple"}
            if one["in"] == "cookie" or odd:
                if required:
                    raise StepError(
                        f"{self.name}: {name} takes `{one['name']}` in a way that is not known "
                        "here; fix: write this step by hand"
                    )
                continue
            place = Place(one["in"], one["name"], schema, required, one.get("explode", True))
            given.append((field_name(one["name"]), place))
        whole = as_object(self.sent.merged(body)) if body is not None else {}
        parts = as_object(whole.get("properties"))
        taken = {field for field, _ in given} & {field_name(wire) for wire in parts}
        if body is not None and (not parts or taken or not needed):
            given.append(("body", Place("whole", "body", body, needed)))
        else:
            required = whole.get("required", ())
            given += [
                (field_name(wire), Place("body", wire, schema, wire in required))
                for wire, schema in parts.items()
            ]
        if len(dict(given)) < len(given):
            raise StepError(f"{self.name}: {name} has two fields of one name; write it by hand")
        return dict(given)


def _parsed(content: bytes, name: str) -> dict[str, Any]:
    """A document from its JSON or YAML, as JSON.

    Raises:
        ConfigurationError: if it is none.
    """
    try:
        found: Any = json.loads(content)
    except (ValueError, RecursionError):
        try:
            found = json.loads(
                json.dumps(YAML(typ="safe", pure=True).load(content), default=str)  # pyright: ignore[reportUnknownMemberType]
            )
        except (YAMLError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"{name}: this is neither JSON nor YAML: {error}") from None
    if not str(as_object(found).get("openapi")).startswith("3."):
        raise ConfigurationError(f"{name}: this is no OpenAPI 3 document")
    return as_object(found)


def _writable(node: Any) -> Any:
    """A document without what is only read: nobody sends that."""
    if isinstance(node, list):
        return [_writable(each) for each in as_list(node)]
    if not isinstance(node, dict):
        return node
    made = {key: _writable(part) for key, part in as_object(node).items()}
    parts = as_object(made.get("properties"))
    hidden = {name for name, part in parts.items() if as_object(part).get("readOnly") is True}
    if hidden:
        made["properties"] = {name: part for name, part in parts.items() if name not in hidden}
        made["required"] = [each for each in as_list(made.get("required")) if each not in hidden]
    return made


def _described(schemas: Schemas, path: str, method: str) -> dict[str, Any]:
    """An operation with all that its path says of it, without references at its own level."""
    item: Any = schemas.resolved(schemas.document["paths"][path])
    node: Any = item[method]
    listed = [
        schemas.resolved(one) for one in (*item.get("parameters", ()), *node.get("parameters", ()))
    ]
    said = {(one["in"], one["name"]): one for one in listed}
    answers: Any = node.get("responses", {})
    return node | {
        "parameters": list(said.values()),
        "requestBody": schemas.resolved(node.get("requestBody", {})),
        "responses": {code: schemas.resolved(each) for code, each in answers.items()},
    }


def _contract(schemas: Schemas, path: str, method: str) -> dict[str, str]:
    if method not in schemas.resolved(schemas.document.get("paths", {}).get(path, {})):
        return {}
    node = _described(schemas, path, method)
    answers = {code: each for code, each in node["responses"].items() if str(code).startswith("2")}
    parts = ("parameters", "requestBody", "security")
    said = {key: node[key] for key in parts if node.get(key)}
    return schemas.contract(said | {"responses": answers})
