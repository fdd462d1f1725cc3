"""How a worker's code is called: by Temporal's deployment variables, or by what it is.

An agent's evidence counts from the last change of its code on. So where nobody names a build, the
text of an agent's modules, and of what they import of its project, is in the name.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import WorkerDeploymentConfig

from handrail.syntax import syntax_tree


def deployment() -> WorkerDeploymentConfig | None:
    """Worker versioning, where Temporal's deployment variables are set: cases are pinned."""
    name = os.environ.get("TEMPORAL_DEPLOYMENT_NAME")
    build = os.environ.get("TEMPORAL_WORKER_BUILD_ID")
    if not name or not build:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment_name=name, build_id=build),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )


def worker_build(modules: Iterable[str] = ()) -> dict[str, Any]:
    """How a worker's code is called, as options of Temporal's `Worker`.

    `modules`: those of its agent. Left without a name, Temporal reads and hashes every imported
    module at each start: up to two seconds in which an interrupted case waits.
    """
    versioned = deployment()
    if versioned is not None:
        return {"deployment_config": versioned}
    if named := os.environ.get("TEMPORAL_WORKER_BUILD_ID"):
        return {"build_id": named}
    own, code = f"handrail-{version('handrail')}", _code_digest({*modules})
    return {"build_id": f"{own}+{code}" if code else own}


def _code_digest(modules: set[str]) -> str:
    """A digest of modules and of all that they import of their project; "" of none."""
    roots = {name.partition(".")[0] for name in modules} - {"handrail"}
    found: dict[str, bytes] = {}
    wanted = [*modules]
    while wanted:
        name = wanted.pop()
        path = None if name in found else _project_file(name, roots)
        if path is not None:
            found[name] = path.read_bytes()
            wanted += _imported(name, found[name])
    lines = (f"{name} {hashlib.sha256(text).hexdigest()}" for name, text in sorted(found.items()))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12] if found else ""


def _project_file(name: str, roots: set[str]) -> Path | None:
    """The file of an imported module, unless it is Handrail's, Python's or another library's."""
    root, file = name.partition(".")[0], getattr(sys.modules.get(name), "__file__", None)
    if root == "handrail" or not isinstance(file, str) or not file.endswith(".py"):
        return None
    paths = [sysconfig.get_path(each) for each in ("stdlib", "purelib", "platlib")]
    path = Path(file)
    alien = any(path.is_relative_to(each) for each in paths) and root not in roots
    return path if not alien and path.is_file() else None


def _imported(name: str, source: bytes) -> Iterator[str]:
    """The names of modules that a module may import, and of the packages that they are in."""
    package = getattr(sys.modules[name], "__package__", "") or ""
    for node in ast.walk(syntax_tree(source)):
        named: list[str] = []
        if isinstance(node, ast.Import):
            named = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            of = resolve_name(f"{'.' * node.level}{node.module or ''}", package or None)
            named = [f"{of}.{each.name}" for each in node.names]
        for each in named:
            parts = each.split(".")
            yield from (".".join(parts[: n + 1]) for n in range(len(parts)))
