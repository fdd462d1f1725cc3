"""A local Slack for tests, strict about what it is sent."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from tests.integration.inbox.slack_blocks import wrong_message, wrong_view

TOKEN = "xoxb-of-the-tests"  # noqa: S105


def slack_openapi() -> dict[str, Any] | None:
    """Slack's published description of its Web API, where it lies beside the repository."""
    beside = Path(__file__).parents[4] / "shared" / "data" / "slack_openapi"
    given = os.environ.get("HANDRAIL_TEST_SLACK_OPENAPI")
    folder = Path(given) if given else beside
    files = [folder] if folder.is_file() else sorted(folder.glob("*.json"))
    return json.loads(files[0].read_text(encoding="utf-8")) if files else None


@dataclass(frozen=True)
class Made:
    """One call that was made."""

    method: str
    verb: str
    content_type: str
    authorization: str
    query: dict[str, str]
    form: dict[str, str]

    @property
    def given(self) -> dict[str, str]:
        return self.query | self.form

    @property
    def blocks(self) -> list[dict[str, Any]]:
        return json.loads(self.given.get("blocks", "[]"))


# What the local server takes, always; the published description is asked besides.
_TAKES = {
    "chat.postMessage": ("POST", {"channel", "text"}, {"blocks", "thread_ts", "mrkdwn"}),
    "chat.update": ("POST", {"channel", "ts", "text"}, {"blocks"}),
    "chat.postEphemeral": ("POST", {"channel", "user", "text"}, set[str]()),
    "views.open": ("POST", {"trigger_id", "view"}, set[str]()),
    "conversations.open": ("POST", {"users"}, set[str]()),
    "conversations.history": ("GET", {"channel", "limit"}, set[str]()),
    "conversations.replies": ("GET", {"channel", "ts", "limit"}, set[str]()),
}
_MORE = {"chat.postMessage": {"unfurl_links", "unfurl_media"}}

# Where we leave the description of 2020 on purpose: a dialogue is posted, as Slack's present
# reference has it, and no token is ever put into an address.
DEVIATIONS = {"views.open": "POST"}


