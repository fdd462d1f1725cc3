"""A proof counts for exactly one ruling, as it was made, by the person whose key it is."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey

from handrail.actions import Ruling, Verb, Wire
from handrail.oversight import signatures
from handrail.oversight.keys import SigningKey, TrustedKey
from handrail.oversight.mandates import Mandate
from handrail.oversight.orders import Order
from handrail.oversight.reviews import Opinion
from handrail.oversight.signatures import (
    LASTS_MOST,
    MANDATE_STATEMENT,
    ORDER_STATEMENT,
    REVIEW_STATEMENT,
    SKEW,
    NotProven,
    VerifiedRuling,
    sign_ruling,
    stated_by_name,
    verify_ruling,
)

NOW = datetime(2026, 3, 2, 9, 30, 15, tzinfo=UTC)
CASE = "pay:1042"
ANA = SigningKey.new("ana@example.com", NOW - timedelta(days=9))
BO = SigningKey.new("bo@example.com", NOW - timedelta(days=9))
INBOX = SigningKey.new(None, NOW - timedelta(days=9))
KEYS = {key.kid: key.public() for key in (ANA, BO, INBOX)}
RULING = Ruling(
    gate="0f3a",
    digest="ab" * 32,
    by="Ana@Example.com",
    why="it is due",
    action={"order": "00123", "kg": 5, "rate": 1.5, "to": {"city": "Köln"}, "tags": [None, True]},
    looked=12.5,
)
SIGNED = sign_ruling(RULING, Verb.AMEND, CASE, ANA, NOW)


def proved(
    ruling: Ruling,
    verb: str = "amend",
    *,
    case: str = CASE,
    now: datetime = NOW,
    keys: dict[str, TrustedKey] = KEYS,
) -> VerifiedRuling:
    return verify_ruling(ruling, verb, case, keys, now)


def refused(ruling: Ruling, says: str | None = None, **how: Any) -> None:
    with pytest.raises(NotProven, match=says):
        proved(ruling, **how)


def b64(data: bytes | str) -> str:
    data = data if isinstance(data, bytes) else data.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def parts(text: str | None = SIGNED.proof) -> list[bytes]:
    assert text is not None
    return [base64.urlsafe_b64decode(p + "=" * (-len(p) % 4)) for p in text.split(".")]


@functools.cache
def secret() -> Any:
    return ANA.private.opened().private_key


def forged(
    header: bytes | str | None = None, payload: bytes | str | None = None, key: Any = None
) -> Ruling:
    """What a person's own key signs, whatever is in it."""
    old = parts()
    text = ".".join(b64(new or was) for new, was in zip((header, payload), old, strict=False))
    return with_proof(f"{text}.{b64((key or secret()).sign(text.encode()))}")


def with_proof(proof: str | None, ruling: Ruling = SIGNED) -> Ruling:
    return ruling.model_copy(update={"proof": proof})


def header(**changes: Any) -> str:
    return json.dumps(json.loads(parts()[0]) | changes)


def claims(**changes: Any) -> str:
    return json.dumps(json.loads(parts()[1]) | changes)


# Genuine ones


def test_a_genuine_ruling_is_proven() -> None:
    found = proved(SIGNED)
    assert found.by == "ana@example.com"
    assert found.kid == ANA.kid
    assert (found.at, found.until) == (NOW, NOW + timedelta(days=7))
    assert SIGNED.via == "key"


def test_each_signature_has_an_id_of_its_own() -> None:
    ids = {proved(sign_ruling(RULING, Verb.AMEND, CASE, ANA, NOW)).jti for _ in range(50)}
    assert len(ids) == 50


def test_it_survives_the_wire() -> None:
    text = SIGNED.model_dump_json(exclude_defaults=True)
    assert proved(Ruling.model_validate_json(text)) == proved(SIGNED)
    assert proved(Ruling.model_validate(json.loads(text))) == proved(SIGNED)


def test_a_helper_that_signs_by_hand_is_told_the_truth() -> None:
    """The forgeries below are refused for what is in them, not for how they are made."""
    assert proved(forged()) == proved(SIGNED)
    assert proved(forged(header(), claims())) == proved(SIGNED)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
