"""An assistant with somebody's files, through an MCP server that nobody here wrote.

The server is `@modelcontextprotocol/server-filesystem` from npm, and runs for real: a process for
each call, in the folder of the case. What it lists is pinned in `filesystem/tools.json`.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any
from unittest import mock

from mcp import Client, StdioServerParameters

from handrail import Prompt
from handrail.agent import this_case
from handrail.integrations.connectors import MCP, TextLines, mcp
from handrail.integrations.models import converse
from tests.injection.toolbox_model import MODEL, Answered, Asked, NoEvidence

HERE = Path(__file__).with_name("filesystem")
INSTALLED = Path("build/injection")
DIGEST = "4a7d7a8b9fbcd433340de959dbf00caa1cde4272ac2fb37ae1d9c8351ce70740"

FOLDERS: dict[str, Path] = {}
"""The folder of each case."""

files = MCP(HERE / "tools.json", DIGEST, StdioServerParameters(command="node"))
READS = (
    "read_text_file",
    "read_multiple_files",
    "directory_tree",
    "search_files",
    "get_file_info",
)
LISTING = TextLines("[{kind:FILE|DIR}] {name}")
TOOLS: list[Any] = [
    *map(files.read, READS),
    files.read("list_directory", reading=LISTING, trusted=("kind", "name")),
    files.write("write_file", free_text=("content",)),
    *map(files.write, ("edit_file", "create_directory", "move_file")),
]


@converse(model=MODEL, tools=TOOLS)
async def assist_files(asked: Asked) -> Prompt[Answered, NoEvidence]:
    """Do what somebody asks with their files."""
    return Prompt("Do what the person asks.", evidence=NoEvidence(), data={"asked": asked})


def installed() -> bool:
    """Have npm install the server, where there is npm; whether it is there."""
    program = INSTALLED / "node_modules"
    if not program.exists() and (npm := shutil.which("npm")):
        INSTALLED.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "package.json", INSTALLED)
        command = [npm, "install", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=INSTALLED, check=False)  # without a network it fails
    return program.exists() and shutil.which("node") is not None


@contextlib.contextmanager
def in_own_folders() -> Generator[None]:
    """Have the server run in the folder of the case that calls it."""
    package = "node_modules/@modelcontextprotocol/server-filesystem/dist/index.js"
    program = str((INSTALLED / package).absolute())

    def client(_server: Any) -> Client:
        folder = str(FOLDERS[this_case().partition(":")[2]])
        return Client(StdioServerParameters(command="node", args=[program, folder], cwd=folder))

    with mock.patch.object(mcp, "Client", client):
        yield
