"""The inbox as people run it: part of `handrail dev`, and by itself."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
from collections.abc import Generator
from pathlib import Path

import httpx2
import psutil
import pytest

from handrail.runtime import EmbeddedServer
from tests.integration.cli.cli_tools import (
    Project,
    child,
    environment,
    free_port,
    make_project,
    until,
)

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    env = environment(
        HANDRAIL_TEMPORAL_PORT=free_port(), HANDRAIL_UI_PORT=free_port(), TILL_PORT=free_port()
    )
    return Project(make_project(tmp_path / "project"), env)


def healthy(base: str) -> bool:
    try:
        return httpx2.get(f"{base}/health").text == "ok"
    except httpx2.HTTPError:
        return False


def token(page: str) -> str:
    return re.findall(r'name="token" value="([^"]+)"', page)[-1]


@contextlib.contextmanager
def signed_in(base: str, who: str) -> Generator[httpx2.Client]:
    # The process at the other end is killed: no connection is kept.
    headers = {"origin": base, "connection": "close"}
    with httpx2.Client(base_url=base, headers=headers, follow_redirects=True) as visitor:
        page = visitor.get("/sign-in").text
        answer = visitor.post("/sign-in/dev", data={"token": token(page), "address": who})
        assert "Waiting for you" in answer.text
        yield visitor


def test_dev_runs_an_inbox_whose_rulings_are_signed_and_starts_it_again(project: Project) -> None:
    base = f"http://localhost:{project.env['HANDRAIL_INBOX_PORT']}"
    taken = socket.create_server(("127.0.0.1", 0))
    project.env["HANDRAIL_METRICS_PORT"] = str(taken.getsockname()[1])
    with project.process("dev") as dev:
        until(lambda: healthy(base))
        until(lambda: base in project.said("dev"))
        # A worker that does not start takes nothing down with it, and starts when it can.
        until(lambda: "the worker ended at its start" in project.said("dev"))
        assert "started again until it runs" in project.said("dev")
        taken.close()
        started = project.start("1", 500, code=4)
        gate = project.gate("1")
        assert gate["inbox"] == base
        with signed_in(base, gate["people"][0]) as visitor:
            page = visitor.get(f"/gates/pay:1/{gate['gate']}").text
            assert gate["digest"][:12] in page
            inbox = until(lambda: child(dev.pid, "handrail inbox"))
            inbox.send_signal(signal.SIGKILL)
            until(lambda: not psutil.pid_exists(inbox.pid) or inbox.status() == "zombie")
            until(lambda: healthy(base))
            data = {"token": token(page), "verb": "approve", "why": "after a fall"}
            answer = visitor.post(f"/gates/pay:1/{gate['gate']}", data=data)
            # The page that was open before is as good as one opened after.
            assert "Approved" in answer.text
        assert started["case"] == "pay:1"
        logged = project.run("logs", "pay:1").stdout
        assert "verdict" in logged
        assert "case=pay:1" in logged
        assert project.run("logs", "pay:10").stdout == ""
        ruled = until(lambda: project.json("show", "pay:1")["rulings"])[-1]
        assert (ruled["proven"], ruled["via"], ruled["why"]) == (False, "name", "after a fall")


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({}, "nobody could sign in"),
        ({"HANDRAIL_INBOX_DEV": "1", "HANDRAIL_INBOX_HOST": "0.0.0.0"}, "sign in as anybody"),  # noqa: S104
    ],
)
def test_an_inbox_that_cannot_run_says_what_to_do(
    project: Project, handrail_server: EmbeddedServer, env: dict[str, str], says: str
) -> None:
    served = env | {"TEMPORAL_ADDRESS": handrail_server.address}
    done = project.run("inbox", "serve", "--port", str(free_port()), **served)
    assert done.returncode == 2, done
    assert says in done.stderr
    assert "fix:" in done.stderr


def test_the_list_stays_what_it_was(project: Project) -> None:
    done = project.run("inbox", "--help")
    assert "serve" in done.stdout
    assert "--role" in done.stdout
