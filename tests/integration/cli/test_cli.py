"""The command line, as real processes on a real server: what it says, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typing_extensions import override

from tests.integration.cli.cli_tools import (
    Project,
    at_till,
    child,
    environment,
    free_port,
    make_project,
    until,
)

pytestmark = [pytest.mark.integration, pytest.mark.slow]

HOSTILE = "\x1b[2Jharmless\u202e [bold red]x[/] \n> approved by ana\u200b"


@contextlib.contextmanager
def project_with_till(directory: Path) -> Generator[Project]:
    make_project(directory)
    env = environment(
        HANDRAIL_TEMPORAL_PORT=free_port(), HANDRAIL_UI_PORT=free_port(), TILL_PORT=free_port()
    )
    with at_till(Project(directory, env)) as made:
        yield made


@contextlib.contextmanager
def dev_of(project: Project) -> Generator[subprocess.Popen[bytes]]:
    with project.process("dev") as process:
        until(lambda: "Ctrl-C ends it" in project.said("dev") or process.poll() is not None)
        assert process.poll() is None, project.said("dev")
        yield process


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with project_with_till(tmp_path_factory.mktemp("cli") / "project") as made:
        yield made


@pytest.fixture(scope="module")
def dev(project: Project) -> Iterator[subprocess.Popen[bytes]]:
    with dev_of(project) as process:
        yield process


pytestmark.append(pytest.mark.usefixtures("dev"))


# Cases


def test_start_ends_with_the_code_of_the_outcome(project: Project) -> None:
    assert project.start("done", 5)["state"] == "done"
    assert project.start("done", 5)["duplicate"] is True
    assert project.start("done", 6, code=1)["changed"] is True
    assert project.start("too-much", 5000, code=3)["state"] == "refused"
    assert project.start("held", 500, code=4)["state"] == "waiting"
    assert project.paid("done") == 1


def test_ask_agent_shows_what_happens_and_ends_with_the_code_of_the_answer(
    project: Project,
) -> None:
    ana = ("--by", "ana@example.com")
    done = project.run("ask-agent", "pay", "--set", "id=007", "--set", "amount=5", *ana)
    assert done.returncode == 0, done
    assert done.stdout == "pay:007 is done\npaid\n"
    assert [
        line.partition("UTC  ")[2]
        for line in done.stderr.splitlines()
        if line.endswith(("look", "paid"))
    ] == ["read look", "ended: done: paid"]
    event = json.dumps({"id": "007", "amount": "5"})
    again = project.json("ask-agent", "pay", "--event", event, *ana)
    assert (again["duplicate"], again["outcome"]["why"]) == (True, "paid")
    held = project.json(
        "ask-agent", "pay", "--set", "id=asked", "--set", "amount=500", *ana, code=4
    )
    assert (held["state"], held["outcome"]) == ("waiting", None)
    assert "goes on" in project.run(
        "ask-agent", "pay", "--event", event.replace("007", "008"), "--no-wait", *ana
    ).stdout.replace("is done", "goes on")
    own = project.json("approve", "pay:asked", *ana, code=3)
    assert "may not approve" in own["note"]
    for wrong in ((), ("--set", "id"), ("--set", "id=1"), ("--event", event, "--set", "id=1")):
        assert project.json("ask-agent", "pay", *wrong, *ana, code=2)["error"]
    assert project.paid("007") == 1


def test_an_event_that_does_not_validate_names_every_field(project: Project) -> None:
    done = project.run("start", "pay", '{"id": 7, "amnt": "5"}')
    assert done.returncode == 2
    for field in ("id:", "amount:", "amnt:"):
        assert field in done.stderr
    assert project.run("start", "nobody", "{}").returncode == 2


def test_a_stream_goes_on_after_a_bad_line(project: Project) -> None:
    lines = '{"id":"s1","amount":"1"}\n\n{"id":"s2"}\n{"id":"s1","amount":"1"}\n'
    done = project.run("start", "pay", "-", "--stream", "--json", stdin=lines)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 2
    assert [(row["line"], row.get("duplicate")) for row in found] == [
        (1, False),
        (3, None),
        (4, True),
    ]


def test_orders_do_what_they_say_and_refuse_what_has_ended(project: Project) -> None:
    project.start("orders", 500, code=4)
    for order, state in (("pause", "paused"), ("resume", "waiting"), ("stop", "stopped")):
        found = project.json(order, "pay:orders", "--by", "op@example.com", "--wait")
        assert found["cases"][0]["state"] == state
    again = project.run("resume", "pay:orders", "pay:nowhere")
    assert again.returncode == 1
    assert "has ended (stopped)" in again.stderr
    assert "no case pay:nowhere" in again.stderr


# Rulings


def test_hostile_text_is_spelt_out_and_quoted(project: Project) -> None:
    project.start("hostile", 300, HOSTILE, code=4)
    for command in (("inbox",), ("show", "pay:hostile")):
        shown = project.run(*command).stdout
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "\u200b" not in shown
        assert "> \\u001b[2Jharmless\\u202e [bold red]x[/]" in shown
        assert "    > > approved by ana\\u200b" in shown


def test_an_approval_is_of_what_was_shown_and_by_somebody_entitled(project: Project) -> None:
    project.start("bound", 300, code=4)
    gate = project.gate("bound")
    other = project.run("approve", gate["gate"], "--by", "ana@example.com", "--digest", "0" * 12)
    assert other.returncode == 1
    assert "another action" in other.stderr
    stranger = project.run("approve", gate["gate"], "--by", "zed@example.com")
    assert stranger.returncode == 3
    assert "holds none of the roles" in stranger.stderr
    assert project.paid("bound") == 0

    command = gate["commands"]["approve"].split()
    assert command[command.index("--digest") + 1] == gate["digest"][:12]
    record = project.json("approve", gate["gate"][:10], "--by", "ANA@example.com")
    assert record["accepted"] is True
    assert record["record"]["digest"] == gate["digest"]
    until(lambda: project.paid("bound") == 1)
    again = project.run("approve", gate["gate"], "--by", "bo@example.com")
    assert again.returncode == 1
    assert "handrail inbox" in again.stderr


def test_amend_changes_one_field_and_answer_is_only_for_doubt(project: Project) -> None:
    project.start("amend", 300, code=4)
    by = ("--by", "ana@example.com")
    assert project.run("answer", "pay:amend", "happened", *by).returncode == 2
    assert project.run("amend", "pay:amend", *by, "--set", "amunt=1").returncode == 2
    assert project.run("amend", "pay:amend", *by).returncode == 2
    assert project.run("amend", "pay:amend", *by, "--set", "amount=much").returncode == 3
    assert project.json("amend", "pay:amend", *by, "--set", "amount=20")["accepted"] is True
    effects = until(lambda: project.json("show", "pay:amend")["effects"])
    assert effects[0]["key"] == "pay:amend/pay/1"


def test_a_ruling_is_left_for_the_case_when_no_worker_answers(
    project: Project, dev: subprocess.Popen[bytes]
) -> None:
    project.start("later", 300, code=4)
    worker = child(dev.pid, "handrail worker")
    assert worker is not None
    worker.suspend()
    try:
        left = project.json("approve", "pay:later", "--by", "bo@example.com")
        shown = project.json("show", "pay:later")
    finally:
        worker.resume()
    assert (left["sent"], left["accepted"]) == ("signal", None)
    assert shown["worker_answered"] is False
    assert shown["gates"][0]["action"]["amount"] == "300"
    until(lambda: project.json("show", "pay:later")["state"] == "done")
    assert project.paid("later") == 1


# The shapes that programs rely on

TEXT, TEXTS = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
MAYBE = {"type": ["string", "null"]}


def shape(**fields: Any) -> dict[str, Any]:
    required = list(fields)
    return {
        "type": "object",
        "properties": fields,
        "required": required,
        "additionalProperties": False,
    }


def many(each: Any) -> dict[str, Any]:
    return {"type": "array", "items": each}


VERSION: dict[str, Any] = {"const": 1}
ROW = {
    "version": VERSION,
    "case": TEXT,
    "agent": TEXT,
    "state": TEXT,
    "waiting_for": TEXTS,
    "deadline": MAYBE,
    "started": TEXT,
    "closed": MAYBE,
    "why": TEXT,
    "failing": many(
        shape(
            version=VERSION,
            step=TEXT,
            attempt={"type": "integer"},
            since=TEXT,
            error=TEXT,
            next_try=MAYBE,
        )
    ),
}
ANYTHING: dict[str, Any] = {}
GATE = shape(
    gate={"type": "string", "pattern": "^[0-9a-f]{16}$"},
    case=TEXT,
    kind={"enum": ["write", "in_doubt", "undo_failed", "undecided", "question", "read"]},
    step=TEXT,
    title=TEXT,
    action={"type": "object"},
    digest={"type": "string", "pattern": "^[0-9a-f]{64}$"},
    why=TEXT,
    waiting_for=TEXTS,
    people=TEXTS,
    opened=TEXT,
    deadline=MAYBE,
    then=TEXTS,
    given=TEXTS,
    rationale=TEXT,
    confidence={"type": ["number", "null"]},
    evidence=ANYTHING,
    risk=TEXT,
    policy=TEXT,
    findings=many({"type": "object"}),
    proof={"enum": ["required", "unproven"]},
    stages=many(
        shape(role=TEXT, people=TEXTS, deputies=TEXTS, until=TEXT, asked={"type": "boolean"})
    ),
    rulings=many({"type": "object"}),
    asked=many({"type": "object"}),
    barred=TEXTS,
    requester=MAYBE,
    chain=TEXTS,
    next=MAYBE,
    inbox=TEXT,
    before={"type": ["object", "null"]},
    summary=TEXT,
    units={"type": "object", "additionalProperties": TEXT},
    commands={"type": "object", "additionalProperties": TEXT},
)
SHAPES = {
    "cases": shape(
        version=VERSION, cases=many(shape(**ROW)), total={"type": "integer"}, lacking=TEXTS
    ),
    "inbox": shape(
        version=VERSION,
        gates=many(GATE),
        total={"type": "integer"},
        unreadable=many({"type": "object"}),
        paused=TEXTS,
        counts={"type": "object", "additionalProperties": {"type": "object"}},
        totals=many({"type": "object"}),
    ),
    "show": shape(
        **ROW,
        reset=TEXT,
        thinking=TEXT,
        title=MAYBE,
        requester=MAYBE,
        gates=many(GATE),
        receipts=many({"type": "object"}),
        rulings=many({"type": "object"}),
        moves=many({"type": "object"}),
        log=many(shape(at=TEXT, text=TEXT)),
        outcome={"type": ["object", "null"]},
        effects=many(
            shape(
                version=VERSION, key=TEXT, step=TEXT, digest=TEXT, state=TEXT, begun=TEXT,
                receipt=ANYTHING, error=MAYBE,
            )
        ),
        incidents=many({"type": "object"}),
        handed=many({"type": "object"}),
        chain=TEXTS,
        reviews=many({"type": "object"}),
        worker_answered={"type": "boolean"},
        lacking=TEXTS,
        url=TEXT,
    ),
    "doctor": shape(
        ok={"type": "boolean"},
        findings=many(shape(name=TEXT, ok={"type": ["boolean", "null"]}, what=TEXT, fix=TEXT)),
    ),
    "check": shape(
        ok={"type": "boolean"},
        fleet=TEXT,
        faults=TEXTS,
        notes=TEXTS,
        agents=many(
            shape(
                agent=TEXT, workflow=TEXT, event=TEXT, policy=TEXT, steps={"type": "object"},
                checks=TEXTS, faults=TEXTS, notes=TEXTS,
            )
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("command", SHAPES)
def test_json_keeps_its_shape(project: Project, command: str) -> None:
    project.start("shape", 300, code=4)
    args = ["show", "pay:shape"] if command == "show" else [command]
    found = project.json(*args)
    jsonschema.validate(found, SHAPES[command])
    if command in {"cases", "inbox"}:
        assert found["total"] > 0


def test_errors_are_json_too_and_json_may_stand_before_the_command(project: Project) -> None:
    done = project.run("--json", "show", "pay:nowhere")
    error = shape(error=shape(kind=TEXT, message=TEXT), exit={"const": 1})
    jsonschema.validate(json.loads(done.stdout), error)
    usage = project.run("cases", "--stat", "x", "--json")
    assert usage.returncode == json.loads(usage.stdout)["exit"] == 2


# Processes


def test_a_worker_that_is_told_to_end_finishes_the_write_it_began(
    project: Project, dev: subprocess.Popen[bytes]
) -> None:
    project.json("start", "pay", '{"id": "slow", "amount": "13"}')
    until(lambda: project.paid("slow") == 1)
    worker = child(dev.pid, "handrail worker")
    assert worker is not None
    worker.terminate()
    until(lambda: project.json("show", "pay:slow")["state"] == "done")
    assert project.paid("slow") == 1


def test_a_second_signal_ends_a_worker_at_once_and_the_write_is_made_once(
    project: Project, dev: subprocess.Popen[bytes]
) -> None:
    project.json("start", "pay", '{"id": "hasty", "amount": "14"}')
    until(lambda: project.paid("hasty") == 1)
    worker = until(lambda: child(dev.pid, "handrail worker"))
    worker.terminate()
    time.sleep(0.3)
    assert worker.is_running()
    worker.terminate()
    # The write takes 18 s, and a worker that was told once waits for it.
    until(lambda: not worker.is_running(), patience=10)
    until(lambda: project.json("show", "pay:hasty")["state"] == "done")
    booked = (project.directory / "till.txt").read_text().splitlines()
    assert booked.count("/pay pay:hasty/pay/1") == 1


def test_a_write_in_doubt_is_answered_from_the_shell(
    project: Project, dev: subprocess.Popen[bytes]
) -> None:
    project.json("start", "pay", '{"id": "doubt", "amount": "1", "text": "cash"}')
    calls = project.directory / "till.calls"
    until(lambda: "/cash pay:doubt/cash/1" in calls.read_text())
    os.kill(until(lambda: child(dev.pid, "handrail worker")).pid, signal.SIGKILL)
    gate = until(lambda: [g for g in project.json("inbox")["gates"] if g["case"] == "pay:doubt"])[0]
    assert gate["kind"] == "in_doubt"
    assert list(gate["commands"]) == ["happened", "do-it", "drop"]

    by = ("--by", "ana@example.com")
    assert project.run("approve", gate["gate"], *by).returncode == 3
    assert project.run("answer", gate["gate"], "drop", *by, "--result", "1").returncode == 2
    said = gate["commands"]["happened"].replace("you@example.com", by[1]).split()
    assert said[1:4] == ["answer", gate["gate"], "happened"]
    assert project.run(*said[1:], "--result", '"seen in the till"').returncode == 0
    shown = until(lambda: (s := project.json("show", "pay:doubt"))["state"] == "done" and s)
    assert shown["why"] == "seen in the till"
    assert shown["receipts"][0]["how"] == "confirmed"
    assert calls.read_text().count("/cash pay:doubt/") == 1


@pytest.mark.parametrize("what", ["handrail worker", "start-dev"])
def test_dev_starts_again_what_is_killed(
    project: Project, dev: subprocess.Popen[bytes], what: str
) -> None:
    key = f"killed-{what[:5]}"
    project.start(key, 300, code=4)
    before = until(lambda: child(dev.pid, what))
    os.kill(before.pid, signal.SIGKILL)
    after = until(lambda: (p := child(dev.pid, what)) and p.pid != before.pid and p)
    assert after.pid != before.pid
    until(lambda: project.run("approve", f"pay:{key}", "--by", "ana@example.com").returncode == 0)
    until(lambda: project.json("show", f"pay:{key}")["state"] == "done")
    assert project.paid(key) == 1


METRICS = {
    "handrail_verdicts_total": {
        "agent": "elsewhere",
        "step": "pay",
        "verdict": "pass",
        "autonomy": "full",
        "pilot": "false",
    },
    "handrail_effects_total": {"step": "pay", "effect": "written", "how": "written"},
    "handrail_write_seconds_bucket": {"step": "pay", "effect": "written", "le": "0.01"},
}
"""What programs of others ask for, with the labels that it has in one case that is paid."""


def test_a_worker_shows_metrics_and_sends_traces(project: Project, tmp_path: Path) -> None:
    other = Project(make_project(tmp_path / "other", "elsewhere"), project.env)
    port, collector = free_port(), free_port()
    env = {
        "HANDRAIL_METRICS_PORT": port,
        "HANDRAIL_OTEL": 1,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector}",
        "OTEL_EXPORTER_OTLP_INSECURE": "true",
        "OTEL_BSP_SCHEDULE_DELAY": 200,
    }
    with collected(collector) as names, other.worker(**env):
        event = '{"id": "traced", "amount": "5"}'
        assert other.run("start", "elsewhere", event, "--wait").returncode == 0
        until(lambda: any("pay" in name for name in names))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            metrics = answer.read().decode()
        taken = other.run("worker", HANDRAIL_METRICS_PORT=port)
    assert "temporal_workflow_completed{" in metrics
    for name, labels in METRICS.items():
        line = next(each for each in metrics.splitlines() if each.startswith(f"{name}{{"))
        assert all(f'{label}="{value}"' in line for label, value in labels.items()), line
    assert taken.returncode == 2
    assert "HANDRAIL_METRICS_PORT" in taken.stderr


@contextlib.contextmanager
def collected(port: int) -> Generator[list[str]]:
    """A collector of traces; gives the names of the spans that came in."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    import grpc  # noqa: PLC0415
    from opentelemetry.proto.collector.trace.v1 import (  # noqa: PLC0415
        trace_service_pb2,
        trace_service_pb2_grpc,
    )

    names: list[str] = []

    class Collector(trace_service_pb2_grpc.TraceServiceServicer):
        @override
        def Export(self, request: Any, context: Any) -> Any:
            del context
            names.extend(
                span.name
                for resource in request.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            )
            return trace_service_pb2.ExportTraceServiceResponse()

    server: Any = grpc.server(ThreadPoolExecutor(2))
    grpc_side: Any = trace_service_pb2_grpc
    grpc_side.add_TraceServiceServicer_to_server(Collector(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield names
    finally:
        server.stop(None)


def test_a_worker_refuses_to_start_over_cases_that_it_does_not_replay(
    project: Project, tmp_path: Path
) -> None:
    project.start("misfit", 300, code=4)
    other = Project(make_project(tmp_path / "other"), project.env)
    flow = other.directory / "flow.py"
    old = "        await self.read(look, invoice)\n"
    assert old in flow.read_text()
    flow.write_text(flow.read_text().replace(old, "        await workflow.sleep(1)\n" + old))
    refused = other.run("worker")
    assert refused.returncode == 1
    assert "pay:misfit" in refused.stderr
    assert "--anyway" in refused.stderr
    doctor = other.json("doctor", code=1)
    assert "pay:misfit" in next(f["what"] for f in doctor["findings"] if f["name"] == "replay")


def test_dev_ends_by_ctrl_c_and_goes_on_after_kill_9(tmp_path: Path) -> None:
    with project_with_till(tmp_path / "project") as project:
        with dev_of(project) as dev:
            project.start("over", 300, code=4)
            children = [
                until(lambda w=what: child(dev.pid, w)) for what in ("handrail worker", "start-dev")
            ]
            os.kill(dev.pid, signal.SIGKILL)
            dev.wait()
            until(lambda: not any(each.is_running() for each in children))
        with project.process("dev") as again:
            until(lambda: project.said("dev").count("Ctrl-C ends it") == 2)
            assert project.gate("over")["action"]["amount"] == "300"
            assert project.run("approve", "pay:over", "--by", "ana@example.com").returncode == 0
            until(lambda: project.paid("over") == 1)
            children = [
                until(lambda w=what: child(again.pid, w)) for what in ("handrail w", "start-dev")
            ]
            began = time.monotonic()
            again.send_signal(signal.SIGINT)
            assert again.wait(timeout=20) == 0
            assert time.monotonic() - began < 10
            assert not any(each.is_running() for each in children)
