"""The files of deploy/ are not run here: what can be checked without an engine is."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from ruamel.yaml import YAML
from sqlalchemy.exc import ProgrammingError

from handrail import LedgerUnavailable
from handrail.ledger import (
    AnswerRow,
    IncidentRow,
    IntakeRow,
    IntakeState,
    Intent,
    Ledger,
    MandateRow,
    OrderRow,
    ReviewRow,
)
from handrail.runtime import Settings
from handrail.runtime.connection import connection

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
URL = "http://localhost:8480"
UNITS = ["handrail-worker.service", "handrail-inbox.service"]
EXAMPLES = [".env.example", "inbox.env.example"]
KUBERNETES = ["kubernetes.yaml", "kubernetes-guards.yaml", "kubernetes-monitoring.yaml"]
FILES = ["Dockerfile", "compose.yaml", "kubernetes.yaml", *UNITS, *EXAMPLES, "README.md"]
SECRETS = {"HANDRAIL_INBOX_SECRET", "HANDRAIL_SMTP_URL", "HANDRAIL_OIDC_CLIENT_SECRET"} | {
    "HANDRAIL_SLACK_TOKEN",
    "HANDRAIL_SLACK_SIGNING_SECRET",
    "HANDRAIL_KEY_DIR",
    "HANDRAIL_KEY",
}
"""What only the inbox, or a person, may be told."""


def read(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def load(name: str) -> dict[str, Any]:
    return YAML(typ="safe").load(read(name))  # pyright: ignore[reportUnknownMemberType] (untyped)


def instructions() -> Iterator[list[str]]:
    """Yield the words of each instruction of the Dockerfile."""
    text = re.sub(r"^#.*\n", "", read("Dockerfile"), flags=re.MULTILINE)
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            yield shlex.split(line)


def copies() -> list[list[str]]:
    """Return the arguments of each COPY from the build context."""
    return [
        words[1:]
        for words in instructions()
        if words[0] == "COPY" and not words[1].startswith("--from")
    ]


def image(name: str) -> list[list[str]]:
    """Return the instructions of one image, with those of the image that it is made from."""
    stages: dict[str, list[list[str]]] = {}
    current = ""
    for words in instructions():
        if words[0] == "FROM":
            current = words[3]
            stages[current] = list(stages.get(words[1], []))
        else:
            stages[current].append(words)
    return stages[name]


def image_environment(name: str) -> dict[str, str]:
    pairs = [word for words in image(name) if words[0] == "ENV" for word in words[1:]]
    return dict(pair.split("=", 1) for pair in pairs)


def kubernetes(name: str = "kubernetes.yaml") -> dict[tuple[str, str], Any]:
    """Return what is declared, by kind and name."""
    documents: Any = YAML(typ="safe").load_all(read(name))  # pyright: ignore[reportUnknownMemberType] (untyped)
    return {(each["kind"], each["metadata"]["name"]): each for each in documents}


def pod(name: str) -> tuple[Any, Any]:
    """Return the pod of a deployment, and its one container."""
    spec = kubernetes()["Deployment", name]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    return spec, container


def pod_environment(name: str) -> dict[str, str]:
    return {each["name"]: each["value"] for each in pod(name)[1]["env"]}


def unit_environment(name: str) -> dict[str, str]:
    return dict(re.findall(r"^Environment=(\w+)=(.*)$", read(name), flags=re.MULTILINE))


@pytest.fixture
def compose() -> dict[str, Any]:
    return load("compose.yaml")


@pytest.mark.parametrize("arguments", copies(), ids=" ".join)
def test_every_copy_has_one_source_that_exists_and_is_not_ignored(arguments: list[str]) -> None:
    source, _ = arguments
    assert (ROOT / source).exists()
    assert f"!{source}" in read("Dockerfile.dockerignore").splitlines()


@pytest.mark.parametrize("name", ["build-inbox", "build-handrail", "build-worker"])
def test_what_is_copied_before_it_is_installed_makes_a_wheel(tmp_path: Path, name: str) -> None:
    copied = [words[1] for words in image(name) if words[0] == "COPY"]
    for each in copied:
        (shutil.copytree if (ROOT / each).is_dir() else shutil.copy2)(ROOT / each, tmp_path / each)
    uv = Path(sys.executable).with_name("uv")
    command = [uv, "build", "--quiet", "--wheel", "--no-build-isolation", "--python"]
    subprocess.run([*command, sys.executable, "--out-dir", tmp_path, tmp_path], check=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        assert "handrail/__init__.py" in wheel.namelist()


def test_a_worker_has_every_folder_of_the_agents_and_the_inbox_none_of_their_code() -> None:
    def folders(name: str) -> set[str]:
        return {words[2] for words in image(name) if words[0] == "COPY" and words[1] == words[2]}

    assert folders("worker") == {"workflows", "activities", "guardrails", "workers"}
    assert folders("inbox") == {"guardrails"}


@pytest.mark.parametrize("name", FILES)
def test_every_handrail_variable_is_a_setting(name: str) -> None:
    named = set(re.findall(r"\bHANDRAIL_[A-Z_]*[A-Z]\b", read(name)))
    assert named, name
    assert named <= set(Settings.variables())


def test_the_readme_names_every_setting() -> None:
    assert set(Settings.variables()) <= set(re.findall(r"HANDRAIL_[A-Z_]+", read("README.md")))


@pytest.mark.parametrize("name", ["worker", "inbox"])
def test_the_values_are_accepted_as_settings(compose: dict[str, Any], name: str) -> None:
    given = image_environment(name) | compose["services"][name]["environment"]
    filled = {key: value.replace("${HANDRAIL_INBOX_URL:?}", URL) for key, value in given.items()}
    for environment in (
        filled,
        pod_environment(name),
        unit_environment(f"handrail-{name}.service"),
    ):
        settings = Settings.from_environment(environment)
        assert settings.proof == "required"
        assert settings.keyring.is_relative_to("/etc/handrail")


def test_a_worker_says_itself_that_proof_is_required(compose: dict[str, Any]) -> None:
    worker = compose["services"]["worker"]["environment"]
    units = unit_environment("handrail-worker.service")
    for given in (image_environment("worker"), worker, pod_environment("worker"), units):
        assert given["HANDRAIL_PROOF"] == "required"


def test_the_examples_of_what_the_inbox_is_told_are_settings() -> None:
    example = re.findall(r"^#(\w+)=(.*)$", read("inbox.env.example"), flags=re.MULTILINE)
    settings = Settings.from_environment(dict(example))
    assert settings.oidc_client_id
    assert settings.smtp_url is not None


def test_no_worker_is_told_what_only_the_inbox_may_know(compose: dict[str, Any]) -> None:
    worker = compose["services"]["worker"]
    for given in (
        image_environment("worker"),
        worker["environment"],
        pod_environment("worker"),
        unit_environment("handrail-worker.service"),
    ):
        assert not SECRETS & set(given)
    assert "env_file" not in worker
    assert pod("worker")[1]["envFrom"] == [{"secretRef": {"name": "worker"}}]
    assert "EnvironmentFile=/etc/handrail/inbox.env" not in read("handrail-worker.service")
    # The control: those are the names by which the inbox is told.
    assert len(SECRETS & set(re.findall(r"^#(\w+)=", read("inbox.env.example"), re.MULTILINE))) > 3


def test_the_private_key_is_where_only_the_inbox_looks(compose: dict[str, Any]) -> None:
    home = image_environment("inbox")["HANDRAIL_HOME"]
    holders = [
        name
        for name, service in compose["services"].items()
        if any(volume.startswith("inbox:") for volume in service.get("volumes", []))
    ]
    assert holders == ["inbox"]
    assert f"inbox:{home}" in compose["services"]["inbox"]["volumes"]
    assert "inbox" not in {volume["name"] for volume in pod("worker")[0]["volumes"]}
    (mount,) = [m for m in pod("inbox")[1]["volumeMounts"] if m["name"] == "inbox"]
    assert mount["mountPath"] == home
    assert "StateDirectory=handrail-inbox\nStateDirectoryMode=0700" in read(UNITS[1])
    assert "handrail-inbox" not in read(UNITS[0])


def test_workers_and_inbox_read_the_keyring_and_write_it_nowhere(compose: dict[str, Any]) -> None:
    for name in ("worker", "inbox"):
        assert "keyring:/etc/handrail/keys:ro" in compose["services"][name]["volumes"]
        (mount,) = [m for m in pod(name)[1]["volumeMounts"] if m["name"] == "keyring"]
        assert mount["readOnly"] is True
    assert "keyring:/etc/handrail/keys" in compose["services"]["keys"]["volumes"]
    assert compose["services"]["keys"]["network_mode"] == "none"


@pytest.mark.parametrize("name", ["worker", "inbox"])
def test_pods_may_do_little(name: str) -> None:
    spec, container = pod(name)
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    claimed = {volume["name"] for volume in spec["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == claimed


def test_probes_ask_the_inbox_by_its_own_name() -> None:
    host = urlsplit(pod_environment("inbox")["HANDRAIL_INBOX_URL"]).hostname
    for probe in ("readinessProbe", "livenessProbe"):
        asked = pod("inbox")[1][probe]["httpGet"]
        assert asked["httpHeaders"] == [{"name": "Host", "value": host}]
    hosts = {rule["host"] for rule in kubernetes()["Ingress", "inbox"]["spec"]["rules"]}
    assert hosts == {host}


def test_every_temporal_variable_of_a_worker_has_an_effect(
    compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    given = compose["services"]["worker"]["environment"]
    named = [name for name in given if name.startswith("TEMPORAL_")]
    assert named
    for name in named:
        before = connection(Settings())
        monkeypatch.setenv(name, given[name])
        assert connection(Settings()) != before, name


def test_every_variable_of_the_compose_file_is_in_the_example() -> None:
    wanted = set(re.findall(r"(?<!\$)\$\{(\w+)", read("compose.yaml")))
    assert wanted == set(re.findall(r"^(\w+)=", read(".env.example"), flags=re.MULTILINE))


def test_mounted_files_and_build_context_exist(compose: dict[str, Any]) -> None:
    for name in ("worker", "inbox"):
        build = compose["services"][name]["build"]
        assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
        assert image(build["target"])
    mounts = [
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
    ]
    for mount in mounts:
        assert mount in compose["volumes"] or (DEPLOY / mount).is_file(), mount


def test_published_ports_are_loopback(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_services_wait_for_what_can_be_waited_for(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["worker"]["deploy"]["replicas"] == 2
    for service in services.values():
        for name, wait in service.get("depends_on", {}).items():
            needed = services[name]
            if wait["condition"] == "service_healthy":
                assert "healthcheck" in needed or "build" in needed, name
            else:
                assert needed["restart"].startswith("on-failure"), name


@pytest.mark.parametrize(
    ("name", "port", "path"),
    [("worker", "HANDRAIL_METRICS_PORT", "metrics"), ("inbox", "HANDRAIL_INBOX_PORT", "health")],
)
def test_the_health_check_asks_the_port_of_the_image(name: str, port: str, path: str) -> None:
    (check,) = [words for words in image(name) if words[0] == "HEALTHCHECK"]
    number = image_environment(name)[port]
    assert f"http://127.0.0.1:{number}/{path}" in " ".join(check)
    assert ["EXPOSE", number] in image(name)


@pytest.mark.parametrize("name", ["worker", "inbox", "handrail"])
def test_an_image_gets_sigterm_and_is_not_root(name: str) -> None:
    words = image(name)
    (command,) = [each for each in words if each[0] == "CMD"]
    assert command[:2] == ["CMD", "[handrail,"]  # exec form
    assert ["USER", "10001"] in words  # Kubernetes does not know who a name is
    assert ["STOPSIGNAL", "SIGTERM"] in words


def test_dynamic_configuration_has_temporals_shape() -> None:
    for name, values in load("dynamicconfig.yaml").items():
        assert re.fullmatch(r"[a-z]+\.\w+", name)
        assert [set(value) for value in values] == [{"value"}]


@pytest.fixture
async def small_ledger(postgres_url: str) -> Ledger:
    """The ledger of the worker's user, as the user for the inbox sees it."""
    if shutil.which("psql") is None:
        pytest.skip("psql is not installed: apt-get install postgresql-client")
    async with Ledger(postgres_url):
        pass
    url = sa.make_url(postgres_url)
    make_inbox_user(str(url.query["host"]))
    make_inbox_user(str(url.query["host"]))  # it does no harm twice
    return Ledger(url.set(username="handrail_inbox").render_as_string(hide_password=False))


