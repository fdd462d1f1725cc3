"""The refunds agent, to which others hand what is to be given back."""

from pathlib import Path

import activities.refunds
import guardrails.invoices
from handrail import Agent, Fleet
from workflows.refunds import RefundsAgent

fleet = Fleet(
    Agent(
        "refunds",
        RefundsAgent,
        steps=activities.refunds,
        policy=Path(guardrails.invoices.__file__).with_name("refunds.yaml"),
    )
)
