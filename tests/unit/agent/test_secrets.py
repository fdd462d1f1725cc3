"""Secrets: where they come from, whom they reach, and in which disguises they are known."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import logging
import urllib.parse
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError
from temporalio.exceptions import ApplicationError
from typing_extensions import override

from handrail import (
    Decision,
    Effect,
    Final,
    NoEvidence,
    NotDone,
    StepError,
    decide,
    notify,
    read,
    secret,
    write,
)
from handrail.agent import secrets
from handrail.agent.secrets import SecretMissing, StepSecrets, forms, secrets_given
from tests.agents.policies import Rebook

VALUE = 'tök"en/+ 1234567890&<x>'
NAME = "CARRIER_TOKEN"


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDRAIL_SECRET_CARRIER_TOKEN", VALUE)
    monkeypatch.delenv("HANDRAIL_SECRET_DIR", raising=False)


# Whom they reach


@read(secrets=(NAME,))
async def entrusted() -> str:
    return secret(NAME).get_secret_value()


@read
async def ordinary() -> str:
    return secret(NAME).get_secret_value()


@read(secrets=(NAME,))
async def nosy() -> str:
    return await ordinary()


async def test_a_step_has_what_it_declares() -> None:
    assert await entrusted() == VALUE


@pytest.mark.parametrize("step", [ordinary, nosy])
async def test_any_other_step_is_told_what_to_do(step: Any) -> None:
    with pytest.raises(StepError, match=r'secrets=\("CARRIER_TOKEN",\)'):
        await step()


async def test_outside_of_steps_there_are_none() -> None:
    with pytest.raises(
        StepError, match=r"with handrail.testing.secrets_given\(\[.CARRIER_TOKEN.\]\)"
    ):
        secret(NAME)
    with secrets_given([NAME]):
        assert secret(NAME).get_secret_value() == VALUE
    with pytest.raises(StepError):
        secret(NAME)


async def test_steps_at_once_have_each_their_own() -> None:
    async def one(step: Any) -> Any:
        await asyncio.sleep(0)
        return await step()

    results = await asyncio.gather(
        *(one(step) for step in (entrusted, ordinary, entrusted)), return_exceptions=True
    )
    assert [type(result) for result in results] == [str, StepError, str]


async def test_threads_of_a_step_have_them_too() -> None:
    with secrets_given([NAME]):
        assert (await asyncio.to_thread(secret, NAME)).get_secret_value() == VALUE


@pytest.mark.parametrize(
    "names",
    [("carrier_token",), ("../etc/passwd",), ("A" * 65,), ("",), ("DIR",), "TOKEN", ("9A",)],
)
def test_a_bad_name_is_refused_where_it_is_declared(names: Any) -> None:
    async def look() -> str:
        raise NotImplementedError

    with pytest.raises(StepError, match=r"look: .*secret"):
        read(secrets=names)(look)


def test_every_posture_declares_them() -> None:
    async def choose() -> Decision[Rebook, NoEvidence]:
        raise NotImplementedError

    async def tell() -> None:
        raise NotImplementedError

    async def do(action: Rebook, effect: Effect) -> str:
        raise NotImplementedError

    steps: list[Any] = [
        decide(secrets=(NAME,))(choose),
        notify(secrets=[NAME, NAME])(tell),
        write(secrets=(NAME,))(do),
    ]
    assert {step.secrets for step in steps} == {(NAME,)}


async def test_what_finds_and_reads_back_a_write_has_the_secrets_of_the_write() -> None:
    async def find(action: Rebook, effect: Effect) -> str | None:
        return str(len(secret(NAME).get_secret_value()))

    async def verify(action: Rebook, effect: Effect, result: str) -> str | None:
        return f"{result} {secret(NAME).get_secret_value()}"

    @write(find=find, settles=timedelta(0), verify=verify, secrets=(NAME,))
    async def do(action: Rebook, effect: Effect) -> str:
        raise NotImplementedError

    effect = Effect(key="k", case="c", step="do")
    assert do.find is not None
    assert await do.find(Rebook(), effect) == str(len(VALUE))
    assert do.verify is not None
    # What it says is kept, so the value is not in it.
    assert await do.verify(Rebook(), effect, "ok") == "ok [secret CARRIER_TOKEN]"


# Where they come from


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("HANDRAIL_SECRET_CARRIER_TOKEN")
    monkeypatch.setenv("HANDRAIL_SECRET_DIR", str(tmp_path))
    return tmp_path


def put(path: Path, data: bytes, mode: int = 0o600) -> None:
    path.write_bytes(data)
    path.chmod(mode)


def test_a_file_is_read_anew_each_time(directory: Path) -> None:
    with secrets_given([NAME]):
        for value in ("first value", "second value"):
            put(directory / NAME, f"{value}\n".encode())
            assert secret(NAME).get_secret_value() == value


def test_the_environment_is_asked_first(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(directory / NAME, b"of the file")
    monkeypatch.setenv("HANDRAIL_SECRET_CARRIER_TOKEN", "of the environment")
    with secrets_given([NAME]):
        assert secret(NAME).get_secret_value() == "of the environment"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, "is missing"),
        (b"", "is missing"),
        (b"\n", "is missing"),
        (b"short", "has 5 characters"),
        (b"x" * (secrets.LARGEST + 1), "more than"),
        (b"\xff\xfe\x00 binary", "is not UTF-8"),
    ],
)
def test_what_cannot_be_used_is_said_with_a_fix(
    directory: Path, data: bytes | None, why: str
) -> None:
    if data is not None:
        put(directory / NAME, data)
    with (
        secrets_given([NAME]),
        pytest.raises(SecretMissing, match=rf"(?s){NAME}.*{why}.*fix: ") as raised,
    ):
        secret(NAME)
    assert secrets.secret_faults("rebook", [NAME]) == [f"rebook: {raised.value}"]


def test_a_directory_in_its_place_is_no_secret(directory: Path) -> None:
    (directory / NAME).mkdir()
    with secrets_given([NAME]), pytest.raises(SecretMissing, match="is no file"):
        secret(NAME)


def test_a_file_that_others_may_read_is_warned_of_once(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(directory / NAME, b"of the file", 0o644)
    with caplog.at_level(logging.WARNING), secrets_given([NAME]):
        secret(NAME)
        secret(NAME)
    assert len(caplog.records) == 1
    assert f"chmod 600 {directory / NAME}" in caplog.text
    assert "of the file" not in caplog.text


def test_nothing_is_wrong_with_one_that_is_there() -> None:
    assert secrets.secret_faults("rebook", [NAME]) == []
    assert len(secrets.secret_faults("rebook", [NAME, "OTHER", "THIRD"])) == 2


# In which disguises they are known


def around(value: str, before: str, after: str) -> list[str]:
    """The value with something before and after it, as programs write it."""
    text = f"{before}{value}{after}"
    data = text.encode()
    return [
        text,
        base64.b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode(),
        urllib.parse.quote(text),
        urllib.parse.quote(text, safe=""),
        urllib.parse.quote_plus(text),
        urllib.parse.quote(text, safe="").lower(),
        data.hex(),
        data.hex().upper(),
        json.dumps({"a": text}),
        json.dumps({"a": text}, ensure_ascii=False),
        repr(text),
        html.escape(text),
    ]


EDGES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=7)


@drawn(st.text(min_size=8, max_size=60).filter(lambda v: len(v.strip()) >= 8), EDGES, EDGES)
def test_a_value_is_known_in_every_form_wherever_it_stands(
    value: str, before: str, after: str
) -> None:
    known = forms(value)
    for number, text in enumerate(around(value, before, after)):
        if number == 6 and value != value.lower():
            continue  # another value
        if number == 11 and "'" in text[1:-1]:
            continue  # which quotes Python chooses depends on what is around it
        assert any(form in text for form in known), number


@drawn(st.text(min_size=8, max_size=40))
def test_other_text_is_left_alone(text: str) -> None:
    if VALUE not in text:
        assert StepSecrets(frozenset([NAME])).leaked("nothing of the kind in here") == ()


@pytest.mark.parametrize("text", around(VALUE, "user:", " x"))
def test_a_result_that_holds_one_is_refused_without_saying_it(text: str) -> None:
    held = StepSecrets(frozenset([NAME]))
    for result in (text, {"a": ["b", text]}, {text: 1}, ("x", text)):
        with pytest.raises(StepError, match=r"rebook returned .*CARRIER_TOKEN") as raised:
            held.refuse("rebook", result)
        assert not any(form in str(raised.value) for form in forms(VALUE))


@pytest.mark.parametrize("text", around(VALUE, "user:", " x"))
def test_a_receipt_is_kept_with_the_value_masked(text: str) -> None:
    receipt = json.loads(json.dumps({"id": "B7", "echo": [text, 3], text: None}))
    value, fault = StepSecrets(frozenset([NAME])).masked(receipt)
    assert fault is not None
    assert isinstance(value, dict)
    assert value["id"] == "B7"
    whole = json.dumps(value, ensure_ascii=False) + fault
    assert not any(form in whole for form in forms(VALUE))
    assert "[secret CARRIER_TOKEN]" in whole


def test_a_number_that_is_a_secret_cannot_be_masked_and_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HANDRAIL_SECRET_CARRIER_TOKEN", "1234567890")
    value, fault = StepSecrets(frozenset([NAME])).masked({"n": 1234567890})
    assert (value, fault is None) == (None, False)


def test_what_holds_none_is_as_it_was() -> None:
    held = StepSecrets(frozenset([NAME]))
    whole = json.loads('{"id": "B7", "parts": [1, null, "x"]}')
    assert held.masked(whole) == (whole, None)
    held.refuse("rebook", whole)


def test_each_line_of_a_key_is_one() -> None:
    key = (
        "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nabcdefghijklmnop\n-----END KEY-----"
    )
    assert "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" in forms(key)
    assert not any("BEGIN" in form and "\n" not in form and len(form) < 25 for form in forms(key))


def test_a_replaced_value_is_known_as_long_as_the_step_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with secrets_given([NAME]) as held:
        secret(NAME)
        monkeypatch.setenv("HANDRAIL_SECRET_CARRIER_TOKEN", "another value")
        assert held.leaked(VALUE)
        assert held.leaked("it is another value")


def test_logs_know_what_any_step_was_given() -> None:
    with secrets_given([NAME]):
        secret(NAME)
    assert secrets.scrub_secrets(f"GET /?key={urllib.parse.quote(VALUE)}") == (
        "GET /?key=[secret CARRIER_TOKEN]"
    )


# In errors


class Own(Exception):
    """It says more than it was given."""

    def __init__(self, code: int, token: str) -> None:
        super().__init__(code)
        self.token = token

    @override
    def __str__(self) -> str:
        return f"{self.args[0]}: {self.token}"


class Mute(Exception):
    """It cannot say what it is."""

    @override
    def __str__(self) -> str:
        raise RuntimeError("mute")


def chained() -> Exception:
    error = ValueError("nothing to see")
    error.__cause__ = KeyError(f"token {VALUE}")
    return error


def noted() -> Exception:
    error = ValueError("nothing to see")
    error.add_note(f"token {VALUE}")
    return error


def invalid() -> Exception:
    class Token(BaseModel):
        token: int

    try:
        TypeAdapter(Token).validate_python({"token": VALUE})
    except ValidationError as error:
        return error
    raise AssertionError


ERRORS: list[tuple[Callable[[], BaseException], type[BaseException]]] = [
    (lambda: ValueError(f"token {VALUE}"), ValueError),
    (lambda: KeyError(VALUE), KeyError),
    (lambda: TimeoutError(VALUE), TimeoutError),
    (lambda: TypeError(VALUE), TypeError),
    (lambda: Final(VALUE), Final),
    (lambda: NotDone(f"401 {base64.b64encode(VALUE.encode()).decode()}"), NotDone),
    (lambda: Own(401, VALUE), RuntimeError),
    (lambda: ExceptionGroup("two", [ValueError("a"), ValueError(VALUE)]), RuntimeError),
    (lambda: asyncio.CancelledError(VALUE), asyncio.CancelledError),
    (lambda: SystemExit(VALUE), SystemExit),
    (lambda: UnicodeDecodeError("utf-8", VALUE.encode(), 0, 1, VALUE), RuntimeError),
    (chained, ValueError),
    (noted, ValueError),
    (invalid, StepError),
    (lambda: ApplicationError("no", VALUE, type="T", non_retryable=True), ApplicationError),
]


@pytest.mark.parametrize(("make", "kind"), ERRORS)
def test_an_error_is_said_without_the_secret(
    make: Callable[[], BaseException], kind: type[BaseException]
) -> None:
    with pytest.raises(BaseException) as raised, secrets_given([NAME]):  # noqa: PT011  # any
        raise make()
    error = raised.value
    assert isinstance(error, kind)
    assert error.__cause__ is None
    assert not getattr(error, "details", ())
    shown = f"{error} {error!r} {getattr(error, '__notes__', '')} {vars(error)}"
    assert not any(form in shown for form in forms(VALUE))


def test_what_is_known_of_an_error_of_temporal_stays() -> None:
    with pytest.raises(ApplicationError) as raised, secrets_given([NAME]):
        raise ApplicationError(f"no {VALUE}", type="T", non_retryable=True)
    assert (raised.value.type, raised.value.non_retryable) == ("T", True)
    assert raised.value.message == "no [secret CARRIER_TOKEN]"


@pytest.mark.parametrize("error", [ValueError("401"), Mute(), Own(1, "x")])
def test_an_error_without_one_is_left_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, secrets_given([NAME]):
        raise error
    assert raised.value is error
