"""The HTTP API of cases, gates and rulings: what other front ends are built on.

A token says who asks. With one of a program nobody rules. With one of a person they rule as that
person; but who has a token has proven nothing, so that the inbox signs nothing for them: proven is
what carries a proof, signed by a key of their own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic.json_schema import models_json_schema
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from temporalio.service import RPCError

from handrail.actions import DIGEST_PREFIX, Verb
from handrail.client import CaseDetails, CaseList, GateFilter, GateList, RulingResult, counted
from handrail.exceptions import (
    CaseError,
    InvalidRequest,
    LedgerUnavailable,
    RequestError,
    ServerUnavailable,
)
from handrail.inbox.web import views
from handrail.oversight import BY_KEY, GateView
from handrail.text import exact_json

if TYPE_CHECKING:
    from starlette.requests import Request

    from handrail.client import Operator, Statement
    from handrail.inbox.web.site import Site
    from handrail.runtime import ApiToken

PREFIX: Final = "/api/v1"

VIA: Final = "api"
"""The channel of a ruling that nothing proves."""

MOST: Final = 200
"""Gates or cases of one answer."""


class RulingBody(BaseModel):
    """A ruling on exactly what was shown. `proof`: signed by the person's own key, as a JWS.

    `digest`: that of the gate, its first 12 digits or more. `to`: with ask and delegate.
    `action`: with amend, the whole of it. `answer`, `question`, `result`: with answer.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    verb: Annotated[Verb, Field(strict=False)]
    digest: str = Field(min_length=DIGEST_PREFIX, max_length=64)
    why: str = ""
    to: str | None = None
    action: dict[str, JsonValue] | None = None
    answer: str | None = None
    question: str | None = None
    result: JsonValue = None
    proof: str | None = Field(default=None, max_length=8_000)


class GateAnswer(BaseModel):
    """One open gate as its case sees it now. `form`: the JSON Schema of what it takes."""

    gate: GateView
    form: dict[str, Any] | None


