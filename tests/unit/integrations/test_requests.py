"""Steps made of requests by hand: what they send, once, and what answers mean."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field
from starlette.responses import PlainTextResponse

from handrail import Action, Effect, Final, NotDone, Receipt, StepError
from handrail.actions import Undoes, as_json
from handrail.agent import call_directly, secrets_given
from handrail.integrations.connectors import HTTP, OpenAPI
from handrail.integrations.connectors.http import HttpRequest, Unanswered, changed
from handrail.testing import call_find, call_write
from tests.agents.billing_service import TOKEN, BillingService, billing_service
from tests.agents.file_server import file_server

SECURITY = {"type": "apiKey", "in": "header", "name": "X-Token"}


class Pay(Action):
    """Pay an invoice."""

    invoice: str
    amount: Decimal
    note: str | None = None


class PayPlainly(Action):
    """Pay an invoice, as its document has it."""

    invoice: str
    amount: Decimal


class PayWithFee(Pay):
    """Pay an invoice, and what that costs."""

    fee: Decimal | None = None


class Note(Action):
    """Put a note."""

    number: str
    text: str


class Rewrite(Action):
    """Put another note in its place."""

    number: str
    text: str
    if_match: str


class Invoice(BaseModel):
    id: str
    total: Decimal


@pytest.fixture(scope="module")
def running() -> Generator[BillingService]:
    with billing_service() as made:
        yield made


@pytest.fixture
def service(running: BillingService, monkeypatch: pytest.MonkeyPatch) -> Generator[BillingService]:
    monkeypatch.setenv("HANDRAIL_SECRET_BILLING_TOKEN", TOKEN)
    for kept in (running.payments, running.asked, running.answers):
        kept.clear()
    with secrets_given(["BILLING_TOKEN"]):
        yield running


@pytest.fixture
def billing(service: BillingService) -> HTTP:
    return HTTP(service.url, auth="BILLING_TOKEN", security=SECURITY)


def effect(attempt: int) -> Effect:
    return Effect(key="test:1/write/1", case="test:1", step="write", attempt=attempt)


async def test_what_the_url_lacks_is_sent_as_json_once_and_taken_back_by_its_result(
    billing: HTTP, service: BillingService
) -> None:
    pay = billing.write(
        "pay",
        PayWithFee,
        "POST /payments",
        idempotency_header="Idempotency-Key",
        undo="DELETE /payments/{result.id}",
    )
    assert (pay.idempotent, pay.find, pay.secrets) == (True, None, ("BILLING_TOKEN",))
    action = PayWithFee(invoice="INV-1", amount=Decimal("12.50"), fee=Decimal("0.30"))
    first, again = [await call_write(pay, action) for _ in range(2)]
    assert first == again
    assert first["times"] == 1
    assert service.asked[-1] == (
        "POST",
        "/payments",
        {"invoice": "INV-1", "amount": "12.50", "fee": "0.30"},
    )
    assert pay.undo is not None
    kept = as_json(pay.adapter.validate_python(first))
    now = datetime.now(UTC)
    receipt = Receipt(
        key="test:1/write/1", step="pay", digest="", at=now, how="written", result=kept
    )
    undoes = Undoes(key=receipt.key, receipt=receipt)
    for _ in range(2):
        await call_write(pay.undo, action, undoes=undoes)
    assert service.payments == {}


async def test_a_system_without_keys_is_asked_for_the_one_it_was_sent(
    billing: HTTP, service: BillingService
) -> None:
    pay = billing.write(
        "pay",
        Pay,
        "POST /payments",
        key_field="reference",
        find="GET /payments?reference={key}",
        settles=timedelta(0),
    )
    action = Pay(invoice="INV-1", amount=Decimal(3))
    assert await call_find(pay, action) is None
    assert not pay.idempotent
    made = await call_write(pay, action)
    assert made["reference"] == "test:1/write/1"
    assert await call_find(pay, action) == made
    assert len(service.payments) == 1


async def test_without_anything_people_are_asked(billing: HTTP) -> None:
    pay = billing.write("pay", Pay, "POST /payments")
    assert pay.marked


@pytest.mark.parametrize(
    ("status", "attempt", "kind"),
    [
        (400, 1, Final),
        (404, 1, Final),
        (409, 1, Final),
        (409, 2, Unanswered),
        (408, 1, Unanswered),
        (429, 1, NotDone),
        (302, 1, Unanswered),
        (500, 1, Unanswered),
    ],
)
async def test_answers_mean_what_they_mean_of_a_document(
    billing: HTTP, service: BillingService, status: int, attempt: int, kind: type[Exception]
) -> None:
    pay = billing.write("pay", Pay, "POST /payments", idempotency_header="Idempotency-Key")
    service.answers.append(PlainTextResponse("no", status))
    with pytest.raises(kind, match=f"{status}: no"):
        await call_directly(pay.fn, Pay(invoice="I", amount=Decimal(1)), effect(attempt))
    away = HTTP("http://127.0.0.1:1").write("pay", Pay, "POST /payments")
    with pytest.raises(NotDone, match="cannot be reached"):
        await call_write(away, Pay(invoice="I", amount=Decimal(1)))


async def test_a_read_by_its_url_is_typed_or_text_from_outside(
    billing: HTTP, service: BillingService
) -> None:
    step = billing.read("invoice", "GET /invoices/{id}", returns=Invoice)
    found = step.adapter.validate_python(await step("INV-1/a b"))
    assert (found.id, found.total, step.reaches_out) == ("INV-1/a b", Decimal("12.5"), True)
    assert service.asked[-1][1] == "/invoices/INV-1%2Fa%20b?"
    plain = billing.read("plain", "GET /payments?reference={number}", reaches_out=False)
    assert json.loads(plain.adapter.validate_python(await plain("7")).text) == {"items": []}
    for bad in ("", "..", None, ["x"]):
        with pytest.raises(Final, match="nothing was sent"):
            await step(bad)


class Drop(Action):
    """Drop something of a folder."""

    item: str


class Deep(Action):
    """Drop something below a folder."""

    item: Annotated[str, Field(pattern="^[a-z]+(/[a-z]+)*$")]


@pytest.mark.parametrize("item", ["a/b", "a\\b", "../b", "a/../b", "a/.", "a\\..\\b", ".", "/"])
async def test_a_value_in_the_path_of_a_write_leads_to_no_other_place(
    billing: HTTP, service: BillingService, item: str
) -> None:
    drop = billing.write("drop", Drop, "DELETE /payments/{item}")
    with pytest.raises(Final, match=r"is no part of a path.*nothing was sent"):
        await call_write(drop, Drop(item=item))
    look = billing.read("look", "GET /invoices/{item}")
    if "." in item:
        with pytest.raises(Final, match="is no part of a path"):
            await look(item)
    assert not service.asked


async def test_a_pattern_lets_a_slash_into_a_path_and_a_key_is_not_looked_for_in_one(
    billing: HTTP, service: BillingService
) -> None:
    deep = billing.write("deep", Deep, "DELETE /payments/{item}")
    with pytest.raises(Final, match="404"):
        await call_write(deep, Deep(item="a/b"))
    made: dict[str, Any] = {
        "key_field": "reference",
        "idempotent": True,
        "undo": "DELETE /payments/{key}",
    }
    with pytest.raises(StepError, match="undo: a key has slashes, and many servers part a path"):
        billing.write("pay", Pay, "POST /payments", **made)
    look: dict[str, Any] = {
        "key_field": "reference",
        "find": "GET /payments/{key}",
        "settles": timedelta(0),
    }
    with pytest.raises(StepError, match="find: a key has slashes"):
        billing.write("pay", Pay, "POST /payments", **look)


@pytest.mark.parametrize(
    "amount", ["9007199254740993.5", "0.1234567890123456789", "1E-400", "1e400"]
)
async def test_a_decimal_that_no_number_keeps_is_not_sent_as_another(
    service: BillingService, amount: str
) -> None:
    document = service.document | {"servers": [{"url": service.url}]}
    api = OpenAPI(document, "", auth="BILLING_TOKEN")
    pay = api.write("createPayment", action=PayPlainly, idempotency_header="Idempotency-Key")
    with pytest.raises(Final, match=r"amount: no number of JSON keeps all of .*; nothing was sent"):
        await call_write(pay, PayPlainly(invoice="INV-1", amount=Decimal(amount)))
    assert not service.asked


GATEWAYS = (b"404 page not found\n", b"<html>404</html>", b"default backend - 404")


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (401, '{"error": "who are you?"}', Unanswered),
        (403, "<html>no</html>", Unanswered),
        (403, '{"error": "not to this account"}', Final),
        (404, "404 page not found", Unanswered),
        (404, '{"error": "no such invoice"}', Final),
        (422, '{"error": "too much"}', Final),
    ],
)
async def test_a_later_attempt_that_is_not_let_in_hears_nothing_of_the_first(
    billing: HTTP, service: BillingService, status: int, said: str, kind: type[Exception]
) -> None:
    pay = billing.write("pay", Pay, "POST /payments", idempotency_header="Idempotency-Key")
    for attempt, expected in ((1, Final), (2, kind)):
        service.answers.append(PlainTextResponse(said, status))
        with pytest.raises(expected) as raised:
            await call_directly(pay.fn, Pay(invoice="I", amount=Decimal(1)), effect(attempt))
        assert type(raised.value) is expected


@pytest.mark.parametrize("said", GATEWAYS)
async def test_what_a_gateway_says_of_its_system_is_no_word_on_an_effect(
    billing: HTTP, service: BillingService, said: bytes
) -> None:
    sure: dict[str, Any] = {
        "key_field": "reference",
        "find": "GET /invoices/{invoice}?reference={key}",
        "settles": timedelta(0),
        "undo": "DELETE /payments/{invoice}",
    }
    pay = billing.write("pay", Pay, "POST /payments", **sure)
    action = Pay(invoice="I", amount=Decimal(1))
    assert await call_find(pay, action) is None  # 404, in JSON: it is not there
    service.answers.append(PlainTextResponse(said, 404))
    with pytest.raises(Unanswered, match="answered 404"):
        await call_find(pay, action)
    request = HttpRequest("DELETE", f"{service.url}/payments/1")
    assert await changed(request, 5, 1, gone=True) is None
    with pytest.raises(Unanswered, match="404: Not Found"):
        await changed(replace(request, url=f"{service.url}/nowhere/1"), 5, 1, gone=True)


async def test_a_number_that_no_float_keeps_is_read_digit_by_digit(
    billing: HTTP, service: BillingService
) -> None:
    step = billing.read("invoice", "GET /invoices/{id}", returns=Invoice)
    service.answers.append(PlainTextResponse('{"id": "1", "total": 12345678901234567.89}'))
    found = step.adapter.validate_python(await step("INV-1"))
    assert found.total == Decimal("12345678901234567.89")
    # Some write every float with 17 digits.
    service.answers.append(PlainTextResponse('{"id": "1", "total": 12.300000000000001}'))
    found = step.adapter.validate_python(await step("INV-1"))
    assert found.total == Decimal("12.3")


async def test_a_resource_is_made_or_replaced_once_by_its_precondition() -> None:
    async with file_server() as (drive, url):
        notes = HTTP(url)
        put = notes.write("put", Note, "PUT /notes/{number}", precondition="If-None-Match")
        note = Note(number="1", text="a")
        drive.loses = 1
        with pytest.raises(Unanswered, match="502"):
            await call_write(put, note)
        assert await call_write(put, note) == {"text": "a"}
        other = note.model_copy(update={"text": "b"})
        with pytest.raises(Final, match="412"):
            await call_write(put, other)
        # An earlier attempt may have made it, and somebody replaced that.
        with pytest.raises(Unanswered, match="412"):
            await call_directly(put.fn, other, effect(2))

        edit = notes.write("edit", Rewrite, "PUT /notes/{number}", precondition="If-Match")
        first = drive.tag("/notes/1")
        second = Rewrite(number="1", text="c", if_match=first)
        drive.loses = 1
        with pytest.raises(Unanswered, match="502"):
            await call_write(edit, second)
        assert await call_write(edit, second) == {"text": "c"}
        with pytest.raises(Final, match="412"):
            await call_write(edit, second.model_copy(update={"text": "d"}))
        with pytest.raises(Final, match="no value of a header"):
            await call_write(edit, second.model_copy(update={"if_match": '"a"\r\nX: 1'}))
        for any_version in ("*", 'W/"1"', ""):
            with pytest.raises(Final, match="no ETag of one version"):
                await call_write(edit, second.model_copy(update={"if_match": any_version}))
        assert (put.idempotent, edit.idempotent) == (True, True)
        assert drive.files == {"/notes/1": b'{"text": "c"}'}


@pytest.mark.parametrize(
    ("request_", "options", "why"),
    [
        ("POST payments", {}, "is no request; fix: a method"),
        ("GET /payments?state=open", {}, "each value a field"),
        ("POST /payments/{nobody}", {}, "lacks nobody"),
        ("DELETE /payments/{invoice}", {}, "knows no amount, note"),
        ("PUT /payments/{invoice}", {"precondition": "If-Match"}, "if_match: str"),
        ("POST /payments", {"find": "GET /payments?reference={key}"}, "must have been sent"),
        ("POST /payments", {"undo": "DELETE /payments/{id}"}, "undo_by"),
    ],
)
def test_what_does_not_fit_is_said_when_it_is_declared(
    request_: str, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(StepError, match=why):
        HTTP("https://billing.example.com").write("pay", Pay, request_, **options)
