"""Every code of a finding, and every exit code: docs/errors.md, made from the code alone."""

from __future__ import annotations

from runner.report.schema_page import table
from schemas.findings import CODES, EXIT_OF_BLAME, Blame, CodeInfo, ExitCode

PREAMBLE = """\
# Errors

Printed by `stem4d errors`; a test fails when this page and the code differ. Every failure that a
person can cause is told as one or more findings, all at once: a code, where, what was expected,
what was found, what to do. A code never changes its meaning. `stem4d errors CODE` explains one.
"""

TITLES = {
    Blame.SUBMISSION: "The submission",
    Blame.LIMITS: "Limits",
    Blame.RESULT: "The result file",
    Blame.INPUT: "The challenge file",
    Blame.USAGE: "The command",
    Blame.INFRASTRUCTURE: "The machine",
}

REMARKS = {
    Blame.SUBMISSION: "The participant's code or image did something wrong.",
    Blame.LIMITS: "The run met a limit of `limits.toml`.",
    Blame.RESULT: "The file that the run left cannot be taken as it is.",
    Blame.INPUT: "The file that the run was given cannot be used.",
    Blame.USAGE: "The command as typed cannot be carried out.",
    Blame.INFRASTRUCTURE: "Not the submission's fault: the attempt is given back.",
}

EXIT_MEANINGS = {
    ExitCode.DONE: "done",
    ExitCode.ALGORITHM: "the algorithm failed, or hit a limit",
    ExitCode.USAGE: "the command cannot be carried out as given",
    ExitCode.RESULT: "the result is invalid",
    ExitCode.INPUT: "the input is bad",
    ExitCode.INFRASTRUCTURE: "infrastructure: not the submission's fault, may be tried again",
}


def markdown() -> str:
    """The page docs/errors.md."""
    return "\n".join([PREAMBLE, _exit_section(), *map(_section, Blame)])


def describe(code: str) -> str:
    """One code for a person, over a few lines."""
    info = CODES[code]
    exit_code = EXIT_OF_BLAME[info.blame]
    return (
        f"{code}: {info.meaning}\n"
        f"  fault of: {info.blame} ({REMARKS[info.blame]})\n"
        f"  exit code: {int(exit_code)} ({EXIT_MEANINGS[exit_code]})\n"
        f"  counts as an attempt: {_counts(info)}"
    )


def _section(blame: Blame) -> str:
    rows = [
        (f"`{code}`", info.meaning, _counts(info))
        for code, info in CODES.items()
        if info.blame is blame
    ]
    exit_code = int(EXIT_OF_BLAME[blame])
    return (
        f"## {TITLES[blame]}\n\n{REMARKS[blame]} Blame `{blame}`, exit code {exit_code}.\n\n"
        + table(("code", "meaning", "counts as an attempt"), rows)
    )


def _exit_section() -> str:
    rows = [(str(int(code)), meaning) for code, meaning in EXIT_MEANINGS.items()]
    return f"## Exit codes\n\n{table(('code', 'meaning'), rows)}"


def _counts(info: CodeInfo) -> str:
    return "yes" if info.counts else "no"
