"""Rulings by the command line where only proven ones count: real keys, worker and server."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from handrail.runtime import EmbeddedServer, find_binary
from tests.integration.cli.cli_tools import Project, at_work, make_project, until

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ANA = "ana@example.com"
BO = "bo@example.com"


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, handrail_server: EmbeddedServer
) -> Iterator[Project]:
    """A project whose worker counts only proven rulings; the till is where money is paid."""
    directory = make_project(tmp_path_factory.mktemp("proof") / "project")
    policy = directory / "pay.yaml"
    policy.write_text(
        policy.read_text().replace(
            "people: [ana@example.com, bo@example.com]",
            "people: [ana@example.com, bo@example.com]\n    deputies: [di@example.com]",
        )
    )
    with at_work(directory, handrail_server, HANDRAIL_PROOF="required") as working:
        yield working


@pytest.fixture(autouse=True)
def bo(project: Project) -> None:
    """Bo has a key, and it is trusted; so nobody else is proven by accident."""
    if not any(key.get("person") == BO for key in keys(project)):
        project.json("keys", "new", "--person", BO, "--trust")


def keys(project: Project) -> list[dict[str, Any]]:
    return project.json("keys", "list")["keys"]


def gate(project: Project, key: str) -> str:
    project.start(key, 300, code=4)
    return str(project.gate(key)["gate"])


def rulings(project: Project, key: str) -> list[dict[str, Any]]:
    return project.json("show", f"pay:{key}")["rulings"]


def test_without_a_key_it_says_how_to_get_one_and_sends_nothing(project: Project) -> None:
    asked = gate(project, "nokey")
    done = project.run("approve", asked, "--by", "nobody@example.com")
    assert done.returncode == 2
    assert "keys new --person nobody@example.com" in done.stderr
    assert "keys trust FILE" in done.stderr
    assert "nothing was sent" in done.stderr
    assert rulings(project, "nokey") == []


def test_a_signed_approval_is_proven_and_the_write_happens(project: Project) -> None:
    asked = gate(project, "signed")
    done = project.json("approve", asked, "--by", "Bo@Example.com", "--why", "it is due")
    assert done["accepted"] is True
    assert done["record"]["proven"] is True
    assert (done["record"]["by"], done["record"]["via"]) == (BO, "key")
    until(lambda: project.json("show", "pay:signed")["state"] == "done")
    assert project.paid("signed") == 1


def test_a_signed_amendment_is_done_as_it_was_signed(project: Project) -> None:
    asked = gate(project, "amended")
    done = project.json("amend", asked, "--by", BO, "--set", "amount=150", "--why", "half")
    assert done["record"]["proven"] is True
    until(lambda: project.json("show", "pay:amended")["state"] == "done")
    (receipt,) = project.json("show", "pay:amended")["receipts"]
    assert receipt["key"]


def test_a_key_that_nobody_trusts_is_told_so_and_refused(project: Project) -> None:
    asked = gate(project, "stranger")
    project.json("keys", "new", "--person", ANA)
    done = project.run("approve", asked, "--by", ANA, "--json")
    assert done.returncode == 3, done
    assert "is not in .handrail/keys/trusted.json" in done.stderr
    assert "not in the keyring" in json.loads(done.stdout)["note"]
    assert project.json("show", "pay:stranger")["state"] == "waiting"


def test_the_key_of_another_proves_nothing(project: Project) -> None:
    asked = gate(project, "other")
    (file,) = [key["private"] for key in keys(project) if key.get("person") == BO]
    done = project.run("approve", asked, "--by", ANA, HANDRAIL_KEY=file)
    assert done.returncode == 2
    assert f"HANDRAIL_KEY names the key of {BO}, and you say --by {ANA}" in done.stderr
    assert rulings(project, "other") == []
    done = project.json("reject", asked, "--by", BO, "--why", "no", code=0)
    assert done["accepted"] is True


def test_a_bare_signal_does_not_count_and_the_case_says_why(project: Project) -> None:
    project.start("bare", 300, code=4)
    asked = project.gate("bare")
    bare = {"gate": asked["gate"], "digest": asked["digest"], "by": BO}
    signal = [
        str(find_binary()), "workflow", "signal", "--workflow-id", "pay:bare", "--name", "approve",
        "--input", json.dumps(bare),
        "--address", project.env["TEMPORAL_ADDRESS"], "-n", project.env["TEMPORAL_NAMESPACE"],
    ]  # fmt: skip
    subprocess.run(signal, check=True, capture_output=True, env=project.env)
    until(lambda: rulings(project, "bare"))
    (record,) = rulings(project, "bare")
    assert record["accepted"] is False
    assert "not proven" in record["note"]
    assert project.paid("bare") == 0
    assert project.json("approve", asked["gate"], "--by", BO)["accepted"] is True


def test_a_question_is_asked_before_the_ruling(project: Project) -> None:
    asked = gate(project, "asks")
    done = project.json("ask", asked, "why now?", "--by", BO, "--to", ANA)
    assert (done["record"]["verb"], done["record"]["to"]) == ("ask", ANA)
    (question,) = project.gate("asks")["asked"]
    assert (question["text"], question["to"]) == ("why now?", ANA)
    refused = project.run("answer", asked, "it is late", "--by", BO, "--question", question["id"])
    assert refused.returncode == 3
    assert f"was put to {ANA}" in refused.stderr
    (key,) = [key for key in keys(project) if key.get("person") == ANA]
    sent = project.run("keys", "public", key["kid"]).stdout
    project.json("keys", "trust", "-", stdin=sent)
    answer = ("answer", asked, "it is late", "--by", ANA, "--question", question["id"])
    assert project.json(*answer)["accepted"] is True
    assert project.gate("asks")["asked"][0]["answer"] == "it is late"
    assert project.json("approve", asked, "--by", BO)["accepted"] is True


def test_a_question_is_delegated_and_taken_back(project: Project) -> None:
    asked = gate(project, "given")
    done = project.run("delegate", asked, "--by", BO, "--to", "eve@example.com")
    assert done.returncode == 3
    assert "delegate" in done.stderr
    assert project.json("delegate", asked, "--by", BO, "--to", "di@example.com")["accepted"]
    assert project.run("approve", asked, "--by", BO).returncode == 3
    assert project.json("revoke", asked, "--by", BO)["accepted"] is True
    assert project.json("approve", asked, "--by", BO)["accepted"] is True


def test_a_revoked_key_rules_no_more(project: Project) -> None:
    asked = gate(project, "revoked")
    kid = project.json("keys", "new", "--person", "cy@example.com", "--trust")["kid"]
    project.json("keys", "revoke", kid, "--why", "he has left")
    done = project.run("approve", asked, "--by", "cy@example.com")
    assert done.returncode == 2
    assert "holds no key of cy@example.com that is in use" in done.stderr


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("answer", "pay:wrong", "happened"), "does not take `answer`"),
        (("approve", "pay:wrong", "--digest", "0" * 12), "asks about another action"),
        (("ask", "pay:wrong"), "requires an argument"),
    ],
)
def test_what_a_gate_does_not_take_is_not_sent(
    project: Project, command: tuple[str, ...], says: str
) -> None:
    project.start("wrong", 300, code=4)
    done = project.run(*command, "--by", BO)
    assert done.returncode in {1, 2}
    assert says in done.stderr
    assert rulings(project, "wrong") == []
