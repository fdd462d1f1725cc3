"""Keys on disk: private ones that nobody else reads, and the keyring that follows its file."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from handrail.oversight.jwk import PublicJwk
from handrail.oversight.keys import (
    Keyring,
    KeyringError,
    SigningKey,
    Trust,
    TrustedKey,
    private_keys,
    signing_key,
)

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ANA = SigningKey.new("Ana@Example.com ", NOW)
INBOX = SigningKey.new(None, NOW)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def short(value: str) -> str:
    """An id that is the same in every process, though keys are not."""
    return value if len(value) < 40 else "file"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "trusted.json"


@pytest.fixture
def keyring(path: Path) -> Keyring:
    return Keyring(path)


# Private keys


def test_a_private_key_comes_back_from_its_file_and_nobody_else_can_read_it(path: Path) -> None:
    file = path.parent / "private" / "ana.json"
    ANA.save(file)
    assert SigningKey.load(file) == ANA
    assert ANA.person == "ana@example.com"
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)
    assert names(file.parent) == ["ana.json"]


def test_a_private_key_is_never_shown() -> None:
    for shown in (repr(ANA), str(ANA), repr(ANA.private), repr(ANA.public())):
        assert ANA.private.d not in shown
    assert ANA.private.d not in ANA.public().model_dump_json()
    assert set(ANA.public().public.model_dump()) == {"kty", "crv", "x"}


def test_a_key_is_never_written_over(tmp_path: Path) -> None:
    ANA.save(tmp_path / "key.json")
    with pytest.raises(KeyringError, match="never written over"):
        INBOX.save(tmp_path / "key.json")
    assert SigningKey.load(tmp_path / "key.json") == ANA
    assert names(tmp_path) == ["key.json"]


@pytest.mark.parametrize("open_to", [0o604, 0o640, 0o602, 0o660, 0o644])
def test_a_private_key_that_others_can_read_is_refused(tmp_path: Path, open_to: int) -> None:
    file = tmp_path / "key.json"
    ANA.save(file)
    file.chmod(open_to)
    with pytest.raises(KeyringError, match=r"fix: chmod 600 .*key\.json"):
        SigningKey.load(file)


def damaged(**changes: Any) -> str:
    return json.dumps(ANA.model_dump(mode="json") | changes)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "JSON"),
        ("{}", "kid"),
        (damaged(kid="0" * 16), "kid is not that of this key"),
        (damaged(kind="inbox"), "names its person"),
        (damaged(person=None), "names its person"),
        (damaged(person="ana"), "not an address"),
        (damaged(private={**ANA.private.model_dump(), "x": INBOX.private.x}), "halves"),
        (damaged(private={**ANA.private.model_dump(), "d": "A" * 44}), "private.d"),
        (damaged(private={**ANA.private.model_dump(), "crv": "Ed448"}), "private.crv"),
        (damaged(more=1), "more"),
        ("x" * 9_999, "larger than 4 KiB"),
    ],
    ids=short,
)
def test_a_damaged_key_is_refused_and_its_secret_not_said(
    tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "key.json"
    file.touch(0o600)
    file.write_text(text)
    with pytest.raises(KeyringError, match=says) as caught:
        SigningKey.load(file)
    assert ANA.private.d not in str(caught.value)
    assert "A" * 44 not in str(caught.value)


@pytest.mark.parametrize("who", ["", "ana", "a b@example.com", "a@b\u200bc", "a@b\nc", "x" * 300])
def test_a_key_is_of_somebody_who_has_an_address(who: str) -> None:
    with pytest.raises(KeyringError):
        SigningKey.new(who, NOW)


def test_the_name_of_a_key_is_its_thumbprint() -> None:
    # RFC 8037, appendix A.3: its thumbprint is kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k.
    jwk = PublicJwk(x="11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
    assert jwk.kid == "90facafea9b15566"
    assert ANA.kid == ANA.public().kid == ANA.public().public.kid


@pytest.mark.parametrize("x", ["", "A" * 42, "A" * 42 + "B", "A" * 44, "A" * 42 + "=", "+" * 43])
def test_what_is_no_public_key_is_refused(x: str) -> None:
    with pytest.raises(ValidationError):
        PublicJwk(x=x)


def test_a_public_key_takes_no_private_half() -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        PublicJwk.model_validate(ANA.private.model_dump())


# Which of them to sign with


def test_of_several_keys_the_newest_that_is_trusted_signs(tmp_path: Path) -> None:
    old, new, newest = (SigningKey.new("ana@x.de", NOW + timedelta(days=n)) for n in range(3))
    for key in (new, old, newest, INBOX):
        key.save(tmp_path / f"{key.kid}.json")
    (tmp_path / ".half.json").write_text("{")

    def chosen(*trusted: TrustedKey, who: str | None = "ANA@x.de") -> SigningKey | None:
        return signing_key(tmp_path, who, {key.kid: key for key in trusted}, NOW)

    expired = new.public().model_copy(update={"expires": NOW})
    revoked = newest.public().model_copy(update={"revoked": NOW})
    assert chosen() == newest
    assert chosen(old.public()) == old
    assert chosen(old.public(), new.public()) == new
    assert chosen(old.public(), expired, revoked) == old
    assert chosen(expired, revoked) == old
    assert chosen(who="bo@x.de") is None
    assert chosen(who=None) == INBOX
    assert list(private_keys(tmp_path).values())[:2] == [newest, new]


def test_where_there_are_no_keys_there_is_none(tmp_path: Path) -> None:
    assert signing_key(tmp_path / "nowhere", "ana@x.de", {}, NOW) is None


# The keyring


def test_no_file_is_an_empty_keyring(keyring: Keyring) -> None:
    assert keyring.current() == {}
    assert Trust(keyring=keyring).keys() == {}
    assert Trust().keys() == {}


def test_a_trusted_key_stays_and_everybody_may_read_it(keyring: Keyring, path: Path) -> None:
    assert keyring.trust(ANA.public()) is True
    assert keyring.trust(ANA.public()) is False
    assert Keyring(path).current() == {ANA.kid: ANA.public()}
    assert mode(path) == 0o644
    assert "private" not in path.read_text()
    assert names(path.parent) == ["trusted.json", "trusted.json.lock"]


def test_it_follows_its_file(keyring: Keyring, path: Path) -> None:
    keyring.trust(ANA.public())
    worker = Keyring(path)
    assert list(worker.current()) == [ANA.kid]
    keyring.trust(INBOX.public())
    assert list(worker.current()) == [ANA.kid, INBOX.kid]
    path.unlink()
    assert worker.current() == {}


def test_a_change_within_one_tick_of_the_clock_is_seen(keyring: Keyring, path: Path) -> None:
    keyring.trust(ANA.public())
    text, times = path.read_text(), path.stat()
    assert keyring.current()
    path.write_text(text.replace(ANA.kid, ANA.kid.upper()))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(KeyringError, match="broken"):
        keyring.current()


def test_a_file_that_has_settled_is_read_once(
    keyring: Keyring, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring.trust(ANA.public())
    os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    assert keyring.current()

    def never(*_: object, **__: object) -> None:
        raise AssertionError("it was opened")

    monkeypatch.setattr(Path, "open", never)
    assert list(keyring.current()) == [ANA.kid]


def test_a_revoked_key_stays_in_it_and_never_comes_back(keyring: Keyring) -> None:
    keyring.trust(ANA.public())
    assert keyring.revoke(ANA.kid, NOW, "lost").revoked == NOW
    again = keyring.revoke(ANA.kid, NOW + timedelta(days=1), "other")
    assert (again.revoked, again.why) == (NOW, "lost")
    with pytest.raises(KeyringError, match="was revoked: lost; it is never trusted again"):
        keyring.trust(ANA.public())
    assert keyring.expire(ANA.kid, NOW, "rotated").expires is None
    assert keyring.current()[ANA.kid].why == "lost"


def test_a_key_never_lives_longer_than_was_said(keyring: Keyring) -> None:
    keyring.trust(ANA.public())
    assert keyring.expire(ANA.kid, NOW, "rotated").expires == NOW
    assert keyring.expire(ANA.kid, NOW + timedelta(days=1), "later").expires == NOW
    sooner = NOW - timedelta(days=1)
    assert keyring.expire(ANA.kid, sooner, "sooner").expires == sooner
    keyring.trust(ANA.public())
    assert keyring.current()[ANA.kid].expires == sooner


@pytest.mark.parametrize("change", [Keyring.revoke, Keyring.expire])
def test_what_is_not_there_cannot_be_changed(
    keyring: Keyring, change: Callable[[Keyring, str, datetime, str], object]
) -> None:
    with pytest.raises(KeyringError, match="no key 0000"):
        change(keyring, "0000", NOW, "why")


def entry(**changes: Any) -> str:
    each = ANA.public().model_dump(mode="json", exclude_none=True) | changes
    return json.dumps({"version": 1, "keys": [each]})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "JSON"),
        ("[]", "object"),
        ('{"version": 2, "keys": []}', "version"),
        ('{"version": 1, "keys": [], "more": 1}', "more"),
        (entry(kid="0" * 16), "the kid of this key is"),
        (entry(kid=INBOX.kid), "the kid of this key is"),
        (entry(kind="inbox"), "names its person"),
        (entry(kind="root"), "kind"),
        (entry(person="Ana@example.com"), "small letters"),
        (entry(public=ANA.private.model_dump()), "public.d"),
        (entry(public={"kty": "oct", "k": "AA"}), "public.kty"),
        (entry(made="2026-03-02T09:30:00"), "zone"),
        (entry(revoked="never"), "revoked"),
        (json.dumps({"keys": [json.loads(entry())["keys"][0]] * 2}), "twice"),
        ("x" * (1 << 21), "larger than 1024 KiB"),
    ],
    ids=short,
)
def test_a_broken_keyring_trusts_nobody_and_is_not_written_over(
    keyring: Keyring, path: Path, text: str, says: str
) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(KeyringError, match=says):
        keyring.current()
    with pytest.raises(KeyringError, match=says):
        keyring.trust(INBOX.public())
    assert path.read_text() == text


@pytest.mark.parametrize(
    "poison",
    [
        7,
        None,
        {},
        {"kid": "0" * 16},
        ANA.public().model_dump(mode="json") | {"kind": "root"},
        ANA.public().model_dump(mode="json") | {"made": "once"},
        ANA.public().model_dump(mode="json") | {"revoked": "yes", "kid": "0" * 16},
    ],
    ids=lambda given: short(str(given)),
)
def test_one_entry_that_is_faulty_takes_no_other_key_with_it(
    keyring: Keyring, path: Path, poison: Any, caplog: pytest.LogCaptureFixture
) -> None:
    others = [SigningKey.new(f"p{n}@example.com", NOW).public() for n in range(10)]
    listed = [each.model_dump(mode="json", exclude_none=True) for each in [*others, ANA.public()]]
    path.parent.mkdir()
    path.write_text(json.dumps({"version": 1, "keys": [*listed[:5], poison, *listed[5:]]}))
    found = keyring.current()
    assert set(others) <= set(found.values())
    # What is faulty may say that its key is revoked: that one counts no more.
    assert (ANA.kid in found) is ("public" not in str(poison))
    assert "is broken" in caplog.text
    with pytest.raises(KeyringError, match="broken"):
        keyring.trust(INBOX.public())  # it would be written without that entry
    path.chmod(0o666)
    with pytest.raises(KeyringError):
        Keyring(path).current()


def test_a_keyring_that_anybody_may_write_trusts_nobody(keyring: Keyring, path: Path) -> None:
    keyring.trust(ANA.public())
    path.chmod(0o666)
    with pytest.raises(KeyringError, match="fix: chmod 644"):
        keyring.current()


def test_a_keyring_that_cannot_be_read_is_no_empty_one(keyring: Keyring, path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(KeyringError, match="cannot be read"):
        keyring.current()


def test_of_many_edits_at_once_none_is_lost(path: Path) -> None:
    keys = [SigningKey.new(f"p{n}@example.com", NOW).public() for n in range(24)]

    def trust(key: TrustedKey) -> bool:
        return Keyring(path).trust(key)

    def revoke(key: TrustedKey) -> TrustedKey:
        return Keyring(path).revoke(key.kid, NOW, "left")

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(trust, keys))
        assert all(pool.map(revoke, keys[::2]))
    found = Keyring(path).current()
    assert set(found) == {key.kid for key in keys}
    assert [found[key.kid].revoked is not None for key in keys] == [True, False] * 12
