"""Requests to a system that an OpenAPI document describes: nothing else than that is sent."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from handrail.agent import secret
from handrail.exceptions import Final
from handrail.integrations.connectors.document import OpenApiDocument, Operation
from handrail.integrations.connectors.http import HttpRequest
from handrail.integrations.connectors.request_values import body_of, texts_of
from handrail.integrations.connectors.schemas import as_object


@dataclass
class OpenApiRequests:
    """Makes the requests of a document's operations. `auth`: the name of the secret, if any."""

    document: OpenApiDocument
    base_url: str
    auth: str | None

    def faults(self, operation: Operation, given: Mapping[str, Any]) -> list[str]:
        """What of a request is not as the document says: nothing of such a one is sent."""
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
            if place.where == "path" and str(given[name]) in {"", ".", ".."}:
                found.append(f"{place.wire}: {given[name]!r} is no part of a path")
            if place.where == "header" and not re.fullmatch(
                "[ -~]*", ",".join(texts_of(given[name]))
            ):
                found.append(f"{place.wire}: {given[name]!r} is no value of a header")
        if any(place.where == "body" for place in operation.places.values()):
            found += self.document.sent.faults(operation.body, body_of(operation, given))
        return found

    def of(
        self, operation: Operation, given: Mapping[str, Any], more: Mapping[str, str] | None = None
    ) -> HttpRequest:
        """The request of an operation, as the document describes it.

        Raises:
            Final: if it would not be as the document says.
        """
        faults = self.faults(operation, given)
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