RULINGS = st.builds(
    Ruling,
    gate=st.text("abc-0", min_size=1, max_size=64),
    digest=st.text("0123456789abcdef", min_size=64, max_size=64),
    by=st.sampled_from(["ana@example.com", " Ana@Example.COM "]),
    why=st.text(st.characters(exclude_categories=["Cs"])),
    action=st.none() | st.dictionaries(st.sampled_from("abc"), JSON),
    answer=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
    result=JSON,
    looked=st.none() | st.floats(0, 1e6),
)


@settings(max_examples=60, deadline=None)
@given(ruling=RULINGS, verb=st.sampled_from(list(Verb)), case=st.text("pay:1", min_size=1))
def test_whatever_is_said_can_be_proven(ruling: Ruling, verb: Verb, case: str) -> None:
    signed = sign_ruling(ruling, verb, case, ANA, NOW)
    assert proved(signed, verb, case=case).by == "ana@example.com"
    sent = Ruling.model_validate_json(signed.model_dump_json(exclude_defaults=True))
    assert proved(sent, verb, case=case).by == "ana@example.com"


# Altered ones

OTHERS: dict[str, st.SearchStrategy[Any]] = {
    "gate": st.text("0f3a", min_size=1, max_size=8),
    "digest": st.text("0123456789abcdef", min_size=12, max_size=64)
    | st.sampled_from(["ab" * 6, "AB" * 32, "ab" * 31]),
    "by": st.sampled_from(
        ["ana@example.com", "Ana@Example.com ", "bo@example.com", "\u0430na@example.com", "ANA@x"]
    ),
    "why": st.text(max_size=20) | st.just("it is due "),
    "action": st.none() | st.dictionaries(st.sampled_from(["order", "kg", "x"]), JSON),
    "answer": st.none() | st.text(max_size=5),
    "result": JSON,
    "to": st.none() | st.sampled_from(["bo@example.com", "agent"]),
    "question": st.none() | st.text("q1", max_size=3),
    "via": st.sampled_from(["", "key", "inbox", "mail", "slack"]),
    "looked": st.none() | st.floats(0, allow_infinity=True),
}


def test_every_field_of_a_ruling_is_attacked() -> None:
    assert {*OTHERS, "proof"} == {*Ruling.model_fields}


@settings(max_examples=400, deadline=None)
@given(field=st.sampled_from(sorted(OTHERS)), data=st.data())
def test_a_change_of_any_field_is_noticed(field: str, data: st.DataObject) -> None:
    other = data.draw(OTHERS[field])
    changed = SIGNED.model_copy(update={field: other})
    same = json.dumps(getattr(SIGNED, field)) == json.dumps(other)
    if same:
        assert proved(changed)
    else:
        refused(changed)


def test_numbers_that_compare_alike_are_not_alike() -> None:
    for kg in (5.0, "5", True):
        refused(SIGNED.model_copy(update={"action": {**(RULING.action or {}), "kg": kg}}))


def test_texts_that_look_alike_are_not_alike() -> None:
    for city in ("Ko\u0308ln", "Köln\u200b", "\u041a\u00f6ln"):
        action = {**(RULING.action or {}), "to": {"city": city}}
        refused(SIGNED.model_copy(update={"action": action}), "changed after it was signed")


@pytest.mark.parametrize("verb", [v for v in Verb if v is not Verb.AMEND])
def test_it_counts_for_no_other_verb(verb: Verb) -> None:
    refused(SIGNED, "another verb", verb=verb)


@pytest.mark.parametrize("case", ["pay:1043", "pay:104", "Pay:1042", "", "pay:1042 "])
def test_it_counts_for_no_other_case(case: str) -> None:
    refused(SIGNED, "another case", case=case)


@settings(max_examples=600, deadline=None)
@given(bit=st.integers(0, 8 * len(SIGNED.proof or "") - 1))
def test_a_flip_of_any_bit_is_noticed(bit: int) -> None:
    text = bytearray((SIGNED.proof or "").encode())
    text[bit // 8] ^= 1 << bit % 8
    refused(with_proof(text.decode("latin-1")))


@settings(max_examples=200, deadline=None)
@given(bit=st.integers(0, 8 * 64 - 1))
def test_a_flip_of_any_bit_of_the_signature_is_noticed(bit: int) -> None:
    head, body, _ = (SIGNED.proof or "").split(".")
    signature = bytearray(parts()[2])
    signature[bit // 8] ^= 1 << bit % 8
    refused(with_proof(f"{head}.{body}.{b64(bytes(signature))}"), "not by the key")


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=200) | st.from_regex(r"[\w-]{0,40}\.[\w-]{0,40}\.[\w-]{0,90}"))
def test_junk_is_no_proof_and_nothing_breaks(text: str) -> None:
    refused(with_proof(text))


