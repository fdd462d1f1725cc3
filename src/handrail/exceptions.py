"""Everything Handrail raises.

HandrailError
├── ConfigurationError      a setting, policy, step or fleet is wrong; found before it runs
│   ├── PolicyError         the policy file, with every fault, its line and its fix
│   ├── RuleError           a rule of it cannot be used (handrail.policy.rules)
│   ├── KeyringError        a keyring or a private key cannot be used (handrail.oversight.keys)
│   ├── PeopleError         the people file, with every fault (handrail.inbox.channels.people)
│   └── StepError           a step is declared wrongly
├── ServerUnavailable       no Temporal server answers
├── LedgerUnavailable       the ledger cannot be used; retried, nothing was written
│   ├── RowConflict         it does not take one row beside others, such as a second of a key
│   └── UnreadableRow       one row of it cannot be read (handrail.ledger)
├── NotKept                 the ledger cannot keep a value, and never will; nothing was written
├── RequestError            what a person or a program asked cannot be done; nothing was sent
│   ├── InvalidRequest      something in it is missing or wrong; `field` says what
│   │   ├── NotReviewed     an answer to a review cannot be taken (handrail.oversight.reviews)
│   │   ├── NoMandate       a mandate cannot be given, or not be read (oversight.mandates)
│   │   ├── NoOrder         an order cannot be given (handrail.oversight.orders)
│   │   └── ImpossibleName  no role, agent or case can have that name (handrail.client)
│   ├── NotPermitted        whoever asks may not; the message says who may
│   ├── NotFound            nothing has that name, or more than one thing
│   ├── NotProven           it is not signed by whom it names (handrail.oversight.signatures)
│   └── CaseError           a case does not exist, has ended, or cannot do what was asked
├── NotWritten              what `self.write` raises when the outside world was left alone
│   ├── Refused             the door said no
│   │   └── NotTaken        another agent did not take what was handed to it
│   ├── Rejected            a human said no
│   ├── Expired             nobody answered in time
│   ├── Failed              the step said that it cannot be done (`Final`)
│   ├── Piloted             the agent is in pilot: what it would do was recorded
│   └── InDoubt             it may have happened; a human decided to leave it at that
├── Final                   raised by a step: it did not happen, trying again is no use
│   └── ContractChanged     an outside system describes itself otherwise than a step was made of
├── NotDone                 raised by a write step: it certainly did not happen; try again
├── RuleFailed              a rule could not be judged: it holds (handrail.policy.rules)
├── NobodyMayApprove        it would be held, and no role may approve it (handrail.policy)
├── ClockWrong              a worker's clock is not the server's; retried (guardrails.machine)
├── CutShort                a policy file ends too early (handrail.ledger.verdicts)
├── OverLimit               a write would exceed a limit; nothing was done (handrail.ledger)
├── Duplicate               one like it began a short while ago (handrail.ledger)
├── RulingUsed              a ruling was used for another write (handrail.ledger)
├── MandateSpent            a standing approval is used up or revoked (handrail.ledger)
├── AlreadyReviewed         somebody else has answered a review (handrail.ledger)
├── KeyUsed                 a write's key was used for another action (handrail.guardrails.effects)
├── BadResult               it happened, and returned what it must not (handrail.guardrails.effects)
├── Undeliverable           a message cannot go out this way (handrail.inbox.channels.delivery)
├── NotNow                  it may go out later: tried again (handrail.inbox.channels.delivery)
├── BadSignal               a signal cannot be read: recorded (handrail.agent.case)
└── PayloadLost             a large payload is missing (handrail.runtime.payload_codec)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


T = TypeVar("T")
D = TypeVar("D")


def fallback(default: D, call: Callable[[], T]) -> T | D:
    """What `call` gives; `default` where it raises, whatever that is.

    For the code of agents and of others that is run where it must stop nothing else: a model's
    validators, an error's own words.
    """
    try:
        return call()
    except Exception:  # noqa: BLE001  # that is what it is for
        return default


class HandrailError(Exception):
    """The root of everything Handrail raises."""


class ConfigurationError(HandrailError):
    """A setting, policy, step or fleet is wrong. The message names the fix."""


class PolicyError(ConfigurationError):
    """A policy file was refused. `faults` has one text for each fault, with line and fix."""

    def __init__(self, path: str, faults: Sequence[str]) -> None:
        """Say every fault of the policy at `path` at once."""
        self.path = path
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class StepError(ConfigurationError):
    """A step is declared wrongly. Raised where it is defined, on import."""


class ServerUnavailable(HandrailError):
    """No Temporal server answers at the address given."""


class LedgerUnavailable(HandrailError):
    """The ledger cannot be read or written. Nothing was written; the step is retried."""


class RowConflict(LedgerUnavailable):
    """The ledger does not take a row beside those that are there: another may be there first."""


class NotKept(HandrailError):
    """No database can keep what a step or a person said. Nothing was written; it is not retried."""


class RequestError(HandrailError):
    """What a person or a program asked cannot be done, as the message says; nothing was sent."""


class InvalidRequest(RequestError):
    """Something in a request is missing or wrong. `field` names it; empty for the whole."""

    def __init__(self, message: str, field: str = "") -> None:
        """Say what to do instead, and of which `field`."""
        self.field = field
        super().__init__(message)


class NotPermitted(RequestError):
    """Whoever asks may not do that. The message says who may, as far as it is known."""


class NotFound(RequestError):
    """Nothing has the name that was given, or more than one thing has."""


class CaseError(RequestError):
    """A case does not exist, has ended, or cannot do what was asked of it."""


class NotWritten(HandrailError):
    """A write that was not made. Uncaught, it ends the case in the state it is named for."""

    state = "refused"

    def __init__(self, step: str, why: str) -> None:
        """Name the write `step` and say in words `why` it was not made."""
        self.step = step
        self.why = why
        super().__init__(f"{step}: {why}")


class Refused(NotWritten):
    """The door refused the write; no human was asked."""

    state = "refused"


class NotTaken(Refused):
    """Another agent did not take what was handed to it. `field`: of its event, what is wrong."""

    def __init__(self, step: str, why: str, field: str = "") -> None:
        """Name the hand-off `step`, and say in words `why`, and by which `field`."""
        self.field = field
        super().__init__(step, why)


class Rejected(NotWritten):
    """A human rejected the write."""

    state = "rejected"


class Expired(NotWritten):
    """Nobody who may rule did so before the last deadline."""

    state = "expired"


class Failed(NotWritten):
    """The write step raised `Final`. Uncaught, it rolls back what was written before."""

    state = "failed"


class Piloted(NotWritten):
    """The agent is in pilot: what it proposes was recorded, and not done."""

    state = "piloted"


class InDoubt(NotWritten):
    """Nobody knows whether the write happened, and it is left at that.

    Uncaught it ends the case as rejected, or as expired when nobody answered in time.
    """

    state = "rejected"

    def __init__(self, step: str, why: str, state: str = state) -> None:
        """Name the `state` in which the case ends."""
        super().__init__(step, why)
        self.state = state


class Final(HandrailError):
    """Raise it in a step: it did not happen, and trying again would not help."""


class ContractChanged(Final):
    """An outside system describes itself otherwise today than what the step was made of."""


class NotDone(HandrailError):
    """Raise it in a write step: it certainly did not happen, so it is safe to try again."""