class InboxApi:
    """What answers other front ends."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def mount(self) -> Mount:
        """The routes, with errors that are JSON."""
        handlers: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
            HTTPException: _refused,
            RequestError: _refused,
            LedgerUnavailable: _away,
            ServerUnavailable: _away,
            RPCError: _away,
            TimeoutError: _away,
        }
        get, gate = ["GET"], "/cases/{case:path}/gates/{gate}"
        routes = [
            Route("/openapi.json", self.openapi, methods=get),
            Route("/gates", self.gates, methods=get),
            Route("/cases", self.cases, methods=get),
            Route(f"{gate}/rulings", self.rule, methods=["POST"]),
            Route(gate, self.gate, methods=get),
            Route("/cases/{case:path}", self.case, methods=get),
        ]
        return Mount(PREFIX, app=Starlette(routes=routes, exception_handlers=handlers))

    async def openapi(self, request: Request) -> Response:
        """What the API is."""
        await self._admitted(request)
        return JSONResponse(document())

    async def gates(self, request: Request) -> Response:
        """The open gates that a filter finds; the list may be some seconds old."""
        token = await self._admitted(request)
        asked = request.query_params
        names = ("role", "person", "agent", "case", "text", "risk", "kind", "sort")
        wanted = GateFilter(**{name: asked[name] for name in names if asked.get(name)})
        limit, offset = _number(request, "limit", 50, MOST), _number(request, "offset", 0, 10**6)
        whole = await self.site.waiting.current(opening=True)
        mine = self._agents(token)
        found = wanted.select(g for g in whole.gates if self._sees(token, mine, g))
        agents = [c for c in whole.paused if _agent(c) in mine]
        unreadable = tuple(each for each in whole.unreadable if _agent(each.case) in mine)
        page = GateList(
            gates=tuple(found[offset:][:limit]),
            unreadable=unreadable,
            paused=tuple(agents),
            **counted(found),
        )
        return _json(page)

    async def gate(self, request: Request) -> Response:
        """One open gate as it is now."""
        token = await self._admitted(request)
        operator, view = await self._found(request, token)
        return _json(GateAnswer(gate=view, form=await operator.form(view)))

    async def rule(self, request: Request) -> Response:
        """Rule on a gate, as the person whose token it is."""
        token = await self._admitted(request, "rule")
        if not token.person:
            said = f"the token of {token.name} is a program's, and no program rules"
            raise HTTPException(403, f"{said}; fix: `handrail tokens new --person ADDRESS`")
        _, view = await self._found(request, token)
        try:
            sent = RulingBody.model_validate(exact_json(await request.body()))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            raise InvalidRequest(first["msg"], ".".join(map(str, first["loc"]))) from None
        except (ValueError, RecursionError):
            raise HTTPException(422, "a ruling is JSON, in UTF-8") from None
        said = sent.model_dump(exclude={"verb", "digest", "proof"}, exclude_defaults=True)
        operator = self._operator(token, sent.proof)
        ruled = await operator.rule(view, sent.verb, digest=sent.digest, **said)
        await self.site.heard(view.case)
        return _json(ruled, {True: 200, False: 409, None: 202}[ruled.accepted])

    async def cases(self, request: Request) -> Response:
        """Cases: the open ones first, then those that ended last."""
        token = await self._admitted(request)
        asked, mine = request.query_params, self._agents(token)
        agent = asked.get("agent") or (next(iter(mine)) if len(mine) == 1 else None)
        if agent is not None and agent not in mine:
            raise HTTPException(403, f"the token of {token.name} is not for this agent")
        found = await self._operator(token).cases(
            agent,
            state=asked.getlist("state") or None,
            role=asked.get("role"),
            limit=_number(request, "limit", 50, MOST),
        )
        cases = tuple(each for each in found.cases if each.agent in mine)
        return _json(found.model_copy(update={"cases": cases, "total": len(cases)}))

    async def case(self, request: Request) -> Response:
        """Everything about one case."""
        token = await self._admitted(request)
        case: str = request.path_params["case"]
        if _agent(case) not in self._agents(token):
            raise HTTPException(404, "there is no such case for you")
        try:
            return _json(await self._operator(token).case(case))
        except CaseError as error:
            raise HTTPException(404, str(error)) from None

    async def _found(self, request: Request, token: ApiToken) -> tuple[Operator, GateView]:
        case, gate = request.path_params["case"], request.path_params["gate"]
        operator = self._operator(token)
        try:
            view = await operator.gate(case, gate)
        except CaseError as error:
            raise HTTPException(404, str(error)) from None
        if not self._sees(token, self._agents(token), view):
            raise HTTPException(404, "there is no such gate for you")
        return operator, view

    def _operator(self, token: ApiToken, proof: str | None = None) -> Operator:
        async def given(statement: Statement) -> str:
            del statement  # what the proof is not of, the door refuses
            return proof or ""

        via = VIA if proof is None else BY_KEY
        return self.site.by_token(token.asker, via, None if proof is None else given)

    def _agents(self, token: ApiToken) -> frozenset[str]:
        """The agents that may be read with a token: a person's own, and none that it is not for."""
        known = self.site.directory
        mine = known.agents(token.person) if token.person else known.known()
        return frozenset(each for each in mine if token.is_for(each))

    def _sees(self, token: ApiToken, mine: frozenset[str], gate: GateView) -> bool:
        if not token.is_for(_agent(gate.case)):
            return False
        return _agent(gate.case) in mine or bool(
            token.person and views.visible(gate, token.person, mine)
        )

    async def _admitted(self, request: Request, what: str = "look") -> ApiToken:
        """Whose token was sent.

        Raises:
            HTTPException: 401 without a good one, 403 if it may not read, 429 if too often.
        """
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        token = self.site.tokens.of(bearer.strip()) if scheme.lower() == "bearer" else None
        # Whoever is taken out of the policies is out at once.
        if token is None or (token.person and not self.site.directory.may_sign_in(token.person)):
            said = "this token counts for nothing: nobody made it, it was revoked, or no policy"
            said = f"{said} names its person (any more)" if bearer.strip() else _NOTHING_SENT
            raise HTTPException(401, said)
        if not (token.person or token.reads):
            said = f"the token of {token.name} reads nothing; fix: `handrail tokens new --reads`"
            raise HTTPException(403, said)
        await self.site.slow_down(what, f"token {token.name}")
        return token


