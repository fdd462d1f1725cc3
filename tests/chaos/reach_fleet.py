"""The fleet of one lane of the world `reach`, as its processes load it by its name."""

import functools
import json
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from handrail import Agent, Fleet, HandsTo, Schedule
from handrail.integrations.triggers import RawEvent, Webhook
from tests.chaos import reach_steps
from tests.chaos.reach import POLICY, SAID, SPEC, WRITES, order_of
from tests.chaos.reach_flow import ReachAgent
from tests.chaos.steps import OTHER, Order


def _sent(came: RawEvent) -> Order:
    return Order.model_validate_json(came.body)


def _order(lane: str, key: str, at: datetime) -> Order:
    del at
    return order_of(lane, key)


def _agent(room: Path, name: str, **more: object) -> Agent:
    policy = room / f"{name}.reach.yaml"
    if not policy.exists():
        level = "{autonomy: full, irreversible: of a laboratory}"
        writes = "\n".join(f"  {each}: {level}" for each in (*WRITES, *SAID))
        made = policy.with_suffix(f".{os.getpid()}")
        made.write_text(POLICY.format(agent=name, writes=writes), encoding="utf-8")
        made.rename(policy)
    return Agent(name, ReachAgent, steps=reach_steps, policy=policy, **more)  # pyright: ignore[reportArgumentType]


def agents(room: Path, lane: str, triggers: Sequence[object] = ()) -> Fleet:
    """The agent, with what starts it, and the one that it hands on to."""
    to = [HandsTo(f"{lane}{OTHER}", Order)]
    return Fleet(_agent(room, lane, triggers=triggers, hands_to=to), _agent(room, f"{lane}{OTHER}"))


def made(spec: str) -> Fleet:
    """The fleet of the lane that a process is told of."""
    given = json.loads(spec)
    lane = given["lane"]
    keys = [each["key"] for each in given["trials"] if each["way"] == "schedule"]
    triggers = [
        Webhook(name=lane, event=_sent, secret="HOOK"),  # noqa: S106  # its name
        *(
            Schedule(
                name=key,
                event=functools.partial(_order, lane, key),
                every=timedelta(days=365),
                overlap="allow_all",
            )
            for key in keys
        ),
    ]
    return agents(Path(given["room"]), lane, triggers)


if SPEC in os.environ:
    fleet = made(os.environ[SPEC])
