"""Slack: a message with buttons, its thread, and its end.

Everything that an agent wrote is shown as plain text, which Slack neither formats nor turns
into mentions. The first block of each message carries its key: before a second try the
conversation is asked whether the first one arrived.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import aiohttp
from pydantic import Field
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from handrail.actions import Wire
from handrail.client import amounts
from handrail.inbox.channels.content import (
    CHANGES,
    MessageContent,
    ended_words,
    note,
    of_view,
)
from handrail.inbox.channels.delivery import MessageRef, NotNow, Undeliverable
from handrail.oversight import GateKind
from handrail.text import escape_hidden, escape_html, moment_in_words, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from handrail.inbox.channels.delivery import DeliveryRequest, LockRequest
    from handrail.oversight import GateView
    from handrail.runtime import Settings

CHANNEL: Final = "slack"
TIMEOUT: Final = 15
"""Seconds for one call."""

_TEXT = 3_000
_HEADER = 150
_FIELD = 2_000
_BLOCKS = 50
_COLUMNS = 10
"""Fields of one section."""

_SHORT = 300
"""What is longer, with its name, gets the whole width."""

_LATER = frozenset(
    {"ratelimited", "rate_limited", "service_unavailable", "fatal_error", "internal_error"}
    | {"request_timeout", "team_added_to_org", "org_login_required"}
)
_READ = frozenset({"conversations.history", "conversations.replies"})
_OVER = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
_SERVER_ERROR = 500
_TOO_MANY = 429


class ButtonValue(Wire):
    """What a button stands for: exactly this action at exactly this gate."""

    case: str = Field(min_length=1, max_length=1_000)
    gate: str = Field(min_length=1, max_length=64)
    digest: str = Field(pattern="^[0-9a-f]{64}$")


@dataclass(frozen=True)
class Slack:
    """Speaks to Slack as one app. `url` is another address of the Web API, for tests."""

    token: str = field(repr=False)
    url: str = "https://slack.com/api/"

    @classmethod
    def of(cls, settings: Settings) -> Slack | None:
        """What the settings say of Slack; None where no app is set up."""
        token = settings.slack_token
        return None if token is None else cls(token.get_secret_value(), settings.slack_url)

    async def tell(
        self, telling: DeliveryRequest, user: str, page: str, *, again: bool
    ) -> MessageRef:
        """Send one message: a direct one, or an answer in its thread. `again`: not the first try.

        Raises:
            Undeliverable: if Slack refuses it for good.
            NotNow: if it is to be tried again.
        """
        root = telling.root if telling.root and telling.root.channel == CHANNEL else None
        if again and (found := await self._find(telling.key, user, root)):
            return found
        said = note(telling)
        given = {"thread_ts": root.id} if root else {}
        text = f"{said.subject}: {' '.join(said.opening)}"
        shown = blocks(said, telling.view, page, key=telling.key)
        answer = await self._post(root.room if root else user, text, shown, **given)
        return MessageRef(channel=CHANNEL, id=_named(answer, "ts"), room=_named(answer, "channel"))

    async def lock(self, locking: LockRequest, page: str) -> None:
        """Take the buttons away and say how it ended. A message that is gone is no fault.

        Raises:
            Undeliverable: if Slack refuses it for good.
            NotNow: if it is to be tried again.
        """
        await self.replace(locking.ref, locking.view, page, ended_words(locking.ended))

    async def replace(self, ref: MessageRef, view: GateView, page: str, how: str) -> None:
        """Show a message without buttons, and `how` it stands with the question.

        Raises:
            Undeliverable: if Slack refuses it for good.
            NotNow: if it is to be tried again.
        """
        said = of_view(view, how)
        text = escape_html(f"{said.subject}: {how}", quote=False)
        shown = blocks(said, view, page)
        try:
            await self.call("chat.update", channel=ref.room, ts=ref.id, text=text, blocks=shown)
        except Undeliverable as error:
            if not any(each in str(error) for each in _OVER):
                raise
            # Deleted, or too old to be changed: it is said below it instead.
            room, root = ref.room, ref.id
            await self.call("chat.postMessage", channel=room, text=text, thread_ts=root)

    async def whisper(self, room: str, user: str, text: str) -> None:
        """Say something that only this user sees.

        Raises:
            Undeliverable: if Slack refuses it for good.
            NotNow: if it could be tried again.
        """
        await self.call(
            "chat.postEphemeral", channel=room, user=user, text=escape_html(text, quote=False)
        )

    async def say(
        self, user: str, title: str, lines: Sequence[str], *, key: str, again: bool
    ) -> None:
        """Tell a user something that nobody can answer. `again`: not the first try.

        Raises:
            Undeliverable: if Slack refuses it for good.
            NotNow: if it is to be tried again.
        """
        if again and await self._find(key, user, None):
            return
        await self._post(user, f"{title}: {' '.join(lines)}", alert_blocks(title, lines, key))

    async def _post(
        self, to: str, text: str, shown: list[dict[str, Any]], **given: str
    ) -> dict[str, Any]:
        return await self.call(
            "chat.postMessage",
            channel=to,
            text=escape_html(text, quote=False),
            blocks=shown,
            mrkdwn=False,
            unfurl_links=False,
            unfurl_media=False,
            **given,
        )

    async def call(self, method: str, **given: Any) -> dict[str, Any]:
        """Call a method of the Web API, and return what it answers.

        Raises:
            Undeliverable: if Slack refuses it for good.
            NotNow: if it is to be tried again.
        """
        # Untyped, as the library's own signatures are.
        client: Any = AsyncWebClient(token=self.token, base_url=self.url, timeout=TIMEOUT)
        form = {name: _field(each) for name, each in given.items()}
        how: dict[str, Any] = {"data": form}
        if method in _READ:
            how = {"http_verb": "GET", "params": form}
        try:
            answer: Any = await client.api_call(method, **how)
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _fault(method, error) from error
        except Exception as error:  # an answer that is no JSON object breaks the library anyhow
            raise NotNow(f"Slack answers {method} with garbage: {type(error).__name__}") from error
        return answer.data

    async def _find(self, key: str, user: str, root: MessageRef | None) -> MessageRef | None:
        """The message with that key, if an earlier try has sent it and may be looked for."""
        try:
            room = root.room if root else await self._room(user)
            where = {"ts": root.id} if root else {}
            method = "conversations.replies" if root else "conversations.history"
            answer = await self.call(method, channel=room, limit=50, **where)
        except Undeliverable:
            return None  # the app may not read there: then one message too many is the lesser evil
        for message in _each(answer, "messages"):
            if any(block.get("block_id") == mark(key) for block in _each(message, "blocks")):
                return MessageRef(channel=CHANNEL, id=_named(message, "ts"), room=room)
        return None

    async def _room(self, user: str) -> str:
        answer = await self.call("conversations.open", users=user)
        return _named(answer, "channel", "id")


def _named(answer: Any, *names: str) -> str:
    """A text within an answer.

    Raises:
        NotNow: if it is not there; whether something was sent is looked for first, then.
    """
    for name in names:
        answer = cast("dict[str, Any]", answer).get(name) if isinstance(answer, dict) else None
    if not isinstance(answer, str):
        raise NotNow(f"Slack's answer has no {'.'.join(names)}")
    return answer


def _each(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects of a list within an answer."""
    found: Any = answer.get(name)
    listed = cast("list[Any]", found) if isinstance(found, list) else []
    return [each for each in listed if isinstance(each, dict)]


