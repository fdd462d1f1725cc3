"""Builds the documentation's site: `make docs`, into build/docs/site.

The pages are docs/*.md as they are. Commands, settings, the Python API and the policy's schema are
made from the code; llms.txt lists every page for language models.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from handrail.cli.app import app
from handrail.runtime import Settings
from handrail.syntax import syntax_tree

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BUILD = ROOT / "build"
NAV: Mapping[str, tuple[str, ...]] = {
    "Begin": ("index", "quickstart", "writing-an-agent", "demonstration", "agents/README"),
    "How to": (
        *("testing", "triggers", "models", "hand-offs", "asking-people", "text-from-outside"),
        *("changing-an-agent", "client", "connectors", "messages", "rollout", "discover"),
        *("baselines", "report", "mcp-server", "other-platforms"),
    ),
    "Operate": (
        *("operating", "monitoring", "recovery", "runbook", "records", "deploy"),
        *("inbox", "approvers"),
    ),
    "Understand": ("guardrails", "security", "architecture", "glossary"),
    "Reference": (
        *("steps", "policy", "reference/commands", "reference/settings", "reference/api"),
        "changelog",
    ),
}
API = {"handrail": "handrail", "handrail.testing": "testing", "handrail.client": "client"}
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")


def pages() -> dict[str, str]:
    """Every page of the site, by its path without `.md`."""
    found = {str(p.relative_to(DOCS).with_suffix("")): p.read_text() for p in DOCS.rglob("*.md")}
    found["index"] = (ROOT / "README.md").read_text().replace("](docs/", "](")
    found["deploy"] = (ROOT / "deploy" / "README.md").read_text().replace("](../docs/", "](")
    found["changelog"] = (ROOT / "CHANGELOG.md").read_text().replace("](docs/", "](")
    found["reference/commands"] = commands()
    found["reference/settings"] = settings()
    found["reference/api"] = "\n".join(["# Python API", "", *api()])
    return {path: _linked(path, text, set(found)) for path, text in found.items()}


def _linked(path: str, text: str, known: set[str]) -> str:
    """A page whose links to files that the site does not have are their words alone."""

    def link(match: re.Match[str]) -> str:
        words, target = match.groups()
        if "://" in target or target.startswith(("#", "mailto:")):
            return match[0]
        file, _, anchor = target.partition("#")
        at = (DOCS / path).parent.joinpath(file).resolve()
        if at == ROOT / "deploy" / "README.md":
            at = DOCS / "deploy.md"
        if not at.is_relative_to(DOCS):
            return words
        page = str(at.relative_to(DOCS).with_suffix(""))
        if page not in known and not at.is_file():
            return words
        up = "../" * path.count("/")
        end = f"#{anchor}" if anchor else ""
        return f"[{words}]({up}{at.relative_to(DOCS)}{end})"

    return _LINK.sub(link, text)


def commands() -> str:
    """The command line, as its own help has it."""
    made = app.generate_docs(output_format="markdown")
    return made.replace("# handrail\n", "# Commands\n", 1)


def settings() -> str:
    """Every setting, as its class has it."""
    tree = syntax_tree(inspect.getsource(sys.modules[Settings.__module__]))
    [body] = [n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Settings"]
    lines = [
        "# Settings",
        "",
        "Variables of the environment. [Operating](../operating.md#settings)",
    ]
    lines += ["says how they belong together.", "", "| variable | default | is |", "|---|---|---|"]
    for field, said in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(said, ast.Expr):
            name = ast.unparse(field.target)
            default = Settings.model_fields[name].get_default()
            shown = "" if default is None or "Undefined" in repr(default) else f"`{default}`"
            words = " ".join(ast.literal_eval(said.value).split()).replace("|", "\\|")
            lines.append(f"| `HANDRAIL_{name.upper()}` | {shown} | {words.replace('``', '`')} |")
    return "\n".join([*lines, ""])


def api() -> Iterator[str]:
    """What is imported from each public module, with its signature and docstring."""
    for module, title in API.items():
        found = importlib.import_module(module)
        yield f"## {module}\n"
        for name in sorted(found.__all__):
            value: Any = getattr(found, name)
            if inspect.isclass(value) or callable(value):
                yield from _of(f"{title}.{name}", name, value)


def _of(anchor: str, name: str, value: Any) -> Iterator[str]:
    yield f"### {name} {{ #{anchor.lower().replace('_', '-')} }}\n"
    yield f"```pycon\n{name}{_signature(value)}\n```\n"
    yield f"{_docstring(value)}\n"
    if not inspect.isclass(value):
        return
    for own, method in vars(value).items():
        if not own.startswith("_") and inspect.isfunction(method) and method.__doc__:
            yield f"**{own}**`{_signature(method)}`\n\n{_docstring(method)}\n"


def _signature(value: Any) -> str:
    try:
        return str(inspect.signature(value))
    except (TypeError, ValueError):
        return ""


def _docstring(value: Any) -> str:
    text = inspect.getdoc(value) or ""
    return re.sub(r"^(Raises|Note|Args):$", r"**\1**\n", text, flags=re.MULTILINE)


def title(text: str) -> str:
    """The title of a page."""
    return next(line[2:] for line in text.splitlines() if line.startswith("# "))


def menu(found: Mapping[str, str]) -> dict[str, list[str]]:
    """The pages by part; what no part names comes last."""
    named = {part: list(names) for part, names in NAV.items()}
    others = sorted(set(found) - {name for names in NAV.values() for name in names})
    return named | ({"More": others} if others else {})


def llms(found: Mapping[str, str]) -> str:
    """What a language model is told of the pages: https://llmstxt.org."""
    lines = ["# Handrail", "", "> Write access for AI agents that a business can trust."]
    for part, names in menu(found).items():
        lines += ["", f"## {part}", ""]
        lines += [f"- [{title(found[name])}]({name}.md)" for name in names]
    return "\n".join([*lines, ""])


