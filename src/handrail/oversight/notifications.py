"""How notifications and alerts are started: names and models that both sides know.

The door's process imports this module, so nothing heavy is imported here.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, JsonValue

from handrail.actions import Aware, Wire, Words

NOTIFY_WORKFLOW: Final = "Messages"
"""The type of the workflow that follows one gate."""

MESSAGE_QUEUE: Final = "handrail-inbox"
"""The task queue of the inbox's worker."""

LOOK_SIGNAL: Final = "look"
"""The signal that says: something happened to the gate, look at once. It carries nothing."""

BOUNCED_SIGNAL: Final = "bounced"
"""The signal that a mail came back. It carries a `BounceReport`."""


class NotificationRequest(Wire):
    """Which gate people shall be told of.

    `namespace` is the case's, empty for the inbox's own. `inbox`: the address that links in
    messages begin with, as the policy's terms have it; empty for the inbox's own setting.
    `carried`: what an earlier run of the workflow wrote down; nobody else sets it.
    """

    case: str = Field(min_length=1, max_length=1_000)
    gate: str = Field(min_length=1, max_length=64)
    namespace: str = ""
    inbox: str = ""
    carried: dict[str, JsonValue] | None = None


class BounceReport(Wire):
    """A mail that could not be delivered after all.

    `tag`: the mark of the person it was for. `code`: the enhanced status code of the report
    (`5.1.1`). `final`: the mail server tries no more.
    """

    tag: str = Field(min_length=16, max_length=16)
    code: str = Field(max_length=12)
    why: str = Field(default="", max_length=500)
    final: bool = True


OWNER_WORKFLOW: Final = "Owner"
"""The type of the workflow that tells the owner of an agent's policy of one event."""


class Alert(Wire):
    """An alert: what the owner of an agent's policy is to know at once.

    `id` names the event: of one event the owner is told once. `title`: one line. `lines`: what
    happened, and what to do.
    """

    agent: str = Field(min_length=1, max_length=100)
    what: Literal["breaker", "budget", "incident", "rollout", "alert"]
    id: str = Field(min_length=1, max_length=400)
    title: Words
    lines: tuple[Words, ...] = Field(max_length=20)
    at: Aware


def message_id(gate: str) -> str:
    """The id of the workflow that tells people of a gate. One gate has one, for ever."""
    return f"messages:{gate}"


def alert_id(news: Alert) -> str:
    """The id of the workflow that tells an owner of one event: the event has one, for ever."""
    return f"messages:owner/{news.agent}/{news.what}/{news.id}"
