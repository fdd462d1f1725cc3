"""The fleet of the small project."""

from __future__ import annotations

from pathlib import Path

import flow
import paying

from handrail import Agent, Fleet

fleet = Fleet(Agent("pay", flow.PayAgent, steps=paying, policy=Path("pay.yaml")))
