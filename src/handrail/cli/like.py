"""`handrail new --like`: one of the agents of Handrail's repository, as a project of one's own.

Nothing of it is a template: what an agent needs is found by what its modules import, and copied.
The sources are in the wheel as they stand in the repository; in a checkout they are that.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import handrail
from handrail.exceptions import ConfigurationError, InvalidRequest
from handrail.syntax import syntax_tree

ROOTS = ("activities", "benchmarks", "guardrails", "tests", "workers", "workflows", "world")
RENAMED = ("activities", "guardrails", "workflows", "workers.fleets", "workers.demos")
"""Packages whose modules are called after the agent; `world` keeps its own names."""

_AN_AGENT = (
    r"agent=|[aA]gent\(\s*|HandsTo\(|hand_o(?:n|ff)\(|start\(\s*|start_case\(|\.agent for .*== \["
)
"""After which the agent's name is its name, and no other word."""
_ITS_OWN = r', "\w+"\)|, datetime\('
"""Before which it is too: one of its writes, or the time of its cases."""

_IMPORTED = {"scikit-learn": "sklearn", "pillow": "PIL", "factur-x": "facturx", "fpdf2": "fpdf"}
_GROUPS = ("agents", "deciders", "demo", "company")


def sources() -> Path:
    """Where the agents stand: in the wheel, or in the checkout that Handrail runs from.

    Raises:
        ConfigurationError: they are in neither.
    """
    package = Path(handrail.__file__).parent
    for each in (package / "cli" / "templates" / "agents", package.parents[1]):
        if (each / "workers" / "fleets").is_dir():
            return each
    raise ConfigurationError(
        "this installation has no agents to begin with; fix: install the wheel of a release"
    )


def agents(root: Path) -> list[str]:
    """The agents that can be written."""
    fleets = {path.stem for path in (root / "workers" / "fleets").glob("[a-z]*.py")}
    return sorted(e for e in fleets - {"company"} if (root / f"workers/demos/{e}.py").exists())


def written_like(like: str, name: str, folder: Path) -> list[Path]:
    """Write an agent's files into a folder, called `name`; what was written.

    Raises:
        InvalidRequest: there is no such agent, or the name is one of its own modules'.
        ConfigurationError: the sources are not there.
    """
    root = sources()
    if like not in agents(root):
        raise InvalidRequest(f"there is no agent {like!r}; fix: one of {', '.join(agents(root))}")
    new = name.replace("-", "_")
    code = closure(root, like)
    for path in code:
        if path.stem == new and new != like and path.parts[0] != "world":
            raise InvalidRequest(f"{path} is called {name!r} already; fix: choose another name")
    texts = {path: (root / path).read_text("utf-8") for path in code}
    made = {_path(path, like, new): _renamed(t, like, new) for path, t in texts.items()}
    for path in _resources(root, texts):
        raw, own = (root / path).read_bytes(), _path(path, like, new)
        if path.suffix == ".yaml":
            raw = re.sub(rf"(?m)^agent: {like}$", f"agent: {new}", raw.decode()).encode()
        _put(folder / own, raw)
    for path, text in (made | _own(root, texts, like, new)).items():
        _put(folder / path, text.encode())
    return [path for path in folder.rglob("*") if path.is_file()]


def closure(root: Path, agent: str) -> list[Path]:
    """The modules of an agent and its tests, and all that they import at their own level."""
    tests = [p.relative_to(root) for p in root.glob(f"tests/*/application/test_{agent}*.py")]
    todo = [Path(f"workers/fleets/{agent}.py"), Path(f"workers/demos/{agent}.py"), *tests]
    found: set[Path] = set()
    while todo:
        path = todo.pop()
        if path in found or not (root / path).is_file():
            continue
        found.add(path)
        todo += [each / "__init__.py" for each in path.parents if each.parts]
        if path.is_relative_to("workers/demos"):  # it begins its programs by name
            world = root / "world" / path.stem
            todo += [program.relative_to(root) for program in world.glob("*.py")]
        text = (root / path).read_text("utf-8")
        todo += [file for module in _modules(text) for file in _files(module)]
    return sorted(found)


def _modules(text: str) -> Iterator[str]:
    for node in syntax_tree(text).body:
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)
    # Programs are named by their modules, in `world` or from there on.
    named = re.findall(r'"(?:world\.)?(\w+(?:\.\w+)+)"|"world\.(\w+)"', text)
    yield from (f"world.{dotted or one}" for dotted, one in named)


def _files(module: str) -> list[Path]:
    at = Path(*module.split("."))
    return [at.with_suffix(".py"), at / "__init__.py"] if at.parts[0] in ROOTS else []


def _resources(root: Path, texts: dict[Path, str]) -> Iterator[Path]:
    """The policies and data files that the code names, or that are called as its modules."""
    every = "\n".join(texts.values())
    for top in ("guardrails", "world"):
        for path in (root / top).rglob("*.*"):
            own, data = path.relative_to(root), path.suffix not in {".py", ".pyc"}
            if data and (own.with_suffix(".py") in texts or f'"{path.name}"' in every):
                yield own


def _path(path: Path, like: str, new: str) -> Path:
    package = ".".join(path.parts[:-1])
    if package in RENAMED:
        return path.with_name(re.sub(rf"^{like}(?=[_.])", new, path.name))
    return path


