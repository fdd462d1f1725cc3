"""The policy of a file: judged when it is loaded, and read again when the file has changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from handrail.exceptions import PolicyError
from handrail.policy.compiler import compile_file
from handrail.policy.file import read_policy_file
from handrail.policy.parts import AgentShape
from handrail.policy.policy import Policy
from handrail.policy.yaml import Faults, Stamp, file_content, file_stamp


def parse_policy(text: str, path: str, shape: AgentShape) -> Policy:
    """Judge the text of a policy file; `path` is only named in faults.

    Raises:
        PolicyError: if it has faults: all of them, with line and fix.
    """
    faults = Faults(path)
    doc = read_policy_file(text, faults)
    if doc is None:
        raise PolicyError(path, faults.texts())
    found = compile_file(doc, faults, shape)
    if faults.found:
        raise PolicyError(path, faults.texts())
    sha = hashlib.sha256(text.encode()).hexdigest()
    return Policy(
        label=f"{doc.agent} v{doc.version} {sha[:8]}",
        agent=doc.agent,
        version=doc.version,
        owner=doc.owner,
        proof=doc.proof,
        control=found.control,
        breakers=found.breakers,
        budgets=found.budgets,
        notes=found.notes,
        sha=sha,
        text=text,
        doc=doc,
        _shape=shape,
        _compiled=found,
    )


class PolicyFile:
    """A policy that follows its file: it is read again when the file has changed.

    Replace the file by renaming a finished one over it. One that is half written, broken
    or gone raises, and nothing is written until it is whole again.
    """

    def __init__(self, path: Path, shape: AgentShape) -> None:
        self.path = path
        self._shape = shape
        self._seen: tuple[Stamp | None, str, Policy] | None = None

    def current(self) -> Policy:
        """The policy in force now.

        Raises:
            PolicyError: if the file cannot be read or has faults.
        """
        try:
            if self._seen and self._seen[0] == file_stamp(self.path):
                return self._seen[2]
        except OSError:
            pass  # reading it says why
        text, stamp = file_content(self.path)
        known = self._seen[2] if self._seen and self._seen[1] == text else None
        policy = known or parse_policy(text, str(self.path), self._shape)
        self._seen = (stamp, text, policy)
        return policy