def mark(key: str) -> str:
    """The key of a message as the id of its first block."""
    return f"handrail-{hashlib.sha256(key.encode()).hexdigest()[:40]}"


def blocks(
    said: MessageContent, view: GateView, page: str, *, key: str = ""
) -> list[dict[str, Any]]:
    """The message in blocks. With `key` it is a new one, and has buttons where one may rule."""
    first: dict[str, Any] = {"type": "header", "text": _plain(said.subject, _HEADER)}
    found = [first | ({"block_id": mark(key)} if key else {})]
    found += [_section(each) for each in said.opening if each]
    found += _fields(facts(view)) if key else []
    # Two columns: before and after stand side by side.
    found += _table(CHANGES, said.beside)[0] if said.changes else []
    seen = said.whole
    for title, rows in said.tables:
        shown, fits = _table(title, rows)
        found += shown
        seen = seen and fits
    if said.closing:
        found.append({"type": "context", "elements": [_plain("\n".join(said.closing), _TEXT)]})
    if key:
        found.append(_buttons(view, page, rule=said.rule, whole=seen))
    return found


def _table(
    title: str, rows: Sequence[tuple[str, str]]
) -> tuple[list[dict[str, Any]], bool]:  # and whether all of it is shown
    if all(len(name) + len(given) <= _SHORT and "\n" not in given for name, given in rows):
        return [_section(title), *_fields(rows)], True
    text = "\n".join([title, *(f"{name}: {_continued(given)}" for name, given in rows)])
    return [_section(text)], len(text) <= _TEXT


