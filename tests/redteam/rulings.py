"""Attacks by a single ruling on an open gate: none of them may be accepted."""

from __future__ import annotations

import gzip
import json
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.redteam.forging import (
    b64,
    claims,
    header,
    reworded,
    said,
    signed,
    unb64,
    unsigned,
    with_hmac,
)
from tests.redteam.scene import (
    OUTSIDER,
    STRANGER,
    Attack,
    Message,
    Scene,
    altered,
    message,
    payload,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from handrail.oversight import SigningKey

LOOK_ALIKES = str.maketrans({"a": "а", "e": "е", "o": "о", "p": "р", "c": "с", "i": "і"})  # noqa: RUF001  # Cyrillic: that is the point
INVISIBLE = ("\u200b", "\u00ad", "\u2060", "\ufeff", "\u202e", "\0", "\n", "\t")

_VALUES: tuple[Any, ...] = (None, True, 0, -1, 1.5, "", " ", [], {}, [[]], {"a": 1}, "x" * 9_000)


def _by(scene: Scene, ruling: dict[str, Any], verb: str, key: SigningKey, **head: Any) -> Message:
    """The ruling with a proof by a key of the attacker's choice."""
    told = claims(ruling, verb, scene.case, scene.now)
    return message(verb, ruling | {"proof": signed(header(key, **head), told, key)})


def _in_name(scene: Scene) -> tuple[str, dict[str, Any]]:
    verb = scene.verb()
    return verb, scene.ruling(scene.approver.address, **scene.fields(verb))


# Forged: no key of the person in whose name it is


def _no_proof(scene: Scene) -> Message:
    return message(*_in_name(scene))


def _garbage(scene: Scene) -> Message:
    verb, ruling = _in_name(scene)
    size = scene.rng.choice((0, 1, 10, 300, 7_999, 8_001))
    shapes = ("x" * size, b64(scene.rng.randbytes(size)), ".".join("abc"), "..", "a.b", "é.é.é")
    return message(verb, ruling | {"proof": scene.rng.choice(shapes)})


def _alg_none(scene: Scene) -> Message:
    verb, ruling = _in_name(scene)
    name = scene.rng.choice(("none", "None", "NONE", "", "EdDSA", "Ed25519"))
    head = header(scene.key_of(scene.approver), alg=name)
    proof = unsigned(head, claims(ruling, verb, scene.case, scene.now))
    return message(verb, ruling | {"proof": proof})


def _public_key_as_secret(scene: Scene) -> Message:
    verb, ruling = _in_name(scene)
    key = scene.key_of(scene.approver)
    name = scene.rng.choice(("HS256", "HS512", "Ed25519"))
    secret = scene.rng.choice((unb64(key.private.x), key.private.x.encode(), b""))
    told = claims(ruling, verb, scene.case, scene.now)
    return message(verb, ruling | {"proof": with_hmac(header(key, alg=name), told, secret)})


def _other_algorithm(scene: Scene) -> Message:
    verb, ruling = _in_name(scene)
    names = ("EdDSA", "ES256", "RS256", "ed25519", "Ed448", "PS256")
    return _by(scene, ruling, verb, scene.key_of(scene.approver), alg=scene.rng.choice(names))


def _own_key(scene: Scene) -> Message:
    verb, ruling = _in_name(scene)
    return _by(scene, ruling, verb, scene.cast.stranger)


def _unknown_key(scene: Scene) -> Message:
    verb, ruling = _in_name(scene)
    return _by(scene, ruling, verb, scene.cast.outsider)


def _kid_of_another(scene: Scene) -> Message:
    verb, ruling = _in_name(scene)
    key = scene.rng.choice((scene.cast.outsider, scene.cast.stranger))
    return _by(scene, ruling, verb, key, kid=scene.key_of(scene.approver).kid)


def _brings_its_key(scene: Scene) -> Message:
    verb, ruling = _in_name(scene)
    key = scene.cast.outsider
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": key.private.x}
    more: dict[str, Any] = scene.rng.choice(
        (
            {"jwk": jwk},
            {"jku": "https://keys.example/jwks"},
            {"x5c": ["MIIB"]},
            {"crit": ["exp"]},
            {"b64": False},
            {"zip": "DEF"},
            {"kid": ["x"]},
            {"kid": "../../trusted"},
        )
    )
    return _by(scene, ruling, verb, key, **more)


def _as_the_inbox(scene: Scene) -> Message:
    """A person's key, or one that nobody trusts, says that it comes by the inbox."""
    verb, ruling = _in_name(scene)
    keys = (scene.key_of(scene.approver), scene.cast.stranger, scene.cast.inbox)
    via = scene.rng.choice(("inbox", "mail", "slack"))
    return _by(scene, ruling | {"via": via}, verb, scene.rng.choice(keys))


def _another_type(scene: Scene) -> Message:
    verb, ruling = _in_name(scene)
    types = ("JWT", "handrail-mandate+jwt", "", None, "HANDRAIL-RULING+JWT")
    return _by(scene, ruling, verb, scene.key_of(scene.approver), typ=scene.rng.choice(types))


def _look_alike(scene: Scene) -> Message:
    verb, ruling = _in_name(scene)
    by, rng = str(ruling["by"]), scene.rng
    at = rng.randrange(len(by))
    looks = (by.translate(LOOK_ALIKES), by[:at] + rng.choice(INVISIBLE) + by[at:], f"{by}.", by[1:])
    return _by(scene, ruling | {"by": rng.choice(looks)}, verb, scene.cast.stranger)


# Altered: somebody really signed something


def _field_changed(scene: Scene) -> Message:
    human, verb = scene.approver, scene.rng.choice(("approve", "amend", "reject"))
    ruling = scene.genuine(verb, human, **scene.fields(verb))
    others = [each.address for each in scene.cast.approvers if each is not human]
    changes: dict[str, Any] = {
        "gate": uuid.uuid4().hex[:16],
        "digest": scene.other.digest if scene.other.digest != scene.seen.digest else "0" * 64,
        "by": scene.rng.choice([*others, STRANGER, OUTSIDER]),
        "why": f"{scene.tag} and more",
        "action": altered_action(ruling.get("action"), scene),
        "to": STRANGER,
        "question": "q1",
        "answer": "do it",
        "result": {"x": 1},
        "via": "inbox",
        "looked": 9.5,
    }
    name = scene.rng.choice(sorted(changes))
    return message(verb, ruling | {name: changes[name]})


def altered_action(action: Any, scene: Scene) -> dict[str, Any]:
    """An action with one more change, or one where there was none."""
    if not isinstance(action, dict) or not action:
        return scene.amended()
    given: dict[str, Any] = dict(action)  # pyright: ignore[reportUnknownArgumentType]  # JSON
    name = scene.rng.choice(sorted(given))
    return given | {name: altered(given[name], scene.rng)}


def _other_verb(scene: Scene) -> Message:
    """What somebody signed as a question, a rejection or a revocation, sent as an approval."""
    told = scene.rng.choice(("ask", "reject", "revoke", "delegate"))
    more = {"to": "agent"} if told == "ask" else {}
    ruling = scene.genuine(told, scene.approver, **more)
    return message("approve", {k: v for k, v in ruling.items() if k != "to"})


def _claim_changed(scene: Scene) -> Message:
    verb = scene.rng.choice(("approve", "reject"))
    ruling = scene.genuine(verb, scene.approver)
    now = int(scene.now.timestamp())
    changes: dict[str, Any] = {
        "case": f"{scene.case}0",
        "gate": uuid.uuid4().hex[:16],
        "digest": "0" * 64,
        "verb": "amend",
        "sub": STRANGER,
        "said": said({}, verb, scene.case),
        "iat": now - 5,
        "exp": now + 99,
        "jti": uuid.uuid4().hex,
    }
    name = scene.rng.choice(sorted(changes))
    change = scene.rng.choice((changes[name], None, [changes[name]]))
    return message(verb, ruling | {"proof": reworded(str(ruling["proof"]), **{name: change})})


def _spelt_otherwise(scene: Scene) -> Message:
    """The bytes of a good proof, written in another way."""
    ruling = scene.genuine("approve", scene.approver)
    proof, rng = str(ruling["proof"]), scene.rng
    head, body, signature = proof.split(".")
    spellings = (
        f"{head}.{body}.{signature}=",
        f"{head}.{body}.{signature}==",
        f" {proof}",
        f"{proof}\n",
        f"{proof}.",
        f"{head}=.{body}.{signature}",
        f"{head}.{body}.{signature[:-1]}{_next(signature[-1])}",
        f"{head}.{body}.{signature[::-1]}",
        f"{body}.{head}.{signature}",
        proof.upper(),
    )
    return message("approve", ruling | {"proof": rng.choice(spellings)})


def _next(character: str) -> str:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return letters[(letters.index(character) + 1) % 64]


def _more_in_it(scene: Scene) -> Message:
    """An approver's own client signs what no ruling has."""
    human = scene.approver
    ruling, key = scene.ruling(human.address), scene.key_of(human)
    more: dict[str, Any] = scene.rng.choice(
        ({"admin": True}, {"nbf": 0}, {"iss": "x"}, {"jti": "short"}, {"iat": "1"}, {"exp": 1e3})
    )
    told = claims(ruling, "approve", scene.case, scene.now) | more
    if scene.rng.random() < 0.5:  # one of two
        return message("approve", ruling | {"proof": signed(header(key), told, key)})
    twice = json.dumps(claims(ruling, "approve", scene.case, scene.now))
    text = f'{{"sub":"{STRANGER}",{twice[1:]}'
    return message("approve", ruling | {"proof": signed(header(key), text, key)})


# Of another gate, another case, another time


def _another_gate(scene: Scene) -> Message:
    """What an approver signed for a gate of this case that is not open: early or gone."""
    gate = uuid.uuid4().hex[:16]
    ruling = scene.genuine("approve", scene.approver, gate=gate)
    gates = (gate, scene.seen.gate)
    return message("approve", ruling | {"gate": scene.rng.choice(gates)})


def _another_case(scene: Scene) -> Message:
    other = scene.other
    told = {"case": other.case, "gate": other.gate, "digest": other.digest}
    ruling = scene.genuine("approve", scene.approver, **told)
    here = {"gate": scene.seen.gate, "digest": scene.seen.digest}
    return message("approve", ruling | scene.rng.choice(({}, here, {"gate": here["gate"]})))


def _same_gate_of_another_case(scene: Scene) -> Message:
    ruling = scene.genuine("approve", scene.approver, case=scene.other.case)
    return message("approve", ruling)


def _another_action(scene: Scene) -> Message:
    digest = scene.rng.choice((scene.seen.digest[::-1], "f" * 64, scene.seen.digest[:-1] + "g"))
    if digest.endswith("g"):
        return message("approve", scene.ruling(scene.approver.address, digest=digest))
    return message("approve", scene.genuine("approve", scene.approver, digest=digest))


def _too_old(scene: Scene) -> Message:
    human = scene.approver
    ruling, key, rng = scene.ruling(human.address), scene.key_of(human), scene.rng
    begun = scene.now - timedelta(minutes=rng.randint(2, 600))
    told = claims(ruling, "approve", scene.case, begun, lasts=timedelta(minutes=1))
    return message("approve", ruling | {"proof": signed(header(key), told, key)})


def _from_the_future(scene: Scene) -> Message:
    human = scene.approver
    ruling, key, rng = scene.ruling(human.address), scene.key_of(human), scene.rng
    at = scene.now + timedelta(minutes=rng.randint(10, 10_000))
    told = claims(ruling, "approve", scene.case, at)
    return message("approve", ruling | {"proof": signed(header(key), told, key)})


def _for_ever(scene: Scene) -> Message:
    human = scene.approver
    ruling, key = scene.ruling(human.address), scene.key_of(human)
    lasts = timedelta(days=scene.rng.choice((32, 365, 9_999, -1, 0)))
    told = claims(ruling, "approve", scene.case, scene.now, lasts=lasts)
    return message("approve", ruling | {"proof": signed(header(key), told, key)})


def _revoked_key(scene: Scene) -> Message:
    first = scene.cast.approvers[0].address
    verb = scene.verb()
    ruling = scene.ruling(first, **scene.fields(verb))
    return _by(scene, ruling, verb, scene.cast.revoked)


def _expired_key(scene: Scene) -> Message:
    """With a date before the key's end, or with today's."""
    key = scene.cast.expired
    ruling = scene.ruling(scene.cast.approvers[0].address)
    at = scene.now - timedelta(hours=scene.rng.choice((0, 1, 30, 40)))
    told = claims(ruling, "approve", scene.case, at, lasts=timedelta(days=20))
    return message("approve", ruling | {"proof": signed(header(key), told, key)})


# Not entitled


def _no_role(scene: Scene) -> Message:
    """A good signature by somebody who may not."""
    verb = scene.rng.choice(("approve", "reject", "amend", "delegate", "revoke", "answer"))
    more: dict[str, Any] = {"to": scene.approver.address} if verb == "delegate" else {}
    more |= {"answer": "do it"} if verb == "answer" else {}
    ruling = scene.ruling(STRANGER, **scene.fields(verb), **more)
    return _by(scene, ruling, verb, scene.cast.stranger)


# Not even a ruling


def _encoded(scene: Scene) -> Message:
    """A good ruling as bytes of another kind."""
    ruling, verb = scene.genuine("approve", scene.approver), "approve"
    good = json.dumps(ruling).encode()
    kinds = (
        payload(good, "binary/plain"),
        payload(b"", "binary/null"),
        payload(good, "binary/null"),
        payload(good, "json/protobuf", messageType="temporal.api.common.v1.Payload"),
        payload(good, "binary/protobuf", messageType="temporal.api.common.v1.Payload"),
        payload(good, "binary/encrypted"),
        payload(good, "JSON/PLAIN"),
        payload(good, "äöü"),
        payload(good, ""),
        payload(gzip.compress(good)),
        payload(gzip.compress(good), "binary/gzip"),
        payload(good.decode().encode("utf-16")),
        payload(b"\xef\xbb\xbf" + good),
        payload(good[:-1]),
        payload(good + good),
        payload(b"[" + good + b"]"),
        payload(json.dumps(good.decode()).encode()),
    )
    return Message(verb, (scene.rng.choice(kinds),))


def _several(scene: Scene) -> Message:
    good = payload(json.dumps(scene.genuine("approve", scene.approver)).encode())
    return Message("approve", scene.rng.choice(((), (good,) * 2, (good,) * 5, (payload(b""),))))


def _written_oddly(scene: Scene) -> Message:
    """JSON that says two things, nothing, or too much."""
    ruling = scene.genuine("approve", scene.approver)
    text, rng = json.dumps(ruling), scene.rng
    deep = rng.choice((50, 300, 900, 20_000))
    texts = (
        f'{{"by": "{STRANGER}", {text[1:]}',
        f'{text[:-1]}, "digest": "{scene.seen.digest}"}}',
        f'{text[:-1]}, "looked": NaN}}',
        f'{text[:-1]}, "looked": 1e999}}',
        f'{text[:-1]}, "why": "\\ud800"}}',
        f'{text[:-1]}, "action": {{"\\udc00": 1}}}}',
        f'{text[:-1]}, "force": true}}',
        f'{text[:-1]}, "result": {"[" * deep}{"]" * deep}}}',
        f'{text[:-1]}, "result": {"9" * 5_000}}}',
        f'{text[:-1]}, "result": "{"x" * 70_000}"}}',
        "null",
        '""',
        "{}",
        "[]",
        "1",
        "true",
        "approve",
    )
    return Message("approve", (payload(rng.choice(texts).encode()),))


def _wrong_type(scene: Scene) -> Message:
    """A good ruling with a value of another type in one field."""
    ruling, rng = scene.genuine("approve", scene.approver), scene.rng
    name = rng.choice(("gate", "digest", "by", "why", "via", "proof", "to", "question", "looked"))
    value = rng.choice([v for v in _VALUES if not _says_the_same(name, v)])
    return message("approve", ruling | {name: value})


def _says_the_same(name: str, value: Any) -> bool:
    """Whether a value leaves a field as if it were not there."""
    default = "" if name == "why" else None
    return name in {"to", "question", "looked", "why"} and value == default


def _other_signal(scene: Scene) -> Message:
    """A good approval by a name that is no verb, or that is another one."""
    ruling = scene.genuine("approve", scene.approver)
    names = ("reject", "amend", "answer", "delegate", "revoke", "ask")
    return message(scene.rng.choice(names), ruling)


def _of(family: str, **made: Callable[[Scene], Message]) -> tuple[Attack, ...]:
    return tuple(Attack(name.replace("_", " "), family, make) for name, make in made.items())


RULINGS: tuple[Attack, ...] = (
    *_of(
        "forged",
        no_proof=_no_proof,
        garbage_for_a_proof=_garbage,
        algorithm_none=_alg_none,
        the_public_key_as_a_secret=_public_key_as_secret,
        another_algorithm=_other_algorithm,
        own_key_in_anothers_name=_own_key,
        a_key_that_nobody_trusts=_unknown_key,
        the_kid_of_anothers_key=_kid_of_another,
        a_proof_that_brings_its_key=_brings_its_key,
        a_key_that_claims_to_be_the_inbox=_as_the_inbox,
        another_type_of_proof=_another_type,
        a_name_that_looks_alike=_look_alike,
    ),
    *_of(
        "altered",
        a_field_changed=_field_changed,
        a_claim_changed=_claim_changed,
        another_verb=_other_verb,
        another_spelling_of_the_proof=_spelt_otherwise,
        more_in_the_proof=_more_in_it,
        by_another_signal=_other_signal,
    ),
    *_of(
        "foreign",
        another_gate_of_the_case=_another_gate,
        another_case=_another_case,
        this_gate_in_another_case=_same_gate_of_another_case,
        another_action=_another_action,
    ),
    *_of(
        "out of time",
        expired=_too_old,
        signed_in_the_future=_from_the_future,
        good_for_ever=_for_ever,
        a_revoked_key=_revoked_key,
        an_expired_key=_expired_key,
    ),
    *_of("not entitled", nobodys_role=_no_role),
    *_of(
        "no ruling",
        another_encoding=_encoded,
        several_values_or_none=_several,
        odd_json=_written_oddly,
        a_wrong_type=_wrong_type,
    ),
)
"""Every attack that one message can be. All are refused where proof is required."""


def made(
    attacks: tuple[Attack, ...], number: int, scene: Callable[[str], Scene]
) -> list[tuple[Attack, Message]]:
    """That many messages of these attacks in turn, each made in a scene with a tag of its own."""
    found: list[tuple[Attack, Message]] = []
    for each in range(number):
        attack = attacks[each % len(attacks)]
        found.append((attack, attack.make(scene(f"#{each}"))))
    return found


def as_update(sent: Message) -> Mapping[str, Any] | None:
    """The same as the update `rule` takes it; None if it is no JSON object."""
    return None if sent.said is None else {**sent.said, "verb": sent.verb}