def make_inbox_user(host: str) -> None:
    script = [
        "-v",
        "ON_ERROR_STOP=1",
        "-v",
        "password=some",
        "-f",
        str(DEPLOY / "ledger-inbox.sql"),
    ]
    where = {"PGHOST": host, "PGUSER": "postgres", "PGDATABASE": "handrail"}
    argv = ["psql", "--no-psqlrc", "--quiet", *script]
    subprocess.run(argv, env=os.environ | where, check=True)


async def test_the_ledgers_user_for_the_inbox_may_do_what_the_inbox_does(
    small_ledger: Ledger,
) -> None:
    now = datetime.now(UTC)
    row = MandateRow(
        id="a" * 32,
        kind="delegation",
        agent="shipments",
        by="ana@example.com",
        to="bo@example.com",
        begins=now,
        ends=now + timedelta(days=1),
        text="",
    )
    async with small_ledger as ledger:
        assert await ledger.add_mandate(row)
        assert not await ledger.add_mandate(row)
        assert await ledger.revoke_mandate(row.id, "ana@example.com", now)
        assert [each.revoked_by for each in await ledger.mandates()] == ["ana@example.com"]
        assert await ledger.rulings() == []
        # The figures and pages of owners.
        figures = await ledger.agent_figures("shipments", now - timedelta(days=1), now)
        assert (figures.open, figures.cases) == (0, ())
        assert await ledger.old_questions("shipments", now) == []
        assert (await ledger.policies("shipments"), await ledger.alerts()) == ([], [])
        assert not (await ledger.spent("shipments", now)).cost
        assert await ledger.baselines("shipments") == await ledger.outcomes("shipments") == []