# Other spellings of the same


def spellings() -> list[str]:
    head, body, signature = (SIGNED.proof or "").split(".")
    slack = {c: chr(ord(c) + 1) for c in "AQgw"}
    return [
        f"{head}.{body}.{signature}=",
        f"{head}.{body}.{signature}==",
        f"{head}.{body}.{signature[:-1]}{slack[signature[-1]]}",
        f"{head}.{body}.{signature.replace('-', '+').replace('_', '/')}+",
        f"{head}.{body}.{signature}\n",
        f" {head}.{body}.{signature}",
        f"{head}.{body}.{signature[:9]}\n{signature[9:]}",
        f"{head}.{body}.{signature}.",
        f"{head}.{body}",
        f"{head}..{signature}",
    ]


@pytest.mark.parametrize("text", spellings(), ids=lambda _: "spelling")
def test_the_same_bytes_count_in_one_spelling_only(text: str) -> None:
    refused(with_proof(text))


def test_the_order_of_the_group_added_to_a_signature_makes_no_other_one() -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    head, body, _ = (SIGNED.proof or "").split(".")
    r, s = parts()[2][:32], int.from_bytes(parts()[2][32:], "little")
    other = r + (s + order).to_bytes(32, "little")
    refused(with_proof(f"{head}.{body}.{b64(other)}"), "not by the key")


@pytest.mark.parametrize("kind", ["flattened", "general"])
def test_only_the_compact_form_is_read(kind: str) -> None:
    head, body, signature = (SIGNED.proof or "").split(".")
    each = {"protected": head, "signature": signature}
    whole = {"payload": body} | (each if kind == "flattened" else {"signatures": [each]})
    refused(with_proof(json.dumps(whole)))


# Headers


@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "EdDSA"},
        {"alg": "ed25519"},
        {"alg": ["Ed25519"]},
        {"alg": None},
        {"crit": []},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"jku": "https://evil.example/keys"},
        {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}},
        {"x5c": ["MIIB"]},
        {"x5u": "https://evil.example"},
        {"cty": "JWT"},
        {"zip": "DEF"},
        {"typ": "JWT"},
        {"typ": "handrail-mandate+jwt"},
        {"typ": "HANDRAIL-RULING+JWT"},
        {"typ": None},
        {"kid": ""},
        {"kid": "0" * 16},
        {"kid": BO.kid},
        {"kid": INBOX.kid},
        {"kid": ANA.kid.upper() + "\n"},
        {"kid": [ANA.kid]},
        {"kid": f"../{ANA.kid}"},
    ],
    ids=",".join,
)
def test_a_header_holds_what_it_must_and_nothing_else(changes: dict[str, Any]) -> None:
    refused(forged(header(**changes)))


@pytest.mark.parametrize("name", ["alg", "kid", "typ"])
def test_a_header_lacks_nothing(name: str) -> None:
    left = {k: v for k, v in json.loads(parts()[0]).items() if k != name}
    refused(forged(json.dumps(left)), "header of its proof")


def test_no_algorithm_is_no_signature() -> None:
    head, body, _ = (SIGNED.proof or "").split(".")
    none = b64(header(alg="none"))
    for text in (f"{none}.{body}.", f"{head}.{body}."):
        refused(with_proof(text))


@pytest.mark.parametrize("secret_of", ["x", "raw", "jwk"])
def test_a_public_key_is_no_shared_secret(secret_of: str) -> None:
    jwk = KEYS[ANA.kid].public
    raw = base64.urlsafe_b64decode(jwk.x + "=")
    shared = {"x": jwk.x.encode(), "raw": raw, "jwk": jwk.model_dump_json().encode()}[secret_of]
    text = f"{b64(header(alg='HS256'))}.{b64(parts()[1])}"
    mac = hmac.new(shared, text.encode(), hashlib.sha256).digest()
    assert jws.deserialize_compact(
        f"{text}.{b64(mac)}", OctKey.import_key(shared), algorithms=["HS256"]
    )
    refused(with_proof(f"{text}.{b64(mac)}"), "alg")


