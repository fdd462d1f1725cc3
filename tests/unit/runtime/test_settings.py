from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, TLSConfig

from handrail.exceptions import ConfigurationError, ServerUnavailable
from handrail.runtime.connection import connect, connection
from handrail.runtime.settings import Settings
from handrail.testing import free_ports


@pytest.fixture(autouse=True)
def no_temporal_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep this machine's own profiles out of the tests."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("ADDRESS", "NAMESPACE", "API_KEY", "TLS", "PROFILE", "CONFIG_FILE"):
        monkeypatch.delenv(f"TEMPORAL_{name}", raising=False)


@pytest.fixture
def closed_port() -> int:
    return free_ports()[0]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Accept connections, and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_defaults_live_in_one_directory() -> None:
    settings = Settings.from_environment({})
    assert settings.home == Path(".handrail")
    assert settings.ledger_url.get_secret_value() == "sqlite:///.handrail/ledger.db"
    assert settings.payload_dir == Path(".handrail/payloads")
    assert (settings.temporal_port, settings.ui_port) == (7233, 8233)
    assert settings.ui_url == "http://localhost:8233"
    assert settings.fleet == "workers.fleet:fleet"
    assert settings.keyring == Path(".handrail/keys/trusted.json")
    assert settings.key_dir == Path(".handrail/keys/private")
    assert settings.key is None
    assert settings.proof == "required"
    assert settings.metrics_port is None
    assert not settings.otel


def test_files_follow_the_home() -> None:
    settings = Settings.from_environment({"HANDRAIL_HOME": "/srv/h", "HANDRAIL_UI_PORT": "9000"})
    assert settings.ledger_url.get_secret_value() == "sqlite:////srv/h/ledger.db"
    assert settings.payload_dir == Path("/srv/h/payloads")
    assert settings.ui_url == "http://localhost:9000"


def test_every_setting_is_read_from_the_environment() -> None:
    settings = Settings.from_environment(
        {
            "HANDRAIL_HOME": "/a",
            "HANDRAIL_LEDGER_URL": "postgresql+psycopg://u:hunter2@db/ledger",
            "HANDRAIL_PAYLOAD_DIR": "/b",
            "HANDRAIL_TEMPORAL_PORT": "1",
            "HANDRAIL_UI_PORT": "2",
            "HANDRAIL_UI_URL": "https://temporal.example.com/ui/",
            "HANDRAIL_FLEET": "my.fleet:agents",
            "HANDRAIL_METRICS_PORT": "9464",
            "HANDRAIL_OTEL": "1",
            "HANDRAIL_LOG_FORMAT": "json",
            "HANDRAIL_INBOX_URL": "https://inbox.example.com/",
            "HANDRAIL_INBOX_DOMAINS": "Example.com, example.org",
            "HANDRAIL_INBOX_SECRET": "hunter2" * 6,
            "HANDRAIL_SMTP_URL": "smtps://me:hunter2@mail.example.com",
            "HANDRAIL_OIDC_CLIENT_SECRET": "hunter2",
            "HANDRAIL_OIDC_EMAIL": "as given",
            "PATH": "/bin",
        }
    )
    assert settings.ledger_shown == "postgresql+psycopg://u:***@db/ledger"
    assert "hunter2" in settings.ledger_url.get_secret_value()
    assert settings.ui_url == "https://temporal.example.com/ui"
    assert settings.metrics_port == 9464
    assert settings.otel
    assert settings.log_format == "json"
    assert settings.inbox_url == "https://inbox.example.com"
    assert settings.inbox_domains == ("example.com", "example.org")
    assert settings.oidc_email == "as given"
    assert settings.smtp_url is not None
    assert settings.smtp_url.get_secret_value() == "smtps://me:hunter2@mail.example.com"
    assert "hunter2" not in repr(settings)


def test_an_empty_variable_counts_as_unset() -> None:
    assert Settings.from_environment({"HANDRAIL_METRICS_PORT": ""}).metrics_port is None


def test_settings_cannot_be_changed() -> None:
    settings = Settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.otel = True


