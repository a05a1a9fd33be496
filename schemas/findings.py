"""Findings: what is wrong, where, what was expected, what to do, and whose fault it is.

Every failure that a person can cause is reported as one or more findings with a stable code.
`ContractError` carries them through the program; the command line prints all of them and leaves
with their exit code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from pydantic import Field

from schemas.base import Record


class Blame(StrEnum):
    """Whose fault a finding is."""

    SUBMISSION = "submission"
    LIMITS = "limits"
    RESULT = "result"
    INPUT = "input"
    USAGE = "usage"
    INFRASTRUCTURE = "infrastructure"


class ExitCode(IntEnum):
    """Exit codes of every command and of the container (contract, section 4)."""

    DONE = 0
    ALGORITHM = 1
    USAGE = 2
    RESULT = 3
    INPUT = 4
    INFRASTRUCTURE = 5


EXIT_OF_BLAME = {
    Blame.SUBMISSION: ExitCode.ALGORITHM,
    Blame.LIMITS: ExitCode.ALGORITHM,
    Blame.RESULT: ExitCode.RESULT,
    Blame.INPUT: ExitCode.INPUT,
    Blame.USAGE: ExitCode.USAGE,
    Blame.INFRASTRUCTURE: ExitCode.INFRASTRUCTURE,
}


@dataclass(frozen=True)
class CodeInfo:
    """What a code means, whose fault it is, and whether it costs an attempt."""

    blame: Blame
    meaning: str
    counts: bool = True


CODES: dict[str, CodeInfo] = {
    # input: the challenge file
    "INPUT_NOT_FOUND": CodeInfo(Blame.INPUT, "no challenge file where one was expected", False),
    "INPUT_AMBIGUOUS": CodeInfo(Blame.INPUT, "more than one challenge file", False),
    "INPUT_NOT_HDF5": CodeInfo(Blame.INPUT, "not an HDF5 file, or a damaged one", False),
    "INPUT_MISSING_ITEM": CodeInfo(Blame.INPUT, "the challenge file lacks an item", False),
    "INPUT_MALFORMED": CodeInfo(Blame.INPUT, "an item of the challenge file is malformed", False),
    "INPUT_INCONSISTENT": CodeInfo(
        Blame.INPUT, "items of the challenge file contradict each other", False
    ),
    "INPUT_VERSION": CodeInfo(
        Blame.INPUT, "contract version that this runner does not read", False
    ),
    "INPUT_UNSUPPORTED": CodeInfo(Blame.INPUT, "a form of H that this algorithm cannot use", False),
    "TRUTH_MISSING": CodeInfo(Blame.INPUT, "the file holds no truth", False),
    "NOTATION_MALFORMED": CodeInfo(
        Blame.INPUT, "a forward model's notation that cannot be read", False
    ),
    # usage
    "USAGE": CodeInfo(Blame.USAGE, "the command cannot be carried out as given", False),
    "MODEL_PARAMETERS": CodeInfo(
        Blame.USAGE, "a symbol of a forward model has no value, or one that does not fit", False
    ),
    "ALGORITHM_UNKNOWN": CodeInfo(Blame.USAGE, "no algorithm of that name", False),
    "ALGORITHM_NOT_LOADED": CodeInfo(
        Blame.USAGE, "the algorithm's code could not be loaded", False
    ),
    "ALGORITHM_SIGNATURE": CodeInfo(
        Blame.USAGE, "the class lacks what the protocol asks for", False
    ),
    "QUOTA_EXHAUSTED": CodeInfo(Blame.USAGE, "the participant has no attempt left", False),
    "SUBMISSION_UNKNOWN": CodeInfo(Blame.USAGE, "the ledger has no such submission", False),
    "LEDGER_VERSION": CodeInfo(Blame.USAGE, "a ledger of another version of stem4d", False),
    "OUTPUT_NOT_WRITABLE": CodeInfo(Blame.USAGE, "the output folder cannot be written to", False),
    "EXTRA_MISSING": CodeInfo(Blame.USAGE, "an optional package is needed and absent", False),
    "FOLDER_NOT_EMPTY": CodeInfo(Blame.USAGE, "a folder that would be written over", False),
    # the submission's folder, before anything runs
    "SUBMISSION_NOT_FOUND": CodeInfo(Blame.SUBMISSION, "no submission.toml", False),
    "SUBMISSION_MALFORMED": CodeInfo(
        Blame.SUBMISSION, "submission.toml cannot be read, or a key of it is wrong", False
    ),
    "DECLARED_LIMITS": CodeInfo(
        Blame.SUBMISSION, "the method says that it needs more than the server gives", False
    ),
    "WEIGHTS_MISSING": CodeInfo(
        Blame.SUBMISSION, "a file of weights is not there, or only a pointer to it", False
    ),
    "WEIGHTS_CHANGED": CodeInfo(
        Blame.SUBMISSION, "a file of weights is not the one that was declared", False
    ),
    "WEIGHTS_PICKLED": CodeInfo(
        Blame.SUBMISSION, "weights in a form that runs code when they are loaded", False
    ),
    "SCRIPT_CRLF": CodeInfo(
        Blame.SUBMISSION, "a script with Windows line ends, which Linux cannot start", False
    ),
    "SCORE_NOT_DECLARED": CodeInfo(Blame.SUBMISSION, "no public score is declared", False),
    "SCORE_NOT_REPRODUCED": CodeInfo(
        Blame.SUBMISSION, "the declared public score was not reached again", False
    ),
    "PACK_TOO_LARGE": CodeInfo(Blame.SUBMISSION, "the archive is larger than is taken", False),
    "PACK_LINK": CodeInfo(Blame.SUBMISSION, "a link, or no plain file, in what is packed", False),
    # the image, before anything runs
    "IMAGE_ARCHITECTURE": CodeInfo(Blame.SUBMISSION, "the image is for another machine", False),
    "IMAGE_USER": CodeInfo(Blame.SUBMISSION, "the image wants to run as root", False),
    "IMAGE_LABEL": CodeInfo(Blame.SUBMISSION, "the image lacks a label", False),
    "IMAGE_VERSION": CodeInfo(
        Blame.SUBMISSION, "the image follows another version of the contract", False
    ),
    "IMAGE_TOO_LARGE": CodeInfo(Blame.SUBMISSION, "the image is larger than the limit", False),
    "IMAGE_ENTRYPOINT": CodeInfo(Blame.SUBMISSION, "the image starts nothing", False),
    "IMAGE_VOLUME": CodeInfo(
        Blame.SUBMISSION, "the image asks for a writable folder of its own", False
    ),
    "IMAGE_NOT_STARTED": CodeInfo(
        Blame.SUBMISSION, "the engine cannot start what the image names as its entry point", False
    ),
    # the algorithm
    "ALGORITHM_FAILED": CodeInfo(Blame.SUBMISSION, "the algorithm raised an error"),
    "ALGORITHM_OUTPUT": CodeInfo(Blame.SUBMISSION, "the algorithm returned something invalid"),
    "ALGORITHM_CHANGES_INPUT": CodeInfo(
        Blame.SUBMISSION, "the algorithm changed the arrays that it was given", False
    ),
    "ALGORITHM_WRITES": CodeInfo(
        Blame.SUBMISSION, "the algorithm wrote files outside the temporary folder", False
    ),
    "ALGORITHM_THREADS": CodeInfo(
        Blame.SUBMISSION, "the algorithm changed the number of torch's threads", False
    ),
    "WEIGHTS_INVALID": CodeInfo(
        Blame.SUBMISSION, "a network's weights are missing, or are not those of its card"
    ),
    "SAMPLE_UNSUITED": CodeInfo(Blame.SUBMISSION, "this algorithm cannot serve such a sample"),
    "STOPPED": CodeInfo(Blame.LIMITS, "the run was asked to stop before it was done"),
    "SAMPLE_TIMEOUT": CodeInfo(Blame.LIMITS, "one sample took longer than the limit"),
    "RUN_TIMEOUT": CodeInfo(Blame.LIMITS, "the run took longer than the limit"),
    "OUT_OF_MEMORY": CodeInfo(Blame.LIMITS, "the run used more memory than the limit"),
    "OUTPUT_TOO_LARGE": CodeInfo(Blame.LIMITS, "the run wrote more than the limit"),
    "OUTPUT_TOO_MANY_FILES": CodeInfo(Blame.LIMITS, "the run made more files than the limit"),
    "OUTPUT_HIDDEN": CodeInfo(Blame.LIMITS, "the run made a folder that nobody can look into"),
    "TOO_MANY_PROCESSES": CodeInfo(Blame.LIMITS, "the run had more processes than the limit"),
    "LOG_FLOOD": CodeInfo(Blame.LIMITS, "the run wrote far more log than the limit"),
    "NOT_DETERMINISTIC": CodeInfo(
        Blame.SUBMISSION, "two runs with one seed gave different results"
    ),
    # the result file
    "RESULT_NOT_FOUND": CodeInfo(Blame.RESULT, "no result file"),
    "RESULT_NOT_REGULAR": CodeInfo(
        Blame.RESULT, "a link, pipe, folder or device in place of the result file"
    ),
    "RESULT_NOT_HDF5": CodeInfo(Blame.RESULT, "not an HDF5 file, or a damaged one"),
    "RESULT_FOREIGN_BYTES": CodeInfo(
        Blame.RESULT, "bytes before or behind those that HDF5 counts as the file"
    ),
    "RESULT_UNREADABLE": CodeInfo(
        Blame.RESULT, "reading the file crashed the reader, or broke its limits of memory or time"
    ),
    "RESULT_LINK": CodeInfo(
        Blame.RESULT, "a soft or external link, or an object with more than one name"
    ),
    "RESULT_STORAGE": CodeInfo(
        Blame.RESULT, "data that are external, virtual or compact, not contiguous or in chunks"
    ),
    "RESULT_CHUNK": CodeInfo(Blame.RESULT, "a chunk larger than allowed"),
    "RESULT_FILTER": CodeInfo(Blame.RESULT, "filters other than one shuffle and one deflate"),
    "RESULT_TYPE": CodeInfo(Blame.RESULT, "a type of data that no result has, or one of its own"),
    "RESULT_ATTRIBUTE": CodeInfo(Blame.RESULT, "an attribute that is not one text of 64 KiB"),
    "RESULT_TOO_MANY_ITEMS": CodeInfo(
        Blame.RESULT, "more items or attributes than a result may have"
    ),
    "RESULT_TOO_LARGE": CodeInfo(Blame.RESULT, "the result file is larger than allowed"),
    "RESULT_MISSING_ITEM": CodeInfo(Blame.RESULT, "the result file lacks an item"),
    "RESULT_UNKNOWN_ITEM": CodeInfo(Blame.RESULT, "the result file holds what it must not"),
    "RESULT_JSON": CodeInfo(
        Blame.RESULT, "text that is not strict JSON (NaN, a key twice, too deep, too long)"
    ),
    "RESULT_MALFORMED": CodeInfo(Blame.RESULT, "an item of the result file is malformed"),
    "RESULT_SHAPE": CodeInfo(Blame.RESULT, "x_hat has another shape than the signal"),
    "RESULT_DTYPE": CodeInfo(Blame.RESULT, "x_hat is not float32"),
    "RESULT_NOT_FINITE": CodeInfo(Blame.RESULT, "x_hat holds NaN or infinity"),
    "RESULT_MAGNITUDE": CodeInfo(Blame.RESULT, "x_hat holds values that no image has"),
    "RESULT_SPEC": CodeInfo(Blame.RESULT, "corrected_spec is not valid for the sample's ranges"),
    "RESULT_OTHER_INPUT": CodeInfo(Blame.RESULT, "the result was made from another challenge file"),
    "RESULT_NONCE": CodeInfo(Blame.RESULT, "the result does not carry the token of this run"),
    "RESULT_SAMPLE_MISSING": CodeInfo(Blame.RESULT, "a sample is missing; it scores 0"),
    "RESULT_SAMPLE_UNKNOWN": CodeInfo(Blame.RESULT, "a sample that the challenge does not have"),
    # infrastructure
    "ENGINE_UNREACHABLE": CodeInfo(Blame.INFRASTRUCTURE, "no container engine answers", False),
    "IMAGE_NOT_FOUND": CodeInfo(Blame.INFRASTRUCTURE, "the engine has no such image", False),
    "ENGINE_FAILED": CodeInfo(Blame.INFRASTRUCTURE, "the container engine failed", False),
    "ATTEMPTS_EXHAUSTED": CodeInfo(
        Blame.INFRASTRUCTURE, "too many attempts ended without a verdict", False
    ),
    "SCHEDULER_UNREACHABLE": CodeInfo(Blame.INFRASTRUCTURE, "no Dask scheduler answers", False),
    "WORKER_FAILED": CodeInfo(Blame.INFRASTRUCTURE, "a cluster's worker cannot work", False),
    "CLAIM_LOST": CodeInfo(
        Blame.INFRASTRUCTURE,
        "this process was taken for dead, and its work given to another",
        False,
    ),
    "LEDGER_UNREACHABLE": CodeInfo(
        Blame.INFRASTRUCTURE, "the ledger's database cannot be opened", False
    ),
    "GPU_UNAVAILABLE": CodeInfo(Blame.INFRASTRUCTURE, "the engine cannot give a GPU", False),
    "RUNTIME_UNAVAILABLE": CodeInfo(
        Blame.INFRASTRUCTURE, "the engine has no such container runtime", False
    ),
    "PROTECTION_MISSING": CodeInfo(
        Blame.INFRASTRUCTURE, "a limit or protection is not in force as it was asked for", False
    ),
    "SEAL_BROKEN": CodeInfo(
        Blame.INFRASTRUCTURE, "a canonical result is not the one that was sealed", False
    ),
    "NO_SPACE": CodeInfo(Blame.INFRASTRUCTURE, "no space left on the device", False),
    "INTERNAL": CodeInfo(Blame.INFRASTRUCTURE, "an error of stem4d itself", False),
}
"""Every code: stable, never reused with another meaning."""


class Finding(Record):
    """One thing that is wrong."""

    code: str = Field(description="stable code")
    where: str = Field(max_length=500, description="file, item, sample or option")
    expected: str = Field(max_length=2000, description="what should be there")
    found: str = Field(max_length=4000, description="what is there")
    hint: str = Field(max_length=2000, description="what to do")
    blame: Blame = Field(description="whose fault it is")
    counts_against_quota: bool = Field(description="whether the attempt counts")

    def text(self) -> str:
        """The finding for a person, over a few lines."""
        return (
            f"{self.code} at {self.where}\n"
            f"  expected: {self.expected}\n"
            f"  found:    {self.found}\n"
            f"  do:       {self.hint}"
        )


def finding(code: str, where: str, *, expected: str, found: str, hint: str) -> Finding:
    """A finding with the blame and the cost that its code has.

    Text that is too long is cut, so that no error is lost for its length; what could command a
    terminal is taken out, for much of it is a stranger's.
    """
    info = CODES[code]
    return Finding(
        code=code,
        where=_cut(where, 500),
        expected=_cut(expected, 2000),
        found=_cut(found, 4000),
        hint=_cut(hint, 2000),
        blame=info.blame,
        counts_against_quota=info.counts,
    )


def _cut(text: str, limit: int) -> str:
    text = text.encode("utf-8", "backslashreplace").decode()  # what is no text stays printable
    return text if len(text) <= limit else text[: limit - 4] + " ..."


class ContractError(Exception):
    """Something that the contract forbids; carries all findings at once."""

    def __init__(self, findings: Finding | Sequence[Finding]) -> None:
        self.findings: tuple[Finding, ...] = (
            (findings,) if isinstance(findings, Finding) else tuple(findings)
        )
        if not self.findings:
            raise ValueError("a ContractError needs at least one finding")
        super().__init__("\n".join(item.text() for item in self.findings))

    @property
    def exit_code(self) -> ExitCode:
        """Exit code of the first (worst) finding."""
        return EXIT_OF_BLAME[self.findings[0].blame]


def refuse(code: str, where: str, *, expected: str, found: str, hint: str) -> ContractError:
    """A `ContractError` with one finding, ready to be raised."""
    return ContractError(finding(code, where, expected=expected, found=found, hint=hint))