def test_a_key_that_comes_along_is_not_believed() -> None:
    own = OKPKey.generate_key("Ed25519")
    named = header(jwk=own.as_dict(private=False))
    refused(forged(named, key=own.private_key))
    refused(forged(key=own.private_key), "not by the key")


# Claims


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": "bo@example.com"},
        {"sub": "ana@example.com"},
        {"sub": None},
        {"gate": "0f3b"},
        {"digest": "ab" * 31 + "ac"},
        {"digest": "ab" * 6},
        {"digest": "AB" * 32},
        {"said": "0" * 64},
        {"verb": "approve"},
        {"case": "pay:1"},
        {"jti": ""},
        {"jti": "0" * 31},
        {"jti": "A" * 32},
        {"jti": "0" * 32 + "\n"},
        {"jti": 1},
        {"nbf": 0},
        {"aud": "pay"},
        {"iss": "ana"},
        {"iat": str(int(NOW.timestamp()))},
        {"iat": NOW.timestamp() + 0.5},
        {"iat": float(int(NOW.timestamp()))},
        {"iat": True},
        {"iat": -1},
        {"iat": 10**40, "exp": 10**40 + 9},
        {"exp": None},
        {"exp": 0},
        {"exp": float("inf")},
        {"exp": 10**40},
        {"exp": 1 << 62},
        {"exp": int(NOW.timestamp())},
        {"exp": int((NOW + LASTS_MOST).timestamp()) + 1},
    ],
    ids=str,
)
def test_claims_are_what_they_must_be_and_no_others(changes: dict[str, Any]) -> None:
    refused(forged(payload=claims(**changes)))


@pytest.mark.parametrize("name", sorted(json.loads(parts()[1])))
def test_no_claim_may_be_missing(name: str) -> None:
    left = {k: v for k, v in json.loads(parts()[1]).items() if k != name}
    refused(forged(payload=json.dumps(left)), "content of its proof")


@pytest.mark.parametrize(
    "payload",
    [
        claims()[:-1] + ', "sub": "Ana@Example.com"}',
        claims()[:-1] + ', "exp": NaN}',
        claims().replace('"exp": ', '"exp": -'),
        "[" * 5_000,
        '{"a":' * 1_000,
        "[]",
        "null",
        "",
        claims() + claims(),
        claims().encode("utf-16"),
        b"\xff\xfe",
        claims(sub="\ud800"),
        claims(jti="0" * 9_000),
        "9" * 5_000,
    ],
    ids=lambda p: repr(p[:12]),
)
def test_claims_that_parsers_read_in_two_ways_are_not_read(payload: str | bytes) -> None:
    refused(forged(payload=payload or b" "))


# Times


def test_it_counts_from_when_it_was_signed_until_it_is_over() -> None:
    until = proved(SIGNED).until
    assert proved(SIGNED, now=until - timedelta(seconds=1))
    refused(SIGNED, "good until 2026-03-09 09:30:15 UTC only", now=until)
    assert proved(SIGNED, now=NOW - SKEW)
    refused(SIGNED, "which is not yet", now=NOW - SKEW - timedelta(seconds=1))


@pytest.mark.parametrize("lasts", [timedelta(0), timedelta(-1), LASTS_MOST + timedelta(seconds=1)])
def test_none_is_signed_for_ever_or_never(lasts: timedelta) -> None:
    with pytest.raises(NotProven, match="31 days at most"):
        sign_ruling(RULING, Verb.AMEND, CASE, ANA, NOW, lasts=lasts)


# Keys


def change(key: SigningKey, **changes: Any) -> dict[str, TrustedKey]:
    return KEYS | {key.kid: key.public().model_copy(update=changes)}


def test_a_revoked_key_proves_nothing_whenever_it_signed() -> None:
    for at in (NOW - timedelta(days=1), NOW + timedelta(days=1)):
        refused(SIGNED, "was revoked: it was lost", keys=change(ANA, revoked=at, why="it was lost"))


def test_an_expired_key_proves_what_it_signed_before() -> None:
    assert proved(SIGNED, keys=change(ANA, expires=NOW + timedelta(seconds=1)))
    for at in (NOW, NOW - timedelta(days=1)):
        refused(SIGNED, "expired at", keys=change(ANA, expires=at))


