"""A standing approval and the record of rulings, as people use them, on the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from handrail.runtime import EmbeddedServer
from tests.integration.cli.cli_tools import Project, at_work, until

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ANA = "ana@example.com"
BY = ("--by", ANA)


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, handrail_server: EmbeddedServer
) -> Iterator[Project]:
    directory = tmp_path_factory.mktemp("standing") / "project"
    with at_work(directory, handrail_server, HANDRAIL_PROOF="required") as working:
        working.json("keys", "new", "--person", ANA, "--trust")
        yield working


def allow(project: Project, case: str, *more: str, code: int = 0) -> Any:
    return project.json("mandates", "allow", case, *BY, "--for", "8h", *more, code=code)


def test_such_as_this_happens_so_many_times_and_is_then_asked_about(project: Project) -> None:
    project.start("first", 300, code=4)
    given = allow(project, "pay:first", "--up-to", "amount=400", "--same", "text", "--uses", "2")
    assert given["state"] == "in force"
    assert given["mandate"]["role"] == "lead"
    assert given["mandate"]["same"] == {"text": "it is due"}

    project.start("over", 401, code=4)
    project.start("other", 300, "another text", code=4)
    assert project.start("second", 400)["state"] == "done"
    assert project.start("third", 250)["state"] == "done"
    project.start("fourth", 250, code=4)

    shown = project.json("mandates", "show", given["id"])
    assert (shown["state"], shown["used"]) == ("used up", 2)
    cases = [use["effect"].partition("/")[0] for use in shown["uses"]]
    assert cases == ["pay:second", "pay:third"]
    assert project.paid("second") == 1
    assert project.paid("over") == project.paid("other") == project.paid("fourth") == 0


def test_a_revoked_one_lets_nothing_happen(project: Project) -> None:
    project.start("before", 300, code=4)
    given = allow(project, "pay:before", "--up-to", "amount=300", "--uses", "5")
    assert project.json("mandates", "revoke", given["id"], *BY)["state"] == "revoked"
    project.start("after", 300, code=4)
    assert project.paid("after") == 0


def test_what_may_not_be_allowed_is_refused_when_it_is_said(project: Project) -> None:
    project.start("held", 300, code=4)
    before = project.json("mandates", "list", "--all")["mandates"]
    said = allow(project, "pay:held", "--up-to", "amount=299", "--uses", "5", code=2)
    assert "would not be covered: amount" in said["error"]["message"]
    said = allow(project, "pay:held", "--uses", "5", code=2)
    assert "at least one field" in said["error"]["message"]
    args = ("--up-to", "amount=300", "--uses", "5", "--digest", "0" * 12)
    assert (
        "asks about another action" in allow(project, "pay:held", *args, code=1)["error"]["message"]
    )
    bo = project.run(
        "mandates", "allow", "pay:held", "--by", "bo@example.com", *args[:4], "--for=8h"
    )
    assert bo.returncode == 2
    assert "holds no key of bo@example.com" in bo.stderr
    assert project.json("mandates", "list", "--all")["mandates"] == before


def test_a_ruling_is_kept_as_it_was_signed_with_the_write_that_used_it(project: Project) -> None:
    project.start("ruled", 300, code=4)
    project.json("approve", "pay:ruled", *BY, "--why", "it is due")
    until(lambda: project.paid("ruled") == 1)
    (row,) = project.json("rulings", "--case", "pay:ruled", "--verify")["rulings"]
    assert (row["by"], row["verb"], row["via"], row["proven"]) == (ANA, "approve", "key", True)
    assert row["effect"].startswith("pay:ruled/pay/")
    assert '"why":"it is due"' in row["ruling"]
    (approver,) = project.json("approvers")["approvers"]
    assert (approver["person"], approver["decisions"], approver["yes"]) == (ANA, 1, 1.0)
