"""What commands print, in which words and colours, and the codes they end with.

Text that an agent or the outside world wrote is never printed as it is: what could
disguise it, or move the cursor of a terminal, is spelt out.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from cyclopts import Parameter
from rich.console import Console
from rich.segment import Segment
from rich.text import Text
from typing_extensions import override

from handrail.states import State
from handrail.text import escape_hidden, moment_in_words
from handrail.text import escape_terminal as plain

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import ConsoleOptions, RenderableType

    from handrail.oversight import GateView
    from handrail.runtime import Settings


class Code(IntEnum):
    """How a command ended. The numbers are promises."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    WAITS = 4


PIPE = 141
"""The exit code of a command whose reader has gone (`| head`), as of SIGPIPE."""


@Parameter(name="*")
@dataclass(frozen=True)
class Output:
    """Where a command's data and messages go. With `json` stdout holds JSON and nothing else."""

    json: Annotated[bool, Parameter(negative=(), help="Print JSON on stdout.")] = False

    @cached_property
    def console(self) -> Console:
        """Stdout for humans. Nothing in what is printed is taken for markup."""
        return _console(stderr=False)

    @cached_property
    def messages(self) -> Console:
        """Stderr for humans."""
        return _console(stderr=True)

    def data(self, value: BaseModel | Mapping[str, Any], **more: Any) -> None:
        """Print the one JSON document of a command, with `more` keys, if JSON is wanted."""
        if self.json:
            _write(_as_json(value) | more, indent=2)

    def row(self, value: BaseModel | Mapping[str, Any], **more: Any) -> None:
        """Print one of several JSON documents, on a line of its own, if JSON is wanted."""
        if self.json:
            _write(more | _as_json(value))
            sys.stdout.flush()

    def show(self, *what: RenderableType) -> None:
        """Print something for humans, unless JSON is wanted. Long lines are never cut."""
        if not self.json:
            for each in what:
                self.console.print(each, soft_wrap=isinstance(each, str | Text))

    def say(self, text: str, style: str = "") -> None:
        """Say something on stderr."""
        self.messages.print(text, style=style or None, soft_wrap=True)

    def show_rest(self, shown: int, limit: int, none: str) -> None:
        """Say that a list is empty, or may go on beyond its limit."""
        if not shown:
            self.show(none)
        elif shown == limit and not self.json:
            self.say(f"there may be more; --limit {limit * 10} shows more of them")

    def failed(self, error: str, kind: str, code: Code) -> int:
        """Say what went wrong, on stderr and in JSON, and return the exit code."""
        self.say(f"handrail: {error}", "red")
        self.data({"error": {"kind": kind, "message": error}, "exit": int(code)})
        return int(code)


PLAIN = Output()
"""Where what a command says goes, unless JSON was asked for."""


def _as_json(value: BaseModel | Mapping[str, Any]) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else value.model_dump(mode="json")


def _write(value: Mapping[str, Any], indent: int | None = None) -> None:
    # The same JSON: what could disguise a text, or move a cursor, is spelt as JSON spells it.
    # Where not every character can be written, all beyond ASCII are spelt so.
    plain = (sys.stdout.encoding or "utf-8").lower().replace("-", "") != "utf8"
    text = json.dumps(value, indent=indent, ensure_ascii=plain, default=str)
    sys.stdout.write(f"{escape_hidden(text)}\n")


class _PlainConsole(Console):
    """A console to which nothing that is printed can say more than its characters do.

    What commands say has foreign text in it, errors above all: it is escaped where all comes out.
    """

    @override
    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        for each in super().render(renderable, options):
            plain_text = each.text if each.control else escape_hidden(each.text)
            yield Segment(plain_text, each.style, each.control)

    @override
    def on_broken_pipe(self) -> None:
        """Let who reads go when they have enough (`| head`): rich would end as for a failure."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise BrokenPipeError


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    # Without a terminal there is no width to fit into: what reads it wants it whole.
    width = None if stream.isatty() else 200
    return _PlainConsole(
        file=stream, markup=False, highlight=False, emoji=False, width=width, soft_wrap=False
    )


# Words and colours

STYLES: dict[str, str] = {
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
    State.PILOTED: "cyan",
}

WAITS = 'HandrailState="waiting"'
"""What the Web UI filters on to show what waits for a human."""

_YOU = "you@example.com"
_QUOTED = 2_000
_DIGEST = 12
_MINUTE = timedelta(minutes=1)


def state_text(value: str) -> Text:
    """A state, in its colour."""
    return Text(value.replace("_", " "), STYLES.get(value, "bold magenta"))


def moment(at: datetime | None) -> str:
    """A time as people read it, in UTC."""
    return "" if at is None else moment_in_words(at)


def time_left(until: datetime | None, now: datetime) -> str:
    """How long it is until then."""
    if until is None:
        return ""
    return f"{in_words(until - now)} left" if until > now else f"{in_words(now - until)} over"


def ago(at: datetime | None, now: datetime) -> str:
    """How long ago that was."""
    return "" if at is None else f"{in_words(now - at)} ago"


def in_words(length: timedelta) -> str:
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


def units_line(units: Mapping[str, str], of: str) -> list[Text]:
    """What the fields of an action, or of evidence, that is shown as JSON are in."""
    from handrail.oversight import units_in_words  # not for each other command

    said = units_in_words(units, of)
    return [label("units", plain(said))] if said else []


def exactly(value: Any, indent: str = "    ") -> Text:
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
    rest = f"--by {who} --digest {gate.digest[:_DIGEST]}"
    why = "--why 'the reason'"
    if gate.kind == "in_doubt":
        return {
            what: f"{program()} answer {gate.gate} {what} {rest}"
            for what in ("happened", "do-it", "drop")
        }
    reject = f"{program()} reject {gate.gate} {rest} {why}"
    if gate.kind == "question":
        return {"answer": f"{program()} answer {gate.gate} 'JSON' {rest}", "reject": reject}
    found = {
        "approve": f"{program()} approve {gate.gate} {rest}",
        "reject": reject,
    }
    if gate.kind == "write" and gate.action:
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