def alert_blocks(title: str, lines: Iterable[str], key: str) -> list[dict[str, Any]]:
    """What nobody can answer, in blocks. One without a text is none, and Slack takes fifty."""
    said = [each for each in lines if each]
    text = "\n".join(said[_BLOCKS - 2 :])
    return [
        {"type": "header", "text": _plain(title, _HEADER), "block_id": mark(key)},
        *(_section(each) for each in [*said[: _BLOCKS - 2], *([text] if text else [])]),
    ]


def facts(view: GateView) -> tuple[tuple[str, str], ...]:
    """What is looked at first: who asks, how much it is, until when, and why it is held."""
    agent = one_line(view.case.partition(":")[0], 100)
    asks = f"{agent}, for {one_line(view.requester, 100)}" if view.requester else agent
    much = [
        (one_line(name, 80), f"{value:f} {escape_hidden(unit)}".strip())
        for (name, unit), value in amounts(view).items()
    ]
    by = [("Answer by", moment_in_words(view.deadline, "minutes"))] if view.deadline else []
    held = one_line(view.why, 300)
    return (("Who asks", asks), *much[:4], *by, *([("Why it is held", held)] if held else []))


def _fields(rows: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Names over values, in two columns."""
    shown = [_plain(f"{name}\n{given}", _FIELD) for name, given in rows]
    return [
        {"type": "section", "fields": shown[at:][:_COLUMNS]}
        for at in range(0, len(shown), _COLUMNS)
    ]


def _buttons(view: GateView, page: str, *, rule: bool, whole: bool) -> dict[str, Any]:
    """Nobody approves here what does not fit into the message."""
    pressed = ButtonValue(case=view.case, gate=view.gate, digest=view.digest).model_dump_json()
    shown: list[dict[str, Any]] = []
    if rule and whole:
        shown.append(_button("Approve", "approve", value=pressed, style="primary"))
        shown.append(_button("Approve and say why", "approve_why", value=pressed))
    if rule and whole and view.kind == GateKind.WRITE:
        shown.append(_button("Change", "amend", value=pressed))
    if rule:
        shown.append(_button("Reject", "reject", value=pressed, style="danger"))
    shown.append(_button("Open in the inbox", "open", url=page))
    return {"type": "actions", "elements": shown}


def _button(text: str, action: str, **more: str) -> dict[str, Any]:
    return {"type": "button", "action_id": action, "text": _plain(text, 75), **more}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _plain(text, _TEXT)}


def _plain(text: str, most: int) -> dict[str, Any]:
    shown = text if len(text) <= most else f"{text[: most - 2]} …"
    return {"type": "plain_text", "text": shown, "emoji": False}


def _continued(given: str) -> str:
    return given.replace("\n", "\n  | ")


def _field(given: Any) -> str:
    """A value of a form."""
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def _fault(method: str, error: Exception) -> Undeliverable | NotNow:
    """Whether an error of Slack's is for good. The only place where that is judged."""
    if not isinstance(error, SlackApiError):
        return NotNow(f"Slack does not answer {method}: {error or type(error).__name__}")
    untyped: Any = error
    response: Any = untyped.response
    answered: Any = getattr(response, "data", None)
    if answered is None:
        return NotNow(f"Slack answers {method} with what is no JSON")
    data = cast("dict[str, Any]", answered) if isinstance(answered, dict) else {}
    code = str(data.get("error", f"HTTP {response.status_code}"))
    if response.status_code == _TOO_MANY or code in _LATER:
        return NotNow(f"Slack asks to wait: {code}", _after(response.headers))
    if response.status_code >= _SERVER_ERROR:
        return NotNow(f"Slack fails: HTTP {response.status_code}")
    return Undeliverable(f"Slack refuses {method}: {code}")


def _after(headers: Any) -> timedelta | None:
    given = str(headers.get("Retry-After", ""))
    return timedelta(seconds=min(int(given), 300)) if given.isdecimal() else None
