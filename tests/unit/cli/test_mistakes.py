"""What `check` says of an agent before it runs: each mistake, and its cure."""

from __future__ import annotations

import ast
import logging
import textwrap
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, create_model
from temporalio import workflow
from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from typing_extensions import override

from handrail import (
    AgentWorkflow,
    Decision,
    Effect,
    Event,
    NoEvidence,
    Outcome,
    decide,
    read,
    write,
)
from handrail.cli.mistakes import mistakes, remarks
from handrail.cli.step_code import write_remarks
from handrail.cli.workflow_code import flow_mistakes, flow_remarks, imported_within
from handrail.runtime import Agent, import_faults
from tests.agents import careless_steps, mistaken_steps
from tests.agents.careless_flow import SoundAgent
from tests.agents.careless_steps import Pay
from tests.agents.mistaken_flow import MistakenAgent
from tests.agents.wandering_flow import WanderingAgent
from workers.fleet import fleet

LOGGER = logging.getLogger(__name__)

MISTAKES = {
    "tests/agents/mistaken_steps.py:15: Claim does not say in `key`": "return self.number",
    "Payout.total_amount is money in a float": "fix: Decimal",
    "MistakenAgent.run returns no Outcome": "self.done",
    "`datetime.now` answers otherwise at each replay": "workflow.now()",
    "`random.random` answers otherwise": "workflow.random()",
    "find_plain is no step": "put @read on it",
    "judge_claim is a decide step, and called by self.read": "self.decide(judge_claim, ...)",
    "find_claim: missing a required argument: 'number'": "it takes (number)",
    "find_claim is given the event as `number`, which is str": "a field of it",
    "judge_claim: 'many' is no count": "int",
    "pay_out writes a Payout, and is given the event": "Payout(...)",
    "loaded in Temporal's workflow sandbox (RestrictedWorkflowAccessError": "passthrough=",
}


REMARKS = [
    "mistaken_steps.py:26: Payout.due may be a time without a zone",
    "mistaken_steps.py:27: Payout.api_key looks like a secret",
    "mistaken_steps.py:28: Payout.fee is shown with no unit",
    "find_claim reads NOBODY_SET_THIS",
    "`time.sleep` makes every other step of its worker wait; fix: plain `def find_claim`",
    "`httpx2.get` makes every other step of its worker wait; fix: plain `def find_claim`",
    "mistaken_steps.py:52: find_twice stands here twice (first in line 47)",
    "mistaken_steps.py:61: pay_out is declared idempotent, and gives its system no `effect.key`",
]


def runner(*modules: str) -> WorkflowRunner:
    known = SandboxRestrictions.default.with_passthrough_modules("handrail", "pydantic", *modules)
    return SandboxedWorkflowRunner(restrictions=known)


async def test_each_mistake_is_said_with_its_cure() -> None:
    steps = mistaken_steps.__name__
    agent = Agent("mistaken", MistakenAgent, steps=mistaken_steps, policy=Path("none.yaml"))
    found = list(mistakes(agent, runner(steps)))
    for what, cure in MISTAKES.items():
        (said,) = [each for each in found if what in each]
        assert cure in said
    assert len(found) == len(MISTAKES)


def test_a_module_without_a_step_is_named() -> None:
    agent = Agent("mistaken", SoundAgent, steps=[], policy=Path("none.yaml"))
    found = list(mistakes(agent, runner(careless_steps.__name__, "tests")))
    assert any("there is no step" in each for each in found)


def test_what_a_step_lacks_here_is_worth_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Agent("mistaken", MistakenAgent, steps=mistaken_steps, policy=Path("none.yaml"))
    found = list(remarks(agent))
    for said in REMARKS:
        assert [said in each for each in found].count(True) == 1, (said, found)
    assert len(found) == len(REMARKS)
    monkeypatch.setenv("NOBODY_SET_THIS", "1")
    assert len(list(remarks(agent))) == len(REMARKS) - 1


def test_a_key_is_a_text() -> None:
    class Numbered(Event):
        number: int

        @property
        @override
        def key(self) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]  # the mistake
            return self.number

    agent = Agent("mistaken", SoundAgent, steps=[look], policy=Path("none.yaml"))
    agent.event = Numbered
    found = list(mistakes(agent, runner(careless_steps.__name__, "tests")))
    assert any("Numbered: `key` is no text; fix: `def key(self) -> str`" in e for e in found)


def test_a_field_that_hides_the_key_is_named() -> None:
    with pytest.warns(UserWarning, match="shadows"):
        hidden = create_model("Hidden", __base__=Event, key=(str, ...), number=(str, ...))
    agent = Agent("mistaken", SoundAgent, steps=[look], policy=Path("none.yaml"))
    agent.event = hidden
    found = list(mistakes(agent, runner(careless_steps.__name__, "tests")))
    assert any("rename it; fix: `@property`" in e and "self.number`" in e for e in found)


