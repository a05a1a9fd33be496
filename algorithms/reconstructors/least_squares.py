"""least-squares: the regularised inverse of any linear H, its weight chosen on data held out.

    x = argmin 1/2 |H x - y|^2 + weight R(x),   R total variation, smooth, or ridge

(see `algorithms.linear`). A tenth of y is left out, the signal is found from the rest with weaker
and weaker penalties, and the weight whose signal predicts best what was left out is taken for all
of y (cross-validation: Stone, J. R. Stat. Soc. B 36, 111 (1974)). Of a small y, more tenths have
their turn. No noise level is needed.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from algorithms.base import LinearSample, Reconstruction, Sample, unsuited
from algorithms.linear import SETTLED, LinearProblem, Penalty, PenaltyName, StopAsked, solve
from schemas.spec import MismatchSpec

STRONGEST = 1.0
"""Strength of the first trial: in its unit, a penalty that leaves next to nothing of the signal."""

DECADES = 8
"""Trials of ten times less strength each at most."""

PATIENCE = 2
"""Trials in a row that predict worse before no weaker one is made."""

REFINEMENTS = 2
"""Rounds of trials beside the best one, at half of the distance (in the logarithm) each time."""

TRIAL_SHARE = 0.6
"""Share of the time that is left which the trials may take."""

TRIAL_STEPS = 50
"""Steps of a trial at most; it begins at the signal of the one before."""

TRIAL_SETTLED = 1e-4
"""Relative change of the signal at which a trial is done."""

FOLDS = 10
"""Parts that y is split into at random; each fit is made without one of them."""

ENOUGH_HELD_OUT = 1000
"""Entries that are to be predicted in all; with fewer, the choice is a matter of luck. Folds are
taken until there are so many, or none is left."""

PREDICTED = 0.999
"""A relative error on what was held out above which it is not predicted at all: 1 is what a signal
of nothing gives."""


@dataclass(frozen=True)
class LeastSquares:
    """Regularised least squares.

    Attributes:
        penalty: total-variation (few sharp edges), smooth (small differences), or ridge (small
            values).
        strength: weight of the penalty in its own unit: of max |H^T y| for total variation, of
            |H|^2 for the others; None chooses it from the data.
        nonnegative: the signal is not negative.
        iterations: most steps of the solver.
    """

    penalty: str = PenaltyName.TOTAL_VARIATION.value
    strength: float | None = None
    nonnegative: bool = True
    iterations: int = 300

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """Always refused: counts of a phase object are not linear in it.

        Raises:
            ContractError: SAMPLE_UNSUITED.
        """
        attrs = sample.operator.attrs
        raise unsuited(
            sample,
            needs="data that are linear in the signal, y = H x",
            found=f"counts |F(P exp(i {attrs.phase_scale_rad:.3g} x))|^2 of a phase object",
            instead="ptychography, which fits the counts themselves; cpu-baseline, which is linear"
            " in them (their centre of mass)",
        )

    def reconstruct_linear(self, sample: LinearSample) -> Reconstruction:
        """x_hat, of the signal's shape."""
        generator = torch.Generator().manual_seed(sample.seed)
        kind = np.complex128 if np.iscomplexobj(sample.y) else np.float64
        y = torch.as_tensor(np.asarray(sample.y, dtype=kind)).to(sample.device)
        with torch.inference_mode():
            problem = LinearProblem(sample.operator, y)
            fit = _Fit(self, problem, sample, problem.squared_norm(generator))
            held_out: dict[str, float] = {}
            strength = self.strength
            if strength is None:
                strength, held_out = fit.choose(generator)
            x, steps = fit.run(problem, strength, fit.start(), self.iterations, SETTLED, fit.late)
            sample.progress(1.0)
            size = float(torch.linalg.norm(y))
            misfit = float(torch.linalg.norm(problem.residual(x)))
        diagnostics: dict[str, Any] = {
            "strength": strength,
            "held_out_residual": held_out,
            "iterations": steps,
            "relative_residual": misfit / size if size > 0 else 0.0,
        }
        if held_out and min(held_out.values()) > PREDICTED:
            diagnostics["warning"] = (
                f"the {self.penalty} penalty predicts nothing of what was held out, so that the"
                " strength is a guess: state `strength`, or take another penalty"
            )
        return Reconstruction(x.cpu().numpy().astype(np.float32), diagnostics=diagnostics)


