"""The HTTP API: events by token, webhooks by signature, how a case goes, and what the API is.

Nothing is acknowledged before it is started or kept. An error is JSON, and names every field that
is wrong; what was sent is never repeated in it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote

import structlog
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from temporalio.service import RPCError

from handrail.actions import json_schema
from handrail.client import (
    Operator,
    OutcomeReport,
    case_id,
    case_summary,
    case_url,
    existing_case,
)
from handrail.exceptions import (
    CaseError,
    ConfigurationError,
    InvalidRequest,
    LedgerUnavailable,
    ServerUnavailable,
)
from handrail.integrations.callbacks import key_of
from handrail.integrations.triggers.folder import LARGEST_EVENT
from handrail.integrations.triggers.receiver import (
    Answer,
    Origin,
    Receiver,
    parsed,
    require_sendable,
)
from handrail.integrations.triggers.webhook import RawEvent, Webhook
from handrail.oversight import CalledBack
from handrail.runtime import ApiToken, TokenFile
from handrail.text import exact_json
from handrail.wire import fit

if TYPE_CHECKING:
    from starlette.requests import Request

    from handrail.runtime import Agent, Fleet

OURS: Final = re.compile(
    r"/((hooks|callbacks)/.*|openapi\.json|agents/[^/]+/(events|outcomes|cases/.*))"
)
"""The paths that are served here."""

LARGEST_CALL_BACK: Final = 48 * 1024
"""Bytes of one call-back: of a signal a case reads no more than 64 KiB."""

_STATUS: Final = {"started": 202, "kept": 202, "there": 200, "taken": 200, "changed": 409}
_JSON: Final = "application/json"
_RETRY: Final = {"retry-after": "5"}

log = structlog.get_logger("handrail.triggers")


class Refusal(HTTPException):
    """A request that is refused. `fields`: what is wrong with which."""

    def __init__(self, status: int, said: str, fields: dict[str, str] | None = None) -> None:
        super().__init__(status, said, _RETRY if status == HTTPStatus.SERVICE_UNAVAILABLE else None)
        self.fields = fields or {}


class TriggerApi:
    """What answers the requests of other systems."""

    def __init__(self, receiver: Receiver, tokens: TokenFile, ui_url: str = "") -> None:
        self.receiver = receiver
        self.tokens = tokens
        self.ui_url = ui_url
        self.hooks = hooks_of(receiver.fleet)

    def app(self, *, events: bool = True, hooks: bool = True) -> Starlette:
        """The application: events and what goes with them, webhooks, or both."""
        api = [
            Route("/agents/{agent}/events", self.take_event, methods=["POST"]),
            Route("/agents/{agent}/outcomes", self.take_outcomes, methods=["POST"]),
            Route("/agents/{agent}/cases/{key:path}", self.show_case, methods=["GET"]),
            Route("/openapi.json", self.openapi, methods=["GET"]),
        ]
        signed = [
            Route("/hooks/{name}", self.take_hook, methods=["POST"]),
            Route("/callbacks/{token}", self.take_callback, methods=["POST"]),
        ]
        handlers: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
            HTTPException: _refused,
            LedgerUnavailable: _away,
            ServerUnavailable: _away,
            ConfigurationError: _away,
            RPCError: _away,
        }
        routes = [*(api if events else []), *(signed if hooks else [])]
        return Starlette(routes=routes, exception_handlers=handlers)

    # Events

    async def take_event(self, request: Request) -> Response:
        """Start the case of an event, as its sender's token allows."""
        token, agent = self._admitted(request)
        if _media_type(request) != _JSON:
            raise Refusal(415, f"send the event as {_JSON}")
        body = await _body(request)
        try:
            event = parsed(agent, body)
        except CaseError as error:
            raise Refusal(422, f"this is no {agent.event.__name__}", _faults(error)) from None
        origin = Origin(f"api:{token.name}", token.asker)
        answer = await self.receiver.event(agent, event, origin)
        return await self._answered(agent, answer)

    async def take_outcomes(self, request: Request) -> Response:
        """Keep what people did in cases of an agent's pilot: one outcome, or a list of them."""
        token, agent = self._admitted(request)
        if _media_type(request) != _JSON:
            raise Refusal(415, f"send outcomes as {_JSON}")
        try:
            said: Any = exact_json(await _body(request))
        except (ValueError, RecursionError):
            raise Refusal(422, "outcomes are JSON, in UTF-8") from None
        given: list[Any] = cast("list[Any]", said) if isinstance(said, list) else [said]
        named: list[tuple[str, dict[str, Any] | str]] = [
            (
                str(number),
                cast("dict[str, Any]", each) if isinstance(each, dict) else "it is no object",
            )
            for number, each in enumerate(given)
        ]
        operator = Operator(
            self.receiver.connect, self.receiver.ledger, agents=self.receiver.fleet.agents
        )
        found = await operator.import_outcomes(agent.name, named, f"api:{token.name}")
        if found.bad:
            # The good ones are kept; sent again they are known.
            wrong = {each.where: each.why for each in found.bad}
            raise Refusal(422, f"{found.new} are kept, {found.known} were; the others not", wrong)
        return JSONResponse(found.model_dump(mode="json"))

    async def show_case(self, request: Request) -> Response:
        """How a case goes."""
        _, agent = self._admitted(request)
        client = await self.receiver.connect()
        try:
            case = case_id(agent.name, request.path_params["key"])
            found = case_summary(await existing_case(client, case))
        except CaseError as error:
            raise Refusal(404, str(error)) from None
        return JSONResponse(found.model_dump(mode="json") | {"link": await self._link(case)})

    async def _answered(self, agent: Agent, answer: Answer) -> Response:
        said: dict[str, Any] = {"case": answer.case or None, "outcome": answer.what}
        if answer.what == "changed":
            raise Refusal(409, f"{answer.case} is there already, of another event under its key")
        if answer.entry:
            said["intake"] = answer.entry
        if answer.case:
            key = answer.case.removeprefix(f"{agent.name}:")
            said["status"] = f"/agents/{agent.name}/cases/{quote(key)}"
        if answer.what != "kept":
            said["link"] = await self._link(answer.case)
        return JSONResponse(said, _STATUS[answer.what])

    async def _link(self, case: str) -> str:
        client = await self.receiver.connect()
        return case_url(self.ui_url, client.namespace, case)

    def _admitted(self, request: Request) -> tuple[ApiToken, Agent]:
        token = self._token(request)
        name = request.path_params["agent"]
        if not token.is_for(name):
            raise Refusal(403, f"the token of {token.name} is not for this agent")
        agent = self.receiver.fleet.agents.get(name)
        if agent is None:
            raise Refusal(404, "there is no such agent")
        return token, agent

    def _token(self, request: Request) -> ApiToken:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        token = self.tokens.of(bearer.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            raise Refusal(401, "send a token: `Authorization: Bearer ...`")
        return token

    # Webhooks

    async def take_hook(self, request: Request) -> Response:
        """Take what another system has signed."""
        agent, hook = self.hooks.get(request.path_params["name"], (None, None))
        if agent is None or hook is None:
            raise Refusal(404, "there is no such webhook")
        given = RawEvent(await _body(request), dict(request.headers))
        if not hook.is_signed(given):
            log.warning("a delivery is not signed", hook=hook.name)
            raise Refusal(401, "this is not signed by the secret of this webhook, or too long ago")
        if (challenge := hook.challenge(given)) is not None:
            return JSONResponse({"challenge": challenge})
        try:
            answer = await self.receiver.delivery(agent, hook, given)
        except UnicodeDecodeError:
            raise Refusal(415, "this is no text in UTF-8") from None
        return Response(status_code=204) if answer is None else await self._answered(agent, answer)

    # Call-backs

    async def take_callback(self, request: Request) -> Response:
        """Take what another system answers to a write that asked it to."""
        try:
            key = key_of(request.path_params["token"])
        except InvalidRequest as error:
            raise Refusal(404, str(error)) from None
        body = await _body(request, LARGEST_CALL_BACK)
        try:
            said = CalledBack(key=key, body=exact_json(body) if body.strip() else None)
            require_sendable(said)
        except (ValueError, RecursionError, CaseError):
            raise Refusal(422, "a call-back is JSON, in UTF-8") from None
        try:
            answer = await self.receiver.called_back(said)
        except CaseError as error:
            raise Refusal(404, str(error)) from None
        return JSONResponse({"case": answer.case, "outcome": answer.what}, _STATUS[answer.what])

    # What it is

    async def openapi(self, request: Request) -> Response:
        """The OpenAPI document, of what the token is for."""
        token, agents = self._token(request), self.receiver.fleet.agents
        return JSONResponse(document([a for a in agents.values() if token.is_for(a.name)]))


def hooks_of(fleet: Fleet) -> dict[str, tuple[Agent, Webhook]]:
    """The webhooks of a fleet by their names, which are paths.

    Raises:
        ConfigurationError: if two agents have one of the same name.
    """
    found: dict[str, tuple[Agent, Webhook]] = {}
    for agent in fleet.agents.values():
        for hook in agent.triggers.values():
            if isinstance(hook, Webhook):
                other, _ = found.setdefault(hook.name, (agent, hook))
                if other is not agent:
                    raise ConfigurationError(
                        f"{other.name} and {agent.name} have a webhook {hook.name}; rename one"
                    )
    return found


def document(agents: Iterable[Agent]) -> dict[str, Any]:
    """The OpenAPI document of the events of agents."""
    paths: dict[str, Any] = {}
    for agent in agents:
        content = {_JSON: {"schema": json_schema(agent.event)}}
        answers = {"202": "Started, or kept to be started.", "200": "It is there already."}
        answers |= {"401": "No token.", "403": "Not for this agent.", "409": "Another event."}
        answers |= {"413": "Too large.", "415": "Not JSON.", "422": "No such event: see `fields`."}
        answers |= {"503": "Neither started nor kept: send it again."}
        paths[f"/agents/{agent.name}/events"] = {
            "post": {
                "summary": f"Start the case of a {agent.event.__name__}",
                "operationId": f"start_{agent.name}",
                "requestBody": {"required": True, "content": content},
                "responses": {code: {"description": said} for code, said in answers.items()},
            }
        }
        answers = {"200": "They are kept.", "422": "Some are none: see `fields`, by number."}
        one = json_schema(OutcomeReport)
        schema = {"oneOf": [one, {"type": "array", "items": one}]}
        paths[f"/agents/{agent.name}/outcomes"] = {
            "post": {
                "summary": "Say what people did in cases of its pilot",
                "operationId": f"outcomes_of_{agent.name}",
                "requestBody": {"required": True, "content": {_JSON: {"schema": schema}}},
                "responses": {code: {"description": said} for code, said in answers.items()},
            }
        }
        key = {"name": "key", "in": "path", "required": True, "schema": {"type": "string"}}
        paths[f"/agents/{agent.name}/cases/{{key}}"] = {
            "get": {
                "summary": "How a case goes",
                "operationId": f"case_of_{agent.name}",
                "parameters": [key],
                "responses": {
                    "200": {"description": "Its state."},
                    "404": {"description": "There is none."},
                },
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Handrail: events that start cases", "version": "1"},
        "security": [{"token": []}],
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": paths,
    }


async def _body(request: Request, most: int = LARGEST_EVENT) -> bytes:
    """What was sent, at most so much, whatever the request says of its length."""
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > most:
            raise Refusal(413, f"at most {most} bytes are taken")
    return bytes(data)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _faults(error: CaseError) -> dict[str, str]:
    """What is wrong with which field; never the value."""
    if not isinstance(error.__cause__, ValidationError):
        return {"key" if "key" in str(error) else "(the whole)": str(error)}
    found = error.__cause__.errors(include_url=False, include_input=False, include_context=False)
    return {".".join(map(str, each["loc"])) or "(the whole)": each["msg"] for each in found}


async def _refused(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, HTTPException)  # noqa: S101  # it is registered for that
    fields = error.fields if isinstance(error, Refusal) else {}
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    said = {"error": {"message": error.detail, "fields": fields}}
    return JSONResponse(fit(said), error.status_code, headers)  # names of fields are the sender's


async def _away(request: Request, error: Exception) -> Response:
    log.error("neither started nor kept", path=request.url.path, why=str(error)[:500])
    said = "it was neither started nor kept: send it again in a moment"
    return JSONResponse({"error": {"message": said, "fields": {}}}, 503, _RETRY)
