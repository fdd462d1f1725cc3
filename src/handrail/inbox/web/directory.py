"""Who may sign in, and which agents concern them: whom policies and the people file name.

The files are read as data, and no agent's code is: what runs here holds the key that speaks
for everybody. Whoever is named by a case alone is not let in, since a memo can name anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import structlog
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from handrail.actions import person
from handrail.text import decode_text

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger("handrail.inbox")

_LARGEST = 1024 * 1024


@dataclass(frozen=True)
class PolicyPeople:
    """Whom one policy names: its owner, the people of each role, and their deputies.

    `control`: who may let its agent do more by itself. `writes`: what it lists.
    """

    agent: str
    owner: str = ""
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    deputies: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    control: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()

    @property
    def everybody(self) -> frozenset[str]:
        """All of them."""
        named = [*self.roles.values(), *self.deputies.values(), self.control]
        owner = frozenset({self.owner}) if self.owner else frozenset[str]()
        return owner.union(*named)

    def may_stand_in(self, who: str) -> frozenset[str]:
        """Who may stand in for somebody, in some role."""
        seats = [role for role, people in self.roles.items() if who in people]
        none = frozenset[str]()
        return none.union(*(self.deputies.get(role, none) for role in seats)) - {who}


@dataclass
class PolicyDirectory:
    """Everybody who may sign in."""

    policies: Path
    people: Path
    domains: tuple[str, ...] = ()
    _read: dict[Path, tuple[tuple[int, int], Any]] = field(
        default_factory=dict["Path", "tuple[tuple[int, int], Any]"]
    )

    def may_sign_in(self, who: str) -> bool:
        """Whether a person is named by a policy or the people file, or is of a known domain."""
        who = person(who)
        listed = who.rpartition("@")[2] in self.domains or who in self.listed()
        return listed or any(who in named.everybody for named in self.named())

    def listed(self) -> frozenset[str]:
        """Whom the people file lists."""
        content = self._yaml(self.people)
        return frozenset(person(str(key)) for key in content) if content else frozenset()

    def named(self) -> list[PolicyPeople]:
        """What each policy says of people. One that cannot be read names nobody."""
        folder = self.policies
        files = sorted(folder.glob("*.yaml")) if folder.is_dir() else [folder]
        return [named for each in files if (named := _named(self._yaml(each))) is not None]

    def everybody(self) -> list[str]:
        """All who are named, in order."""
        named = [each.everybody for each in self.named()]
        return sorted(self.listed().union(*named))

    def known(self) -> frozenset[str]:
        """The agents that have a policy."""
        return frozenset(n.agent for n in self.named())

    def deputies(self, agent: str, who: str) -> frozenset[str]:
        """Who may stand in for a person, in some role of the agent."""
        named = [n.may_stand_in(person(who)) for n in self.named() if n.agent == agent]
        return frozenset[str]().union(*named)

    def role(self, agent: str, name: str) -> frozenset[str]:
        """Who is of a role of the agent now."""
        named = [n.roles.get(name, frozenset[str]()) for n in self.named() if n.agent == agent]
        return frozenset[str]().union(*named)

    def agents(self, who: str) -> frozenset[str]:
        """The agents whose policies name a person."""
        return frozenset(n.agent for n in self.named() if person(who) in n.everybody)

    def owns(self, who: str) -> frozenset[str]:
        """The agents whose policy a person owns."""
        return frozenset(n.agent for n in self.named() if person(who) == n.owner)

    def controls(self, who: str) -> frozenset[str]:
        """The agents that a person may let do more by themselves."""
        return frozenset(n.agent for n in self.named() if person(who) in n.control)

    def writes(self, agent: str) -> frozenset[str]:
        """The writes that the policy of an agent lists."""
        none = frozenset[str]()
        return next((n.writes for n in self.named() if n.agent == agent), none)

    def owner(self, agent: str) -> str:
        """Who owns the policy of an agent; empty if nobody is known to."""
        return next((n.owner for n in self.named() if n.agent == agent), "")

    def _yaml(self, path: Path) -> dict[str, Any] | None:
        """The content of a file, read again when it has changed."""
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if path not in self._read or self._read[path][0] != stamp:
                self._read[path] = (stamp, _content(path, status.st_size))
        except FileNotFoundError:
            return None
        except (OSError, YAMLError, UnicodeDecodeError) as error:
            log.warning("cannot be read, and names nobody", file=str(path), error=str(error))
            return None
        content = self._read[path][1]
        return cast("dict[str, Any]", content) if isinstance(content, dict) else None


def _content(path: Path, size: int) -> Any:
    if size > _LARGEST:
        raise OSError(f"it has {size} bytes, and {_LARGEST} are the most")
    reader: Any = YAML(typ="safe", pure=True)
    return reader.load(decode_text(path.read_bytes()))


def _named(content: dict[str, Any] | None) -> PolicyPeople | None:
    if content is None or not isinstance(content.get("agent"), str):
        return None
    given: Any = content.get("roles")
    entries = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    roles = {name: _people(entry, "people") for name, entry in entries.items()}
    deputies = {name: _people(entry, "deputies") for name, entry in entries.items()}
    owner = person(str(content.get("owner") or ""))
    control = _people(content.get("control"), "people") or frozenset({owner} - {""})
    listed: Any = content.get("actions")
    writes = cast("dict[Any, Any]", listed) if isinstance(listed, dict) else {}
    names = frozenset(name for name in writes if isinstance(name, str))
    return PolicyPeople(content["agent"], owner, roles, deputies, control, names)


def _people(entry: Any, key: str) -> frozenset[str]:
    listed: Any = cast("dict[str, Any]", entry).get(key) if isinstance(entry, dict) else None
    given = cast("list[Any]", listed) if isinstance(listed, list) else []
    return frozenset(person(each) for each in given if isinstance(each, str))