def config(found: Mapping[str, str]) -> str:
    """The configuration of zensical."""

    def entry(name: str) -> str:
        said = "Handrail" if name == "index" else title(found[name]).replace('"', "'")
        return f'    {{ "{said}" = "{name}.md" }},'

    nav: list[str] = []
    for part, names in menu(found).items():
        nav += [f'  {{ "{part}" = [', *map(entry, names), "  ] },"]
    features = '["navigation.tabs", "navigation.top", "content.code.copy", "search.highlight"]'
    return "\n".join(
        [
            "[project]",
            'site_name = "Handrail"',
            'site_description = "Write access for AI agents that a business can trust."',
            'docs_dir = "docs"',
            'site_dir = "site"',
            "use_directory_urls = false",
            "nav = [",
            *nav,
            "]",
            "[project.theme]",
            "font = false",
            f"features = {features}",
            "[project.markdown_extensions.attr_list]",
            "[project.markdown_extensions.tables]",
            "[project.markdown_extensions.pymdownx.highlight]",
            "[project.markdown_extensions.pymdownx.superfences]",
            "[project.markdown_extensions.toc]",
            "permalink = true",
            "",
        ]
    )


def write(folder: Path) -> None:
    """Write the pages, and what zensical needs, into a folder."""
    found = pages()
    shutil.rmtree(folder, ignore_errors=True)
    for path, text in found.items():
        at = folder / "docs" / f"{path}.md"
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(text)
    for picture in (*DOCS.rglob("*.png"), *DOCS.rglob("*.svg"), *DOCS.rglob("*.json")):
        shutil.copy(picture, folder / "docs" / picture.relative_to(DOCS))
    (folder / "docs" / "llms.txt").write_text(llms(found))
    (folder / "zensical.toml").write_text(config(found))


def main() -> int:
    """Write the pages and build the site."""
    folder = BUILD / "docs"
    write(folder)
    built = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--clean"], cwd=folder, check=False
    )
    return built.returncode


if __name__ == "__main__":
    sys.exit(main())
