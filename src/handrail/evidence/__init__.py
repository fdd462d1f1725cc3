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
from handrail.evidence.drift import Drift, population_stability
from handrail.evidence.estimates import (
    AgreementBound,
    ErrorShare,
    agreement_path,
    measure_agreement,
)
from handrail.evidence.track_record import TrackRecord, measure_track_record
from handrail.evidence.worsening import Worsening, WorseningTest, worse_than, worse_than_before

__all__ = [
    "AgreementBound",
    "ApproverAttention",
    "ChosenAction",
    "Drift",
    "ErrorShare",
    "Outlook",
    "PastDecision",
    "Reconsidered",
    "ReplayedWrite",
    "TrackRecord",
    "VerdictChange",
    "Worsening",
    "WorseningTest",
    "agreement",
    "agreement_path",
    "approver_attention",
    "free_texts",
    "inattentive",
    "measure_agreement",
    "measure_track_record",
    "population_stability",
    "proposals",
    "replay_policies",
    "verdict_changes",
    "worse_than",
    "worse_than_before",
]