def test_unknown_variables_are_named_with_the_nearest_one() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({"HANDRAIL_UIPORT": "1", "HANDRAIL_NONSENSE_ZZZZ": "x"})
    message = str(caught.value)
    assert "HANDRAIL_UIPORT is not a setting: did you mean HANDRAIL_UI_PORT?" in message
    assert "HANDRAIL_NONSENSE_ZZZZ is not a setting: known are HANDRAIL_HOME" in message


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("HANDRAIL_UI_PORT", "many", "valid integer"),
        ("HANDRAIL_UI_PORT", "70000", "less than or equal to 65535"),
        ("HANDRAIL_OTEL", "perhaps", "valid boolean"),
        ("HANDRAIL_LOG_FORMAT", "xml", "'console' or 'json'"),
        ("HANDRAIL_FLEET", "workers/fleet.py", "match pattern"),
        ("HANDRAIL_PROOF", "none", "'required' or 'unproven'"),
        ("HANDRAIL_UI_URL", "localhost", "match pattern"),
        ("HANDRAIL_INBOX_URL", "https://example.com/inbox", "match pattern"),
        ("HANDRAIL_INBOX_SECRET", "short", "at least 32"),
        ("HANDRAIL_SMTP_URL", "mail.example.com:25", "is not a mail server"),
        ("HANDRAIL_MAIL_FROM", "Handrail <h@example.com>", "match pattern"),
        ("HANDRAIL_LEDGER_URL", "ledger.db", "is not a database URL"),
        ("HANDRAIL_LEDGER_URL", "postgresql://u:hush@db/x", "write postgresql+psycopg://"),
        ("HANDRAIL_LEDGER_URL", "sqlite+aiosqlite:///x.db", "write sqlite://"),
    ],
)
def test_a_bad_value_names_its_variable(name: str, value: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: .*") as caught:
        Settings.from_environment({name: value})
    assert said in str(caught.value)
    assert "hush" not in str(caught.value)


def test_without_settings_the_embedded_server_is_meant() -> None:
    assert connection(Settings(temporal_port=7999)) == {"target_host": "localhost:7999"}


def test_address_tls_and_key_come_from_temporals_own_variables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_bytes(b"ca")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "cloud.example.com:7233")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "prod")
    monkeypatch.setenv("TEMPORAL_API_KEY", "key")
    monkeypatch.setenv("TEMPORAL_TLS_SERVER_NAME", "sni.example.com")
    monkeypatch.setenv("TEMPORAL_TLS_SERVER_CA_CERT_PATH", str(tmp_path / "ca.pem"))
    assert connection(Settings()) == {
        "target_host": "cloud.example.com:7233",
        "namespace": "prod",
        "api_key": "key",
        "tls": TLSConfig(domain="sni.example.com", server_root_ca_cert=b"ca"),
    }


def test_a_profile_file_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "temporal.toml"
    file.write_text('[profile.prod]\naddress = "a:1"\nnamespace = "n"\n', encoding="utf-8")
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(file))
    monkeypatch.setenv("TEMPORAL_PROFILE", "prod")
    assert connection(Settings()) == {"target_host": "a:1", "namespace": "n"}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"TEMPORAL_PROFILE": "nowhere"}, "Profile 'nowhere' not found"),
        ({"TEMPORAL_CONFIG_FILE": "/no/such/file"}, "/no/such/file, which does not exist"),
        (
            {
                "TEMPORAL_TLS_CLIENT_CERT_PATH": "/no/cert",
                "TEMPORAL_TLS_CLIENT_KEY_PATH": "/no/key",
            },
            "/no/cert",
        ),
    ],
)
def test_wrong_temporal_settings_are_explained(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=said):
        connection(Settings())


async def test_everything_reaches_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    async def record(target: str, **rest: object) -> Client:
        seen.update(rest, target=target)
        await asyncio.sleep(0)
        raise RuntimeError("Failed client connect: status: Unauthenticated")

    monkeypatch.setattr(Client, "connect", record)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "cloud.example.com:7233")
    monkeypatch.setenv("TEMPORAL_API_KEY", "key")
    with pytest.raises(ConfigurationError, match="TEMPORAL_API_KEY"):
        await connect(Settings())
    assert seen["target"] == "cloud.example.com:7233"
    assert seen["api_key"] == "key"
    assert seen["tls"] is True


async def test_an_address_overrules_the_environment(
    monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "cloud.example.com:7233")
    with pytest.raises(ServerUnavailable, match=str(closed_port)):
        await connect(
            Settings(), address=f"127.0.0.1:{closed_port}", patience=timedelta(seconds=0.1)
        )


async def test_no_server_says_how_to_get_one(closed_port: int) -> None:
    with pytest.raises(ServerUnavailable, match=r"handrail dev.*Connection refused"):
        await connect(Settings(temporal_port=closed_port), patience=timedelta(seconds=0.4))


async def test_a_server_that_never_answers_does_not_hang_us(silent_port: int) -> None:
    with pytest.raises(ServerUnavailable, match="none at all"):
        await connect(Settings(temporal_port=silent_port), patience=timedelta(seconds=0.5))


def test_a_home_that_is_a_file_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(ConfigurationError, match=r"HANDRAIL_HOME: .*is a file; name"):
        Settings.from_environment({"HANDRAIL_HOME": str(tmp_path / "home")})