KEY = "shipments:1/rebook/1"
INTENT = Intent(
    key=KEY,
    case="shipments:1",
    agent="shipments",
    step="rebook",
    digest="0" * 64,
    action={},
    policy="",
    owner="",
    deadline=datetime(2026, 3, 1, tzinfo=UTC),
)
REVIEW = ReviewRow(
    key=KEY,
    agent="shipments",
    step="rebook",
    case="shipments:1",
    at=datetime(2026, 3, 1, tzinfo=UTC),
    why="",
    share=1.0,
    role="lead",
    people=("ana@example.com",),
)
INCIDENT = IncidentRow(
    id=f"{KEY}!mismatch",
    agent="shipments",
    step="rebook",
    case="shipments:1",
    key=KEY,
    kind="mismatch",
    what="",
    at=datetime(2026, 3, 1, tzinfo=UTC),
)


async def test_the_ledgers_user_for_the_inbox_may_look_at_what_was_done_and_say_what_it_was(
    postgres_url: str, small_ledger: Ledger
) -> None:
    now = datetime.now(UTC)
    async with Ledger(postgres_url) as workers:
        await workers.begin(INTENT)
        await workers.review(REVIEW)
        await workers.incident(INCIDENT)
    said = AnswerRow(KEY, "wrong", "ana@example.com", now, "too late", "")
    async with small_ledger as ledger:
        assert await ledger.answer_review(said)
        assert [row.answer for row in await ledger.reviews()] == ["wrong"]
        assert [row.note for row in await ledger.review_answers(KEY)] == ["too late"]
        written = await ledger.written(KEY)
        assert written is not None
        assert await ledger.verdicts() == []
        assert await ledger.close_incident(INCIDENT.id, "ana@example.com", now, "rebooked")
        assert [row.closed_why for row in await ledger.incidents()] == ["rebooked"]


