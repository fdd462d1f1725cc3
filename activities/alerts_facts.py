"""What the alerts agent hears, knows, may do, and shows of it."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, cast

from pydantic import AwareDatetime, BaseModel, Field, model_validator
from typing_extensions import override

from handrail import Action, Event

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$"
UNKNOWN = "unknown"
Severity = Literal["info", "warning", "critical"]

MINUTES = Field(json_schema_extra={"unit": "min"})


class Alarm(BaseModel, frozen=True):
    """One alert of Alertmanager's: its labels become words of ours, what else it says stays there.

    A label is what some exporter wrote: one that is no plain name is `unknown`.
    """

    fingerprint: str = Field(pattern=r"^[0-9a-f]{8,64}$")
    component: str = Field(default=UNKNOWN, pattern=NAME)
    name: str = Field(default=UNKNOWN, pattern=NAME)
    severity: Severity = "critical"
    starts: AwareDatetime
    ends: AwareDatetime | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_alertmanager(cls, said: Any) -> Any:
        given = cast("dict[str, Any]", said)
        if not isinstance(said, dict) or "labels" not in given:
            return given
        labels: dict[str, str] = given["labels"]
        status = given.get("status")
        over = status == "resolved"
        return {
            "fingerprint": given["fingerprint"],
            "component": _name(labels.get("component")),
            "name": _name(labels.get("alertname")),
            "severity": labels["severity"] if labels.get("severity") in _SEVERITIES else "critical",
            "starts": given["startsAt"],
            "ends": given.get("endsAt") if over else None,
        }

    @property
    def words(self) -> str:
        """It in one line, by which a note on an issue is known again."""
        began = self.starts.astimezone(UTC)
        return f"{self.fingerprint} {self.name} at {self.component} {began:{_WHEN}}"

    @staticmethod
    def began(words: str) -> datetime:
        """When the alarm of such a line began."""
        return datetime.strptime(words.rsplit(" ", 1)[1], _WHEN).replace(tzinfo=UTC)


_WHEN = "%Y-%m-%dT%H:%M:%SZ"
_SEVERITIES = ("info", "warning", "critical")


def _name(label: object) -> str:
    return label if isinstance(label, str) and re.fullmatch(NAME, label) else UNKNOWN


class Cause(BaseModel, frozen=True):
    """Why alarms ring: `root` is the component, `kind` the alarm that says so, or `silent`."""

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,160}$")
    root: str
    kind: str
    severity: Severity
    since: AwareDatetime


class Heard(Event):
    """A post of Alertmanager's about a site, as it is sent; or a cause that was found in one."""

    site: str = Field(pattern=NAME)
    alarms: tuple[Alarm, ...] = Field(default=(), max_length=2_000)
    cause: Cause | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_alertmanager(cls, said: Any) -> Any:
        given = cast("dict[str, Any]", said)
        if not isinstance(said, dict) or "groupLabels" not in given:
            return given
        return {"site": given["groupLabels"]["site"], "alarms": given["alerts"]}

    @property
    @override
    def key(self) -> str:
        if self.cause is not None:
            return f"{self.site}-{self.cause.id}"
        said = sorted(f"{each.words} {each.ends or ''}" for each in self.alarms)
        return f"{self.site}-post-{hashlib.sha256('|'.join(said).encode()).hexdigest()[:20]}"


class OfCause(Action):
    """What is done about a cause of alarms."""

    site: str
    cause: str
    root: str
    kind: str
    severity: Severity
    since: AwareDatetime


class OpenIssue(OfCause):
    """Open an issue for the cause of alarms."""


class AddNote(OfCause):
    """Note alarms on the issue of their cause."""

    alarms: tuple[str, ...]


class CloseIssue(Action):
    """Close the issue of a cause whose alarms are over."""

    site: str
    cause: str


class Standing(BaseModel, frozen=True, extra="forbid"):
    """The evidence: how a cause stands. `active`: alarms that ring; `noted`: on its issue."""

    severity: Severity
    kind: str
    active: int = 0
    noted: int = 0
    minutes: Annotated[int, MINUTES] = 0
    """Since the cause began, by the latest alarm that is noted."""


class Made(BaseModel, frozen=True):
    """What the tracker made: its id there."""

    id: str
