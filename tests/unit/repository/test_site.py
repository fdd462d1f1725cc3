"""The documentation's site: every page is in it, every link leads somewhere, and it builds."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
HEADING = re.compile(r"^#{1,6} (.+?)(?: \{ #([\w.-]+) \})?$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s:#]*)(?:#([^)\s]*))?\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def site() -> ModuleType:
    spec = importlib.util.spec_from_file_location("handrail_site", ROOT / "docs" / "site.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(site: ModuleType) -> Mapping[str, str]:
    return site.pages()


def anchors(text: str) -> set[str]:
    """What the headings of a page are called in links, as zensical and GitHub make it."""
    found = HEADING.findall(FENCED.sub("", text))
    return {
        own or re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", words.lower())).strip("-")
        for words, own in found
    }


def dead(pages: Mapping[str, str]) -> list[str]:
    found: list[str] = []
    for path, text in pages.items():
        for file, anchor in LINK.findall(FENCED.sub("", text)):
            at = (Path(path).parent / file).as_posix() if file else f"{path}.md"
            parts: list[str] = []
            for part in at.split("/"):
                parts = parts[:-1] if part == ".." else [*parts, part]
            page = pages.get("/".join(parts).removesuffix(".md"))
            if page is None and not (ROOT / "docs" / "/".join(parts)).is_file():
                found.append(f"{path}: {file}")
            elif page is not None and anchor and anchor not in anchors(page):
                found.append(f"{path}: {file}#{anchor}")
    return found


def test_no_link_is_dead(pages: Mapping[str, str]) -> None:
    assert dead(pages) == []


def test_a_dead_link_would_be_found() -> None:
    given = {"a": "# A\n[x](b.md#there) [y](c.md) [z](b.md#gone)", "b": "## There"}
    assert dead(given) == ["a: c.md", "a: b.md#gone"]


def test_every_page_is_in_the_menu_and_for_language_models(
    site: ModuleType, pages: Mapping[str, str]
) -> None:
    named = [name for names in site.menu(pages).values() for name in names]
    assert sorted(named) == sorted(pages)
    assert all(f"({name}.md)" in site.llms(pages) for name in pages)


def test_the_reference_is_made_of_the_code(pages: Mapping[str, str]) -> None:
    assert "handrail-cases" in pages["reference/commands"]
    assert "`HANDRAIL_KEYRING`" in pages["reference/settings"]
    assert "### Classified" in pages["reference/api"]


def test_it_builds(site: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("zensical")
    site.write(tmp_path)
    command = [sys.executable, "-m", "zensical", "build"]
    built = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    for name in ("index.html", "search.json", "llms.txt", "reference/api.html", "runbook.html"):
        assert (tmp_path / "site" / name).is_file(), built.stdout
