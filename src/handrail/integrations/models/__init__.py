"""Models: which language model decides, what it costs, and how it is asked."""

from handrail.integrations.models.local import toy_model
from handrail.integrations.models.loops import converse, planning
from handrail.integrations.models.model import Model
from handrail.integrations.models.prices import Price

__all__ = ["Model", "Price", "converse", "planning", "toy_model"]