def test_what_a_method_imports_is_tried_where_it_would_be_imported() -> None:
    sandboxed = SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default)
    (said,) = import_faults("httpx2", sandboxed)
    assert "httpx2 cannot be loaded in Temporal's workflow sandbox" in said
    assert "passthrough=['httpx2']" in said
    known = SandboxRestrictions.default.with_passthrough_modules("httpx2")
    assert list(import_faults("httpx2", SandboxedWorkflowRunner(restrictions=known))) == []
    code = ast.parse("async def run(self):\n import httpx2\n from json import loads")
    assert [name for _, name in imported_within(code)] == ["httpx2", "json"]


@pytest.mark.parametrize("use", ["self.done(x)", "await self.notify(tell, x)", "f'{x}'", "x + 1"])
def test_a_verb_whose_call_is_taken_for_what_comes_of_it_is_found(use: str) -> None:
    tree = ast.parse(f"async def run(self):\n x = self.write(pay, d)\n return {use}")
    found = [what for _, what in flow_mistakes(tree, {}, run=True)]
    assert "`self.write(...)` is never awaited, and never done; fix: `await` it" in found


@pytest.mark.parametrize(
    ("body", "late"),
    [
        ("new = workflow.patched('a')\nx = await self.read(look, 1)", False),
        ("x = await self.read(look, 1)\nif workflow.patched('a'):\n  pass", True),
        ("if workflow.patched('a'):\n  x = await self.read(look, 1)", False),
        ("if workflow.patched('a'):\n  await f()\nif workflow.patched('b'):\n  pass", True),
        ("return workflow.patched('a')", False),
    ],
)
def test_a_patch_that_is_asked_for_late_is_worth_reading(body: str, late: bool) -> None:  # noqa: FBT001
    tree = ast.parse(f"async def run(self):\n{textwrap.indent(body, ' ')}")
    found = [what for _, what in flow_remarks(tree)]
    assert bool(found) is late
    assert all("fix: ask at the head of `run`" in what for what in found)


def test_what_all_cases_would_share_is_worth_reading() -> None:
    @read
    async def gather(number: str, found: list[str] = []) -> list[str]:  # noqa: B006  # the mistake
        return [*found, number]

    class Shares(SoundAgent):
        seen: ClassVar[list[str]] = []
        KNOWN: ClassVar[dict[str, int]] = {"a": 1}

    agent = Agent("mistaken", SoundAgent, steps=[gather], policy=Path("none.yaml"))
    (said,) = remarks(agent)
    assert "gather: `found=[]` is one and the same for all cases; fix: None" in said
    agent.workflow = Shares
    (kept,) = (each for each in remarks(agent) if each != said)
    assert "Shares.seen is one and the same for all cases" in kept


UNSURE = [
    ("if paid.status_code >= 500:\n  raise NotDone('ill')", True),
    ("if not paid.is_success:\n  raise handrail.NotDone", True),
    ("if paid.status != 200:\n  raise Final('no')", True),
    (
        "try:\n  send()\nexcept (OSError, httpx2.HTTPError) as e:\n  raise NotDone('away') from e",
        True,
    ),
    ("try:\n  send()\nexcept:\n  raise NotDone('away')", True),
    ("if paid.status_code < 500:\n  return\nelse:\n  raise NotDone('ill')", True),
    ("if paid.status_code == 429:\n  raise NotDone('busy')", False),
    ("if 400 <= paid.status_code < 500:\n  raise Final('no')", False),
    ("try:\n  send()\nexcept httpx2.ConnectError as e:\n  raise NotDone('away') from e", False),
    ("if paid.status_code >= 500:\n  raise RuntimeError('ill')", False),
    ("if action.amount > 500:\n  raise Final('too much')", False),
    ("try:\n  f()\nexcept HTTPError:\n  if e.status_code == 404:\n    raise Final('gone')", False),
]


@pytest.mark.parametrize(("body", "said"), UNSURE)
def test_a_no_that_may_be_a_yes_is_worth_reading(body: str, said: bool) -> None:  # noqa: FBT001
    tree = ast.parse(f"async def pay(action, effect):\n{textwrap.indent(body, ' ')}")
    found = write_remarks(careless_steps.pay_later, [careless_steps.look.fn], lambda _: tree)
    assert any("certainly did not happen" in what for *_, what in found) is said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return action.account", True),
        ("send(effect.case)", True),
        ("send(effect.key)", False),
        ("send(action, effect)", False),
        ("send(effect.message_id('example.com'))", False),
    ],
)
def test_a_write_that_sends_no_key_is_worth_reading(body: str, said: bool) -> None:  # noqa: FBT001
    tree = ast.parse(f"async def pay_later(action, effect):\n {body}")
    found = [what for *_, what in write_remarks(careless_steps.pay_later, [], lambda _: tree)]
    assert [f"{careless_steps.pay_later.name} is declared idempotent" in e for e in found] == [
        True
    ] * said


