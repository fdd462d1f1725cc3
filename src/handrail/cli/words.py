"""How commands put things into words and colours.

Text that an agent or the outside world wrote is never printed as it is: what could
disguise it, or move the cursor of a terminal, is spelt out.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from rich.text import Text

from handrail.actions import DIGEST_PREFIX
from handrail.oversight import GateKind
from handrail.states import State
from handrail.text import escape_hidden, moment_in_words
from handrail.text import escape_terminal as plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handrail.oversight import GateView
    from handrail.runtime import Settings

STYLES: Mapping[State, str] = {
    State.WORKING: "cyan",
    State.WAITING: "bold yellow",
    State.PAUSED: "magenta",
    State.ROLLING_BACK: "magenta",
    State.SETTLING: "cyan",
    State.DONE: "green",
    State.REFUSED: "red",
    State.REJECTED: "red",
    State.EXPIRED: "red",
    State.STOPPED: "magenta",
    State.ROLLED_BACK: "magenta",
    State.FAILED: "bold red",
}

WAITS = 'HandrailState="waiting"'
"""What the Web UI filters on to show what waits for a human."""

_YOU = "you@example.com"
_QUOTED = 2_000
_MINUTE = timedelta(minutes=1)


def state(value: State) -> Text:
    """A state, in its colour."""
    return Text(value.replace("_", " "), STYLES[value])


def moment(at: datetime | None) -> str:
    """A time as people read it, in UTC."""
    return "" if at is None else moment_in_words(at)


def left(until: datetime | None, now: datetime) -> str:
    """How long it is until then."""
    if until is None:
        return ""
    return f"{span(until - now)} left" if until > now else f"{span(now - until)} over"


def span(length: timedelta) -> str:
    """A length of time in its two largest units."""
    if length < _MINUTE:
        return f"{length.total_seconds():.0f} s"
    minutes = length // _MINUTE
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    named = [f"{number} {unit}" for number, unit in parts if number]
    return " ".join(named[:2])


def label(name: str, value: str | Text, style: str = "") -> Text:
    """One line of a description."""
    return Text.assemble((f"  {name:<12} ", "dim"), value or "-", style=style)


def code(value: Any, indent: str = "    ") -> Text:
    """A value as JSON, exactly, with what could disguise it spelt out."""
    text = escape_hidden(json.dumps(value, indent=2, ensure_ascii=False))
    return Text("\n".join(f"{indent}{line}" for line in text.splitlines()), "bold")


def quotation(text: str, indent: str = "    ") -> Text:
    """Text that somebody else wrote, marked as such on every line."""
    shown = escape_hidden(text[:_QUOTED]) + (" [...]" if len(text) > _QUOTED else "")
    lines = "\n".join(f"{indent}> {line}" for line in shown.splitlines() or [""])
    return Text(lines, "italic")


def program() -> str:
    """How to call this program from the shell that runs it: `make demo` has it in no path."""
    called = Path(sys.argv[0])
    if called.name != "handrail" or shutil.which("handrail"):
        return "handrail"
    with contextlib.suppress(ValueError):
        called = called.absolute().relative_to(Path.cwd())
    return shlex.quote(str(called))


def commands(gate: GateView, by: str | None = None) -> dict[str, str]:
    """The exact command for each answer that the gate takes, bound to what is shown."""
    who = shlex.quote(plain(by or _YOU))
    rest = f"--by {who} --digest {gate.digest[:DIGEST_PREFIX]}"
    why = "--why 'the reason'"
    if gate.kind is GateKind.IN_DOUBT:
        return {
            what: f"{program()} answer {gate.gate} {what} {rest}"
            for what in ("happened", "do-it", "drop")
        }
    reject = f"{program()} reject {gate.gate} {rest} {why}"
    if gate.kind is GateKind.QUESTION:
        return {"answer": f"{program()} answer {gate.gate} 'JSON' {rest}", "reject": reject}
    found = {
        "approve": f"{program()} approve {gate.gate} {rest}",
        "reject": reject,
    }
    if gate.kind is GateKind.WRITE and gate.action:
        judged = " ".join(finding.check for finding in gate.findings)
        held = [name for name in gate.action if f"action.{name} " in judged]
        field = (held or list(gate.action))[0]
        value = gate.action[field]
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        change = shlex.quote(f"{plain(field)}={plain(text)}")
        found["amend"] = f"{program()} amend {gate.gate} {rest} --set {change}"
    return found


def list_url(settings: Settings, namespace: str, query: str = "") -> str:
    """The list of cases in Temporal's Web UI, filtered."""
    base = f"{settings.ui_url}/namespaces/{quote(namespace, safe='')}/workflows"
    return f"{base}?query={quote(query, safe='')}" if query else base
