"""One run: every sample of a challenge file through an algorithm into a result file.

The same function serves the container, `stem4d run` and the dry-run in process.
"""

from __future__ import annotations

import sysconfig
import time
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from algorithms.base import (
    Algorithm,
    LinearAlgorithm,
    LinearSample,
    Reconstruction,
    Sample,
    is_unsuited,
    linear_form,
)
from algorithms.hints import hint_for
from algorithms.registry import (
    DEFAULT_ALGORITHM,
    load_algorithm,
    parameters_of,
)
from physics.primitives.array import ArrayMap
from runner.container import environment, stamp
from runner.container.progress import Progress
from runner.container.stop import StopRequestedError, StopSignal
from runner.files.arrays import ArraySample
from runner.files.challenge import AnySample, Challenge, open_challenge
from runner.files.hdf5 import explain, make_folder, output_error
from runner.files.result import (
    PROGRESS_NAME,
    RESULT_NAME,
    DiagnosticsRecord,
    ResultFile,
    SampleResult,
    read_result,
    write_result,
)
from runner.files.rules import image_fault
from schemas.base import CONTRACT_VERSION, MAX_JSON_BYTES, json_text, record_from_json
from schemas.findings import ContractError, Finding, finding, refuse
from schemas.limits import ResourceLimits
from schemas.result import ResultAttrs, SampleRun
from schemas.spec import MismatchSpec, NamedSpec

LIBRARIES = (
    sysconfig.get_path("stdlib"),
    *(str(Path(__file__).parents[2] / room) for room in ("algorithms", "physics", "schemas")),
    "<frozen",
)
PACKAGES = frozenset({"site-packages", "dist-packages"})
"""Where code lies that is not a participant's."""


@dataclass(frozen=True)
class RunOptions:
    """How a run is made.

    Attributes:
        algorithm: name, entry point or `file.py:Class`.
        seed: random seed.
        limits: where the wall times and the memory for patterns come from.
        resume: go on from the result file that is there.
        quiet: no progress on stderr.
        nonce: token that the result must carry, when the organiser gave one.
    """

    algorithm: str = DEFAULT_ALGORITHM
    seed: int = 0
    limits: ResourceLimits = ResourceLimits()
    resume: bool = False
    quiet: bool = False
    nonce: str | None = None


def run_challenge(source: Path, folder: Path, options: RunOptions) -> Path:
    """Run an algorithm over a challenge file; returns the path of the result file.

    The result file is complete and valid after each sample. A signal to stop ends the run after the
    write that is under way.

    Args:
        source: challenge file.
        folder: output folder, made when it is not there.
        options: algorithm, seed, limits.

    Raises:
        ContractError: bad input, an algorithm that fails or returns something invalid, a limit, or
            an output folder that cannot be written. What was finished stays in the result file.
    """
    began, started = time.monotonic(), datetime.now(UTC)
    environment.prepare(options.seed)
    with StopSignal() as stop:
        try:
            with open_challenge(source) as challenge:
                _Run(challenge, folder, options, stop, began, started).all_samples()
        except StopRequestedError:
            raise refuse(
                "STOPPED",
                str(folder / RESULT_NAME),
                expected="a run to its end",
                found="a signal to stop (SIGTERM or Ctrl-C)",
                hint="the samples that were finished are in the result file; --resume goes on",
            ) from None
    return folder / RESULT_NAME