def test_what_an_expired_key_dates_back_does_not_arrive() -> None:
    expires = NOW + timedelta(seconds=1)
    keys = change(ANA, expires=expires)
    assert verify_ruling(SIGNED, "amend", CASE, keys, NOW, arriving=True)
    with pytest.raises(NotProven, match="has expired"):
        verify_ruling(SIGNED, "amend", CASE, keys, expires, arriving=True)
    assert verify_ruling(SIGNED, "amend", CASE, keys, expires)


def test_a_key_that_nobody_trusts_proves_nothing() -> None:
    refused(SIGNED, "is not in the keyring", keys={})
    refused(SIGNED, "is not in the keyring", keys={BO.kid: KEYS[BO.kid]})


def test_a_person_signs_for_nobody_else() -> None:
    for by in ("bo@example.com", "\u0430na@example.com", "ana@example.com.evil.example", "ana"):
        ruling = RULING.model_copy(update={"by": by})
        with pytest.raises(NotProven, match="cannot sign for"):
            sign_ruling(ruling, Verb.AMEND, CASE, ANA, NOW)


def test_a_person_does_not_pass_for_the_inbox_nor_the_inbox_for_a_key() -> None:
    said = json.loads(parts()[1])
    inbox = RULING.model_copy(update={"via": "inbox"})
    assert proved(sign_ruling(inbox, Verb.AMEND, CASE, INBOX, NOW)).by == "ana@example.com"
    assert sign_ruling(inbox, Verb.AMEND, CASE, ANA, NOW).via == "key"
    for via in ("key", "", "phone"):
        with pytest.raises(NotProven, match="inbox or mail or name or slack"):
            sign_ruling(inbox.model_copy(update={"via": via}), Verb.AMEND, CASE, INBOX, NOW)
    # With a person's own key, and every claim right for it.
    genuine = parts(sign_ruling(inbox, Verb.AMEND, CASE, INBOX, NOW).proof)
    said["said"] = json.loads(genuine[1])["said"]
    text = f"{b64(parts()[0])}.{b64(json.dumps(said))}"
    refused(
        with_proof(f"{text}.{b64(secret().sign(text.encode()))}", inbox),
        "signs what comes by key, not by 'inbox'",
    )


def test_what_cannot_be_proven_is_not_signed() -> None:
    nested: Any = {}
    for _ in range(100_000):
        nested = {"a": nested}
    for changes in (
        {"digest": "ab" * 6},
        {"looked": float("inf")},
        {"action": {"kg": float("nan")}},
        {"why": "\ud800"},
        {"action": nested},
    ):
        with pytest.raises(NotProven):
            sign_ruling(RULING.model_copy(update=changes), Verb.AMEND, CASE, ANA, NOW)
    while nested:  # Or its end would be as deep.
        nested = nested["a"]


def test_without_a_proof_it_says_where_to_get_one() -> None:
    refused(RULING, "not signed; rule in the inbox")


# Mandates


class Statement(Wire):
    by: str = "ana@example.com"
    uses: int = 20
    note: str = ""


stated, opened = MANDATE_STATEMENT.sign, MANDATE_STATEMENT.verify


def test_a_mandate_is_proven_and_comes_back_whole() -> None:
    text = MANDATE_STATEMENT.sign(Statement(), ANA, NOW)
    payload, by, kid = MANDATE_STATEMENT.verify(text, KEYS, NOW + timedelta(days=400))
    assert Statement.model_validate(payload) == Statement()
    assert (by, kid) == ("ana@example.com", ANA.kid)


def test_what_a_key_stated_counts_no_longer_than_a_mandate_lasts_after_its_end() -> None:
    text = MANDATE_STATEMENT.sign(Statement(), ANA, NOW)
    expires = NOW + timedelta(seconds=1)
    keys = change(ANA, expires=expires)
    payload, _, _ = MANDATE_STATEMENT.verify(
        text, keys, expires + LASTS_MOST - timedelta(seconds=1)
    )
    assert payload["by"] == ANA.person
    with pytest.raises(NotProven, match="expired more than 31 days ago; give it again"):
        MANDATE_STATEMENT.verify(text, keys, expires + LASTS_MOST)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: stated(Statement(), BO, NOW), "cannot sign for"),
        (
            lambda: stated(Statement(by="bo@example.com"), ANA, NOW),
            "cannot sign for",
        ),
        (lambda: opened(SIGNED.proof or "", KEYS, NOW), "of the type"),
        (lambda: opened("", KEYS, NOW), "three parts"),
        (
            lambda: opened(stated(Statement(), ANA, NOW), {}, NOW),
            "keyring",
        ),
        (lambda: stated(Statement(note="x" * 99_000), ANA, NOW), "too long"),
    ],
)
def test_a_mandate_is_as_hard_to_forge(make: Callable[[], object], says: str) -> None:
    with pytest.raises(NotProven, match=says):
        make()


