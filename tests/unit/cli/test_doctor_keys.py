"""What `handrail doctor` says of keys, and when one of its looks fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from handrail import Fleet
from handrail.cli.doctor_keys import keys_diagnosed
from handrail.cli.doctor_looks import Diagnosis, looked
from handrail.oversight import Keyring, SigningKey
from handrail.runtime import Settings
from tests.agents.fleets import orders, policy

NOW = datetime.now(UTC)


@pytest.fixture
def given(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def seen(
    given: Settings, name: str, fleet: Fleet | None = None
) -> tuple[str, bool | None, str, str]:
    each = next(each for each in keys_diagnosed(given, fleet) if each.name == name)
    return each.name, each.ok, each.what, each.fix


def trusted(given: Settings, who: str | None, ends: timedelta | None = None) -> SigningKey:
    key = SigningKey.new(who, NOW)
    ring = Keyring(given.keyring)
    ring.trust(key.public())
    if ends is not None:
        ring.expire(key.kid, NOW + ends, "rotated")
    return key


def demanding(tmp_path: Path, proof: str) -> Fleet:
    return orders(tmp_path, policy(proof=proof))


def test_nobody_who_could_rule_is_bad_where_a_policy_wants_proof(
    given: Settings, tmp_path: Path
) -> None:
    _, ok, what, fix = seen(given, "keyring", demanding(tmp_path, "required"))
    assert ok is False
    assert "the policy of orders" in what
    assert "keys new" in fix
    trusted(given, "ana@example.com")
    assert seen(given, "keyring", demanding(tmp_path, "required"))[1:3] == (
        True,
        f"{given.keyring}: ana@example.com",
    )


def test_nobody_is_worth_a_word_where_no_policy_says_so(given: Settings, tmp_path: Path) -> None:
    assert seen(given, "keyring", demanding(tmp_path, "unproven"))[1] is None
    _, ok, what, _ = seen(given, "keyring")
    assert (ok, "nobody can rule" in what) == (None, True)
    unproven = given.model_copy(update={"proof": "unproven"})
    assert seen(unproven, "keyring")[2] == "nobody is trusted; rulings count without proof"


def test_a_revoked_or_expired_key_lets_nobody_rule(given: Settings) -> None:
    trusted(given, "bo@example.com", timedelta(0))
    Keyring(given.keyring).revoke(trusted(given, "ana@example.com").kid, NOW, "lost")
    assert "trusts nobody" in seen(given, "keyring")[2]


def test_keys_that_end_are_named_in_time_unless_there_is_a_later_one(given: Settings) -> None:
    trusted(given, "ana@example.com", timedelta(days=3))
    trusted(given, "bo@example.com", timedelta(days=3))
    trusted(given, "bo@example.com")
    trusted(given, "cy@example.com", timedelta(days=99))
    trusted(given, None, timedelta(0))
    _, ok, what, fix = seen(given, "keys that end")
    assert ok is None
    assert "that of ana@example.com ends" in what
    assert "that of the inbox ended" in what
    assert "bo@" not in what
    assert "cy@" not in what
    assert "rotate" in fix


def test_keys_that_last_are_not_mentioned(given: Settings) -> None:
    Keyring(given.keyring).revoke(trusted(given, "ana@example.com").kid, NOW, "left")
    trusted(given, "bo@example.com")
    assert [each.name for each in keys_diagnosed(given, None)] == ["keyring", "private keys"]


def test_private_keys_are_named_with_where_they_belong(given: Settings) -> None:
    assert seen(given, "private keys")[1] is True
    for who in ("ana@example.com", None):
        key = SigningKey.new(who, NOW)
        key.save(given.key_dir / f"{key.kid}.json")
    _, ok, what, fix = seen(given, "private keys")
    assert ok is None
    assert what == f"in {given.key_dir}: of ana@example.com, the inbox"
    assert "where a worker runs" in fix
    next(given.key_dir.iterdir()).chmod(0o644)
    _, ok, what, _ = seen(given, "private keys")
    assert (ok, "chmod 600" in what) == (False, True)


def test_a_broken_keyring_is_bad_and_the_rest_is_keys_diagnosed(given: Settings) -> None:
    given.keyring.parent.mkdir(parents=True)
    given.keyring.write_text("{")
    assert [(each.name, each.ok) for each in keys_diagnosed(given, None)] == [
        ("keyring", False),
        ("private keys", True),
    ]


async def test_one_look_that_fails_keeps_no_other_from_being_made() -> None:
    def look(number: int) -> Callable[[], Awaitable[Diagnosis]]:
        async def made() -> Diagnosis:
            if number == 3:
                raise ValueError("a memo of others")
            return Diagnosis(str(number), ok=True, what="good")

        return made

    found = await looked([(str(number), look(number)) for number in range(11)])
    assert [each.ok for each in found] == [number != 3 for number in range(11)]
    assert found[3].what == "cannot be looked at: ValueError('a memo of others')"
