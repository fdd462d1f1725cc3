"""Integrations: how work comes in, which models are asked, and which outside systems are touched.

Each of its three parts has a face of its own, because each needs libraries of its own:
`triggers`, `models` and `connectors`. None of them knows another way to the outside world than
the steps that pass the door.
"""

from handrail.integrations.evaluation import evaluate, given_decisions, past_decisions

__all__ = ["evaluate", "given_decisions", "past_decisions"]
