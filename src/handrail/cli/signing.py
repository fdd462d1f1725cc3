"""How commands sign a ruling or a mandate: with the key of the person who gives it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from handrail.actions import person
from handrail.cli import words
from handrail.cli.output import Output, UsageError
from handrail.exceptions import ConfigurationError
from handrail.oversight import Keyring, SigningKey, sign_ruling, signing_key

if TYPE_CHECKING:
    from handrail.actions import Ruling
    from handrail.oversight import GateView
    from handrail.runtime import Settings


def key_of(out: Output, given: Settings, gate: GateView, by: str) -> SigningKey | None:
    """The key that `by` signs with here; None if there is none, and the gate needs no proof.

    Raises:
        ConfigurationError: if there is none and the gate does, with how to get one.
        KeyringError: if a key, or the keyring, cannot be used.
        UsageError: if the key that was named is not that of `by`.
    """
    key = _own(out, given, by)
    if key is None and gate.proof == "required":
        why = "this gate counts only proven rulings"
        raise ConfigurationError(_how_to_get_one(given, by, why))
    return key


def key_of_person(out: Output, given: Settings, by: str) -> SigningKey:
    """The key that `by` signs with here what counts only when it is signed.

    Raises:
        ConfigurationError: if there is none, with how to get one.
        KeyringError: if a key, or the keyring, cannot be used.
        UsageError: if the key that was named is not that of `by`.
    """
    key = _own(out, given, by)
    if key is None:
        raise ConfigurationError(_how_to_get_one(given, by, "a mandate must be signed"))
    return key


def key_if_any(out: Output, given: Settings, by: str) -> SigningKey | None:
    """The key that `by` signs with here, for what may go without; None if there is none.

    Raises:
        KeyringError: if a key, or the keyring, cannot be used.
        UsageError: if the key that was named is not that of `by`.
    """
    return _own(out, given, by)


def _own(out: Output, given: Settings, by: str) -> SigningKey | None:
    trusted, now = Keyring(given.keyring).current(), datetime.now(UTC)
    key = _named(given, by) or signing_key(given.key_dir, by, trusted, now)
    if key is not None and trusted and key.kid not in trusted:
        out.say(
            f"your key {key.kid} is not in {given.keyring}: have it added where the workers' "
            f"keyring is (`{words.program()} keys public {key.kid}`)",
            "yellow",
        )
    return key


def _named(given: Settings, by: str) -> SigningKey | None:
    if given.key is None:
        return None
    key = SigningKey.load(given.key)
    if key.person != person(by):
        raise UsageError(f"HANDRAIL_KEY names the key of {key.owner}, and you say --by {by}")
    return key


def _how_to_get_one(given: Settings, by: str, why: str) -> str:
    program = words.program()
    return (
        f"{why}, and {given.key_dir} holds no key of {words.plain(by)} that is in use; "
        "nothing was sent\n"
        f"fix: `{program} keys new --person {words.plain(by)}`, then send what it names to "
        f"whoever keeps the keyring (`{program} keys trust FILE` there); or set HANDRAIL_KEY "
        "to the file of your key; or rule in the inbox"
    )


def signed(ruling: Ruling, verb: str, case: str, key: SigningKey | None) -> Ruling:
    """The ruling with its proof, made now; as it is without a key.

    Raises:
        NotProven: if this key cannot prove this ruling.
    """
    if key is None:
        return ruling
    return sign_ruling(ruling, verb, case, key, datetime.now(UTC))
