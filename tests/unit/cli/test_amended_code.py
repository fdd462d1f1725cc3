"""What `check` says of a workflow that goes by an action which people may have amended."""

from __future__ import annotations

import ast
import textwrap

import pytest

from handrail.cli.amended_code import unamended_uses

BEHIND = [
    "await self.write(pay, d)\nawait self.notify(tell, d.action.amount)",
    "await self.write(pay, d)\nawait self.notify(tell, d)",
    "await self.write(pay, cast('D', d))\nreturn self.done(f'{d.action}')",
    "a = d.action\nawait self.write(pay, d)\nreturn self.done(a.what)",
    "a = d.action\nif isinstance(a, Pay):\n    await self.write(pay, d)\nreturn self.done(a.what)",
    "return self.done(f'{await self.write(pay, d)}: {d.action.amount}')",
    "try:\n    await self.write(pay, d)\nexcept Refused:\n    raise\nfinally:\n    x(d.action)",
    "match d.action:\n    case Pay():\n        await self.write(pay, d)\nself.say(d.action.amount)",
    "async with x:\n    await self.write(pay, d)\nself.say(d.action.amount)",
    "for _ in x:\n    await self.write(pay, d)\n    self.say(d.action.amount)",
]

NOT_BEHIND = [
    "self.say(d.action.amount)\nawait self.write(pay, d)",
    "await self.write(pay, d)\nself.say(self.written(d).amount)",
    "await self.write(pay, d.action)\nself.say(self.written(d.action).amount)",
    "await self.write(pay, d)\nif d.action is None or isinstance(d.action, Pay):\n    pass",
    "if x:\n    await self.write(pay, d)\nelse:\n    self.say(d.action.amount)",
    "if x:\n    await self.write(pay, d)\n    return x\nself.say(d.action.amount)",
    "try:\n    await self.write(pay, d)\nexcept Refused:\n    self.say(d.action)",
    "await self.write(pay, d)\nd = await self.decide(judge)\nself.say(d.action.amount)",
    "await self.write(pay, d)\nself.say(d.rationale, e.action)",
    "for _ in x:\n    self.say(d.action)\n    await self.write(pay, d)\n    break",
]


def uses(code: str) -> list[str]:
    """The decisions of which a run goes by what was decided."""
    tree = ast.parse(f"async def run(self, d):\n{textwrap.indent(code, '    ')}")
    return [of for _, of in unamended_uses(tree)]


@pytest.mark.parametrize("code", BEHIND)
def test_what_is_used_behind_a_write_is_said(code: str) -> None:
    assert uses(code) == ["d"]


@pytest.mark.parametrize("code", NOT_BEHIND)
def test_nothing_is_said_of_what_cannot_have_been_amended(code: str) -> None:
    assert uses(code) == []
