"""The contract as pydantic models: files, limits, findings and scores. No torch, no h5py."""

from schemas.base import CONTRACT_VERSION, VARIANT, Record, json_text, record_from_json
from schemas.challenge import ChallengeAttrs, SampleMetadata, Tier, Track
from schemas.findings import Blame, ContractError, ExitCode, Finding, finding, refuse
from schemas.limits import ResourceLimits, SanitiserLimits
from schemas.operator import OperatorAttrs
from schemas.recipes import Profile, TierRecipe
from schemas.result import ProgressLine, Provenance, ResultAttrs, RunInfo, SampleRun
from schemas.score import SampleScore, ScoreCard
from schemas.spec import PARAMETERS, MismatchSpec, SpecRange, SpecRanges

CONTRACT_MODELS: tuple[type[Record] | type[SpecRanges], ...] = (
    ChallengeAttrs,
    OperatorAttrs,
    SpecRange,
    MismatchSpec,
    SampleMetadata,
    ResultAttrs,
    Provenance,
    RunInfo,
    SampleRun,
    ProgressLine,
    ResourceLimits,
    SanitiserLimits,
    Finding,
    TierRecipe,
    Profile,
    SampleScore,
    ScoreCard,
)
"""Every record of the contract, in the order in which `stem4d schema` prints them."""

__all__ = [
    "CONTRACT_MODELS",
    "CONTRACT_VERSION",
    "PARAMETERS",
    "VARIANT",
    "Blame",
    "ChallengeAttrs",
    "ContractError",
    "ExitCode",
    "Finding",
    "MismatchSpec",
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