def test_a_mandate_proves_no_ruling() -> None:
    refused(with_proof(MANDATE_STATEMENT.sign(Statement(), ANA, NOW)), "of the type")


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_flip_of_any_bit_of_a_mandate_is_noticed(data: st.DataObject) -> None:
    text = bytearray(MANDATE_STATEMENT.sign(Statement(), ANA, NOW).encode())
    bit = data.draw(st.integers(0, 8 * len(text) - 1))
    text[bit // 8] ^= 1 << bit % 8
    with pytest.raises(NotProven):
        MANDATE_STATEMENT.verify(text.decode("latin-1"), KEYS, NOW)


# What was signed before


BEFORE: dict[str, Any] = json.loads(
    Path(__file__).with_name("signed_before.json").read_text(encoding="utf-8")
)
"""One text of each type as the first release signed it, and the key: ledgers hold such texts."""
KEY = SigningKey.model_validate(BEFORE["key"])
JTI = UUID(hex="0123456789abcdef0123456789abcdef")


def signed_again(kind: str) -> str | None:
    said = BEFORE[kind]["said"]
    match kind:
        case "ruling":
            return sign_ruling(Ruling.model_validate(said), "amend", CASE, KEY, NOW).proof
        case "mandate":
            return MANDATE_STATEMENT.sign(Mandate.model_validate(said), KEY, NOW)
        case "order":
            return ORDER_STATEMENT.sign(Order.model_validate(said), KEY, NOW)
        case _:
            return REVIEW_STATEMENT.sign(Opinion.model_validate(said), KEY, NOW)


@pytest.mark.parametrize("kind", ["ruling", "mandate", "order", "review"])
def test_what_is_signed_is_byte_for_byte_what_it_was(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signatures, "uuid4", lambda: JTI)
    assert signed_again(kind) == BEFORE[kind]["text"]


@pytest.mark.parametrize("kind", [MANDATE_STATEMENT, ORDER_STATEMENT, REVIEW_STATEMENT])
def test_what_was_signed_before_is_proven_still(kind: signatures.StatementType) -> None:
    before, keys = BEFORE[kind.name], {KEY.kid: KEY.public()}
    found = kind.verify(before["text"], keys, NOW + timedelta(days=400))
    assert found == (before["said"], "ana@example.com", KEY.kid)


def test_a_ruling_that_was_signed_before_is_proven_still() -> None:
    ruling = Ruling.model_validate(BEFORE["ruling"]["said"])
    said = ruling.model_copy(update={"via": "key", "proof": BEFORE["ruling"]["text"]})
    found = proved(said, now=NOW + timedelta(days=6), keys={KEY.kid: KEY.public()})
    assert (found.by, found.jti) == ("ana@example.com", JTI.hex)


def test_what_the_inbox_signs_for_a_name_says_that_it_is_only_a_name() -> None:
    ruling = RULING.model_copy(update={"via": "name"})
    assert (
        verify_ruling(sign_ruling(ruling, "amend", CASE, INBOX, NOW), "amend", CASE, KEYS, NOW).kid
        == INBOX.kid
    )
    order = Order(id="0" * 32, kind="stop", agent="pay", by="ana@example.com", at=NOW)
    named = ORDER_STATEMENT.sign(order, INBOX, NOW, by_name=True)
    checked = ORDER_STATEMENT.sign(order, INBOX, NOW)
    assert ORDER_STATEMENT.verify(named, KEYS, NOW) == ORDER_STATEMENT.verify(checked, KEYS, NOW)
    assert [stated_by_name(each) for each in (named, checked, "", "a.b.c")] == [True, *[False] * 3]
    # Who takes the word out of it takes the signature with it.
    head, body, _ = named.split(".")
    with pytest.raises(NotProven):
        ORDER_STATEMENT.verify(f"{head}.{body}.{checked.split('.')[2]}", KEYS, NOW)
