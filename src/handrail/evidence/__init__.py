"""Evidence: is an agent worth it, and how much may it do alone? Pure: figures in, figures out."""

from handrail.evidence.approvers import ApproverAttention, approver_attention, inattentive
from handrail.evidence.backtest import (
    Outlook,
    ReplayedWrite,
    VerdictChange,
    proposals,
    replay_policies,
    verdict_changes,
)
from handrail.evidence.decisions import (
    ChosenAction,
    PastDecision,
    Reconsidered,
    agreement,
    free_texts,
)
from handrail.evidence.estimates import ErrorShare
from handrail.evidence.track_record import TrackRecord, measure_track_record

__all__ = [
    "ApproverAttention",
    "ChosenAction",
    "ErrorShare",
    "Outlook",
    "PastDecision",
    "Reconsidered",
    "ReplayedWrite",
    "TrackRecord",
    "VerdictChange",
    "agreement",
    "approver_attention",
    "free_texts",
    "inattentive",
    "measure_track_record",
    "proposals",
    "replay_policies",
    "verdict_changes",
]
