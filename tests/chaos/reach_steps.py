"""The steps of an agent that a model leads, that hands on, and that waits to be called back."""

import os
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from temporalio import activity

from handrail import Action, Effect, Prompt, read, write
from handrail.actions import Wire
from handrail.failpoints import reached
from handrail.integrations.connectors import HTTP, SMTP, OutgoingWebhook, SlackChat
from handrail.integrations.models import Model, converse
from tests.chaos.steps import (
    SETTLES,
    WRITE_TIMEOUT,
    Order,
    do_findable,
    do_keyed,
    do_plain,
    find,
    look,
    send,
    tell,
    undo_findable,
    undo_keyed,
    undo_plain,
)

__all__ = ["do_findable", "do_keyed", "do_plain", "look", "tell"]
__all__ += ["undo_findable", "undo_keyed", "undo_plain"]

SERVED = "CHAOS_SERVE"
"""The variable that says where `handrail serve` is."""


class Ask(Action):
    """Ask another system, which calls back."""

    amount: int


class Pass(Action):
    """What the other agent does."""

    amount: int


class Close(Action):
    """What is done once the other system has called back."""

    number: int


class Post(Action):
    """Post it, at a system that is asked by HTTP."""

    amount: int


class Chat(Action):
    """Say it in the chat."""

    channel: str
    text: str


class Note(Action):
    """Say it by mail."""

    to: str
    subject: str
    text: str


class Told(Wire):
    """What it says."""

    number: int


class Level(BaseModel):
    """What the model's read tool finds."""

    amount: int


async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Look, do, end: which is next, it sees from the conversation."""
    del info
    case = activity.info().workflow_id or ""
    reached("model:asked", case)
    said = sum(isinstance(message, ModelResponse) for message in messages)
    kind, amount = case.rpartition("-")[2], 50
    if said == 0:
        call = ToolCallPart("look_up", {"amount": amount})
    elif said == 1:
        call = ToolCallPart(f"do_{kind}", {"amount": amount, "takes": 0.0})
    else:
        call = ToolCallPart("nothing_to_do", {"rationale": "It is done."})
    return ModelResponse(parts=[call])


@read
async def look_up(amount: int) -> Level:
    """Look what there is."""
    return Level(amount=amount)


@converse(
    model=Model(FunctionModel(answer, model_name="script"), price=0),
    tools=[look_up, do_keyed, do_findable, do_plain],
)
async def think(order: Order) -> Prompt[Close, Level]:
    """Have a model do what is ordered."""
    return Prompt("Do it.", evidence=Level(amount=order.amount), data={"order": order})


def _found(op: str) -> Callable[[Any, Effect], Any]:
    async def of(_: Any, effect: Effect) -> int | None:
        return await find(op, effect.key)

    return of


@write(find=_found("pass"), settles=SETTLES, timeout=WRITE_TIMEOUT)
async def do_pass(action: Pass, effect: Effect) -> int:
    """Do it for another agent, so that it can be found."""
    del action
    return await send("findable", "pass", effect.case, effect.key)


@write(find=_found("close"), settles=SETTLES, timeout=WRITE_TIMEOUT)
async def do_close(action: Close, effect: Effect) -> int:
    """Close it, so that it can be found."""
    del action
    return await send("findable", "close", effect.case, effect.key)


ask_out = OutgoingWebhook(
    url=f"{os.environ.get('CHAOS_OUTSIDE', 'http://nowhere')}/hook",
    secret="HOOK",  # noqa: S106  # its name
    call_back=os.environ.get(SERVED, "http://nowhere"),
).write("ask_out", Ask)

do_post = HTTP(os.environ.get("CHAOS_OUTSIDE", "http://nowhere")).write(
    "do_post",
    Post,
    "POST /posts",
    key_field="reference",
    find="GET /posts?reference={key}",
    settles=SETTLES,
    timeout=WRITE_TIMEOUT,
)
do_chat = SlackChat("CHAT", f"{os.environ.get('CHAOS_OUTSIDE', 'http://nowhere')}/slack").write(
    "do_chat", Chat, settles=SETTLES, timeout=WRITE_TIMEOUT
)
# Nobody keeps what was sent: where the answer to a mail is lost, people are asked.
do_mail = SMTP(os.environ.get("CHAOS_MAIL", "smtp://nowhere"), "Shop <shop@example.com>").write(
    "do_mail", Note, timeout=WRITE_TIMEOUT
)