class _Run:
    """State of one run."""

    def __init__(
        self,
        challenge: Challenge,
        folder: Path,
        options: RunOptions,
        stop: StopSignal,
        began: float,
        started: datetime,
    ) -> None:
        self._challenge, self._folder, self._options = challenge, folder, options
        self._stop, self._began, self._started = stop, began, started
        self._algorithm: Algorithm = load_algorithm(options.algorithm)
        self._provenance = stamp.provenance(
            options.algorithm,
            parameters_of(self._algorithm),
            options.seed,
            challenge.path,
            nonce=options.nonce,
        )
        self._results: dict[str, SampleResult] = {}
        self._seconds: dict[str, SampleRun] = {}

    def all_samples(self) -> None:
        """Every sample in turn."""
        path = self._folder / RESULT_NAME
        # All samples are looked at first: a fault of the last one is told now, not after an hour.
        samples = tuple(self._challenge.any_samples())
        for sample in samples:
            if isinstance(sample, ArraySample):
                self._linear_algorithm(sample)
        make_folder(self._folder)
        self._take_earlier(path)
        lines = self._folder / PROGRESS_NAME
        try:
            lines.unlink(missing_ok=True)
        except OSError as error:
            raise output_error(lines, error) from error
        limit_s = self._options.limits.wall_s
        progress = Progress(
            len(samples), lines, quiet=self._options.quiet, limit_s=limit_s, run_began=self._began
        )
        setup = getattr(self._algorithm, "setup", None)
        if setup is not None:
            guarded(setup, "setup()")
        self._setup_seconds = time.monotonic() - self._began
        self._write(path)
        unsuited: list[Finding] = []
        for sample in samples:
            progress.begin(sample.name)
            if sample.name in self._results:
                progress.finish(resumed=True)
                continue
            try:
                result, seconds = self._solve(sample, progress)
            except ContractError as error:
                # What says no to one sample may serve the next; all that were refused are told.
                if not is_unsuited(error):
                    raise
                unsuited += error.findings
                progress.leave_out()
                continue
            with self._stop.held():
                self._results[sample.name] = result
                self._seconds[sample.name] = SampleRun(seconds=round(seconds, 3))
                self._write(path)
                progress.finish()
        if unsuited:
            raise ContractError(unsuited)

    def _solve(self, source: AnySample, progress: Progress) -> tuple[SampleResult, float]:
        limits = self._options.limits
        begin = time.monotonic()
        deadline = min(begin + limits.sample_wall_s, self._began + limits.wall_s)
        sample: Sample | LinearSample
        if isinstance(source, ArraySample):
            linear = self._linear_algorithm(source)
            sample = LinearSample(
                name=source.name,
                y=source.y,
                operator=ArrayMap(source.operator),
                ranges=source.ranges,
                seed=self._options.seed,
                device=environment.device(),
                deadline=deadline,
                true_spec=source.true_spec,
                progress=progress.update,
            )
            call = partial(linear.solve_linear, sample)
        else:
            sample = Sample(
                name=source.name,
                y=source.y,
                operator=source.operator,
                ranges=source.ranges,
                seed=self._options.seed,
                device=environment.device(),
                memory_bytes=limits.patterns_bytes,
                deadline=deadline,
                true_spec=source.true_spec,
                progress=progress.update,
            )
            call = partial(self._algorithm.solve, sample)
        outcome = guarded(call, source.name)
        seconds = time.monotonic() - begin
        return checked(outcome, sample), seconds

    def _linear_algorithm(self, sample: ArraySample) -> LinearAlgorithm:
        """The algorithm, where it can handle a sample whose H is a plain array.

        Raises:
            ContractError: INPUT_UNSUPPORTED.
        """
        linear = linear_form(self._algorithm)
        if linear is None:
            raise refuse(
                "INPUT_UNSUPPORTED",
                f"{self._challenge.path}:/{sample.name}/H_ideal",
                expected=f"for {self._options.algorithm}, a group with the 4D-STEM operator",
                found=f"a plain array of shape {sample.operator.values.shape}, variant"
                f" {self._challenge.attrs.variant}",
                hint="use --algorithm least-squares, which takes any linear H; one of your own"
                " needs solve_linear(self, sample) (docs/primitives.md)",
            )
        return linear

    def _write(self, path: Path) -> None:
        run_info = stamp.run_info(self._started, self._setup_seconds, self._seconds)
        attrs = ResultAttrs(
            variant=self._challenge.attrs.variant,
            tier=self._challenge.attrs.tier,
            submission_type="reconstruction",
            contract_version=CONTRACT_VERSION,
        )
        write_result(path, ResultFile(attrs, self._provenance, run_info, self._results))

    def _take_earlier(self, path: Path) -> None:
        """Take over the finished samples of an earlier run of the same kind, if asked to resume."""
        if not self._options.resume or not path.is_file():
            return
        earlier, _ = read_result(path, self._challenge)
        if earlier is None or earlier.provenance != self._provenance:
            raise refuse(
                "USAGE",
                str(path),
                expected="a partial result of this very input, algorithm, seed and version",
                found="a damaged file" if earlier is None else "a result of another run",
                hint="leave --resume out to begin anew, or choose another --output",
            )
        self._results.update(earlier.samples)
        if earlier.run_info is not None:
            self._seconds.update(earlier.run_info.samples)


