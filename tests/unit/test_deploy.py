"""The files of deploy/ are not run here: what can be checked without an engine is."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from handrail.settings import Settings, connection

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FILES = ["Dockerfile", "compose.yaml", "handrail-worker.service", "README.md"]


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
        words[1:] for words in instructions() if words[0] == "COPY" and "--from=build" not in words
    ]


def image_environment() -> dict[str, str]:
    pairs = [word for words in instructions() if words[0] == "ENV" for word in words[1:]]
    return dict(pair.split("=", 1) for pair in pairs)


@pytest.fixture
def compose() -> dict[str, Any]:
    return load("compose.yaml")


@pytest.mark.parametrize("arguments", copies(), ids=" ".join)
def test_every_copy_has_one_source_that_exists_and_is_not_ignored(arguments: list[str]) -> None:
    source, _ = arguments
    assert (ROOT / source).exists()
    assert f"!{source}" in read("Dockerfile.dockerignore").splitlines()


def test_every_folder_of_the_agents_is_copied_under_its_name() -> None:
    wanted = {"workflows", "activities", "guardrails", "workers"}
    assert wanted <= {target for source, target in copies() if source == target}


@pytest.mark.parametrize("name", FILES)
def test_every_handrail_variable_is_a_setting(name: str) -> None:
    named = set(re.findall(r"\bHANDRAIL_[A-Z_]*[A-Z]\b", read(name)))
    assert named
    assert named <= set(Settings.variables())


def test_the_readme_names_every_setting() -> None:
    assert set(Settings.variables()) <= set(re.findall(r"HANDRAIL_[A-Z_]+", read("README.md")))


def test_the_values_are_accepted_as_settings(compose: dict[str, Any]) -> None:
    given = {**image_environment(), **compose["services"]["worker"]["environment"]}
    Settings.from_environment(given)


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
    build = compose["services"]["worker"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
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


def test_two_workers_wait_for_what_they_need(compose: dict[str, Any]) -> None:
    worker = compose["services"]["worker"]
    assert worker["deploy"]["replicas"] == 2
    for name, wait in worker["depends_on"].items():
        needed = compose["services"][name]
        if wait["condition"] == "service_healthy":
            assert "healthcheck" in needed


def test_the_health_check_asks_the_port_of_the_image() -> None:
    (check,) = [words for words in instructions() if words[0] == "HEALTHCHECK"]
    port = image_environment()["HANDRAIL_METRICS_PORT"]
    code = " ".join(check)
    assert f"http://127.0.0.1:{port}/metrics" in code
    assert ["EXPOSE", port] in list(instructions())


def test_the_worker_gets_sigterm_and_is_not_root() -> None:
    words = list(instructions())
    assert words[-1][:2] == ["CMD", "[handrail,"]  # exec form
    assert ["USER", "handrail"] in words
    assert ["STOPSIGNAL", "SIGTERM"] in words


def test_dynamic_configuration_has_temporals_shape() -> None:
    for name, values in load("dynamicconfig.yaml").items():
        assert re.fullmatch(r"[a-z]+\.\w+", name)
        assert [set(value) for value in values] == [{"value"}]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    text = read("handrail-worker.service")
    unit = tmp_path / "handrail-worker.service"
    unit.write_text(text.replace("/opt/handrail/.venv/bin/handrail", "/bin/true"), "utf-8")
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
