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
from handrail.evidence.decision_tree import LearnedRule
from handrail.evidence.decisions import (
    ChosenAction,
    PastDecision,
    Reconsidered,
    agreement,
    free_texts,
)
from handrail.evidence.discovery import (
    END,
    RARE,
    Candidate,
    Discovery,
    Predicted,
    discover,
    length_in_words,
)
from handrail.evidence.drift import Drift, population_stability
from handrail.evidence.estimates import (
    AgreementBound,
    ErrorShare,
    agreement_path,
    measure_agreement,
)
from handrail.evidence.event_log import (
    AS_FOUND,
    BadRow,
    EventLog,
    LogColumns,
    LoggedEvent,
    read_csv_log,
)
from handrail.evidence.log_figures import (
    BaselineFigure,
    LogFigures,
    baseline_figures,
    log_figures,
)
from handrail.evidence.track_record import TrackRecord, measure_track_record
from handrail.evidence.worsening import Worsening, WorseningTest, worse_than, worse_than_before
from handrail.evidence.xes import read_xes_log

__all__ = [
    "AS_FOUND",
    "END",
    "RARE",
    "AgreementBound",
    "ApproverAttention",
    "BadRow",
    "BaselineFigure",
    "Candidate",
    "ChosenAction",
    "Discovery",
    "Drift",
    "ErrorShare",
    "EventLog",
    "LearnedRule",
    "LogColumns",
    "LogFigures",
    "LoggedEvent",
    "Outlook",
    "PastDecision",
    "Predicted",
    "Reconsidered",
    "ReplayedWrite",
    "TrackRecord",
    "VerdictChange",
    "Worsening",
    "WorseningTest",
    "agreement",
    "agreement_path",
    "approver_attention",
    "baseline_figures",
    "discover",
    "free_texts",
    "inattentive",
    "length_in_words",
    "log_figures",
    "measure_agreement",
    "measure_track_record",
    "population_stability",
    "proposals",
    "read_csv_log",
    "read_xes_log",
    "replay_policies",
    "verdict_changes",
    "worse_than",
    "worse_than_before",
]
