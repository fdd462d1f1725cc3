"""Rules: conditions that operators write, typed, explained leaf by leaf, and broken off in time."""

from handrail.policy.rules.rule import Match, Rule, RuleError, RuleFailed, compile_rule
from handrail.policy.rules.types import FACTS, CaseFact, Types, nearest

__all__ = [
    "FACTS",
    "CaseFact",
    "Match",
    "Rule",
    "RuleError",
    "RuleFailed",
    "Types",
    "compile_rule",
    "nearest",
]
