"""Fleets of the agents under test, with policies that tests vary."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from handrail import Agent, Fleet, HandsTo
from tests.agents import (
    careless_flow,
    careless_steps,
    clerk_flow,
    clerk_steps,
    fetcher_flow,
    fetcher_steps,
    filing_flow,
    filing_steps,
    halls_flow,
    halls_steps,
    handing_flow,
    handing_steps,
    odd_flow,
    odd_steps,
    orders_flow,
    orders_steps,
    people_flow,
)
from tests.agents.handing_steps import Job

LEAD = {
    "people": ["ana@example.com", "bo@example.com"],
    "remind": "2h",
    "deadline": {"after": "8h", "then": "refuse"},
}

ALONE: dict[str, Any] = {"autonomy": "full"}
NO_UNDO: dict[str, Any] = {"autonomy": "full", "irreversible": "letters are cheap enough"}
LARGE: dict[str, Any] = {
    "autonomy": "full",
    "refuse": [{"when": "action.amount > 1000", "why": "more than anybody may spend"}],
    "hold": [{"when": "action.amount > 200", "why": "costs more than 200 EUR"}],
}

POLICY: dict[str, Any] = {
    "agent": "orders",
    "version": 1,
    "owner": "boss@example.com",
    "drafter": "may approve",
    "actions": {"pay": LARGE, "ship": ALONE, "post": NO_UNDO, "call": ALONE},
    "roles": {"lead": LEAD},
}

WORKFLOWS = {
    "orders": orders_flow.OrderAgent,
    "patient": orders_flow.PatientAgent,
    "changing": orders_flow.ChangingAgent,
    "standing": orders_flow.StandingAgent,
    "curious": people_flow.CuriousAgent,
    "planted": orders_flow.PlantedAgent,
}


def policy(
    *,
    agent: str = "orders",
    actions: Mapping[str, Any] | None = None,
    roles: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """The usual policy with some actions or all roles replaced."""
    changed = {**POLICY, "agent": agent, **more}
    changed["actions"] = {**POLICY["actions"], **(actions or {})}
    return changed | ({"roles": dict(roles)} if roles else {})


def put_policy(directory: Path, document: Mapping[str, Any]) -> Path:
    """Put a policy file in place the way operators should: by renaming a finished one."""
    path = directory / f"{document['agent']}.yaml"
    aside = path.with_suffix(".new")
    aside.write_text(json.dumps(document), encoding="utf-8")
    aside.replace(path)
    return path


def orders(directory: Path, document: Mapping[str, Any] | None = None, **more: Any) -> Fleet:
    """A fleet of one agent that fulfils orders, under the usual policy or another one."""
    document = document or POLICY
    name = str(document["agent"])
    path = put_policy(directory, document)
    return Fleet(Agent(name, WORKFLOWS[name], steps=orders_steps, policy=path, **more))


def odd(directory: Path, **more: Any) -> Fleet:
    """A fleet of one agent whose steps misbehave."""
    document = {
        "agent": "odd",
        "version": 1,
        "owner": "boss@example.com",
        "actions": {"make": ALONE},
        "roles": {"lead": LEAD},
        **more,
    }
    path = put_policy(directory, document)
    return Fleet(Agent("odd", odd_flow.OddAgent, steps=odd_steps, policy=path))


def careless(directory: Path) -> Fleet:
    """A fleet of one agent whose workflow is written carelessly."""
    document = {
        "agent": "careless",
        "version": 1,
        "owner": "boss@example.com",
        "actions": {"pay": ALONE | {"irreversible": "nothing but a test is changed by it"}},
        "roles": {"lead": LEAD},
    }
    path = put_policy(directory, document)
    kind, steps = careless_flow.CarelessAgent, careless_steps.LISTED
    return Fleet(Agent("careless", kind, steps=steps, policy=path))


def orders_in(directory: str) -> Fleet:
    """The fleet of a directory in which a policy was put, for worker processes."""
    path = Path(directory) / "orders.yaml"
    return Fleet(Agent("orders", WORKFLOWS["orders"], steps=orders_steps, policy=path))


def clerk(directory: Path, agent: str = "clerk", **more: Any) -> Fleet:
    """A fleet of one agent that asks a model: to decide (`clerk`), or to call tools (`helper`)."""
    document = {
        "agent": agent,
        "version": 1,
        "owner": "boss@example.com",
        "actions": {"refund": ALONE, "unpay": ALONE, "post_letter": NO_UNDO},
        "roles": {"lead": LEAD},
        **more,
    }
    path = put_policy(directory, document)
    kinds = {"clerk": clerk_flow.ClerkAgent, "helper": clerk_flow.HelperAgent}
    return Fleet(Agent(agent, kinds[agent], steps=clerk_steps, policy=path))


def helper_in(directory: str) -> Fleet:
    """The fleet of a directory in which a policy was put, for worker processes."""
    path = Path(directory) / "helper.yaml"
    return Fleet(Agent("helper", clerk_flow.HelperAgent, steps=clerk_steps, policy=path))


def handing(directory: Path, payer: Mapping[str, Any] | None = None, **more: Any) -> Fleet:
    """A desk that hands work to payers, who may hand some back; `payer`: of their policy."""
    made = list[Agent]()
    for name in ("desk", "payer"):
        document = {
            "agent": name,
            "version": 1,
            "owner": "boss@example.com",
            "drafter": "may not approve",
            "actions": {"pay": ALONE},
            "roles": {"lead": LEAD},
        }
        document |= (payer or {}) if name == "payer" else more
        kind = handing_flow.DeskAgent if name == "desk" else handing_flow.PayerAgent
        to = [HandsTo("payer", Job), HandsTo("desk", Job)]
        path = put_policy(directory, document)
        made.append(Agent(name, kind, steps=handing_steps, policy=path, hands_to=to))
    return Fleet(*made)


def one_of_handing(directory: str, agent: str) -> Fleet:
    """One agent of it, with the policies of a directory, for worker processes."""
    path = Path(directory) / f"{agent}.yaml"
    kind = handing_flow.DeskAgent if agent == "desk" else handing_flow.PayerAgent
    to = [HandsTo(name, Job, elsewhere=name != agent) for name in ("payer", "desk")]
    return Fleet(Agent(agent, kind, steps=handing_steps, policy=path, hands_to=to))


HALLS: dict[str, Any] = {
    "agent": "halls",
    "version": 1,
    "owner": "boss@example.com",
    "roles": {"lead": LEAD},
    "actions": {"ask_hall": {"autonomy": "full", "irreversible": "asking costs nothing"}},
}


def halls(directory: Path) -> Fleet:
    """A fleet of one agent that asks a hall, and is called back."""
    path = put_policy(directory, HALLS)
    return Fleet(Agent("halls", halls_flow.HallAgent, steps=halls_steps, policy=path))


def filing(directory: Path) -> Fleet:
    """An agent that obeys every letter, under a policy that lets it do all."""
    known: dict[str, Any] = {"agent": "filing", "version": 1, "owner": "boss@example.com"}
    free: dict[str, Any] = {"autonomy": "full", "irreversible": "no file of this world is real"}
    actions = {"erase": free, "label": free}
    path = put_policy(directory, known | {"actions": actions, "roles": {"lead": LEAD}})
    steps = filing_steps.STEPS
    return Fleet(Agent("filing", filing_flow.FilingAgent, steps=steps, policy=path))


def fetcher(directory: Path) -> Fleet:
    """An agent that fetches what a text from outside may name."""
    known: dict[str, Any] = {"agent": "fetcher", "version": 1, "owner": "boss@example.com"}
    path = put_policy(directory, known | {"actions": {}, "roles": {"lead": LEAD}})
    steps = [fetcher_steps.choose, fetcher_steps.fetch]
    return Fleet(Agent("fetcher", fetcher_flow.FetcherAgent, steps=steps, policy=path))
