"""`handrail new`: a project that runs at once."""

from __future__ import annotations

import json
import keyword
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from handrail.cli.like import written_like
from handrail.cli.output import PLAIN, Output
from handrail.exceptions import InvalidRequest
from handrail.policy import policy_schema

_SUFFIX = ".template"
"""Of each file, so that no tool takes it for code of Handrail."""

_LONGEST = 40
_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_TAKEN = {"activities", "guardrails", "handrail", "tests", "workers", "workflows", "world"}


async def new(
    name: Annotated[str, Parameter(help="Of the agent and its folder, such as refunds.")],
    *,
    owner: Annotated[
        str, Parameter(help="Who answers for the agent, and for what it asks at first.")
    ] = "you@example.com",
    like: Annotated[
        str | None, Parameter(help="An agent to begin with, such as support: a copy of its files.")
    ] = None,
    out: Output = PLAIN,
) -> None:
    """Make a project that runs at once: an agent, its policy, a small outside system, tests."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST or _is_taken(name):
        raise InvalidRequest(
            f"{name!r} cannot name a project; fix: a short word of its own, such as refunds: "
            "small letters, digits and - between them"
        )
    if not re.fullmatch(r"[\w.+-]+@[\w.-]+", owner):
        raise InvalidRequest(f"--owner {owner!r} is no address; fix: say you@example.com")
    folder = _free(Path(name))
    module = name.replace("-", "_")
    if like is not None:
        made = written_like(like, name, folder)
        out.data({"project": name, "files": sorted(str(p.relative_to(folder)) for p in made)})
        out.show(f"{folder}/ holds an agent like {like}. Next:", f"  cd {folder}")
        out.show("  pip install '.[dev]'", "  handrail check", "  handrail dev")
        return
    words = {
        "@NAME@": name,
        "@MODULE@": module,
        "@CLASS@": "".join(part.capitalize() for part in module.split("_")) + "Agent",
        "@OWNER@": owner,
    }
    made = sorted(_written(files("handrail.cli") / "templates" / "project", folder, words))
    schema = folder / "guardrails" / "policy.schema.json"
    schema.write_text(json.dumps(policy_schema(), indent=1) + "\n", "utf-8")
    made = sorted([*made, schema])
    out.data({"project": name, "files": [str(path.relative_to(folder)) for path in made]})
    out.show(f"{folder}/ holds an agent that runs. Next:", f"  cd {folder}", "  handrail dev")
    out.show(f"  less README.md, activities/{module}.py and guardrails/{module}.yaml")


def _is_taken(name: str) -> bool:
    """Whether a module of this name is another one's, or could not be imported."""
    return name in _TAKEN or keyword.iskeyword(name)


def _free(folder: Path) -> Path:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidRequest(f"{folder} is there already; fix: choose another name, or remove it")
    return folder


def _written(template: Traversable, folder: Path, words: dict[str, str]) -> list[Path]:
    """Write the files of a template, with its words in them and in their names."""
    folder.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    for each in template.iterdir():
        if each.is_dir():
            made += _written(each, folder / each.name, words)
        elif each.name.endswith(_SUFFIX):
            text = each.read_text("utf-8")
            for word, value in words.items():
                text = text.replace(word, value)
            own = each.name.removesuffix(_SUFFIX).replace("agent.", f"{words['@MODULE@']}.", 1)
            made.append(folder / own)
            made[-1].write_text(text, "utf-8")
    return made
