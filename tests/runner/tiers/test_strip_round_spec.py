"""The proof of a blind view: round true values raise no alarm, a telling one does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runner.files.challenge import open_challenge, write_challenge
from runner.tiers.strip import StripError, prove, strip
from schemas import ChallengeAttrs, MismatchSpec
from schemas.spec import SpecRange, SpecRanges
from tests.runner.small import make_sample

ATTRS = ChallengeAttrs(
    variant="electron_diffraction", tier="public", version="1.0", contract_version="1.0"
)


@pytest.mark.parametrize(
    "spec",
    [
        MismatchSpec(),
        MismatchSpec(camera_length=2.0, center_offset=1.0, elliptical_distortion=0.005),
        MismatchSpec(camera_length=1.0, center_offset=0.5, elliptical_distortion=0.0025),
    ],
)
def test_round_values_are_no_disclosure(spec: MismatchSpec, tmp_path: Path) -> None:
    """The page's own perturbation and the midpoints of its ranges are round."""
    source = tmp_path / "public.h5"
    write_challenge(source, ATTRS, [make_sample(0, spec)])
    strip(source, tmp_path / "view.h5")


def test_a_telling_value_anywhere_is_found(tmp_path: Path) -> None:
    spec = MismatchSpec(camera_length=1.2345678912)
    sample = make_sample(0, spec)
    leak = SpecRanges((SpecRange(name="camera_length", min=-2.0, max=1.2345678912, unit="%"),))
    leaking = replace(sample, ranges=leak, x_true=None, true_spec=None)
    view = tmp_path / "view.h5"
    write_challenge(view, ATTRS, [leaking])
    with open_challenge(view) as file, pytest.raises(StripError, match="true_spec"):
        prove(view, tuple(replace(entry, true_spec=spec) for entry in file))
