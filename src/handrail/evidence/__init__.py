"""Evidence: is an agent worth it, and how much may it do alone? Pure: figures in, figures out."""

from typing import TYPE_CHECKING

from handrail.faces import on_demand

if TYPE_CHECKING:
    from handrail.evidence.alarms import Alarm, find_alarms, keep_alarms
    from handrail.evidence.approvers import ApproverAttention, approver_attention, inattentive
    from handrail.evidence.audit import (
        AuditEntry,
        AuditKind,
        CaseFacts,
        body_digest,
        chain_faults,
        chained,
        history_faults,
        order_faults,
        proof_faults,
        row_name,
    )
    from handrail.evidence.backtest import (
        Outlook,
        ReplayedWrite,
        VerdictChange,
        proposals,
        replay_policies,
        verdict_changes,
    )
    from handrail.evidence.candidate_plot import discovery_page
    from handrail.evidence.decision_tree import LearnedRule
    from handrail.evidence.decisions import (
        ChosenAction,
        PastDecision,
        RemadeDecision,
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
    from handrail.evidence.drift import Drift, drift_of, population_stability
    from handrail.evidence.estimates import (
        AgreementBound,
        ErrorShare,
        agreement_path,
        bound_of,
        measure_agreement,
    )
    from handrail.evidence.event_log import (
        AS_FOUND,
        DELIMITERS,
        BadRow,
        EventLog,
        LogColumns,
        LoggedEvent,
        TimeReader,
        read_csv_log,
    )
    from handrail.evidence.matching import (
        NOTHING,
        Pairing,
        WhoWasRight,
        compare_place,
        differing,
        rule_digest,
    )
    from handrail.evidence.measuring import cases_behind, measure_report
    from handrail.evidence.pilot import (
        POINTS,
        AgreementPoint,
        ClassAgreement,
        PilotReport,
        Selection,
        measure_pilot,
    )
    from handrail.evidence.process_figures import (
        BaselineFigure,
        LogFigures,
        baseline_figures,
        log_figures,
    )
    from handrail.evidence.promotion import (
        NextStep,
        PromotionEvidence,
        next_setting,
        next_step,
        setting_before,
        slow_ramps,
        why_step_back,
    )
    from handrail.evidence.report import (
        AgentReport,
        Metric,
        ReportDay,
        ValueReport,
        figure_in_words,
        report_csv,
    )
    from handrail.evidence.rollout import BuildJudgement, judge_build
    from handrail.evidence.skeleton import policy_skeleton
    from handrail.evidence.track_record import TrackRecord, measure_track_record
    from handrail.evidence.value import MONEY_BASELINES
    from handrail.evidence.weekly import week_of, weekly_lines
    from handrail.evidence.worsening import Worsening, WorseningTest, worse_than, worse_than_before
    from handrail.evidence.xes import read_xes_log
else:
    __getattr__ = on_demand(__name__)

__all__ = [
    "AS_FOUND",
    "DELIMITERS",
    "END",
    "MONEY_BASELINES",
    "NOTHING",
    "POINTS",
    "RARE",
    "AgentReport",
    "AgreementBound",
    "AgreementPoint",
    "Alarm",
    "ApproverAttention",
    "AuditEntry",
    "AuditKind",
    "BadRow",
    "BaselineFigure",
    "BuildJudgement",
    "Candidate",
    "CaseFacts",
    "ChosenAction",
    "ClassAgreement",
    "Discovery",
    "Drift",
    "ErrorShare",
    "EventLog",
    "LearnedRule",
    "LogColumns",
    "LogFigures",
    "LoggedEvent",
    "Metric",
    "NextStep",
    "Outlook",
    "Pairing",
    "PastDecision",
    "PilotReport",
    "Predicted",
    "PromotionEvidence",
    "RemadeDecision",
    "ReplayedWrite",
    "ReportDay",
    "Selection",
    "TimeReader",
    "TrackRecord",
    "ValueReport",
    "VerdictChange",
    "WhoWasRight",
    "Worsening",
    "WorseningTest",
    "agreement",
    "agreement_path",
    "approver_attention",
    "baseline_figures",
    "body_digest",
    "bound_of",
    "cases_behind",
    "chain_faults",
    "chained",
    "compare_place",
    "differing",
    "discover",
    "discovery_page",
    "drift_of",
    "figure_in_words",
    "find_alarms",
    "free_texts",
    "history_faults",
    "inattentive",
    "judge_build",
    "keep_alarms",
    "length_in_words",
    "log_figures",
    "measure_agreement",
    "measure_pilot",
    "measure_report",
    "measure_track_record",
    "next_setting",
    "next_step",
    "order_faults",
    "policy_skeleton",
    "population_stability",
    "proof_faults",
    "proposals",
    "read_csv_log",
    "read_xes_log",
    "replay_policies",
    "report_csv",
    "row_name",
    "rule_digest",
    "setting_before",
    "slow_ramps",
    "verdict_changes",
    "week_of",
    "weekly_lines",
    "why_step_back",
    "worse_than",
    "worse_than_before",
]
