"""What people do in Slack: buttons pressed, the reason of a rejection, and what is changed.

`POST /slack/actions` acknowledges at once, as Slack wants it, and works on after. A request
counts only with Slack's signature over it, once, and within five minutes. The person is
whom the people file names for the Slack user, and the ruling goes the way of all rulings:
signed with the inbox's key, judged by the case.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import parse_qs

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from slack_sdk.signature import SignatureVerifier
from starlette.background import BackgroundTask
from starlette.responses import Response
from starlette.routing import Route
from temporalio.service import RPCError

from handrail.exceptions import HandrailError
from handrail.inbox.channels.delivery import MessageRef
from handrail.inbox.channels.slack import CHANNEL, ButtonValue, Slack
from handrail.inbox.channels.slack_forms import given, inputs
from handrail.inbox.web import forms
from handrail.oversight import LOOK_SIGNAL, message_id
from handrail.text import moment_in_words, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

    from handrail.client import Operator
    from handrail.inbox.channels.content import MessageLinks
    from handrail.inbox.channels.people import PeopleFile
    from handrail.oversight import GateView

PATH: Final = "/slack/actions"
LARGEST: Final = 256 * 1024
"""Bytes of the largest request; Slack sends the whole message along."""

WITHIN: Final = 300
"""Seconds for which a signature is good, and is remembered."""

_REMEMBERED = 10_000

log = logging.getLogger("handrail.messages")


class _SlackModel(BaseModel):
    """Part of what Slack sends; the rest of it is of no interest."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _SlackId(_SlackModel):
    id: str = Field(max_length=40)


class _SlackMessage(_SlackModel):
    ts: str = Field(default="", max_length=40)


class _SlackButton(_SlackModel):
    action_id: str = Field(max_length=255)
    value: str = Field(default="", max_length=2_000)


class _SlackButtons(_SlackModel):
    type: Literal["block_actions"]
    user: _SlackId
    trigger_id: str = Field(default="", max_length=200)
    channel: _SlackId
    message: _SlackMessage
    actions: tuple[_SlackButton, ...] = Field(min_length=1, max_length=1)


class _SlackOption(_SlackModel):
    value: str


class SlackValue(_SlackModel):
    """What one input of a dialogue holds."""

    value: str | None = None
    selected_option: _SlackOption | None = None

    @property
    def said(self) -> str | None:
        """The text, or the value of the choice."""
        return self.selected_option.value if self.selected_option else self.value


class _SlackState(_SlackModel):
    values: dict[str, dict[str, SlackValue]]


class _SlackView(_SlackModel):
    callback_id: str = Field(max_length=255)
    private_metadata: str = Field(max_length=3_000)
    state: _SlackState


class _SlackSubmission(_SlackModel):
    type: Literal["view_submission"]
    user: _SlackId
    view: _SlackView


_SENT: TypeAdapter[_SlackButtons | _SlackSubmission] = TypeAdapter(_SlackButtons | _SlackSubmission)


class _ButtonPlace(ButtonValue):
    """Where the button was whose question is answered in a dialogue."""

    room: str
    ts: str


@dataclass(frozen=True)
class _SlackRuling:
    """A ruling as it was given in Slack."""

    user: str
    verb: Literal["approve", "reject", "amend"]
    place: _ButtonPlace
    why: str = ""
    filled: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])


