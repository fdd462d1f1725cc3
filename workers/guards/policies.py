"""The policy file of the run: the agent's own, and what its owner makes of it while it runs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

Doc = dict[str, Any]
Change = Callable[[Doc], object]


class PolicyDesk:
    """Writes versions of a policy file, each one higher; the worker follows them.

    `path`: the file that the worker reads. `original`: the agent's own, which is never touched.
    """

    def __init__(self, path: Path, original: Path) -> None:
        self.path = path
        self.versions: list[str] = []
        self._base: Doc = _yaml().load(original.read_text())
        self._version = int(self._base["version"])
        self._put(original.read_text())

    def change(self, change: Change = lambda doc: doc) -> None:
        """Put the agent's own policy in force with one change, as a newer version."""
        self._version += 1
        self._put(self.text(change, self._version))

    def text(self, change: Change, version: int) -> str:
        """The agent's own policy with one change."""
        doc = copy.deepcopy(self._base)
        doc["version"] = version
        change(doc)
        out = StringIO()
        _yaml().dump(doc, out)
        return out.getvalue()

    def again(self, number: int) -> None:
        """Put a version in place again, the first being 0."""
        _replace(self.path, self.versions[number])

    def _put(self, text: str) -> None:
        self.versions.append(text)
        _replace(self.path, text)


def rebook(doc: Doc) -> Doc:
    """What a policy says of the one write."""
    return doc["actions"]["rebook"]


def _yaml() -> Any:
    return YAML(typ="safe", pure=True)


def _replace(path: Path, text: str) -> None:
    """As the docs say: a finished file is renamed over the old one."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)
