"""A message of Slack as a step: sent once, since a lost answer is looked for in the channel.

    chat = SlackChat(auth="SLACK_TOKEN")

    tell_sales = chat.write("tell_sales", TellSales)

Slack takes no key under which it promises to do nothing twice (`client_msg_id` is taken, and
nothing is said of it). So the key goes with the message as its metadata, and where nobody knows
whether it was sent, the channel or the thread is read from then on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from handrail.actions import Action, Effect, Wire
from handrail.agent import Write, secret, write
from handrail.exceptions import Final
from handrail.integrations.connectors.declare import as_function, require_fields
from handrail.integrations.connectors.http import (
    HttpRequest,
    Unanswered,
    as_key,
    changed,
    looked_up,
)
from handrail.integrations.connectors.schemas import as_list, as_object

A = TypeVar("A", bound=Action)

_TIMEOUT, _SECONDS = timedelta(seconds=60), 20.0
_EVENT = "handrail_effect"
_PAGES = 20
"""Pages of 200 messages that are read, before it is said that it cannot be told."""

LONGEST = 40_000
"""Characters of the longest message: Slack cuts off what is beyond."""

_EARLIER = timedelta(hours=1)
"""How much the clocks of a worker and of Slack may differ."""

_LATER = {"ratelimited", "rate_limited", "service_unavailable", "request_timeout"} | {
    "internal_error",
    "fatal_error",
}
"""Errors after which nobody knows; all others say that it was refused."""


class ChatMessage(Wire):
    """A message that was sent. `ts`: its name in the channel, by which a thread is answered."""

    channel: str
    ts: str


@dataclass(frozen=True)
class SlackChat:
    """The chat of one workspace. `auth`: the secret with the app's token.

    The app needs `chat:write` and, to look, `channels:history` (`groups:history`, `im:history`).
    """

    auth: str
    base_url: str = "https://slack.com/api"

    def write(
        self,
        name: str,
        action: type[A],
        *,
        channel: str = "channel",
        text: str = "text",
        thread: str = "thread",
        settles: timedelta = timedelta(seconds=60),
        **options: Any,
    ) -> Write[A, ChatMessage]:
        """A write that sends a text to a channel, or answers in a thread, of an action's fields.

        `thread`: the field with the `ts` of a message, where the action has one. The text is shown
        as it stands: it calls nobody, and links lead where they say. `settles`, `options`: as of
        `handrail.write`.

        Raises:
            StepError: if the action has no such fields.
        """
        require_fields(name, action, channel, text)

        fields = _Fields(channel, text, thread)

        async def step(act: Any, effect: Effect) -> ChatMessage:
            return await self._send(fields, act, effect)

        async def look(act: Any, effect: Effect) -> ChatMessage | None:
            return await self._look(fields, act, effect)

        doc = (action.__doc__ or name).strip()
        taken = {"action": (action, ...), "effect": (Effect, ...)}
        fn = as_function(step, name, doc, taken, ChatMessage)
        given: dict[str, Any] = {"timeout": _TIMEOUT, "find": look, "settles": settles} | options
        made: Write[A, ChatMessage] = write(secrets=(self.auth,), **given)(fn)
        return made

    async def _send(self, fields: _Fields, act: Any, effect: Effect) -> ChatMessage:
        where, root, said_text = fields.of(act)
        _require(where, root, said_text)
        body: dict[str, Any] = {
            "channel": where,
            "text": said_text,
            "client_msg_id": as_key(effect.key, "uuid"),
            "metadata": {
                "event_type": _EVENT,
                "event_payload": {"key": as_key(effect.key)},
            },
            "unfurl_links": False,
            "unfurl_media": False,
        }
        body |= {"thread_ts": root} if root else {}
        request = HttpRequest("POST", self._url("chat.postMessage"), (), self._token(), body)
        said = _answer(await changed(request, _SECONDS, effect.attempt), "chat.postMessage")
        return ChatMessage(channel=said["channel"], ts=said["ts"])

    async def _look(self, fields: _Fields, act: Any, effect: Effect) -> ChatMessage | None:
        where, root, _ = fields.of(act)
        method = "conversations.replies" if root else "conversations.history"
        asked = {"channel": where, "limit": "200", "include_all_metadata": "true"}
        asked |= {"ts": root} if root else {}
        if effect.begun is not None:
            asked["oldest"] = f"{(effect.begun - _EARLIER).timestamp():.6f}"
        for _ in range(_PAGES):
            request = HttpRequest("GET", self._url(method), [*asked.items()], self._token())
            said = _answer(await looked_up(request, _SECONDS), method)
            for each in map(as_object, as_list(said.get("messages"))):
                if _is_of(each, effect.key):
                    return ChatMessage(channel=where, ts=each["ts"])
            asked["cursor"] = as_object(said.get("response_metadata")).get("next_cursor", "")
            if not asked["cursor"]:
                return None
        raise Unanswered(f"{where} has more messages since {effect.begun} than are looked at")

    def _url(self, method: str) -> str:
        return f"{self.base_url.rstrip('/')}/{method}"

    def _token(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {secret(self.auth).get_secret_value()}"}


@dataclass(frozen=True)
class _Fields:
    """Which fields of an action hold a message's channel, text and thread."""

    channel: str
    text: str
    thread: str

    def of(self, act: Any) -> tuple[str, str | None, str]:
        """The channel, the thread's root and the text, as Slack takes it."""
        text = _plain(str(getattr(act, self.text)))
        return getattr(act, self.channel), getattr(act, self.thread, None), text


def _answer(said: Any, method: str) -> dict[str, Any]:
    """What Slack answers, which says in a body of 200 whether it was done.

    Raises:
        Final: if it refuses it.
        Unanswered: if nobody knows.
    """
    found = as_object(said)
    if found.get("ok") is True:
        return found
    error = str(found.get("error", "it answered with nothing that is known"))
    unknown = "ok" not in found or error in _LATER or error.startswith("duplicate_")
    raise (Unanswered if unknown else Final)(f"{method}: {error}")


def _require(channel: str, root: str | None, text: str) -> None:
    """See that a message can be sent, and looked for: a channel's name only takes one.

    Raises:
        Final: if it cannot.
    """
    if not re.fullmatch(r"[CDG][A-Z0-9]{2,30}", channel):
        raise Final(f"{channel!r} is no id of a channel (such as C0123456789); nothing was sent")
    if root and not re.fullmatch(r"[0-9]{1,12}\.[0-9]{6}", root):
        raise Final(f"{root!r} is no `ts` of a message; nothing was sent")
    if not 0 < len(text) <= LONGEST:
        raise Final(f"a message has 1 to {LONGEST} characters, not {len(text)}; nothing was sent")


def _is_of(message: dict[str, Any], key: str) -> bool:
    known = as_object(message.get("metadata"))
    told = as_object(known.get("event_payload")).get("key")
    same = known.get("event_type") == _EVENT and told == as_key(key)
    return same or message.get("client_msg_id") == as_key(key, "uuid")


def _plain(text: str) -> str:
    """A text in which Slack sees no link, no name and no call of a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
