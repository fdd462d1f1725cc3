"""Every block of the documentation is executed, so that it cannot lie."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from handrail import Fleet
from handrail.policy import parse

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text()) if kind == language]


@pytest.fixture
def page_module() -> Iterator[ModuleType]:
    # Workflow classes and models must live in a module that can be found again.
    module = ModuleType("documentation")
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_of_a_page_runs_and_its_policies_are_sound(
    page: Path, page_module: ModuleType
) -> None:
    for number, text in enumerate(blocks(page, "python"), 1):
        exec(compile(text, f"{page.name}, block {number}", "exec"), vars(page_module))  # noqa: S102
    fleets = [value for value in vars(page_module).values() if isinstance(value, Fleet)]
    policies = blocks(page, "yaml")
    assert bool(fleets) == bool(policies)
    for fleet, text in zip(fleets, policies, strict=True):
        (agent,) = fleet.agents.values()
        assert parse(text, page.name, agent.shape).agent == agent.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    links = LINK.findall(page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
