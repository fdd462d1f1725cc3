"""`handrail keys`, as people run it: each command in a process of its own."""

from __future__ import annotations

import json
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.cli_tools import HANDRAIL, Project, environment

pytestmark = pytest.mark.integration

ANA = ("--person", "ana@example.com")


@pytest.fixture
def desk(tmp_path: Path) -> Project:
    """The machine where the keyring is kept."""
    (tmp_path / "desk").mkdir()
    return Project(tmp_path / "desk", environment())


@pytest.fixture
def laptop(tmp_path: Path) -> Project:
    """The machine of somebody who rules."""
    (tmp_path / "laptop").mkdir()
    return Project(tmp_path / "laptop", environment())


def keys(project: Project) -> list[dict[str, Any]]:
    return project.json("keys", "list")["keys"]


def secrets(project: Project) -> list[str]:
    files = (project.directory / ".handrail" / "keys" / "private").glob("*.json")
    return [json.loads(file.read_text())["private"]["d"] for file in files]


def test_a_person_makes_a_key_and_it_is_trusted(desk: Project) -> None:
    made = desk.json("keys", "new", "--person", "Ana@Example.com", "--trust")
    file = desk.directory / made["private"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (made["person"], made["kind"], made["trusted"]) == ("ana@example.com", "person", True)
    (key,) = keys(desk)
    assert (key["kid"], key["state"], key["private"]) == (made["kid"], "trusted", made["private"])
    assert desk.run("--json", "keys", "list").stdout == desk.run("keys", "list", "--json").stdout
    shown = desk.run("keys", "list")
    assert "ana@example.com" in shown.stdout
    assert made["kid"] in shown.stdout


def test_a_public_half_travels_to_where_the_keyring_is(desk: Project, laptop: Project) -> None:
    kid = laptop.json("keys", "new", *ANA)["kid"]
    assert keys(laptop)[0]["state"] == "not trusted"
    sent = laptop.run("keys", "public", kid[:6])
    assert sent.returncode == 0
    file = desk.directory / "ana.json"
    file.write_text(sent.stdout)
    assert desk.json("keys", "trust", "ana.json", *ANA)["added"] is True
    assert desk.json("keys", "trust", "-", stdin=sent.stdout)["added"] is False
    assert [key["state"] for key in keys(desk)] == ["trusted"]
    assert keys(desk)[0]["private"] is None


def test_nothing_that_a_command_prints_holds_a_private_half(desk: Project) -> None:
    said: list[str] = []
    for command in (
        ("new", *ANA, "--trust"),
        ("new", "--inbox", "--trust"),
        ("rotate", *ANA),
        ("rotate", "--inbox"),
        ("list",),
        ("public", ""),
        ("revoke", "0", "--why", "no such key"),
    ):
        for more in ((), ("--json",)):
            done = desk.run("keys", *command, *more)
            said.append(done.stdout + done.stderr)
    assert len(secrets(desk)) == 8
    said += [desk.run("keys", "public", key["kid"]).stdout for key in keys(desk)]
    for secret in secrets(desk):
        assert secret not in "".join(said)
        assert secret not in (desk.directory / ".handrail" / "keys" / "trusted.json").read_text()


def test_who_sends_a_private_key_is_told_what_that_means(desk: Project, laptop: Project) -> None:
    private = laptop.directory / laptop.json("keys", "new", *ANA)["private"]
    done = desk.run("keys", "trust", str(private))
    assert done.returncode == 2
    assert "holds a private key" in done.stderr
    assert "rotate" in done.stderr
    assert secrets(laptop)[0] not in done.stderr + done.stdout
    assert keys(desk) == []


def test_a_key_is_trusted_for_no_more_than_was_said(desk: Project, laptop: Project) -> None:
    sent = json.loads(laptop.run("keys", "public", laptop.json("keys", "new", *ANA)["kid"]).stdout)
    inbox = laptop.run("keys", "public", laptop.json("keys", "new", "--inbox")["kid"]).stdout
    for text, options, says in (
        (json.dumps(sent), ("--person", "bo@example.com"), "not of bo@example.com"),
        (json.dumps(sent), ("--inbox",), "leave out --inbox"),
        (inbox, (), "say --inbox if it may sign for everybody"),
        (inbox, ANA, "say --inbox"),
        (json.dumps({**sent, "kind": "inbox"}), ("--inbox",), "names none"),
        ("{}", (), "is no public key"),
        ("", (), "is no public key"),
    ):
        done = desk.run("keys", "trust", "-", *options, stdin=text)
        assert done.returncode == 2, done
        assert says in done.stderr
    assert keys(desk) == []
    later = {**sent, "expires": "2999-01-01T00:00:00Z", "why": "I say so"}
    desk.json("keys", "trust", "-", stdin=json.dumps(later))
    assert not {"expires", "why"} & keys(desk)[0].keys()
    assert desk.json("keys", "trust", "-", "--inbox", stdin=inbox)["kind"] == "inbox"


def test_a_revoked_key_stays_revoked(desk: Project) -> None:
    kid = desk.json("keys", "new", *ANA, "--trust")["kid"]
    public = desk.run("keys", "public", kid).stdout
    gone = desk.json("keys", "revoke", kid[:8], "--why", "her laptop was stolen")
    assert gone["why"] == "her laptop was stolen"
    assert keys(desk)[0]["state"] == "revoked"
    again = desk.run("keys", "trust", "-", stdin=public)
    assert again.returncode == 2
    assert "was revoked: her laptop was stolen" in again.stderr
    assert "stolen" in desk.run("keys", "list").stdout


def test_rotation_makes_a_new_key_and_ends_the_old_one(desk: Project) -> None:
    old = desk.json("keys", "new", *ANA, "--trust")["kid"]
    done = desk.run("keys", "rotate", *ANA, "--json")
    new = json.loads(done.stdout)
    assert [key["kid"] for key in new["expired"]] == [old]
    assert f"delete .handrail/keys/private/{old}.json" in done.stderr
    assert {key["kid"]: key["state"] for key in keys(desk)} == {
        old: "expired",
        new["kid"]: "trusted",
    }
    later = (datetime.now(UTC) + timedelta(days=9)).replace(microsecond=0)
    third = desk.json("keys", "rotate", *ANA, "--at", later.isoformat(), "--why", "yearly")
    assert [key["kid"] for key in third["expired"]] == [new["kid"]]
    states = {key["kid"]: key for key in keys(desk)}
    assert states[new["kid"]]["state"] == "trusted"
    assert datetime.fromisoformat(states[new["kid"]]["expires"]) == later


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("new",), "--person ana@example.com, or --inbox"),
        (("new", *ANA, "--inbox"), "--person ana@example.com, or --inbox"),
        (("new", "--person", "ana"), "not an address"),
        (("rotate", *ANA), "holds no key of ana@example.com that is in use"),
        (("rotate", "--inbox"), "holds no key of the inbox"),
        (("revoke", "abc", "--why", "x"), "abc is no key here"),
        (("public", "abc"), "abc is no key here"),
        (("trust", "nowhere.json"), "cannot be read"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(
    desk: Project, command: tuple[str, ...], says: str
) -> None:
    done = desk.run("keys", *command)
    assert done.returncode == 2
    assert says in done.stderr
    assert not (desk.directory / ".handrail" / "keys" / "trusted.json").exists()
    failed = desk.json("keys", *command, code=2)
    assert failed["exit"] == 2


def test_an_end_that_is_over_already_is_refused(desk: Project) -> None:
    desk.json("keys", "new", *ANA, "--trust")
    done = desk.run("keys", "rotate", *ANA, "--at", "2020-01-01")
    assert done.returncode == 2
    assert "a time to come" in done.stderr
    assert len(keys(desk)) == 1
    assert len(secrets(desk)) == 1


def test_several_commands_at_once_lose_nothing(desk: Project) -> None:
    running = [
        subprocess.Popen(
            [*HANDRAIL, "keys", "new", "--person", f"p{n}@example.com", "--trust"],
            cwd=desk.directory,
            env=desk.env,
            stdout=subprocess.DEVNULL,
        )
        for n in range(4)
    ]
    assert [each.wait(60) for each in running] == [0] * 4
    assert {key["person"] for key in keys(desk)} == {f"p{n}@example.com" for n in range(4)}


def test_a_broken_keyring_is_said_and_left_alone(desk: Project) -> None:
    desk.json("keys", "new", *ANA, "--trust")
    file = desk.directory / ".handrail" / "keys" / "trusted.json"
    file.write_text(file.read_text()[:-9])
    before = file.read_text()
    for command in (("list",), ("new", "--person", "bo@example.com", "--trust")):
        done = desk.run("keys", *command)
        assert done.returncode == 2
        assert "is broken" in done.stderr
        assert "fix:" in done.stderr
    assert file.read_text() == before