async def _perhaps(action: Any, effect: Effect) -> str | None:
    raise NotImplementedError


async def _always(action: Any, effect: Effect) -> list[str]:
    raise NotImplementedError


async def _never(action: Any, effect: Effect) -> None:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("find", "body", "says"),
    [
        (_perhaps, "return await ask(effect.key)", []),
        (_perhaps, "try:\n  ask()\nexcept KeyError:\n  return None", []),
        (_perhaps, "try:\n  ask()\nexcept HTTPError as e:\n  if e.code != 404:\n    raise", []),
        (_perhaps, "try:\n  ask()\nexcept OSError:\n  return None", ["done once more"]),
        (_perhaps, "try:\n  ask()\nexcept:\n  pass", ["done once more"]),
        (_always, "return await ask(effect.key)", ["never says that it is not there"]),
        (_never, "return await ask(effect.key)", ["never says that it is there"]),
    ],
)
def test_a_find_that_says_no_of_what_it_does_not_know_is_worth_reading(
    find: Any, body: str, says: list[str]
) -> None:
    step = replace(careless_steps.pay_later, find=find, idempotent=False)
    tree = ast.parse(f"async def find(action, effect):\n{textwrap.indent(body, ' ')}")
    found = write_remarks(step, [careless_steps.look.fn], lambda fn: tree if fn is find else None)
    said = [what for fn, _, what in found if fn is find and "effect.key" not in what]
    assert len(said) == len(says)
    assert all(words in what for words, what in zip(says, said, strict=True))


POLICY = """agent: bare
version: 1
owner: o@example.com
actions:
  weigh_pay: {autonomy: supervised, hold: [{when: evidence.weight > 3, why: heavy}]}
roles:
  lead: {people: [o@example.com], deadline: {after: 8h, then: refuse}}
"""


class Weighed(BaseModel):
    weight: int


@decide
async def weigh(number: str) -> Decision[careless_steps.Pay, Weighed]:
    raise NotImplementedError


@write
async def weigh_pay(action: careless_steps.Pay, effect: Effect) -> str:
    raise NotImplementedError


@workflow.defn
class BareAgent(AgentWorkflow):
    """Its methods are read only."""

    @workflow.run
    async def run(self, ask: careless_steps.Ask) -> Outcome:
        return self.done(ask.what)

    async def logs(self, number: str) -> None:
        logging.info("begun")  # noqa: LOG015  # the mistake
        LOGGER.warning("late")
        print(number)  # noqa: T201  # the mistake
        workflow.logger.info("so it is")

    async def writes(self, number: str) -> None:
        decision = await self.decide(weigh, number)
        action = Pay(account=number)
        await self.write(weigh_pay, Pay(account=number))
        await self.write(weigh_pay, action)
        await self.write(weigh_pay, decision.action)  # pyright: ignore[reportArgumentType]
        await self.write(weigh_pay, decision)


@workflow.defn
class PastAgent(AgentWorkflow):
    """Goes past the engine, which its methods show that are read only."""

    @workflow.run
    async def run(self, ask: careless_steps.Ask) -> Outcome:
        return self.done(ask.what)

    def __init__(self, number: str) -> None:
        self.number = number

    @override
    async def write(self, *_: object) -> None:
        self.done("so")
        await workflow.execute_activity(careless_steps.look.fn, self.number)


async def test_what_goes_past_the_engine_is_a_mistake(tmp_path: Path) -> None:
    class Anew(Event):
        @property
        @override
        def key(self) -> str:
            return str(uuid.uuid4())

    agent = Agent("past", PastAgent, steps=[careless_steps.look], policy=tmp_path / "none.yaml")
    agent.event = Anew
    found = list(mistakes(agent, runner("tests")))
    for said in (
        "`uuid.uuid4` makes each delivery of an event another case",
        "PastAgent.write stands in the place of the engine's own",
        "PastAgent.__init__ takes more than `self`",
        "the Outcome of self.done goes nowhere",
        "look is run past the case, its records and its policy; fix: `await self.read(look",
    ):
        assert any(said in each for each in found), (said, found)


