"""The commands: their names and groups. What they do and take is said where they are written.

A module that only needs an `Operator` imports nothing heavy, and is imported here. The others
are named by their path, and imported when they run; their help is said here, therefore.
"""

from __future__ import annotations

import sys
from typing import Any, cast

from cyclopts import App, CycloptsError, Group

from handrail.cli import (
    agents,
    alerts,
    asking,
    audit,
    autonomy,
    case_list,
    case_logs,
    cases,
    inbox,
    intake,
    mandates,
    review,
    rollout,
    rulings,
    schedules,
    stop,
)
from handrail.cli.context import perform
from handrail.cli.output import Code, Output

WORK = Group("Cases", sort_key=1)
RULE = Group("Rulings", sort_key=2)
RUN = Group("Processes", sort_key=3)
LOOK = Group("Setup", sort_key=4)


def _version() -> str:
    from importlib.metadata import version

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
    exit_on_error=False,
    print_error=True,
)
cast("Any", app).register_install_completion_command()

# Cases
for each in (
    cases.start,
    asking.ask_agent,
    agents.agents,
    agents.workers,
    agents.views,
    case_list.cases,
    cases.show,
    case_logs.logs,
    cases.pause,
    cases.resume,
    cases.roll_back,
    cases.retry,
    stop.stop,
    stop.lift,
    stop.stops,
    autonomy.autonomy,
    rollout.rollout,
):
    app.command(each, group=WORK)

# Rulings
for each in (
    rulings.approve,
    rulings.reject,
    rulings.amend,
    rulings.answer,
    rulings.ask,
    rulings.delegate,
    rulings.revoke,
    rulings.rulings,
):
    app.command(each, group=RULE)
app.command(
    "handrail.cli.pilot:approvers",
    group=RULE,
    help="Show how well people look: their share of yes, their median look, what was planted.",
)

_inbox = App(name="inbox", group=RULE, help="Show what waits for a human, here or as a page.")
_inbox.default(inbox.inbox)
_inbox.command(
    "handrail.cli.processes:serve",
    help="Run the page where people rule, and tell them by message, until SIGTERM.",
)

_mandates = App(
    name="mandates",
    group=RULE,
    help="Allow such as this in advance, or have somebody stand in for you for a time.",
)
_mandates.command(mandates.listing, name="list")
for each in (mandates.show, mandates.revoke, mandates.delegate, mandates.allow):
    _mandates.command(each)

_review = App(
    name="review",
    group=RULE,
    help="Look afterwards at a share of what ran alone, and say whether it was right.",
)
_review.default(review.reviews)
_review.command(review.reviews, name="list")
_review.command(review.show)
_review.command(review.answer)

_incidents = App(
    name="incidents",
    group=RULE,
    help="What a human must look at: writes gone wrong, what is stuck, cases that do not replay.",
)
_incidents.default(review.incidents)
_incidents.command(review.close)

_schedules = App(
    name="schedules", group=WORK, help="The times at which agents start by themselves."
)
_schedules.default(schedules.listing)
_schedules.command(schedules.listing, name="list")
for each in (schedules.pause, schedules.resume, schedules.trigger, schedules.backfill):
    _schedules.command(each)

_intake = App(
    name="intake", group=WORK, help="What came in and could not be started, or becomes no event."
)
_intake.default(intake.listing)
_intake.command(intake.listing, name="list")
for each in (intake.show, intake.retry, intake.mend, intake.drop):
    _intake.command(each)

_alerts = App(
    name="alerts", group=LOOK, help="What owners are told of: figures beyond the policy's limits."
)
_alerts.default(alerts.listing)
_alerts.command(alerts.listing, name="list")
_alerts.command(alerts.acknowledge)

_audit = App(name="audit", group=LOOK, help="What an agent did in a period, and who let it.")
_audit.default(audit.audit)
_audit.command(audit.verify)

_ledger = App(name="ledger", group=WORK, help="Go on with a ledger that is another, or went back.")
_ledger.command(stop.accept)

# Processes
app.command(
    "handrail.cli.processes:worker",
    group=RUN,
    help="Run the agents until SIGTERM; then finish the steps that were begun.",
)
app.command(
    "handrail.cli.serve:serve",
    group=RUN,
    help="Take events by HTTP, webhook and folder, and run the inbox, until SIGTERM.",
)
app.command(
    "handrail.cli.mcp:mcp",
    group=RUN,
    help="Let other agents look, start and ask by MCP: on stdin and stdout, or by HTTP.",
)
app.command(
    "handrail.cli.dev:dev",
    group=RUN,
    help="Run everything on this machine: Temporal with its Web UI, the worker, and the inbox.",
)
app.command(
    "handrail.cli.processes:demo",
    group=RUN,
    help="Run everything on this machine, and the project's demonstration with it.",
)

