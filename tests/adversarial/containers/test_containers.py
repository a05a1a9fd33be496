"""Every image of the corpus against the real engine: none gains anything, each has its code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from runner.harness.docker_engine import DockerEngine
from runner.harness.watch import COUNTED
from runner.scoring.metrics import residual
from schemas.evaluation import RunFacts, State, Verdict
from schemas.findings import Blame
from schemas.spec import MismatchSpec
from tests.adversarial.containers.conftest import GVISOR_LIMITS, LIMITS, LOOSE, OUT
from tests.adversarial.containers.corpus import BASELINES, HOSTILE, IMAGES, Case
from tests.runner.small import SmallTier

pytestmark = pytest.mark.docker

WORTHLESS = 0.45
"""Above what images of zeros score on this small tier, and far below what the truth does."""

CANARY = "CANARY"

Evaluate = Callable[..., Verdict]


def codes(verdict: Verdict) -> tuple[str, ...]:
    return tuple(entry.code for entry in verdict.findings)


def told(folder: Path) -> str:
    return "".join(path.read_text() for path in (folder / OUT / "participant").iterdir())


def log_of(folder: Path) -> str:
    path = folder / OUT / "organiser" / "run-1" / "log.txt"
    return path.read_text() if path.exists() else ""


def judged_rightly(case: Case, verdict: Verdict, expected: tuple[str, ...], folder: Path) -> None:
    assert codes(verdict) == expected, log_of(folder)
    assert verdict.state is not State.FAULT
    if expected:
        assert verdict.state is State.REFUSED
        assert verdict.score is None
    else:
        assert verdict.state is State.SCORED
        assert verdict.score is not None
        assert verdict.score < WORTHLESS
    assert all(entry.blame is not Blame.INFRASTRUCTURE for entry in verdict.findings)
    assert verdict.counts_against_quota is not (
        case in IMAGES and not any(entry.counts_against_quota for entry in verdict.findings)
    )
    assert CANARY not in told(folder)
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & {*log_of(folder), *told(folder)}


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.title)
def test_hostile(case: Case, evaluate: Evaluate, tmp_path: Path) -> None:
    judged_rightly(case, evaluate(case), case.codes, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [case for case in HOSTILE if case.gvisor], ids=lambda case: case.title
)
def test_hostile_under_gvisor(
    case: Case, evaluate: Evaluate, engine: DockerEngine, tmp_path: Path, needs_gvisor: None
) -> None:
    verdict = evaluate(case, GVISOR_LIMITS)
    loose = bool(engine.facts().not_held("runsc"))
    judged_rightly(case, verdict, case.expected(gvisor=True, loose=loose), tmp_path)
    facts = [entry.facts for entry in verdict.stages if isinstance(entry.facts, RunFacts)]
    assert all(entry.applied["runtime"] == "runsc" for entry in facts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "memory_mib"),
    # Under gVisor a Python that forks takes its memory anew: room for more than the limit of them.
    [("memory_hog", LIMITS.memory_mib), ("fork_bomb", 2048), ("tmp_hog", LIMITS.memory_mib)],
)
def test_what_no_kernel_holds_is_counted_and_told(
    name: str,
    memory_mib: int,
    evaluate: Evaluate,
    engine: DockerEngine,
    tmp_path: Path,
    needs_gvisor: None,
) -> None:
    if LOOSE not in engine.facts().runtimes:
        pytest.skip(f"the engine has no runtime {LOOSE} (.ci/run)")
    case = next(entry for entry in HOSTILE if entry.name == name)
    own = {"runtime": LOOSE, "pids": LIMITS.pids, "memory_mib": memory_mib}
    limits = GVISOR_LIMITS.model_copy(update=own)
    verdict = evaluate(case, limits)
    judged_rightly(case, verdict, case.expected(gvisor=True, loose=True), tmp_path)
    facts = next(r.facts for r in verdict.stages if isinstance(r.facts, RunFacts))
    assert facts.not_enforced["cpus"] == "not held"
    assert facts.not_enforced["memory"] == facts.not_enforced["pids"] == COUNTED


class TestBaselines:
    """Honest images, whose score follows from the truth by the formula of the contract."""

    def test_the_truth(self, evaluate: Evaluate, hidden: SmallTier) -> None:
        """Everything but what the noise of the counts leaves unreachable."""
        verdict = evaluate(Case("honest_truth"))
        assert codes(verdict) == ()
        ceiling = [consistency(s, s.x_true, s.true_spec) for s in hidden.samples]
        assert verdict.score == pytest.approx(0.8 + 0.2 * np.mean(ceiling), abs=1e-9)

    @pytest.mark.parametrize(("name", "value"), [("honest_zeros", 0.0), ("honest_half", 0.5)])
    def test_an_image_without_content(
        self, evaluate: Evaluate, hidden: SmallTier, name: str, value: float
    ) -> None:
        verdict = evaluate(Case(name))
        assert codes(verdict) == ()
        expected = [
            blind_score(s, np.full(s.x_true.shape, value, np.float32), MismatchSpec())
            for s in hidden.samples
        ]
        assert verdict.score == pytest.approx(np.mean(expected), abs=1e-6)

    def test_the_true_image_with_the_middle_of_the_ranges(
        self, evaluate: Evaluate, hidden: SmallTier
    ) -> None:
        verdict = evaluate(Case("honest_midpoint"))
        assert codes(verdict) == ()
        expected = [
            blind_score(s, s.x_true, MismatchSpec.from_values(s.ranges.midpoint()))
            for s in hidden.samples
        ]
        assert verdict.score == pytest.approx(np.mean(expected), abs=1e-6)
        assert verdict.score is not None
        assert 0.8 < verdict.score < 1.0

    @pytest.mark.slow
    def test_gvisor_changes_no_score(
        self, evaluate: Evaluate, tmp_path: Path, needs_gvisor: None
    ) -> None:
        case = next(entry for entry in BASELINES if entry.gvisor)
        under = evaluate(case, GVISOR_LIMITS)
        assert codes(under) == ()
        facts = next(r.facts for r in under.stages if isinstance(r.facts, RunFacts))
        assert facts.applied["runtime"] == "runsc"
        assert set(facts.not_enforced) >= {"cpus"} or not facts.not_enforced
        (tmp_path / OUT).rename(tmp_path / "gvisor")
        assert evaluate(case).identity == under.identity


def blind_score(sample, x: np.ndarray, spec: MismatchSpec) -> float:  # type: ignore[no-untyped-def]
    """0.4 clip((PSNR - 10)/40, 0, 1) + 0.4 SSIM + 0.2 max(0, consistency), written out anew."""
    error = float(np.mean((x.astype(float) - sample.x_true.astype(float)) ** 2))
    part = 1.0 if error == 0 else float(np.clip((-10 * np.log10(error) - 10) / 40, 0, 1))
    ssim = structural_similarity(
        sample.x_true.astype(float), x.astype(float), data_range=1.0, win_size=7
    )
    return 0.4 * part + 0.4 * float(ssim) + 0.2 * max(0.0, consistency(sample, x, spec))


def consistency(sample, x: np.ndarray, spec: MismatchSpec) -> float:  # type: ignore[no-untyped-def]
    return residual(sample.y, sample.operator, x, spec).consistency
