"""Requests to a system that an OpenAPI document describes: nothing else than that is sent."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from handrail.agent import secret
from handrail.exceptions import Final
from handrail.integrations.connectors.document import OpenApiDocument, Operation, Place
from handrail.integrations.connectors.http import HttpRequest
from handrail.integrations.connectors.request_values import body_of, texts_of
from handrail.integrations.connectors.schemas import as_object


@dataclass
class OpenApiRequests:
    """Makes the requests of a document's operations. `auth`: the name of the secret, if any."""

    document: OpenApiDocument
    base_url: str
    auth: str | None

    def faults(
        self, operation: Operation, given: Mapping[str, Any], keys: Collection[str] = ()
    ) -> list[str]:
        """What of a request is not as the document says: nothing of such a one is sent.

        `keys`: of what is given, what holds the key of an effect.
        """
        found: list[str] = []
        for name, place in operation.places.items():
            if place.where == "body":
                continue
            if name not in given:
                found += [f"{place.wire}: it is missing"] if place.required else []
                continue
            found += self.document.sent.faults(place.schema, given[name], place.wire)
            many = isinstance(given[name], list) and not (place.where == "query" and place.explode)
            if many and any("," in text for text in texts_of(given[name])):
                found.append(f"{place.wire}: a comma in one of several would make two of it")
            if place.where == "path" and name not in keys:
                found += self._leads_on(operation, place, given[name])
            if place.where == "header" and not re.fullmatch(
                "[ -~]*", ",".join(texts_of(given[name]))
            ):
                found.append(f"{place.wire}: {given[name]!r} is no value of a header")
        if any(place.where == "body" for place in operation.places.values()):
            found += self.document.sent.faults(operation.body, body_of(operation, given))
        return found

    def _leads_on(self, operation: Operation, place: Place, value: Any) -> list[str]:
        """Why a value in a path would lead to another place than the operation's.

        Many servers decode a path before they look whose it is.
        """
        texts, said = texts_of(value), f"{place.wire}: {value!r} is no part of a path"
        parts = [part for text in texts for part in re.split(r"[/\\]", text)]
        if not texts or "" in texts or not {".", ".."}.isdisjoint(parts):
            return [said]
        listed = {"pattern", "enum"} & {*as_object(self.document.sent.merged(place.schema))}
        if len(parts) == len(texts) or operation.method == "get" or listed:
            return []
        return [f"{said} of a write (fix: a pattern of the field, where a slash belongs in it)"]

    def of(
        self,
        operation: Operation,
        given: Mapping[str, Any],
        more: Mapping[str, str] | None = None,
        keys: Collection[str] = (),
    ) -> HttpRequest:
        """The request of an operation, as the document describes it. `keys`: as of `faults`.

        Raises:
            Final: if it would not be as the document says.
        """
        faults = self.faults(operation, given, keys)
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
        return HttpRequest(operation.method.upper(), self.base_url + path, query, headers, body)

    def _sign_in(
        self, operation: Operation, query: list[tuple[str, str]], headers: dict[str, str]
    ) -> None:
        whole: Any = self.document.answered.document
        known: Any = whole.get("components", {}).get("securitySchemes", {})
        named = [known[n] for each in operation.security for n in each if n in known]
        if self.auth is None or (known and not named):
            return
        scheme = as_object(self.document.answered.resolved(named[0])) if named else {}
        value = secret(self.auth).get_secret_value()
        if scheme.get("type") == "apiKey" and scheme.get("in") == "query":
            query.append((scheme["name"], value))
        elif scheme.get("type") == "apiKey":
            headers[scheme["name"]] = value
        elif scheme.get("scheme", "").lower() == "basic":
            headers["Authorization"] = f"Basic {base64.b64encode(value.encode()).decode()}"
        else:
            headers["Authorization"] = f"Bearer {value}"