# Setup
app.command(
    "handrail.cli.check:check",
    group=LOOK,
    help="Say every fault of every policy and step, with its line and its fix; run nothing.",
)
app.command(
    "handrail.cli.doctor:doctor",
    group=LOOK,
    help="Look at everything that a worker needs, and say what to do about what is wrong.",
)
app.command(
    "handrail.cli.pilot:pilot",
    group=LOOK,
    help="List what an agent proposed in pilot, to be compared with what people did.",
)
_outcomes = App(
    name="outcomes", group=LOOK, help="What people did, beside what an agent proposed in pilot."
)
_outcomes.command(
    "handrail.cli.outcomes:take",
    name="import",
    help="Take in what people did in cases that the agent saw in pilot.",
)
_outcomes.command(
    "handrail.cli.outcomes:judge",
    help="Say who was right where people did something else than was proposed. It is signed.",
)
_evidence = App(name="evidence", group=LOOK, help="What is kept of cases, for figures of them.")
_evidence.command(
    "handrail.cli.rebuild:rebuild",
    help="Make the records of cases again from their histories, or check that they are equal.",
)
_evidence.command(
    "handrail.cli.erase:erase",
    help="Erase what is kept of cases that have ended; audits stay sound.",
)
app.command(
    "handrail.cli.report:report",
    group=LOOK,
    help="Show the metrics of an agent, and what it is worth, beside the period before.",
)
app.command(
    "handrail.cli.evaluate:evaluation",
    name="eval",
    group=LOOK,
    help="Make past decisions again by a decide step of today, without any write.",
)
app.command(
    "handrail.cli.anomaly:normal",
    group=LOOK,
    help="Show what is normal for an agent now, and what would be held as unusual.",
)

_promote = App(
    name="promote", group=RULE, help="What agents have shown that they may do more, and answers."
)
_PROMOTE = {
    "show": "Show how far an agent's writes are from doing more, and what became of it so far.",
    "evaluate": "Propose what is due, and take back what has become worse.",
    "agree": "Sign that an agent may do more, as it was proposed.",
    "decline": "Leave an agent as it is, for a reason that is kept.",
}
for name, said in _PROMOTE.items():
    _promote.command(f"handrail.cli.promote:{name}", help=said)

_keys = App(name="keys", group=LOOK, help="Make, trust, list, replace and revoke keys.")
_KEYS = {
    "new": "Make a key. The private half is a file here that only you can read.",
    "trust": "Add a public key to the keyring: what it signs counts from then on.",
    "public": "Print the public half of a key as JSON, to be sent to whoever keeps the keyring.",
    "revoke": "Let nothing that a key signed count any more: it is lost, or its person has left.",
    "rotate": (
        "Make a new key, trust it, and let the one before it expire; what that signed counts on."
    ),
}
for name, said in _KEYS.items():
    _keys.command(f"handrail.cli.keys:{name}", help=said)
_keys.command(
    "handrail.cli.keys:listing",
    name="list",
    help="List the keys that are trusted, and those whose private half is here.",
)

_baseline = App(
    name="baseline",
    group=LOOK,
    help="What the process takes without the agent, which it is held against.",
)
_baseline.command(
    "handrail.cli.baseline:set_baseline",
    name="set",
    help="Declare a figure of the process without the agent, in the place of the one before.",
)
_baseline.command(
    "handrail.cli.baseline:import_log",
    name="import",
    help="Take the baseline from the event log of the process (.csv, .xes; packed: .gz).",
)
_baseline.command(
    "handrail.cli.baseline:listing",
    name="list",
    help="List the baselines of an agent, with their sources.",
)
app.command(
    "handrail.cli.new:new",
    group=LOOK,
    help="Make a project that runs at once: an agent, its policy, an outside system, tests.",
)
app.command(
    "handrail.cli.discover:discover_logs",
    name="discover",
    group=LOOK,
    help="Score what is done by hand: which part of it is worth an agent, and which is not.",
)

_tokens = App(
    name="tokens",
    group=LOOK,
    help="By which programs send events to `serve`, and front ends read and rule.",
)
_tokens.command("handrail.cli.serve:new", help="Make a token. It is printed this once.")
_tokens.command(
    "handrail.cli.serve:listing", name="list", help="List the tokens, and the agents they are for."
)
_tokens.command("handrail.cli.serve:revoke", help="Refuse a token from now on.")

_policy = App(
    name="policy", group=LOOK, help="Show what is in force, and what a new policy would change."
)
_policy.command(
    "handrail.cli.policy:diff",
    help="Judge recent writes by a new policy: what would have been decided otherwise.",
)
_policy.command(
    "handrail.cli.policy:schema",
    help="Print the JSON Schema of policy files, for an editor: of all, or of one agent's.",
)
_policy.command(
    "handrail.cli.policy:show",
    help="Show every key in force, what was set at run time, and which versions there were.",
)

for group in (
    _schedules,
    _intake,
    _ledger,
    _audit,
    _alerts,
    _inbox,
    _mandates,
    _review,
    _incidents,
    _outcomes,
    _baseline,
    _promote,
    _evidence,
    _keys,
    _tokens,
    _policy,
):
    app.command(group)


def run(argv: list[str]) -> int:
    """Run one command and return its exit code."""
    argv = _json_after_command(argv)
    try:
        command, bound, _ = app.parse_args(argv)
    except CycloptsError as error:
        if "--json" in argv:
            Output(json=True).data(
                {"error": {"kind": "usage", "message": str(error)}, "exit": int(Code.USAGE)}
            )
        return int(Code.USAGE)
    bound.apply_defaults()
    out = bound.arguments.get("out")
    if not isinstance(out, Output):  # help, version, completion
        command(*bound.args, **bound.kwargs)
        return int(Code.DONE)
    bound.arguments["out"] = out = Output(out.json)  # on the streams as they are now
    return perform(out, lambda: command(*bound.args, **bound.kwargs))


def _json_after_command(argv: list[str]) -> list[str]:
    """Accept `handrail --json cases` too."""
    early = [arg for arg in argv[:1] if arg == "--json"]
    rest = argv[len(early) :]
    end = rest.index("--") if "--" in rest else len(rest)
    return [*rest[:end], *early, *rest[end:]] if rest else rest


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