_NOTHING_SENT = "send a token: `Authorization: Bearer ...`"


def _agent(case: str) -> str:
    return case.partition(":")[0]


def _number(request: Request, name: str, usual: int, most: int) -> int:
    given = request.query_params.get(name) or str(usual)
    if not (given.isdecimal() and len(given) < len("10000000") and int(given) <= most):
        raise InvalidRequest(f"{name} is a number up to {most}", name)
    return int(given)


def _json(said: BaseModel, status: int = 200) -> Response:
    text = said.model_dump_json()
    return Response(text, status, media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    del request
    status, headers = 422 if isinstance(error, InvalidRequest) else 403, dict[str, str]()
    if isinstance(error, HTTPException):
        status = error.status_code
        headers = {"www-authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    elif isinstance(error, CaseError):
        status = 409
    said = error.detail if isinstance(error, HTTPException) else str(error)
    field = getattr(error, "field", "")
    fault = {"message": said, "fields": {field: said} if field else {}}
    return JSONResponse({"error": fault}, status, headers)


async def _away(request: Request, error: Exception) -> Response:
    del request, error
    said = "the Temporal server or the ledger does not answer: try again in a moment"
    headers = {"retry-after": "5"}
    return JSONResponse({"error": {"message": said, "fields": {}}}, 503, headers)


# What it is


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    models = (GateList, GateAnswer, RulingResult, CaseList, CaseDetails)
    wanted: Any = [*((each, "serialization") for each in models), (RulingBody, "validation")]
    _, found = models_json_schema(wanted, ref_template="#/components/schemas/{model}")
    case, gate = _parameter("case", "path"), _parameter("gate", "path")
    filters = [
        _parameter(n, "query") for n in (*GateFilter.__dataclass_fields__, "limit", "offset")
    ]
    listed = [_parameter(n, "query") for n in ("agent", "state", "role", "limit")]
    ruling = _operation("Rule on it", RulingResult, [case, gate])
    ruling["requestBody"] = {"required": True, "content": _content("RulingBody")}
    ruling["responses"] |= {
        "202": {"description": "No worker answers: left for the case.", **_is(RulingResult)},
        "409": {"description": "Not accepted, or it asks about something else by now."},
        "422": {"description": "No such ruling: see `fields`."},
    }
    one = "/cases/{case}/gates/{gate}"
    paths = {
        "/gates": {"get": _operation("What waits", GateList, filters)},
        one: {"get": _operation("One open gate, as it is now", GateAnswer, [case, gate])},
        f"{one}/rulings": {"post": ruling},
        "/cases": {"get": _operation("Cases, the open ones first", CaseList, listed)},
        "/cases/{case}": {"get": _operation("Everything about a case", CaseDetails, [case])},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Handrail: cases, gates and rulings", "version": "1"},
        "servers": [{"url": PREFIX}],
        "security": [{"token": []}],
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": found["$defs"],
        },
        "paths": paths,
    }


def _parameter(name: str, where: str) -> dict[str, Any]:
    schema = {"type": "integer" if name in {"limit", "offset"} else "string"}
    return {"name": name, "in": where, "required": where == "path", "schema": schema}


def _content(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _is(model: type[BaseModel]) -> dict[str, Any]:
    return {"content": _content(model.__name__)}


def _operation(
    summary: str, model: type[BaseModel], parameters: list[dict[str, Any]]
) -> dict[str, Any]:
    said = {"401": "No token.", "403": "Not with this token.", "404": "There is none for you."}
    said |= {"429": "Too often.", "503": "Try again in a moment."}
    return {
        "summary": summary,
        "operationId": summary.lower().replace(",", "").replace(" ", "_"),
        "parameters": parameters,
        "responses": {
            "200": {"description": f"{summary}.", **_is(model)},
            **{code: {"description": why} for code, why in said.items()},
        },
    }