def _renamed(text: str, like: str, new: str) -> str:
    """A module that knows the agent, and its modules, by the new name."""
    for package in RENAMED:
        dotted = package.replace(".", r"\.")
        text = re.sub(rf"\b{dotted}\.{like}(?=_\w+|\b)", f"{package}.{new}", text)
        imports = rf"(?m)^(from {dotted} import )(\([^)]*\)|[^(\n]*)$"
        text = re.sub(imports, lambda m: m[1] + _as(m[2], like, new), text)
    text = re.sub(
        rf'(?<=[/(] )"{like}\.yaml"|(?<=with_name\()"{like}\.yaml"', f'"{new}.yaml"', text
    )
    text = re.sub(rf'({_AN_AGENT})"{like}"|"{like}"(?={_ITS_OWN})', rf'\g<1>"{new}"', text)
    # Ids of cases, and no word such as `sales:lead`.
    text = re.sub(rf'"{like}:(?=["{{]|(?![a-z]+")\w)', f'"{new}:', text)
    text = re.sub(rf"/agents/{like}/", f"/agents/{new}/", text)
    return re.sub(rf"\b{_camel(like)}Agent\b", f"{_camel(new)}Agent", text)


def _as(names: str, like: str, new: str) -> str:
    """Imported names: what was not called otherwise keeps its name in the module."""

    def renamed(found: re.Match[str]) -> str:
        own = found[1] or ""
        return f"{new}{own}{found[2] or f' as {like}{own}'}"

    return re.sub(rf"\b{like}(_\w+)?\b( as \w+)?", renamed, names)


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _own(root: Path, texts: dict[Path, str], like: str, new: str) -> dict[Path, str]:
    """The files that a project has and the repository does not."""
    runs = [t for p, t in texts.items() if p.parts[0] in {"activities", "guardrails", "workflows"}]
    needs = _requirements(root, runs)
    more = [each for each in _requirements(root, texts.values()) if each not in needs]
    return {
        Path("workers/fleet.py"): _FLEET.replace("@NEW@", new),
        Path("workers/demo.py"): _DEMO.replace("@NEW@", new),
        Path("tests/conftest.py"): _CONFTEST,
        Path("pyproject.toml"): _PROJECT.replace("@NEW@", new.replace("_", "-"))
        .replace("@NEEDS@", _listed(needs))
        .replace("@MORE@", _listed(more)),
        Path(".gitignore"): ".handrail/\n.venv/\n__pycache__/\n",
        Path("README.md"): _readme(root, like, new),
    }


def _readme(root: Path, like: str, new: str) -> str:
    """How it is checked, run, and given an event by hand; who is asked first."""
    own = files("handrail.cli") / "templates" / "like"
    commands: list[str] = json.loads((own / "events.json").read_text("utf-8"))[like]
    text = (own / "README.md.template").read_text("utf-8")
    policy = (root / "guardrails" / f"{like}.yaml").read_text("utf-8")
    [who] = re.findall(r"people: \[([^\],]+)", policy.partition("\nroles:")[2])[:1]
    said = {"@EVENT@": "\n".join(commands), "@NEW@": new, "@LIKE@": like, "@WHO@": who}
    for word, value in said.items():
        text = text.replace(word, value)
    return text


def _requirements(root: Path, texts: Iterable[str]) -> list[str]:
    """The packages that the code names, as the repository asks for them."""
    groups: dict[str, list[Any]] = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))[
        "dependency-groups"
    ]
    every = "\n".join(texts)
    found: set[str] = set()
    for line in (each for group in _GROUPS for each in groups[group] if isinstance(each, str)):
        package = re.split(r"[<>=~!\[ ]", line, maxsplit=1)[0]
        word = _IMPORTED.get(
            package, package.partition("-")[0] if "trytond" in package else package
        )
        if re.search(rf"\b{word.replace('-', '_?')}\b", every):
            found.add(line)
    return sorted(found)


def _listed(lines: Iterable[str]) -> str:
    return "".join(f'    "{line}",\n' for line in lines)


def _put(path: Path, raw: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)


_FLEET = '''"""What `handrail dev` runs: the agent, and its outside systems of `world` beside it.

A worker that is deployed takes `HANDRAIL_FLEET=workers.fleets.@NEW@:fleet`, without `world`.
"""

from workers.demos.@NEW@ import shown
from workers.fleets.@NEW@ import fleet

__all__ = ["fleet", "systems"]

_shown = shown()
_every = _shown if isinstance(_shown, tuple) else (_shown,)
# By name: two agents may have one system between them.
systems = list({system.name: system for each in _every for system in each.systems}.values())
'''
_DEMO = '''"""What `handrail demo` plays."""

from workers.demos.@NEW@ import demo

__all__ = ["demo"]
'''
_CONFTEST = '''"""Fixtures that all tests share."""

pytest_plugins = ["handrail.testing.fixtures"]
'''
_PROJECT = """[project]
name = "@NEW@"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = [
    "handrail[http,postgres,triggers]",
@NEEDS@]

[project.optional-dependencies]
# The outside systems of `world`, and the tests.
dev = [
    "handrail[dev]",
@MORE@]

[tool.setuptools]
packages = [] # it is run where it stands

[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["."]
addopts = ["--import-mode=importlib"]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
markers = ["integration: needs the real Temporal server (started by the test itself)", "slow"]
"""
