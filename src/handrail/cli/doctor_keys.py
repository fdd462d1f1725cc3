"""What `handrail doctor` says of keys: whose there are, which end soon, and who may read them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from handrail.cli.doctor_looks import Diagnosis
from handrail.cli.output import moment
from handrail.exceptions import PolicyError
from handrail.oversight import Keyring, KeyringError, TrustedKey, private_keys
from handrail.runtime import Fleet, Settings

_SOON = timedelta(days=14)


def keys_diagnosed(given: Settings, fleet: Fleet | None) -> list[Diagnosis]:
    """What keys lack: who can rule at all, and who could sign for them."""
    now = datetime.now(UTC)
    try:
        keys = tuple(Keyring(given.keyring).current().values())
    except KeyringError as error:
        return [Diagnosis("keyring", False, str(error)), _private(given)]
    return [_keyring(given, keys, fleet, now), *_ending(keys, now), _private(given)]


def _keyring(
    given: Settings, keys: Iterable[TrustedKey], fleet: Fleet | None, now: datetime
) -> Diagnosis:
    good = sorted({key.owner for key in keys if not key.over(now)})
    if good:
        return Diagnosis("keyring", True, f"{given.keyring}: {', '.join(good)}")
    demanding = _demanding(fleet)
    if not demanding and given.proof == "unproven":
        return Diagnosis("keyring", None, "nobody is trusted; rulings count without proof")
    who = f"the policy of {', '.join(demanding)}" if demanding else "every worker but `dev`'s"
    what = f"{given.keyring} trusts nobody, so nobody can rule where proof is required: {who}"
    fix = "`handrail keys new --person YOU --trust`, or `handrail keys trust FILE`"
    return Diagnosis("keyring", False if demanding else None, what, fix)


def _demanding(fleet: Fleet | None) -> list[str]:
    """The agents whose own policy counts only proven rulings."""
    found: list[str] = []
    for agent in fleet.agents.values() if fleet is not None else ():
        try:
            if agent.policy_file.current().proof == "required":
                found.append(agent.name)
        except PolicyError:
            continue  # said elsewhere
    return found


def _ending(keys: Iterable[TrustedKey], now: datetime) -> list[Diagnosis]:
    """Those whose last key has ended, or soon will; whoever was revoked needs no other."""
    lasts: dict[str, TrustedKey] = {}
    for key in (key for key in keys if key.revoked is None):
        last = lasts.get(key.owner)
        if last is None or _end(key) > _end(last):
            lasts[key.owner] = key
    ending = [key for key in lasts.values() if _end(key) <= now + _SOON]
    if not ending:
        return []
    named = "; ".join(
        f"that of {key.owner} {'ended' if key.over(now) else 'ends'} {moment(key.expires)}"
        for key in ending
    )
    return [Diagnosis("keys that end", None, named, "`handrail keys rotate` makes the next one")]


def _end(key: TrustedKey) -> datetime:
    return key.expires or datetime.max.replace(tzinfo=UTC)


def _private(given: Settings) -> Diagnosis:
    try:
        keys = private_keys(given.key_dir)
    except KeyringError as error:
        return Diagnosis("private keys", False, str(error))
    if not keys:
        return Diagnosis("private keys", True, f"none in {given.key_dir}")
    owners = sorted({key.owner for key in keys.values()})
    what = f"in {given.key_dir}: of {', '.join(owners)}"
    fix = "well on their own machines; where a worker runs, move them there"
    return Diagnosis("private keys", None, what, fix)


"""How long before its end a key is named."""