def routes(office: SlackActionHandler, secret: str) -> list[Route]:
    """The route to mount: `POST /slack/actions`. `secret` is the app's signing secret.

    Raises:
        ValueError: if the secret is empty.
    """
    checked = _SignatureCheck(SignatureVerifier(secret))

    async def acted(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return Response("too large", status_code=413)
        if not checked.genuine(body, request):
            return Response("not from Slack", status_code=401)
        sent = _read(body)
        if sent is None:
            return Response()  # something that we do not offer: Slack wants no error for it
        return Response(background=BackgroundTask(office.hear, sent))

    return [Route(PATH, acted, methods=["POST"])]


@dataclass
class _SignatureCheck:
    """Whether a request is Slack's, of now, and for the first time."""

    verifier: SignatureVerifier
    _seen: OrderedDict[str, float] = field(default_factory=OrderedDict[str, float])

    def genuine(self, body: bytes, request: Request) -> bool:
        signature = request.headers.get("x-slack-signature", "")
        at = request.headers.get("x-slack-request-timestamp", "")
        # The verifier would fall over both.
        if not at.isdecimal() or not signature.isascii():
            return False
        try:
            good = self.verifier.is_valid(body, at, signature)
        except ValueError:
            return False
        return good and self._first(signature)

    def _first(self, signature: str) -> bool:
        now = time.monotonic()
        while self._seen and next(iter(self._seen.values())) < now - 2 * WITHIN:
            self._seen.popitem(last=False)
        if signature in self._seen or len(self._seen) >= _REMEMBERED:
            return False
        self._seen[signature] = now
        return True


async def _body(request: Request) -> bytes | None:
    """The body; None if it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            return None
    return bytes(body)


def _read(body: bytes) -> _SlackButtons | _SlackSubmission | None:
    try:
        given = parse_qs(body.decode(), strict_parsing=True, max_num_fields=4)["payload"]
        return _SENT.validate_json(given[0]) if len(given) == 1 else None
    except (ValidationError, ValueError, KeyError):
        return None


@dataclass(frozen=True)
class SlackActionHandler:
    """Works on what was said in Slack, after it was acknowledged."""

    operator: Callable[[str], Operator]
    """What somebody may ask and order who came by Slack; the inbox signs it."""
    slack: Slack
    people: PeopleFile
    links: MessageLinks

    async def hear(self, sent: _SlackButtons | _SlackSubmission) -> None:
        """Take one thing that somebody did, and answer them in Slack."""
        try:
            await self._hear(sent)
        # Nobody waits for this task: what is not logged here is never known.
        except Exception:
            log.exception("what was done in Slack could not be worked on")

    async def _hear(self, sent: _SlackButtons | _SlackSubmission) -> None:
        if isinstance(sent, _SlackSubmission):
            said = _submitted(sent)
            if said is not None:
                await self._rule(said)
            return
        button = sent.actions[0]
        if button.action_id not in {"approve", "approve_why", "reject", "amend"}:
            return  # a link: Slack has opened it already
        place = _place(sent, button)
        if place is None:
            return
        by = self.people.sound()[0].by_slack(sent.user.id)
        if button.action_id == "approve":
            await self._rule(_SlackRuling(user=sent.user.id, verb="approve", place=place))
        elif by is None:
            await self._unknown(sent.user.id, place)
        else:
            view = _reasons(place, button.action_id)
            if button.action_id == "amend":
                view = await self._changes(sent.user.id, place, by)
            if view is not None:
                await self.slack.call("views.open", trigger_id=sent.trigger_id, view=view)

    async def _changes(self, user: str, place: _ButtonPlace, by: str) -> dict[str, Any] | None:
        """The dialogue in which an action is changed; None where the person was told why not."""
        try:
            _, _, fields = await self._form(place, by)
            shown = inputs(fields)
            why = "it is too large for Slack; change it in the inbox"
        except (HandrailError, RPCError) as error:
            shown, why = None, one_line(str(error), 500)
        if shown is None:
            await self.slack.whisper(place.room, user, f"It cannot be changed here: {why}")
            return None
        return _dialogue(place, "amend", "Change", [*shown, _why("Why?", optional=True)])

    async def _form(
        self, place: _ButtonPlace, by: str
    ) -> tuple[GateView, forms.Schema, tuple[forms.FormField, ...]]:
        operator = self.operator(by)
        view = await operator.gate(place.case, place.gate)
        schema = await operator.form(view) or forms.schema_of(view.action)
        return view, schema, forms.fields(schema, view.action)

    async def _rule(self, said: _SlackRuling) -> None:
        by = self.people.sound()[0].by_slack(said.user)
        if by is None:
            await self._unknown(said.user, said.place)
            return
        try:
            answer = await self._send(said, by)
        except (HandrailError, RPCError) as error:
            answer = f"Not accepted: {one_line(str(error), 500)}"
        if answer is not None:
            await self.slack.whisper(said.place.room, said.user, answer)

    async def _send(self, said: _SlackRuling, by: str) -> str | None:
        """Have the client send it. Returns what to tell the person; None if the message says it.

        Raises:
            RequestError: if the client does not send it.
        """
        place, operator = said.place, self.operator(by)
        more: dict[str, Any] = {}
        if said.verb == "amend":
            view, schema, fields = await self._form(place, by)
            filled = forms.read(schema, given(fields, said.filled), view.action)
            if filled.errors:
                wrong = "; ".join(f"{name[2:]}: {why}" for name, why in filled.errors.items())
                return f"Nothing was sent: {one_line(wrong, 500)}"
            more = {"action": filled.value}
        else:
            view = await operator.gate(place.case, place.gate)
        sent = await operator.rule(view, said.verb, digest=place.digest, why=said.why, **more)
        if sent.accepted is None:
            return f"You said {said.verb}: {sent.note}."
        if not sent.accepted:
            return f"Not accepted: {one_line(sent.note, 500)}"
        if not await self._locked(operator, view):
            how = f"You said {said.verb} at {moment_in_words(datetime.now(UTC))}."
            ref = MessageRef(channel=CHANNEL, id=place.ts, room=place.room)
            await self.slack.replace(ref, view, self.links.page(view.case, view.gate), how)
        return None

    async def _locked(self, operator: Operator, view: GateView) -> bool:
        """Whether the gate has closed by this, and its own workflow locks all its messages."""
        handle = (await operator.temporal()).get_workflow_handle(message_id(view.gate))
        try:
            await handle.signal(LOOK_SIGNAL)
        except RPCError:
            return False
        try:
            await operator.gate(view.case, view.gate)
        except HandrailError:
            return True
        return False

    async def _unknown(self, user: str, place: _ButtonPlace) -> None:
        log.warning("somebody in Slack who is not in the people file pressed a button")
        text = (
            "You may not: nobody in the people file has your Slack id. "
            "Ask whoever runs Handrail to add it."
        )
        await self.slack.whisper(place.room, user, text)


def _place(sent: _SlackButtons, button: _SlackButton) -> _ButtonPlace | None:
    try:
        pressed = ButtonValue.model_validate_json(button.value)
    except ValidationError:
        return None
    return _ButtonPlace(**pressed.model_dump(), room=sent.channel.id, ts=sent.message.ts)


def _reasons(place: _ButtonPlace, pressed: str) -> dict[str, Any]:
    """The question for the reason of a ruling."""
    if pressed == "approve_why":
        return _dialogue(place, "approve", "Approve", [_why("Why? It is recorded.")])
    return _dialogue(place, "reject", "Reject", [_why("Why? The agent reads it.")])


def _dialogue(
    place: _ButtonPlace, verb: str, title: str, shown: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "type": "modal",
        "callback_id": verb,
        "private_metadata": place.model_dump_json(),
        "title": {"type": "plain_text", "text": title},
        "submit": {"type": "plain_text", "text": title},
        "close": {"type": "plain_text", "text": "Back"},
        "blocks": shown,
    }


def _why(label: str, *, optional: bool = False) -> dict[str, Any]:
    return {
        "type": "input",
        "block_id": "why",
        "optional": optional,
        "label": {"type": "plain_text", "text": label},
        "element": {
            "type": "plain_text_input",
            "action_id": "why",
            "multiline": True,
            "max_length": 1_000,
        },
    }


def _submitted(sent: _SlackSubmission) -> _SlackRuling | None:
    verb: Any = sent.view.callback_id
    if verb not in {"approve", "reject", "amend"}:
        return None
    try:
        place = _ButtonPlace.model_validate_json(sent.view.private_metadata)
    except ValidationError:
        return None
    said = {
        name: each.said for name, block in sent.view.state.values.items() for each in block.values()
    }
    why = (said.pop("why", None) or "")[:1_000]
    return _SlackRuling(
        user=sent.user.id,
        verb=verb,
        place=place,
        why=why,
        filled=said,
    )