@dataclass
class SlackServer:
    """A local Slack, strict about what it is sent. `fails` is what to answer next, by method."""

    calls: list[Made] = field(default_factory=list[Made])
    faults: list[str] = field(default_factory=list[str])
    messages: dict[tuple[str, str], dict[str, Any]] = field(
        default_factory=dict[tuple[str, str], dict[str, Any]]
    )
    fails: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    url: str = ""
    described: dict[str, Any] | None = field(default_factory=slack_openapi)

    def of(self, method: str) -> list[Made]:
        return [call for call in self.calls if call.method == method]

    async def handle(self, request: web.Request) -> web.Response:
        form = cast("dict[str, str]", dict(await request.post()))
        call = Made(
            method=request.match_info["method"],
            verb=request.method,
            content_type=request.content_type if request.method == "POST" else "",
            authorization=request.headers.get("Authorization", ""),
            query=dict(request.query),
            form=form,
        )
        self.calls.append(call)
        self.faults += [*self._wrong(call), *(self.undescribed(call) if self.described else [])]
        answers = self.fails.get(call.method, [])
        if answers:
            failing = answers.pop(0)
            if isinstance(failing, web.Response):
                return failing
            if failing == "lost":
                self._do(call)
                raise web.HTTPBadGateway
            return web.json_response({"ok": False, "error": failing})
        return web.json_response(self._do(call))

    def _wrong(self, call: Made) -> Iterable[str]:
        verb, needed, may = _TAKES.get(call.method, ("", set[str](), set[str]()))
        may = may | _MORE.get(call.method, set())
        if call.verb != verb:
            yield f"{call.method}: {call.verb}"
        if call.authorization != f"Bearer {TOKEN}":
            yield f"{call.method}: not authorized"
        if verb == "POST" and call.content_type != "application/x-www-form-urlencoded":
            yield f"{call.method}: {call.content_type}"
        if needed - call.given.keys() or call.given.keys() - needed - may:
            yield f"{call.method}: {sorted(call.given)}"
        if call.blocks:
            yield from wrong_message(call.blocks, call.given["text"])
        if call.method == "views.open":
            view = json.loads(call.given["view"])
            yield from (*wrong_view(view), *wrong_inputs(view["blocks"]))

    def undescribed(self, call: Made) -> Iterable[str]:
        """Every way in which a call leaves Slack's published description."""
        assert self.described is not None
        operations = self.described["paths"].get(f"/{call.method}", {})
        verb = DEVIATIONS.get(call.method, call.verb)
        if call.verb != verb or (
            call.method not in DEVIATIONS and call.verb.lower() not in operations
        ):
            yield f"{call.method} is not described for {call.verb}"
            return
        operation = next(iter(operations.values()))
        if call.verb == "POST" and call.content_type not in operation["consumes"]:
            yield f"{call.method}: content type {call.content_type}"
        parameters = {each["name"]: each for each in operation["parameters"]}
        lacking = {n for n, p in parameters.items() if p.get("required") and n != "token"}
        for name in lacking - call.given.keys():
            yield f"{call.method}: {name} is required"
        for name, value in call.given.items():
            kind = parameters.get(name, {}).get("type")
            if kind is None or not _is_a(kind, value):
                yield f"{call.method}: {name}={value!r} is no {kind}"

    def _do(self, call: Made) -> dict[str, Any]:
        given = call.given
        match call.method:
            case "chat.postMessage":
                room = given["channel"]
                room = f"D{room[1:]}" if room.startswith("U") else room
                ts = f"17000000{len(self.messages):02}.000100"
                self.messages[room, ts] = {
                    "ts": ts,
                    "text": given["text"],
                    "blocks": call.blocks,
                    "thread_ts": given.get("thread_ts"),
                }
                return {"ok": True, "channel": room, "ts": ts, "message": {"text": given["text"]}}
            case "chat.update":
                message = self.messages.get((given["channel"], given["ts"]))
                if message is None:
                    return {"ok": False, "error": "message_not_found"}
                message |= {"text": given["text"], "blocks": call.blocks}
                return {"ok": True, "channel": given["channel"], "ts": given["ts"], "text": ""}
            case "conversations.open":
                return {"ok": True, "channel": {"id": f"D{given['users'][1:]}"}}
            case "conversations.history":
                room = given["channel"]
                found = [m for (r, _), m in self.messages.items() if r == room]
                return {"ok": True, "messages": [m for m in found if m["thread_ts"] is None]}
            case "conversations.replies":
                found = [m for m in self.messages.values() if m["thread_ts"] == given["ts"]]
                return {"ok": True, "messages": found}
            case _:
                return {"ok": True}


def _is_a(kind: str, value: str) -> bool:
    patterns = {
        "string": r"(?s).*",
        "boolean": "true|false",
        "integer": r"-?\d+",
        "number": r"-?\d+(\.\d+)?",
    }
    return re.fullmatch(patterns[kind], value) is not None


def wrong_inputs(blocks: list[dict[str, Any]]) -> Iterable[str]:
    """What Slack's reference of dialogues would not allow."""
    names = [block["block_id"] for block in blocks]
    if len(set(names)) != len(names) or len(names) > 100:
        yield f"inputs: {names}"
    for block in blocks:
        element, label = block["element"], block["label"]["text"]
        options = element.get("options", [])
        texts = [(label, 2_000), (block["block_id"], 255)]
        texts += [(element["initial_value"], 3_000)] if "initial_value" in element else []
        texts += [(each["text"]["text"], 75) for each in options]
        texts += [(each["value"], 150) for each in options]
        select = element["type"] == "static_select"
        if select and not 0 < len(options) <= 100:
            yield f"{label}: {len(options)} options"
        if element.get("initial_option", options and options[0]) not in (options or [[]]):
            yield f"{label}: starts with none of its options"
        if block["type"] != "input" or not (select or element["type"] == "plain_text_input"):
            yield f"{label}: {element['type']}"
        yield from (f"{text!r} in {label}" for text, most in texts if not 0 < len(text) <= most)


@contextlib.asynccontextmanager
async def web_server(
    handler: Callable[[web.Request], Awaitable[web.Response]], path: str = "/"
) -> AsyncGenerator[int]:
    """A local web server that hands everything to `handler`; its port."""
    app = web.Application()
    app.router.add_route("*", path, handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def slack_server() -> AsyncGenerator[SlackServer]:
    server = SlackServer()
    async with web_server(server.handle, "/api/{method}") as port:
        server.url = f"http://127.0.0.1:{port}/api/"
        yield server
    assert server.faults == []