READ = {"select"}
RIGHTS: dict[str, set[str]] = {
    "handrail_alerts": {"select", "insert", "update"},
    "handrail_baselines": READ,
    "handrail_cases": READ,
    "handrail_counted": READ,
    "handrail_counters": READ,
    "handrail_decisions": READ,
    "handrail_effects": READ,
    "handrail_errors": READ,
    "handrail_heights": set(),
    "handrail_identity": set(),
    "handrail_incidents": {"select", "update closed closed_by closed_why"},
    "handrail_intake": {
        "select",
        "insert",
        "update body case_id ended ended_by ended_why headers raw requested_by state why",
    },
    "handrail_comparisons": {"select", "insert", "delete", "update rule"},
    "handrail_mandates": {"select", "insert", "update revoked revoked_by"},
    "handrail_mandate_uses": READ,
    "handrail_orders": {"select", "insert"},
    "handrail_outcomes": {"select", "insert", "update judged judged_at judged_by judged_why"},
    "handrail_policies": READ,
    "handrail_presence": READ,
    "handrail_questions": READ,
    "handrail_review_answers": {"select", "insert"},
    "handrail_reviews": {"select", "update answer answered by note proof"},
    "handrail_rulings": READ,
    "handrail_schema": {"select", "update"},
    "handrail_spending": READ,
    "handrail_verdicts": READ,
}
"""What the inbox may do with every table that there is: a new one is decided about here."""

