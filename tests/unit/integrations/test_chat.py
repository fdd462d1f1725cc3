"""A message of a chat as a step: sent once, by being looked for where an answer was lost."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from handrail import Action, Effect, Final, NotDone, StepError
from handrail.agent import Write, secrets_given
from handrail.integrations.connectors import ChatMessage, SlackChat
from handrail.integrations.connectors.http import Unanswered
from handrail.testing import call_find, call_write

KEY = "test:1/write/1"


class Tell(Action):
    """Tell the channel."""

    channel: str
    text: str
    thread: str = ""


class Workspace:
    """As Slack's Web API has it: two pages of history, metadata only where it is asked for."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.answers: list[Response] = []
        self.asked: list[dict[str, str]] = []

    async def post(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer xoxb-of-a-test"
        body: dict[str, Any] = json.loads(await request.body())
        lost = self.answers.pop(0) if self.answers else None
        ts = f"1700000000.{len(self.messages):06}"
        if lost is None or lost.status_code == 503:
            self.messages.append({"ts": ts, "type": "message", **body})
        if lost is not None:
            return lost
        return JSONResponse({"ok": True, "channel": body["channel"], "ts": ts})

    async def read(self, request: Request) -> Response:
        asked = dict(request.query_params)
        self.asked.append(asked)
        if self.answers:
            return self.answers.pop(0)
        found = [
            {n: v for n, v in each.items() if n != "client_msg_id"}
            for each in reversed(self.messages)
            if each["channel"] == asked["channel"] and each.get("thread_ts") == asked.get("ts")
        ]
        at = int(asked.get("cursor") or 0)
        more = str(at + 1) if at + 1 < len(found) else ""
        page = {"ok": True, "messages": found[at : at + 1]}
        return JSONResponse({**page, "response_metadata": {"next_cursor": more}})


@pytest.fixture
async def workspace(
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncGenerator[tuple[Workspace, Write[Tell, ChatMessage]]]:
    monkeypatch.setenv("HANDRAIL_SECRET_SLACK_TOKEN", "xoxb-of-a-test")
    made, listener = Workspace(), socket.create_server(("127.0.0.1", 0))
    routes = [
        Route("/chat.postMessage", made.post, methods=["POST"]),
        Route("/conversations.{kind}", made.read),
    ]
    config = uvicorn.Config(Starlette(routes=routes), log_config=None, lifespan="off")
    running = uvicorn.Server(config)
    serves = asyncio.ensure_future(running.serve(sockets=[listener]))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        with secrets_given(["SLACK_TOKEN"]):
            yield made, SlackChat("SLACK_TOKEN", url).write("tell", Tell)
    finally:
        running.should_exit = True
        await serves


async def test_a_message_whose_answer_was_lost_is_found_in_its_channel_or_thread(
    workspace: tuple[Workspace, Write[Tell, ChatMessage]],
) -> None:
    world, tell = workspace
    for thread in ("", "1600000000.000000"):
        action = Tell(
            channel="C012AB3CD", text="<!channel> see <https://a.b|us> & go", thread=thread
        )
        assert await call_find(tell, action, key=f"{KEY}{thread}") is None
        world.answers.append(JSONResponse({"ok": False, "error": "fatal_error"}, 503))
        with pytest.raises(Unanswered, match="503"):
            await call_write(tell, action, key=f"{KEY}{thread}")
        await call_write(tell, action, key="test:2/tell/1")  # of another case
        sent = world.messages[-2]
        found = await call_find(tell, action, key=f"{KEY}{thread}")
        assert found == ChatMessage(channel="C012AB3CD", ts=sent["ts"])
        assert sent["text"] == "&lt;!channel&gt; see &lt;https://a.b|us&gt; &amp; go"
        assert sent.get("thread_ts", "") == thread
    assert len({each["client_msg_id"] for each in world.messages}) == 3
    assert (tell.idempotent, tell.settles) == (False, timedelta(seconds=60))


async def test_it_is_looked_for_since_it_may_have_been_sent_and_not_beyond_what_is_read(
    workspace: tuple[Workspace, Write[Tell, ChatMessage]], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, tell = workspace
    action = Tell(channel="C012AB3CD", text="a")
    assert tell.find is not None
    effect = Effect(key=KEY, case="test:1", step="tell", begun=datetime(2024, 5, 20, tzinfo=UTC))
    assert await tell.find(action, effect) is None
    assert world.asked[-1]["oldest"] == "1716159600.000000"  # an hour before
    for key in "abc":
        await call_write(tell, action, key=key)
    assert await call_find(tell, action, key="a") is not None
    monkeypatch.setattr("handrail.integrations.connectors.chat._PAGES", 2)
    with pytest.raises(Unanswered, match="more messages"):
        await call_find(tell, action, key="a")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (JSONResponse({"ok": False, "error": "channel_not_found"}), Final),
        (JSONResponse({"ok": False, "error": "internal_error"}), Unanswered),
        (JSONResponse({"ok": False, "error": "duplicate_message_not_found"}), Unanswered),
        (Response("<html>", 200), Unanswered),
        (JSONResponse({"ok": False, "error": "ratelimited"}, 429), NotDone),
    ],
)
async def test_what_slack_says_in_a_body_of_200(
    workspace: tuple[Workspace, Write[Tell, ChatMessage]],
    answer: Response,
    kind: type[Exception],
) -> None:
    world, tell = workspace
    world.answers.append(answer)
    with pytest.raises(kind):
        await call_write(tell, Tell(channel="C012AB3CD", text="a"))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"channel": "#sales"}, "no id of a channel"),
        ({"channel": "U012AB3CD"}, "no id of a channel"),
        ({"thread": "1&x=2"}, "no `ts`"),
        ({"text": ""}, "1 to 40000"),
        ({"text": "a" * 40_001}, "1 to 40000"),
    ],
)
async def test_what_could_not_be_looked_for_is_not_sent(
    workspace: tuple[Workspace, Write[Tell, ChatMessage]], given: dict[str, str], why: str
) -> None:
    world, tell = workspace
    with pytest.raises(Final, match=why):
        await call_write(tell, Tell.model_validate({"channel": "C012AB3CD", "text": "a"} | given))
    assert world.messages == []


def test_an_action_must_have_its_fields() -> None:
    with pytest.raises(StepError, match="`to`"):
        SlackChat("SLACK_TOKEN").write("tell", Tell, channel="to")
