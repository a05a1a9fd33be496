"""The data of each scenario, as files that a container may be given; none holds x_true."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from runner.files.challenge import Challenge, ChallengeSample, open_challenge, write_challenge
from runner.scoring.score import truth_of
from runner.tiers.simulate import simulate
from schemas.challenge import BLIND_TIER
from schemas.findings import refuse
from schemas.spec import MismatchSpec

NOMINAL_NOISE_STREAM = 1
"""Tells the noise of nominal data from every other use of the seed."""


def nominal_view(truth: Path, target: Path, *, seed: int) -> Path:
    """Write a challenge file of the same scenes, measured on the nominal detector.

    Args:
        truth: file with x_true.
        target: the new file; it holds no truth.
        seed: decides the noise.
    """
    with open_challenge(truth) as file:
        attrs = file.attrs.model_copy(update={"tier": BLIND_TIER})
        write_challenge(target, attrs, _measured_again(file, seed))
    return target


def _measured_again(file: Challenge, seed: int) -> Iterator[ChallengeSample]:
    for number, sample in enumerate(file):
        assert sample.x_true is not None, "scenario I needs the truth"
        ny, nx, *_ = sample.y.shape
        rng = np.random.default_rng([NOMINAL_NOISE_STREAM, seed, number])
        y = simulate(sample.x_true, sample.operator, MismatchSpec(), scan_shape=(ny, nx), rng=rng)
        yield replace(sample, y=y, x_true=None, true_spec=None)


def oracle_view(truth: Path, blind: Path, target: Path) -> Path:
    """Write the blind view once more, with the true spec in it: all that an oracle may know.

    Args:
        truth: file with true_spec.
        blind: the same samples as a container sees them.
        target: the new file; it holds no x_true.
    """
    with open_challenge(truth) as file, open_challenge(blind) as view:
        told = (replace(s, true_spec=file.sample(s.name).true_spec) for s in view)
        write_challenge(target, view.attrs, told)
    return target


def require_truth(challenge: Path, truth: Path) -> None:
    """Refuse a truth file that is incomplete, or is that of other data.

    Two files belong together when they have the same samples, operators and first scan rows: no two
    draws of the noise agree in these.

    Raises:
        ContractError: TRUTH_MISSING, INPUT_INCONSISTENT, or a file cannot be read.
    """
    with open_challenge(challenge) as given, open_challenge(truth) as known:
        if given.names != known.names:
            raise _other_data(challenge, truth, ", ".join(given.names), ", ".join(known.names))
        for name in given.names:
            sample = truth_of(known, name).sample
            if not _same_measurement(given.sample(name), sample):
                raise _other_data(challenge, truth, f"the patterns of {name}", "others")


def _same_measurement(one: ChallengeSample, two: ChallengeSample) -> bool:
    columns = one.y.shape[1]
    return (
        one.y.shape == two.y.shape
        and one.operator.attrs == two.operator.attrs
        and np.array_equal(one.y.read(0, columns), two.y.read(0, columns))
    )


def _other_data(challenge: Path, truth: Path, expected: str, found: str) -> Exception:
    return refuse(
        "INPUT_INCONSISTENT",
        str(truth),
        expected=f"the truth of {challenge}: {expected}",
        found=found,
        hint="give the truth file that was built together with the challenge file",
    )
