"""Audit lines: one structured event for every verdict, effect, message, order and alarm.

One JSON object a line where logs are JSON, with the names below, which are promises. Nothing
here raises or waits, whatever it is given: a log must never decide whether a write happens.
Personal data and secrets are masked (`guardrails.redaction`); the whole of it is in the ledger.

In a process that has set up no logs, lines go to the standard logger `handrail.audit`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal, ParamSpec

import structlog
from temporalio import activity

from handrail.actions import DIGEST_PREFIX, Kind
from handrail.guardrails import metrics
from handrail.guardrails.redaction import masker
from handrail.text import escape_hidden
from handrail.wire import WriteResultKind

if TYPE_CHECKING:
    from datetime import timedelta

    from handrail.actions import Action, Verdict
    from handrail.wire import Attempt, Notice, NotifyResult, WriteResult

LOGGER = "handrail.audit"

_Writer = Callable[[str, str, Mapping[str, Any]], None]
_writer: _Writer | None = None


def write_by(writer: _Writer) -> None:
    """Have lines written by `writer(event, level, fields)`, which masks nothing: they are masked.

    A general logger would mask every field again by its name, at three times the cost.
    """
    global _writer  # noqa: PLW0603  # one process, one log
    _writer = writer


_GRAVE = {WriteResultKind.IN_DOUBT, WriteResultKind.FAILED, WriteResultKind.STOPPED}
P = ParamSpec("P")

_Line = tuple[bool, dict[str, Any]]
"""Whether it is grave, and its fields: those that are None are left out."""


def _line(fn: Callable[P, _Line]) -> Callable[P, None]:
    """Write what `fn` makes under its name. A caller may give anything: no fault of it gets out."""

    @functools.wraps(fn)
    def say(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            grave, fields = fn(*args, **kwargs)
            known = {k: v for k, v in {**fields, **_process()}.items() if v is not None}
            _put(fn.__name__, "warning" if grave else "info", known)
        except Exception as error:  # noqa: BLE001  # a line that cannot be made stops no write
            _give_up(fn.__name__, type(error).__name__)
            return
        metrics.count(fn.__name__, known)

    return say


def _give_up(event: str, fault: str) -> None:
    """Say that a line is missing; of what it held nothing, for it may not be masked."""
    # The way out itself may be broken: then there is none left.
    with contextlib.suppress(Exception):
        _put("no line could be made", "warning", {"of": event, "fault": fault})


@_line
def verdict(
    agent: str,
    step: str,
    attempt: Attempt,
    verdict: Verdict,
    *,
    action: Action | Mapping[str, Any] | None = None,
    took: timedelta | None = None,
) -> _Line:
    """What the door says of an attempt, with the checks that led to it, and the action."""
    return verdict.kind is not Kind.PASS, {
        **_write(agent, step, attempt),
        "verdict": verdict.kind.value,
        "checks": [_text(found.check) for found in verdict.findings],
        "why": _text(verdict.why()),
        "policy": verdict.policy,
        "autonomy": verdict.autonomy,
        "action": masker().value(action),
        "roles": [stage.role for ask in verdict.asks for stage in ask.stages],
        "rulings": len(attempt.rulings),
        "duration_ms": _milliseconds(took),
    }


@_line
def effect(
    agent: str, step: str, attempt: Attempt, answer: WriteResult, *, took: timedelta | None = None
) -> _Line:
    """What became of an attempt: how it was written, or why it was not."""
    receipt = answer.receipt
    return bool(answer.kind in _GRAVE or answer.incident), {
        **_write(agent, step, attempt),
        "effect": answer.kind.value,
        "how": None if receipt is None else receipt.how,
        "why": _text(answer.why),
        "incident": _text(answer.incident),
        "policy": answer.verdict.policy,
        "autonomy": answer.verdict.autonomy,
        "undoes": None if attempt.undoes is None else _name(attempt.undoes.key),
        "duration_ms": _milliseconds(took),
    }


@_line
def told(agent: str, step: str, notice: Notice, told: NotifyResult) -> _Line:
    """A notification: sent, or why not."""
    return not told.sent, {
        **_place(agent, step, notice.case, notice.key),
        "pilot": notice.pilot,
        "sent": told.sent,
        "why": _text(told.why),
    }


@_line
def order(
    kind: str,
    agent: str,
    *,
    by: str,
    why: str,
    id: str = "",  # noqa: A002  # as the ledger has it
    step: str | None = None,
    case: str | None = None,
    level: str | None = None,
    rollout: int | None = None,
    ended: bool = False,
    proven: bool | None = None,
) -> _Line:
    """A stop, its end, or a change of autonomy. `rollout` in hundredths of a percent."""
    return True, {
        "order": kind,
        "id": id,
        "agent": agent,
        "step": step,
        "case": None if case is None else _name(case),
        "to": level,
        "rollout": rollout,
        "ended": ended,
        "by": _text(by),
        "proven": proven,
        "why": _text(why),
    }


@_line
def incident(agent: str, step: str, case: str, key: str, *, kind: str, what: str) -> _Line:
    """Something that a human must look at: a mismatch, a doubt, a failure, a tripped breaker."""
    return True, {**_place(agent, step, case, key), "kind": kind, "why": _text(what)}


@_line
def review(
    agent: str,
    step: str,
    case: str,
    key: str,
    *,
    why: str = "",
    share: float | None = None,
    answer: str = "",
    by: str = "",
) -> _Line:
    """A write was drawn for a look afterwards (no `answer`), or somebody has looked."""
    return answer == "wrong", {
        **_place(agent, step, case, key),
        "share": share,
        "answer": answer,
        "by": _text(by),
        "why": _text(why),
    }


@_line
def breaker(agent: str, step: str | None, *, breaker: str, then: str, why: str) -> _Line:
    """A breaker has lowered the autonomy of an agent, or stopped it."""
    return True, {
        "agent": agent,
        "step": step,
        "breaker": _text(breaker),
        "then": then,
        "why": _text(why),
    }


# What lines have in common


def _write(agent: str, step: str, attempt: Attempt) -> dict[str, Any]:
    place = _place(agent, step, attempt.case, attempt.key)
    return {**place, "digest": attempt.digest[:DIGEST_PREFIX], "pilot": attempt.pilot}


def _place(agent: str, step: str, case: str, key: str) -> dict[str, Any]:
    return {"agent": agent, "case": _name(case), "step": step, "key": _name(key)}


def _text(text: str) -> str:
    return masker().text(text)


def _name(text: str) -> str:
    return masker().name(text)


def _process() -> dict[str, Any]:
    """Which code, in which run and try, within which trace."""
    return {**_code(), **_activity(), **_trace()}


@functools.cache
def _code() -> Mapping[str, str]:
    """Named as `handrail.runtime.worker_build` names it; without the text of its agent's code."""
    own = version("handrail")
    build = os.environ.get("TEMPORAL_WORKER_BUILD_ID") or f"handrail-{own}"
    return {"build": build, "handrail": own}


def _activity() -> dict[str, Any]:
    if not activity.in_activity():
        return {}
    info = activity.info()
    return {"run_id": info.workflow_run_id, "attempt": info.attempt}


def _trace() -> dict[str, str]:
    """The span that runs now. Who has not imported OpenTelemetry has none."""
    api: Any = sys.modules.get("opentelemetry.trace")
    if api is None:
        return {}
    found = api.get_current_span().get_span_context()
    if not found.is_valid:
        return {}
    return {"trace_id": f"{found.trace_id:032x}", "span_id": f"{found.span_id:016x}"}


def _milliseconds(took: timedelta | None) -> float | None:
    return None if took is None else round(took.total_seconds() * 1_000, 3)


def _put(event: str, severity: Literal["info", "warning"], fields: dict[str, Any]) -> None:
    if structlog.is_configured():
        if _writer is not None:
            _writer(event, severity, fields)
            return
        getattr(structlog.get_logger(LOGGER), severity)(event, **fields)
        return
    log = logging.getLogger(LOGGER)
    level = logging.WARNING if severity == "warning" else logging.INFO
    if log.isEnabledFor(level):
        text = json.dumps({"event": event, **fields}, ensure_ascii=False, default=repr)
        log.log(level, escape_hidden(text))
