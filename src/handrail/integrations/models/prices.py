"""What a request to a model costs: by a price that is declared, or by the list of genai-prices.

A price that nobody knows is an error, and never zero: a budget that counts nothing is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from genai_prices import calc_price

from handrail.actions import Usage
from handrail.exceptions import StepError

if TYPE_CHECKING:
    from pydantic_ai.usage import RequestUsage

_MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """What a million tokens cost that go in, and that come out."""

    input: Decimal
    output: Decimal
    currency: str = "USD"

    def cost(self, usage: RequestUsage) -> Decimal:
        """The price of one request."""
        total = usage.input_tokens * self.input + usage.output_tokens * self.output
        return total / _MILLION


@dataclass(frozen=True)
class Prices:
    """What one model costs. `declared`: by its author; None is by the list, of `name`."""

    provider: str
    name: str
    declared: Price | None

    def require(self, usage: RequestUsage) -> None:
        """See that a price is known.

        Raises:
            StepError: if none is.
        """
        try:
            self._cost(usage, self.name)
        except LookupError:
            raise StepError(
                f"what {self.provider}:{self.name} costs is not known, and a budget could not "
                "count it; fix: declare it, Model(..., price=Price(input=Decimal(3), "
                "output=Decimal(15))) per million tokens, or price=0 of a model of your own machine"
            ) from None

    def usage(self, usage: RequestUsage, name: str | None = None) -> Usage:
        """What a request used up. `name`: of the model that answered, which may cost more."""
        try:
            cost = self._cost(usage, name or self.name)
        except LookupError:  # of that version of it nothing is known
            cost = self._cost(usage, self.name)
        return Usage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost=cost,
            currency="USD" if self.declared is None else self.declared.currency,
            model=name or self.name,
        )

    def _cost(self, usage: RequestUsage, name: str) -> Decimal:
        if self.declared is not None:
            return self.declared.cost(usage)
        return calc_price(usage, name, provider_id=self.provider).total_price