_WHOLE = """
select relname, right_ from pg_class
cross join unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'trigger']) as right_
where relkind = 'r' and relnamespace = 'public'::regnamespace
and has_table_privilege('handrail_inbox', oid, right_)
"""
_COLUMNS = """
select table_name, column_name from information_schema.column_privileges
where grantee = 'handrail_inbox' and privilege_type = 'UPDATE' order by column_name
"""
_TABLES = "select tablename from pg_tables where schemaname = 'public'"


@pytest.mark.usefixtures("small_ledger")
def test_the_ledgers_user_for_the_inbox_has_these_rights_and_no_others(postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        found = {name: set[str]() for name in connection.scalars(sa.text(_TABLES))}
        for name, right in connection.execute(sa.text(_WHOLE)):
            found[name].add(right)
        columns: dict[str, list[str]] = {}
        for name, column in connection.execute(sa.text(_COLUMNS)):
            columns.setdefault(name, []).append(column)
    for name, names in columns.items():
        if "update" not in found[name]:
            found[name].add(" ".join(["update", *names]))
    assert found == RIGHTS


async def test_the_ledgers_user_for_the_inbox_may_keep_mend_and_end_what_comes_in(
    small_ledger: Ledger,
) -> None:
    now = datetime.now(UTC)
    given: dict[str, Any] = {
        "raw": True,
        "body": "{}",
        "headers": {},
        "requested_by": "",
        "why": "",
    }
    row = IntakeRow("i", "shipments", "shop", now, IntakeState.WAITING, **given)
    async with small_ledger as ledger:
        assert await ledger.keep(row)
        assert await ledger.intake() == [row]
        assert await ledger.change_intake("i", state=IntakeState.WRONG, why="no such case")
        mended: dict[str, Any] = given | {"raw": False, "body": "7", "requested_by": "ana"}
        assert await ledger.change_intake("i", state=IntakeState.WAITING, **mended)
        assert await ledger.end_intake("i", IntakeState.DROPPED, now, by="ana@example.com")
        assert await ledger.intake() == []


async def test_the_ledgers_user_for_the_inbox_may_stop_agents_and_not_lift_a_stop(
    small_ledger: Ledger,
) -> None:
    now = datetime.now(UTC)
    async with small_ledger as ledger:
        assert await ledger.order(OrderRow("1", "stop", "shipments", "ana@example.com", now))
        with pytest.raises(LedgerUnavailable, match="permission denied"):
            await ledger.end_order("1", "ana@example.com", now, "it is over")
        assert [row.ended for row in await ledger.orders(live=True)] == [None]


async def test_the_ledgers_user_for_the_inbox_may_say_of_no_write_that_it_has_begun(
    small_ledger: Ledger,
) -> None:
    async with small_ledger as ledger:
        forbidden = [
            ledger.begin(INTENT),
            ledger.abandon(KEY, "", ""),
            ledger.review(REVIEW),
            ledger.incident(INCIDENT),
        ]
        for each in forbidden:
            with pytest.raises(LedgerUnavailable, match="permission denied"):
                await each


@pytest.mark.parametrize(
    "statement",
    [
        "update handrail_review_answers set answer = 'right'",
        "delete from handrail_review_answers",
        "delete from handrail_reviews",
        "update handrail_reviews set share = 1",
        "update handrail_incidents set what = ''",
        "delete from handrail_incidents",
        "update handrail_orders set kind = 'level'",
        "delete from handrail_orders",
        "update handrail_effects set alone = false",
        "delete from handrail_verdicts",
    ],
)
async def test_the_ledgers_user_for_the_inbox_cannot_change_the_record(
    postgres_url: str, small_ledger: Ledger, statement: str
) -> None:
    async with small_ledger:
        url = sa.make_url(postgres_url).set(username="handrail_inbox")
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with pytest.raises(ProgrammingError, match="permission denied"), engine.begin() as c:
            c.execute(sa.text(statement))


@pytest.mark.parametrize("name", UNITS)
@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd is not installed: apt-get install systemd",
)
def test_systemd_accepts_the_unit(tmp_path: Path, name: str) -> None:
    text = read(name)
    unit = tmp_path / name
    unit.write_text(text.replace("/opt/handrail/.venv/bin/handrail", "/bin/true"), "utf-8")
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