def checked(outcome: object, sample: Sample | LinearSample) -> SampleResult:
    """What an algorithm returned, as the contract wants it: nothing is silently repaired.

    Raises:
        ContractError: ALGORITHM_OUTPUT with every fault.
    """
    if not isinstance(outcome, Reconstruction):
        raise _bad_output(sample.name, "a Reconstruction(x_hat, spec)", type(outcome).__name__)
    findings: list[Finding] = []
    try:
        x_hat: NDArray[Any] = np.asarray(outcome.x_hat)
    except (TypeError, ValueError, RuntimeError) as error:
        raise _bad_output(
            f"{sample.name}: x_hat",
            "an array (of a torch tensor: x.detach().cpu().numpy())",
            f"{type(outcome.x_hat).__name__}: {error}",
        ) from error
    if x_hat.shape != sample.object_shape:
        findings += _bad_output(
            f"{sample.name}: x_hat", f"shape {sample.object_shape}", f"shape {x_hat.shape}"
        ).findings
    elif x_hat.dtype.kind not in "fiu":
        findings += _bad_output(f"{sample.name}: x_hat", "real numbers", str(x_hat.dtype)).findings
    else:
        with np.errstate(over="ignore"):
            x_hat = x_hat.astype(np.float32)
        if (fault := image_fault(x_hat, f"{sample.name}: x_hat")) is not None:
            findings += _bad_output(fault.where, fault.expected, fault.found).findings
    values: dict[str, float] = {}
    kind = MismatchSpec if isinstance(sample, Sample) else NamedSpec
    if not isinstance(outcome.spec, kind):
        findings += _bad_output(
            f"{sample.name}: spec",
            f"a {kind.__name__} within sample.ranges",
            "None" if outcome.spec is None else type(outcome.spec).__name__,
        ).findings
    else:
        values = {n: v for n, v in outcome.spec.values().items() if n in sample.ranges.names}
        outside = [
            f"{r.name} = {values[r.name]:g} outside [{r.min:g}, {r.max:g}]"
            if r.name in values
            else f"no {r.name}"
            for r in sample.ranges.root
            if r.name not in values or not r.min <= values[r.name] <= r.max
        ]
        if outside:
            findings += _bad_output(
                f"{sample.name}: spec",
                "every parameter within its range (`spec.clipped(sample.ranges)`)",
                "; ".join(outside),
            ).findings
    diagnostics: dict[str, JsonValue] = {}
    try:
        text = json_text(stamp.plain(outcome.diagnostics))
        diagnostics = record_from_json(DiagnosticsRecord, text).root
    except (ValueError, RecursionError) as error:
        findings += _bad_output(
            f"{sample.name}: diagnostics",
            f"a mapping that JSON can hold, at most {MAX_JSON_BYTES} bytes",
            explain(error),
        ).findings
    if findings:
        raise ContractError(findings)
    return SampleResult(x_hat, values, diagnostics)


def _bad_output(where: str, expected: str, found: str) -> ContractError:
    return refuse(
        "ALGORITHM_OUTPUT",
        where,
        expected=expected,
        found=found,
        hint="change what your algorithm returns; docs/write-an-algorithm.md has an example",
    )


def _of_library(file: str) -> bool:
    return file.startswith(LIBRARIES) or not PACKAGES.isdisjoint(Path(file).parts)


def guarded(call: Any, where: str) -> Any:
    """Call the algorithm's code; its errors become a finding that names the line."""
    try:
        return call()
    except ContractError:
        raise
    except MemoryError as error:
        raise refuse(
            "OUT_OF_MEMORY",
            where,
            expected="memory within the limit",
            found=str(error) or "MemoryError",
            hint="read y in blocks (sample.y.read) instead of all at once",
        ) from error
    except (Exception, SystemExit) as error:  # sys.exit(0) would look like a run that went well
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if not f.filename.endswith("runner/container/run.py")]
        # Where the error arose in a library, the participant's own line is the one to mend.
        theirs = [f for f in own if not _of_library(f.filename)] or own
        lines = "; ".join(f"{f.filename}:{f.lineno} in {f.name}" for f in theirs[-3:])
        raise ContractError(
            finding(
                "ALGORITHM_FAILED",
                where,
                expected="no exception",
                found=f"{type(error).__name__}: {explain(error)} ({lines})",
                hint=hint_for(error)
                or "mend the line that is named last; `stem4d dry-run --no-docker` is the"
                " quickest way to see it again",
            )
        ) from error
