"""The commands: their names, options and help. What they do is in the modules beside."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from handrail.cli.after_app import incidents, pilot, review
from handrail.cli.common import (
    AT_ONCE,
    LOOK,
    PLAIN,
    RULE,
    RUN,
    WORK,
    By,
    Cases,
    Common,
    Digest,
    Gate,
    SomeBody,
    Waiting,
    Why,
    do,
)
from handrail.cli.control import autonomy, lift, stop, stops
from handrail.cli.inbox_app import inbox
from handrail.cli.keys_app import keys
from handrail.cli.normal_app import normal
from handrail.cli.output import Code, Output
from handrail.cli.policy_app import policy
from handrail.cli.record_app import approvers, mandates, rulings


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415

    return version("handrail")


app = App(
    name="handrail",
    help="Write access for AI agents that a business can trust.",
    help_epilogue=(
        "Exit codes: 0 done, 1 failed, 2 wrong usage or setup, 3 refused (by the policy, by a "
        "human, or because nobody answered in time), 4 waits for a human."
    ),
    version=_version,
    help_format="plaintext",
    result_action="return_value",
    exit_on_error=False,
    print_error=True,
)
app.register_install_completion_command()  # pyright: ignore[reportUnknownMemberType]  # cyclopts' own signature is
app.command(inbox)
app.command(keys)
app.command(mandates)
app.command(policy)
app.command(group=WORK)(stop)
app.command(group=WORK)(lift)
app.command(group=WORK)(stops)
app.command(group=WORK)(autonomy)
app.command(group=RULE)(rulings)
app.command(group=RULE)(approvers)
app.command(review)
app.command(incidents)
app.command(group=LOOK)(pilot)
app.command(group=LOOK)(normal)


def run(argv: list[str]) -> int:
    """Run one command and return its exit code."""
    argv = _json_after_command(argv)
    try:
        result = app(argv)
    except CycloptsError as error:
        if "--json" in argv:
            Output(json=True).data(
                {"error": {"kind": "usage", "message": str(error)}, "exit": int(Code.USAGE)}
            )
        return int(Code.USAGE)
    return result if isinstance(result, int) else int(Code.DONE)


def _json_after_command(argv: list[str]) -> list[str]:
    """Accept `handrail --json cases` too."""
    early = [arg for arg in argv[:1] if arg == "--json"]
    rest = argv[len(early) :]
    end = rest.index("--") if "--" in rest else len(rest)
    return [*rest[:end], *early, *rest[end:]] if rest else rest


@app.command(group=WORK)
def start(
    agent: str,
    event: Annotated[str, Parameter(allow_leading_hyphen=True)],
    *,
    by: SomeBody = None,
    stream: Annotated[
        bool, Parameter(negative=(), help="The event is `-` or @file: one event on each line.")
    ] = False,
    waiting: Waiting = AT_ONCE,
    common: Common = PLAIN,
) -> int:
    """Start the case of an event. The same event again is the same case.

    Parameters
    ----------
    agent
        The agent's name, such as shipments.
    event
        The event as JSON, @file, or - for stdin.
    """
    from handrail.cli import cases as does  # noqa: PLC0415

    return do(
        common,
        lambda out: does.start(out, agent, event, by=by, stream=stream, waiting=waiting),
    )


@app.command(group=WORK)
def cases(
    *,
    agent: Annotated[str | None, Parameter(help="Of this agent only.")] = None,
    state: Annotated[str | None, Parameter(help="In this state only, such as waiting.")] = None,
    waiting_for: Annotated[str | None, Parameter(help="That wait for this role only.")] = None,
    limit: Annotated[int, Parameter(help="At most so many, the newest.")] = 50,
    common: Common = PLAIN,
) -> int:
    """List cases, newest first."""
    from handrail.cli import cases as does  # noqa: PLC0415

    return do(
        common,
        lambda out: does.listing(out, agent=agent, state=state, role=waiting_for, limit=limit),
    )


@app.command(group=WORK)
def show(case: str, *, common: Common = PLAIN) -> int:
    """Show everything about a case: state, gates, receipts, rulings, log, ledger.

    Parameters
    ----------
    case
        The case's id, such as shipments:AWB-1042.
    """
    from handrail.cli import show as does  # noqa: PLC0415

    return do(common, lambda out: does.show(out, case))


@app.command(group=RULE)
def approve(
    gate: Gate, *, by: By, why: Why = "", digest: Digest = None, common: Common = PLAIN
) -> int:
    """Let a write happen, exactly as it is shown."""
    return _rule(common, gate, "approve", by, why, digest)


@app.command(group=RULE)
def reject(gate: Gate, *, by: By, why: Why, digest: Digest = None, common: Common = PLAIN) -> int:
    """Do not let a write happen."""
    return _rule(common, gate, "reject", by, why, digest)


@app.command(group=RULE)
def amend(
    gate: Gate,
    *,
    by: By,
    set_: Annotated[
        tuple[str, ...],
        Parameter(name="--set", help="Change one field: field=value. May be repeated."),
    ] = (),
    action: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True, help="The whole action as JSON, @file, or - for stdin."
        ),
    ] = None,
    why: Why = "",
    digest: Digest = None,
    common: Common = PLAIN,
) -> int:
    """Have another action done instead. It passes the door again."""
    return _rule(common, gate, "amend", by, why, digest, changes=set_, action=action)


@app.command(group=RULE)
def answer(
    gate: Gate,
    what: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    *,
    by: By,
    question: Annotated[
        str | None, Parameter(help="Which question of an approver it answers: its id.")
    ] = None,
    result: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True, help="With `happened`: what the write returned, as JSON."
        ),
    ] = None,
    why: Why = "",
    digest: Digest = None,
    common: Common = PLAIN,
) -> int:
    """Say what became of a write in doubt, or answer a question.

    Parameters
    ----------
    what
        Of a write in doubt: happened (do not repeat it), do-it (it did not happen), or drop
        (leave it at that). To an agent's question: JSON, @file, or -. With --question: words.
    """
    more = {"said": what, "result": result, "question": question}
    return _rule(common, gate, "answer", by, why, digest, **more)


@app.command(group=RULE)
def ask(
    gate: Gate,
    question: str,
    *,
    by: By,
    to: Annotated[str, Parameter(help="Whom: `agent`, or a person whom the policy names.")],
    digest: Digest = None,
    common: Common = PLAIN,
) -> int:
    """Ask the agent or a colleague before you rule. The answer is added to the evidence."""
    return _rule(common, gate, "ask", by, question, digest, to=to)


@app.command(group=RULE)
def delegate(
    gate: Gate,
    *,
    by: By,
    to: Annotated[str, Parameter(help="Who rules in your place: one whom the policy lets.")],
    why: Why = "",
    digest: Digest = None,
    common: Common = PLAIN,
) -> int:
    """Let somebody else rule on this one gate in your place."""
    return _rule(common, gate, "delegate", by, why, digest, to=to)


@app.command(group=RULE)
def revoke(
    gate: Gate, *, by: By, why: Why = "", digest: Digest = None, common: Common = PLAIN
) -> int:
    """Take back what you said to a gate that is still open."""
    return _rule(common, gate, "revoke", by, why, digest)


def _rule(  # noqa: PLR0917  # a ruling has these parts
    common: Common, gate: str, verb: str, by: str, why: str, digest: str | None, **more: Any
) -> int:
    from handrail.cli import rulings as does  # noqa: PLC0415

    given = does.Given(gate=gate, verb=verb, by=by, why=why, digest=digest, **more)
    return do(common, lambda out: does.rule(out, given))


@app.command(group=WORK)
def pause(
    cases: Cases,
    /,
    *,
    by: SomeBody = None,
    why: Why = "",
    waiting: Waiting = AT_ONCE,
    common: Common = PLAIN,
) -> int:
    """Let cases begin no further step."""
    return _order(common, "pause", cases, by, why, waiting)


@app.command(group=WORK)
def resume(
    cases: Cases,
    /,
    *,
    by: SomeBody = None,
    why: Why = "",
    waiting: Waiting = AT_ONCE,
    common: Common = PLAIN,
) -> int:
    """Let paused cases go on."""
    return _order(common, "resume", cases, by, why, waiting)


@app.command(name="roll-back", group=WORK)
def roll_back(
    cases: Cases,
    /,
    *,
    by: SomeBody = None,
    why: Why = "",
    waiting: Waiting = AT_ONCE,
    common: Common = PLAIN,
) -> int:
    """Undo what cases have written, last first, and end them."""
    return _order(common, "roll_back", cases, by, why, waiting)


def _order(  # noqa: PLR0917  # an order has these parts
    common: Common, order: str, cases: Sequence[str], by: str | None, why: str, waiting: Waiting
) -> int:
    from handrail.cli import orders as does  # noqa: PLC0415

    return do(common, lambda out: does.order(out, order, cases, by, why, waiting))


@app.command(group=RUN)
def worker(
    *,
    anyway: Annotated[
        bool,
        Parameter(negative=(), help="Start although open cases do not replay with this code."),
    ] = False,
    common: Common = PLAIN,
) -> int:
    """Run the agents until SIGTERM; then finish the steps that were begun."""
    from handrail.cli import processes as does  # noqa: PLC0415

    return do(common, lambda out: does.worker(out, anyway=anyway))


@app.command(group=RUN)
def dev(*, common: Common = PLAIN) -> int:
    """Run everything on this machine: Temporal with its Web UI, the worker, and the inbox."""
    from handrail.cli import processes as does  # noqa: PLC0415

    return do(common, does.dev)


@app.command(group=RUN)
def demo(
    *,
    once: Annotated[
        bool, Parameter(negative=(), help="End when nothing moves any more (4: cases wait).")
    ] = False,
    common: Common = PLAIN,
) -> int:
    """Run everything on this machine, and the project's demonstration with it."""
    from handrail.cli import processes  # noqa: PLC0415

    return do(common, lambda out: processes.demo(out, once=once))


@app.command(group=LOOK)
def check(
    *,
    fleet: Annotated[str | None, Parameter(help="module:variable; workers.fleet:fleet.")] = None,
    common: Common = PLAIN,
) -> int:
    """Say every fault of every policy and step, with its line and its fix; run nothing."""
    from handrail.cli import check as does  # noqa: PLC0415

    return do(common, lambda out: does.check(out, fleet))


@app.command(group=LOOK)
def doctor(*, common: Common = PLAIN) -> int:
    """Look at everything that a worker needs, and say what to do about what is wrong."""
    from handrail.cli import doctor as does  # noqa: PLC0415

    return do(common, does.doctor)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