def documents(*names: str) -> list[dict[str, Any]]:
    yaml = YAML(typ="safe")
    return [
        each
        for name in names
        for each in yaml.load_all(read(name))  # pyright: ignore[reportUnknownMemberType] (untyped)
    ]


def test_what_guards_and_scrapes_pods_selects_pods_that_are_there() -> None:
    found = documents(*KUBERNETES)
    pods = [each["spec"]["template"] for each in found if each["kind"] == "Deployment"]
    ports = {
        (pod["metadata"]["labels"]["app"], port["name"])
        for pod in pods
        for container in pod["spec"]["containers"]
        for port in container["ports"]
    }
    for each in found:
        chosen = (
            each["spec"].get("podSelector") or each["spec"].get("selector")
            if "spec" in each
            else None
        )
        if not chosen or each["kind"] in {"Deployment", "Service"}:
            continue
        app = chosen["matchLabels"]["app"]
        assert app in {name for name, _ in ports}, each["metadata"]
        named = [
            entry["port"] for rule in each["spec"].get("ingress", ()) for entry in rule["ports"]
        ] + [e["port"] for e in each["spec"].get("podMetricsEndpoints", ())]
        named += [e["port"] for e in each["spec"].get("endpoints", ())]
        assert {(app, port) for port in named} <= ports


def test_the_kustomization_names_what_is_there() -> None:
    [made] = documents("kustomization.yaml")
    assert all((DEPLOY / name).is_file() for name in made["resources"])
    used = {
        container["image"].rpartition(":")[0]
        for each in documents("kubernetes.yaml")
        if each["kind"] == "Deployment"
        for container in each["spec"]["template"]["spec"]["containers"]
    }
    assert {each["name"] for each in made["images"]} == used


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed here")
def test_kustomize_builds_it() -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", DEPLOY], check=False, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    assert "kind: PodDisruptionBudget" in built.stdout


def test_the_image_to_derive_from_brings_no_agent() -> None:
    assert not [words for words in image("handrail") if words[0] == "COPY" and words[1][:2] != "--"]
    assert image_environment("handrail") == image_environment("worker")
    dockerfile = re.findall(
        r"^```dockerfile\n(.*?)^```$", read("README.md"), re.MULTILINE | re.DOTALL
    )
    assert dockerfile == ["FROM handrail\nCOPY . .\n"]


def test_the_worker_controllers_pods_are_those_of_the_deployment() -> None:
    declared = kubernetes("kubernetes-worker-controller.yaml")
    connection_ = declared["Connection", "temporal"]
    deployment = declared["WorkerDeployment", "shipments"]
    given = deployment["spec"]["workerOptions"]["connectionRef"]["name"]
    assert given == connection_["metadata"]["name"]
    # Two that decide which build gets the cases would undo each other's doing.
    assert deployment["spec"]["rollout"] == {"strategy": "Manual"}
    ours = kubernetes()["Deployment", "worker"]["spec"]
    address = pod_environment("worker")["TEMPORAL_ADDRESS"]
    assert connection_["spec"] == {"hostPort": address}
    container = ours["template"]["spec"]["containers"][0]
    # The controller says where Temporal is.
    container["env"] = [e for e in container["env"] if not e["name"].startswith("TEMPORAL_")]
    assert deployment["spec"]["template"] == ours["template"]
    assert deployment["spec"]["replicas"] == ours["replicas"]
