"""The invoices agent by itself."""

from pathlib import Path

import activities.invoices
import guardrails.invoices
from handrail import Agent, Fleet
from workflows.invoices import InvoiceAgent

fleet = Fleet(
    Agent(
        "invoices",
        InvoiceAgent,
        steps=activities.invoices,
        policy=Path(guardrails.invoices.__file__).with_suffix(".yaml"),
        checks=guardrails.invoices,
    )
)
