"""Who takes part: which program, in which environment, on which server."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.comparison import environments
from benchmarks.postgres import binaries
from handrail import ServerUnavailable
from handrail.runtime import find_binary

Server = Literal["temporal", "postgres", "restate"]
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Contender:
    """A contender. `store`: the file of its own SQLite database, where it has one.

    `history` and `policy` say in words where a person looks, and where the rules are.
    """

    name: str
    program: str
    environment: str | None
    servers: tuple[Server, ...]
    history: str
    policy: str = "code"
    store: str | None = None

    @property
    def python(self) -> Path | None:
        """The Python that runs it; None if its environment is not made."""
        if self.environment is None:
            return Path(sys.executable)
        return environments.python(self.environment)

    @property
    def missing(self) -> str | None:
        """What is missing to run it, and how it is had."""
        if self.python is None:
            return f"its environment: {environments.HOW}"
        if "restate" in self.servers and environments.restate_server() is None:
            return f"npm, and then {environments.HOW}"
        if "postgres" in self.servers and binaries() is None:
            return "PostgreSQL: apt-get install postgresql"
        if "temporal" in self.servers and not _has_temporal():
            return "the Temporal server: make setup"
        return None


def _has_temporal() -> bool:
    try:
        return find_binary().exists()
    except ServerUnavailable:
        return False


_UI = "Temporal's UI"

PLAIN = Contender("plain Python", "project/on_plain.py", None, (), "nothing")
HANDRAIL = Contender(
    "Handrail", "project/on_handrail.py", None, ("temporal",), f"{_UI}, inbox, ledger", "a file"
)
ALL = (
    HANDRAIL,
    Contender(
        "Handrail, PostgreSQL ledger",
        "project/on_handrail.py",
        None,
        ("temporal", "postgres"),
        f"{_UI}, inbox, ledger",
        "a file",
    ),
    Contender("Temporal, ordinary", "project/on_temporal.py", "temporal", ("temporal",), _UI),
    Contender("Temporal, lean", "project/on_temporal_lean.py", "temporal", ("temporal",), _UI),
    Contender(
        "pydantic-ai on Temporal",
        "project/on_pydantic_ai.py",
        "pydantic-ai",
        ("temporal",),
        _UI,
    ),
    Contender(
        "DBOS, SQLite", "foreign/on_dbos.py", "dbos", (), "tables, commands", store="dbos.sqlite"
    ),
    Contender("DBOS, PostgreSQL", "foreign/on_dbos.py", "dbos", ("postgres",), "tables, commands"),
    Contender(
        "LangGraph, SQLite", "foreign/on_langgraph.py", "langgraph", (), "checkpoints",
        store="langgraph.sqlite",
    ),
    Contender(
        "LangGraph, PostgreSQL", "foreign/on_langgraph.py", "langgraph", ("postgres",),
        "checkpoints",
    ),
    Contender("Restate", "foreign/on_restate.py", "restate", ("restate",), "Restate's UI"),
    PLAIN,
)  # fmt: skip
