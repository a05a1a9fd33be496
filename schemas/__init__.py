"""The contract as pydantic models: files, limits, findings and scores. No torch, no h5py."""

from schemas.analysis import AnalysedAttrs, AnalysisAttrs, MapAttrs
from schemas.base import CONTRACT_VERSION, VARIANT, Record, json_text, record_from_json
from schemas.challenge import ArrayMetadata, ChallengeAttrs, SampleMetadata, Tier, Track
from schemas.evaluation import (
    CodeLine,
    ParticipantReport,
    PreflightFacts,
    RepeatFacts,
    RunFacts,
    SampleDifference,
    SanitiseFacts,
    ScoreFacts,
    StageRecord,
    StripFacts,
    Verdict,
)
from schemas.findings import Blame, ContractError, ExitCode, Finding, finding, refuse
from schemas.limits import ResourceLimits, SanitiserLimits
from schemas.operator import OperatorAttrs
from schemas.recipes import Profile, TierRecipe
from schemas.result import ProgressLine, Provenance, ResultAttrs, RunInfo, SampleRun
from schemas.score import SampleScore, ScoreCard
from schemas.spec import PARAMETERS, MismatchSpec, NamedSpec, SpecRange, SpecRanges

CONTRACT_MODELS: tuple[type[Record] | type[SpecRanges], ...] = (
    ChallengeAttrs,
    OperatorAttrs,
    SpecRange,
    MismatchSpec,
    SampleMetadata,
    ArrayMetadata,
    ResultAttrs,
    Provenance,
    RunInfo,
    SampleRun,
    ProgressLine,
    AnalysisAttrs,
    AnalysedAttrs,
    MapAttrs,
    ResourceLimits,
    SanitiserLimits,
    Finding,
    TierRecipe,
    Profile,
    SampleScore,
    ScoreCard,
    PreflightFacts,
    StripFacts,
    RunFacts,
    SanitiseFacts,
    SampleDifference,
    RepeatFacts,
    ScoreFacts,
    StageRecord,
    Verdict,
    CodeLine,
    ParticipantReport,
)
"""Every record of the contract, in the order in which `stem4d schema` prints them."""

__all__ = [
    "CONTRACT_MODELS",
    "CONTRACT_VERSION",
    "PARAMETERS",
    "VARIANT",
    "AnalysedAttrs",
    "AnalysisAttrs",
    "ArrayMetadata",
    "Blame",
    "ChallengeAttrs",
    "ContractError",
    "ExitCode",
    "Finding",
    "MapAttrs",
    "MismatchSpec",
    "NamedSpec",
    "OperatorAttrs",
    "Profile",
    "ProgressLine",
    "Provenance",
    "Record",
    "ResourceLimits",
    "ResultAttrs",
    "RunInfo",
    "SampleMetadata",
    "SampleRun",
    "SampleScore",
    "SanitiserLimits",
    "ScoreCard",
    "SpecRange",
    "SpecRanges",
    "Tier",
    "TierRecipe",
    "Track",
    "finding",
    "json_text",
    "record_from_json",
    "refuse",
]
