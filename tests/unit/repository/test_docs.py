"""Every block of the documentation is executed, so that it cannot lie."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from handrail import Fleet
from handrail.cli.app import app
from handrail.policy import parse_policy

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHELL = [*PAGES, ROOT / "deploy" / "README.md"]
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
        assert parse_policy(text, page.name, agent.shape).agent == agent.name


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of each call of `handrail` in the shell blocks of a page."""
    for text in blocks(page, "sh"):
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            calls = [n for n, word in enumerate(words) if Path(word).name == "handrail"]
            # Not as the name of a package, a namespace or a folder.
            if calls and words[calls[0] + 1 : calls[0] + 2] and "-n" not in words[: calls[0]]:
                yield words[calls[0] + 1 :]


@pytest.mark.parametrize("page", SHELL, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_every_command_of_a_page_is_one(page: Path) -> None:
    for words in commands(page):
        # Up to where another program goes on.
        end = next((n for n, word in enumerate(words) if word in {"|", ">", "&&"}), len(words))
        app.parse_args(words[:end], exit_on_error=False, print_error=False)


def test_a_command_that_is_none_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\nhandrail approve GATE --buy ana@example.com\n```\n")
    with pytest.raises(Exception, match="buy"):
        test_every_command_of_a_page_is_one(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    links = LINK.findall(page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