class _Fit:
    """Fits of one sample with different strengths."""

    def __init__(
        self, method: LeastSquares, problem: LinearProblem, sample: LinearSample, norm2: float
    ) -> None:
        self._method, self._problem, self._sample = method, problem, sample
        self._norm2 = norm2
        self._name = PenaltyName(method.penalty)
        self._unit = norm2
        if self._name is PenaltyName.TOTAL_VARIATION:
            self._unit = float(problem.right_side().abs().max())

    def start(self) -> Tensor:
        """Nothing."""
        shape = self._sample.object_shape
        return torch.zeros(shape, dtype=torch.float64, device=self._problem.y.device)

    def late(self) -> bool:
        """Whether the sample's time is over."""
        return self._sample.seconds_left <= 0

    def run(
        self,
        problem: LinearProblem,
        strength: float,
        start: Tensor,
        steps: int,
        settled: float,
        stop: StopAsked,
    ) -> tuple[Tensor, int]:
        """(signal, steps) with one strength."""
        if self._norm2 == 0.0:
            return start, 0  # H gives nothing: whatever x is, the data do not say
        penalty = Penalty(self._name, strength * self._unit, self._method.nonnegative)
        found = solve(
            problem,
            penalty,
            start=start,
            squared_norm=self._norm2,
            steps=steps,
            settled=settled,
            stop=stop,
        )
        return found.x, found.steps

    def choose(self, generator: torch.Generator) -> tuple[float, dict[str, float]]:
        """(strength that predicts best what was held out, {strength: relative error of that})."""
        y = self._problem.y
        part = torch.randint(FOLDS, y.shape, generator=generator)
        folds = min(FOLDS, math.ceil(ENOUGH_HELD_OUT * FOLDS / y.numel()))
        numbers = torch.arange(folds).reshape(-1, *(1 for _ in y.shape))
        held = (part == numbers).to(y.device, torch.float64)
        rest = self._problem.without(held)
        total = float(torch.linalg.norm(y * held)) or 1.0
        end = time.monotonic() + TRIAL_SHARE * self._sample.seconds_left
        errors: dict[float, float] = {}
        signal = self.start().expand(folds, *self._sample.object_shape)

        def over() -> bool:
            return time.monotonic() > end

        def trial(exponent: float) -> None:
            nonlocal signal
            strength = STRONGEST * 10**exponent
            signal, _ = self.run(rest, strength, signal, TRIAL_STEPS, TRIAL_SETTLED, over)
            missed = (self._problem.operator.forward(signal) - y) * held
            errors[exponent] = float(torch.linalg.norm(missed)) / total
            self._sample.progress(0.8 * len(errors) / (DECADES + 2 * REFINEMENTS))

        worse = 0
        for decade in range(DECADES):
            best_before = min(errors.values(), default=math.inf)
            trial(-float(decade))
            worse = worse + 1 if errors[-float(decade)] >= best_before else 0
            if worse == PATIENCE or over():
                break
        step = 0.5
        for _ in range(REFINEMENTS):
            best = min(errors, key=lambda exponent: errors[exponent])
            for beside in (best + step, best - step):
                if beside not in errors and not over():
                    trial(beside)
            step /= 2
        best = min(errors, key=lambda exponent: errors[exponent])
        told = {f"{STRONGEST * 10**e:.3g}": round(errors[e], 6) for e in sorted(errors)}
        return STRONGEST * 10**best, told
