"""Steps made of an OpenAPI document, against a service of the tests' own."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Generator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.responses import JSONResponse, PlainTextResponse, Response

from handrail import (
    Action,
    Agent,
    ConfigurationError,
    Effect,
    Final,
    NotDone,
    Receipt,
    StepError,
    Untrusted,
)
from handrail.actions import Undoes, as_json, canonical, from_json
from handrail.agent import Write
from handrail.integrations.connectors import OpenAPI
from handrail.integrations.connectors.http import LARGEST, Unanswered, as_key
from handrail.testing import call_find, call_write, secrets_given
from tests.agents import billing as declared
from tests.agents.billing_flow import BillingAgent
from tests.agents.billing_service import TOKEN, BillingService, billing_service

DOCUMENT = Path(declared.__file__).with_name("billing.json")
PAY: dict[str, Any] = {"idempotency_header": "Idempotency-Key"}
BACK: dict[str, Any] = {"undo": "cancelPayment", "undo_by": {"id": "result.id"}}
FOUND: dict[str, Any] = {
    "key_field": "reference",
    "find": "listPayments",
    "find_by": {"reference": "key"},
    "settles": timedelta(0),
}


@pytest.fixture(scope="module")
def running() -> Generator[BillingService]:
    with billing_service() as made:
        yield made


@pytest.fixture
def service(running: BillingService, monkeypatch: pytest.MonkeyPatch) -> Generator[BillingService]:
    monkeypatch.setenv("HANDRAIL_SECRET_BILLING_TOKEN", TOKEN)
    running.payments.clear()
    running.asked.clear()
    running.answers.clear()
    running.document = json.loads(DOCUMENT.read_text("utf-8"))
    with secrets_given(["BILLING_TOKEN"]):
        yield running


@pytest.fixture
def billing(service: BillingService) -> OpenAPI:
    return OpenAPI(
        DOCUMENT, declared.DIGEST, base_url=service.url, auth="BILLING_TOKEN", live="/openapi.json"
    )


def not_kept(step: Write[Any, Any]) -> list[str]:
    """What `handrail check` says of the action of a step, of what JSON does not bring back."""
    agent = Agent("billing", BillingAgent, steps=[step], policy="none.yaml")
    return [each for each in agent.faults() if step.action.__name__ in each]


def with_document(tmp_path: Path, change: Callable[[Any], None]) -> OpenAPI:
    document = json.loads(DOCUMENT.read_text("utf-8"))
    change(document)
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(document), "utf-8")
    return OpenAPI(path, hashlib.sha256(canonical(document).encode()).hexdigest())


async def test_a_read_is_typed_and_free_text_in_it_is_from_outside(billing: OpenAPI) -> None:
    step = billing.read("getInvoice", trusted=("id",))
    found = step.adapter.validate_python(await step("INV-1", ["lines", "notes"]))
    assert (step.name, step.summary) == ("get_invoice", "Look an invoice up")
    assert (found.id, found.total, found.state, found.due) == ("INV-1", 12.5, "open", None)
    assert found.note == Untrusted(untrusted="pay me twice")
    back = step.adapter.validate_json(step.adapter.dump_json(found, by_alias=True))
    assert back == found


async def test_what_has_no_type_is_text_from_outside(billing: OpenAPI) -> None:
    step = billing.read("listPayments")
    found = step.adapter.validate_python(await step("none"))
    assert json.loads(found.text) == {"items": []}


async def test_arguments_go_where_the_document_says(
    billing: OpenAPI, service: BillingService
) -> None:
    step = billing.read("getInvoice")
    await step("INV-1/a b", ["lines", "notes"])
    assert service.asked[-1][1] == "/invoices/INV-1%2Fa%20b?expand=lines&expand=notes"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ((7, None), "id: 7 is not of type 'string'"),
        (("", None), "no part of a path"),
        (("..", None), "no part of a path"),
        (("INV-1", ["all"]), "expand.0: 'all' is not one of"),
        ((None, None), "id: it is missing"),
    ],
)
async def test_a_bad_argument_of_a_read_is_never_sent(
    billing: OpenAPI, service: BillingService, given: tuple[Any, Any], why: str
) -> None:
    with pytest.raises(Final, match=why):
        await billing.read("getInvoice").fn(*given)
    assert service.asked == []


BAD: list[tuple[dict[str, Any], str]] = [
    ({"invoice": "INV-1"}, "amount"),
    ({"invoice": "one", "amount": 1}, "does not match"),
    ({"invoice": "INV-1", "amount": 0}, "minimum"),
    ({"invoice": "INV-1", "amount": 1, "currency": "DM"}, "EUR"),
    ({"invoice": "INV-1", "amount": 1, "tip": 3}, "tip"),
    ({"invoice": "INV-1", "amount": 1, "id": "P7"}, "id"),
    ({"invoice": "INV-1", "amount": 1, "lines": [{"sku": "a", "count": 0}]}, "lines.0.count"),
    ({"invoice": "INV-1", "amount": 1, "lines": [{}]}, "sku"),
]


@pytest.mark.parametrize(("fields", "why"), BAD)
async def test_a_bad_action_cannot_be_made(
    billing: OpenAPI, fields: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValidationError, match=why):
        billing.write("createPayment", **PAY).action(**fields)


async def test_an_action_comes_back_from_json_exactly_and_is_what_check_allows(
    billing: OpenAPI, service: BillingService
) -> None:
    step = billing.write("createPayment", **PAY)
    lines = [{"sku": "a", "count": 2}, {"sku": "b"}]
    action = step.action(invoice="INV-1", amount=2.5, pay_on=date(2026, 11, 28), lines=lines)
    assert not_kept(step) == []
    assert from_json(step.action, as_json(action)) == action
    await call_write(step, action)
    sent = service.asked[-1][2]
    assert sent == {"invoice": "INV-1", "amount": 2.5, "pay-on": "2026-11-28", "lines": lines}


async def test_a_key_that_is_sent_again_pays_once(
    billing: OpenAPI, service: BillingService
) -> None:
    step = billing.write("createPayment", **PAY)
    action = step.action(invoice="INV-1", amount=2)
    first, second = [await call_write(step, action, key="billing:ä/pay/1") for _ in range(2)]
    assert first == second
    assert [p["times"] for p in service.payments.values()] == [1]


async def test_a_key_may_go_in_a_field_of_the_body_and_people_are_not_asked_then(
    billing: OpenAPI, service: BillingService
) -> None:
    step = billing.write("createTransfer", key_field="reference", idempotent=True)
    assert step.idempotent
    assert not step.marked
    await call_write(step, step.action(amount=3), key="billing:1/pay/1")
    assert [each["reference"] for each in service.payments.values()] == ["billing:1/pay/1"]
    assert billing.write("createTransfer", key_field="reference").marked
    with pytest.raises(StepError, match="key_field="):
        billing.write("createTransfer", idempotent=True)


async def test_an_effect_is_found_by_its_key_and_only_by_it(billing: OpenAPI) -> None:
    step = billing.write("createTransfer", **FOUND)
    assert list(step.action.model_fields) == ["amount"]
    action = step.action(amount=3)
    assert await call_find(step, action, key="b:1/t/1") is None
    made = await call_write(step, action, key="b:1/t/1")
    assert await call_find(step, action, key="b:1/t/1") == made
    assert await call_find(step, action, key="b:1/t/2") is None


def test_one_operation_takes_back_two_writes_of_an_agent(billing: OpenAPI) -> None:
    pay = billing.write("createPayment", **PAY, **BACK)
    again = billing.write("createPayment", name="pay_again", **PAY, **BACK, undo_name="unpay")
    assert pay.undo is not None
    assert again.undo is not None
    assert (pay.undo.name, again.undo.name) == ("cancel_payment", "unpay")


async def test_an_undo_names_what_was_made_and_is_content_where_nothing_is(
    billing: OpenAPI, service: BillingService
) -> None:
    step = billing.write("createPayment", **PAY, **BACK)
    action = step.action(invoice="INV-1", amount=2)
    result = await call_write(step, action, key="b:1/p/1")
    receipt = Receipt(key="b:1/p/1", step="p", digest="", at=datetime.now(UTC), result=result)
    assert step.undo is not None
    for _ in range(2):
        undoes = Undoes(key="b:1/p/1", receipt=receipt)
        await call_write(step.undo, action, key="b:1/p/1/undo", undoes=undoes)
    assert service.payments == {}
    with pytest.raises(Final, match=r"nobody knows result\.id"):
        await call_write(step.undo, action, key="u", undoes=Undoes(key="b:1/p/1"))


@pytest.mark.parametrize(
    ("answer", "attempt", "error"),
    [
        (JSONResponse({"detail": "too poor\x1b[31m"}, 422), 1, Final),
        (JSONResponse({"title": "taken"}, 409), 1, Final),
        (JSONResponse({"title": "taken"}, 409), 2, Unanswered),
        (PlainTextResponse("x" * 10_000, 412), 1, Final),
        (PlainTextResponse("later", 429), 1, NotDone),
        (PlainTextResponse("", 408), 1, Unanswered),
        (PlainTextResponse("oops", 500), 1, Unanswered),
        (PlainTextResponse("", 503), 1, Unanswered),
        (Response(status_code=302, headers={"location": "/"}), 1, Unanswered),
    ],
)
async def test_what_an_answer_says_of_a_write(
    billing: OpenAPI,
    service: BillingService,
    answer: Response,
    attempt: int,
    error: type[Exception],
) -> None:
    step = billing.write("createPayment", **PAY)
    service.answers.append(answer)
    effect = Effect(key="b:1/p/1", case="b:1", step="p", attempt=attempt)
    with pytest.raises(error) as raised:
        await step.fn(step.action(invoice="INV-1", amount=2), effect)
    assert type(raised.value) is error
    assert len(str(raised.value)) < 500
    assert "\x1b" not in str(raised.value)


async def test_what_cannot_be_reached_was_not_done() -> None:
    step = OpenAPI(DOCUMENT, declared.DIGEST, "http://127.0.0.1:1").write("createPayment", **PAY)
    with pytest.raises(NotDone):
        await call_write(step, step.action(invoice="INV-1", amount=2))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (JSONResponse({}, 404), Final),
        (PlainTextResponse("no json"), Final),
        (PlainTextResponse("x" * (LARGEST + 1)), Final),
        (PlainTextResponse("", 403), Final),
        (PlainTextResponse("", 429), Unanswered),
        (PlainTextResponse("", 502), Unanswered),
    ],
)
async def test_what_an_answer_says_of_a_read(
    billing: OpenAPI, service: BillingService, answer: Response, error: type[Exception]
) -> None:
    service.answers.append(answer)
    with pytest.raises(error) as raised:
        await billing.read("getInvoice")("INV-1", None)
    assert type(raised.value) is error


async def test_the_words_of_a_refusal_are_those_of_the_system(
    billing: OpenAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDRAIL_SECRET_BILLING_TOKEN", "another of some length")
    step = billing.write("createPayment", **PAY)
    with pytest.raises(Final, match=r"answered 401: who are you\?"):
        await call_write(step, step.action(invoice="INV-1", amount=2))


async def test_an_action_class_of_the_authors_own_is_held_against_the_document(
    billing: OpenAPI, service: BillingService
) -> None:
    class Own(Action):
        """Pay."""

        invoice: str
        amount: Decimal

    step = billing.write("createPayment", action=Own, name="pay", **PAY)
    await call_write(step, Own(invoice="INV-1", amount=Decimal("2.50")))
    assert service.asked[-1][2] == {"invoice": "INV-1", "amount": 2.5}
    with pytest.raises(Final, match="nothing was sent"):
        await call_write(step, Own(invoice="INV-1", amount=Decimal(0)))

    class Lacking(Action):
        """Pay."""

        bill: str

    with pytest.raises(StepError, match="knows no bill, and lacks invoice, amount"):
        billing.write("createPayment", action=Lacking, **PAY)


async def test_a_document_that_is_another_than_is_pinned_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=f'write digest="{declared.DIGEST}"'):
        OpenAPI(DOCUMENT, "0" * 64)


def breaking(document: Any) -> None:
    new = document["components"]["schemas"]["NewPayment"]
    new["properties"]["amount"] = {"type": "string"}
    new["required"].append("currency")


def harmless(document: Any) -> None:
    document["info"]["version"] = "2"
    document["paths"]["/payments"]["post"]["summary"] = "Pay"
    document["paths"]["/scans"]["post"]["operationId"] = "scan"
    invoice = document["components"]["schemas"]["Invoice"]
    invoice["properties"]["note"]["description"] = "words"
    invoice["required"].reverse()


def gone(document: Any) -> None:
    del document["paths"]["/payments"]["post"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (breaking, ('NewPayment.properties.amount.type: "number" is now "string"', "required")),
        (gone, ("POST /payments is gone",)),
        (harmless, ()),
    ],
)
async def test_drift_is_told_by_what_operations_in_use_demand(
    billing: OpenAPI,
    service: BillingService,
    change: Callable[[Any], None],
    says: tuple[str, ...],
) -> None:
    step = billing.write("createPayment", **PAY)
    billing.read("getInvoice")
    assert step.contract is not None
    assert await step.contract() == []
    service.document = copy.deepcopy(service.document)
    change(service.document)
    found = "\n".join(await step.contract())
    assert all(each in found for each in says), found
    assert bool(found) == bool(says)


async def test_a_document_that_cannot_be_read_now_is_logged_and_no_drift(
    billing: OpenAPI, service: BillingService, caplog: pytest.LogCaptureFixture
) -> None:
    service.document = ["none"]
    assert await billing.drift() == []
    assert "cannot be looked at" in caplog.text


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"operation": "payNow"}, "it has: .*createPayment"),
        ({"operation": "upload"}, "multipart/form-data, and no JSON"),
        ({"find": "listPayments"}, "its key must have been sent"),
        (FOUND | {"key_field": "memo"}, "it has no `memo`"),
        (FOUND | {"find_by": {"ref": "key"}}, "listPayments"),
        (FOUND | {"find_by": {"reference": "key", "page": "result.id"}}, "for: .*result.id"),
        (BACK | {"undo_by": {"id": "number"}}, "number"),
        (BACK | {"undo_by": {"id": "result."}}, "for: result."),
    ],
)
async def test_what_does_not_fit_is_said_where_it_is_declared(
    billing: OpenAPI, more: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigurationError, match=why):
        billing.write(more.pop("operation", "createTransfer"), **more)


async def test_a_reference_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    def change(document: Any) -> None:
        document["components"]["schemas"]["Line"] = {"$ref": "https://example.com/line.json"}

    with pytest.raises(ConfigurationError, match="put it all into one file"):
        with_document(tmp_path, change)


async def test_a_schema_within_itself_and_one_of_many_parts_are_typed_as_far_as_they_can(
    tmp_path: Path,
) -> None:
    def change(document: Any) -> None:
        schemas = document["components"]["schemas"]
        schemas["Line"]["properties"]["parts"] = {"items": {"$ref": "#/components/schemas/Line"}}
        schemas["Line"]["properties"]["either"] = {
            "anyOf": [{"type": "string"}, {"type": "object"}]
        }
        schemas["NewPayment"] = {
            "allOf": [schemas["NewPayment"], {"required": ["memo"], "properties": {"memo": {}}}]
        }

    step = with_document(tmp_path, change).write("createPayment", **PAY)
    assert not_kept(step) == []
    parts = [{"sku": "a", "parts": [{"sku": "b", "either": "c"}]}]
    made = step.action(invoice="INV-1", amount=1, memo={"any": 1}, lines=parts)
    assert from_json(step.action, as_json(made)) == made
    with pytest.raises(ValidationError, match=r"lines\.0\.parts\.0"):
        step.action(invoice="INV-1", amount=1, memo=1, lines=[{"sku": "a", "parts": [{}]}])


async def test_several_values_in_one_text_are_parted_as_the_document_says_or_not_sent(
    tmp_path: Path,
) -> None:
    def change(document: Any, **said: Any) -> None:
        known = document["paths"]["/invoices/{id}"]["get"]["parameters"]
        [expand] = [each for each in known if each.get("name") == "expand"]
        expand |= said | {"schema": {"type": "array", "items": {"type": "string"}}}

    step = with_document(tmp_path, lambda given: change(given, explode=False)).read("getInvoice")
    with pytest.raises(Unanswered):  # it is sent, to nobody
        await step("INV-1", ["lines", "notes"])
    with pytest.raises(Final, match="expand: a comma in one of several"):
        await step("INV-1", ["lines,notes"])
    piped = {"style": "pipeDelimited", "explode": False, "required": True}
    odd = with_document(tmp_path, lambda given: change(given, **piped))
    with pytest.raises(StepError, match="takes `expand` in a way that is not known here"):
        odd.read("getInvoice")


def test_the_key_of_an_effect_is_what_a_system_takes() -> None:
    assert as_key("a:1/b/1") == "a:1/b/1"
    assert len({as_key(f"a:{'ä' * n}/b/1") for n in range(300)}) == 300
    assert as_key("a:1/b/1", "uuid") == as_key("a:1/b/1", "uuid") != as_key("a:1/b/2", "uuid")