def test_a_key_of_nothing_and_a_confidence_that_is_none_are_said(tmp_path: Path) -> None:
    class Same(Event):
        number: str

        @property
        @override
        def key(self) -> str:
            return "the one"

    class Own(Same):
        @property
        @override
        def key(self) -> str:
            return f"{super().key} {self.number}"

    @decide
    async def sure(number: str) -> Decision[Pay, NoEvidence]:
        return Decision(action=None, rationale=number, confidence=90, evidence=NoEvidence())

    @decide
    async def unsure(number: str) -> Decision[Pay, NoEvidence]:
        return Decision(action=None, rationale=number, confidence=1, evidence=NoEvidence())

    agent = Agent("past", PastAgent, steps=[careless_steps.look], policy=tmp_path / "none.yaml")
    for event, said in ((Same, True), (Own, False)):
        agent.event = event
        found = [each for each in remarks(agent) if "`key` is the same of every" in each]
        assert bool(found) is said
    for step, said in ((sure, True), (unsure, False)):
        agent.steps = (step,)
        found = [e for e in mistakes(agent, runner("tests")) if "confidence 90 is not from" in e]
        assert bool(found) is said


async def test_what_a_workflow_logs_and_writes_bare_is_worth_reading(tmp_path: Path) -> None:
    policy = tmp_path / "bare.yaml"
    policy.write_text(POLICY)
    agent = Agent("bare", BareAgent, steps=[weigh, weigh_pay], policy=policy)
    found = list(remarks(agent))
    for name in ("logging.info", "LOGGER.warning", "print"):
        assert any(f"`{name}` says it again at each replay" in each for each in found)
    bare = [each for each in found if "goes by evidence.weight: each is held" in each]
    assert (len(bare), len(found)) == (3, 6)


async def test_agents_that_run_have_none(tmp_path: Path) -> None:
    making = fleet.plugin(tmp_path).workflow_runner
    assert callable(making)
    for agent in fleet.agents.values():
        assert list(mistakes(agent, making(None))) == []


WAYS = {
    "`global count` is another at each replay": "keep it on `self`",
    "`dt.datetime.now` answers otherwise": "workflow.now()",
    "self.read is given 'find_claim'": "the step itself",
    "`self.write(...)` is never awaited": "`await` it",
    "`except` swallows a stop": "end the handler with `raise`",
    "this loop waits for nothing": "await in it",
    "a set has another order at each replay": "`sorted(...)`",
    "`os.environ` is another on each machine": "a @read step",
    "`SEEN` is lost at each replay": "keep it on `self`",
    "`return '2'` is no Outcome": "self.done",
}


async def test_ways_that_no_type_forbids_are_said_with_their_line() -> None:
    agent = Agent("wandering", WanderingAgent, steps=mistaken_steps, policy=Path("none.yaml"))
    found = [each for each in mistakes(agent, runner("tests")) if "wandering_flow.py:" in each]
    for what, cure in WAYS.items():
        (said,) = [each for each in found if what in each]
        assert cure in said
    assert len(found) == len(WAYS)


@pytest.mark.parametrize(
    ("body", "ends"),
    [
        ("return 1", True),
        ("if x:\n  return 1\nelse:\n  raise E", True),
        ("if x:\n  return 1", False),
        ("try:\n  return 1\nexcept E:\n  pass", False),
        ("try:\n  await f()\nfinally:\n  return 1", True),
        ("while True:\n  await f()", True),
        ("while True:\n  break", False),
        ("match x:\n  case 1:\n    return 1\n  case _:\n    return 2", True),
        ("match x:\n  case 1:\n    return 1", False),
        ("with f():\n  return 1", True),
        ("self.done('so')", False),
        ("await self.write(pay, x)", False),
        ("assert_never(x)", True),
    ],
)
def test_a_run_that_ends_without_an_outcome_is_found(body: str, ends: bool) -> None:  # noqa: FBT001
    tree = ast.parse(f"async def run(self, x):\n{textwrap.indent(body, ' ')}")
    found = [what for _, what in flow_mistakes(tree, {}, run=True) if "with no Outcome" in what]
    assert bool(found) is not ends


def test_what_a_function_within_a_run_returns_is_its_own() -> None:
    code = """async def run(self, x):
        def named(each):
            return "so"
        if named(x):
            return "late"
        return self.done(named(x))"""
    found = [what for _, what in flow_mistakes(ast.parse(code), {}, run=True)]
    assert [what.partition(";")[0] for what in found] == ["`return 'late'` is no Outcome"]


@read
async def look(number: str) -> mistaken_steps.Claim:
    return mistaken_steps.Claim(number=number)


def test_a_write_is_given_a_decision_or_an_action_and_nothing_else() -> None:
    code = """async def run(self, x):
        a = await self.read(look, x)
        return await self.write(pay, a)"""
    names = {"look": look, "pay": mistaken_steps.pay_out}
    given = ast.parse(code)
    (said,) = [what for _, what in flow_mistakes(given, names, run=True)]
    assert "pay_out writes a Payout, and is given a Claim" in said
    decided = names | {"look": mistaken_steps.judge_claim}
    assert list(flow_mistakes(given, decided, run=True)) == []
