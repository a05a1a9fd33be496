"""Images of the corpus, built in one go; a small hidden tier; an evaluation under short limits."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner.files.hdf5 import sha256_of
from runner.harness.docker_engine import DockerEngine, connect
from runner.harness.watch import Timing
from runner.pipeline.evaluate import Evaluation
from runner.pipeline.stages import Plan
from runner.tiers.strip import strip
from schemas.evaluation import Verdict
from schemas.limits import ResourceLimits
from tests.adversarial.containers.corpus import Case
from tests.runner.small import SmallTier, true_answers, write_answers, write_small_tier

LIMITS = ResourceLimits(
    memory_mib=256,
    patterns_mib=32,
    cpus=2.0,
    pids=32,
    shm_mib=16,
    tmp_mib=64,
    wall_s=5.0,
    sample_wall_s=0.5,
    output_mib=4,
    output_files=32,
    log_mib=0.1,
)
"""Short, so that who fills or waits is soon done; wide enough for an honest one."""

GVISOR_LIMITS = LIMITS.model_copy(update={"runtime": "runsc", "wall_s": 15.0, "pids": 128})
"""gVisor takes seconds to start a Python and its modules, and has threads of its own."""

OUT = "hidden-truth"
"""Folder of an evaluation: words that oracle_seeker would find if the container saw any path."""

LOOSE = "runsc-loose"
"""gVisor with --ignore-cgroups, as machines have it where it can set none (.ci/run)."""

TIMING = Timing(poll_s=0.1, grace_s=0.5, sample_slack_s=0.3)
HERE = Path(__file__).parent

DOCKERFILE = """\
FROM {image}
USER root
RUN cp /bin/dash /app/root-shell && chmod 4755 /app/root-shell
RUN mkdir -m 777 /open
COPY attack.py truth.json earlier.h5 /app/
USER 1000:1000
ENTRYPOINT ["python", "/app/attack.py"]
"""

Evaluate = Callable[..., Verdict]


@pytest.fixture(scope="session")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> SmallTier:
    return write_small_tier(tmp_path_factory.mktemp("hidden-truth"), "hidden")


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerEngine]:
    with connect() as found:
        yield found


@pytest.fixture(scope="session")
def image_of(
    image: str,
    engine: DockerEngine,
    hidden: SmallTier,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[Case], str]]:
    """The image of a case, a few lines of metadata on one base, built when it is asked for."""
    builder = engine.client.images
    base, _ = builder.build(
        fileobj=_context(image, hidden, tmp_path_factory.mktemp("context")),
        custom_context=True,
        rm=True,
        network_mode="none",
    )
    built: dict[str, str] = {}

    def make(case: Case) -> str:
        if case.title not in built:
            # The label comes first, so that no image is a step on the way to another.
            own = (f"LABEL case={case.title}", f"ENV ATTACK={case.name}", *case.build)
            lines = "\n".join((f"FROM {base.id}", *own))
            context = io.BytesIO(f"{lines}\n".encode())
            built[case.title] = builder.build(fileobj=context, rm=True, network_mode="none")[0].id
        return built[case.title]

    yield make
    for identifier in built.values():  # the last one takes the base with it
        builder.remove(identifier, force=True)


def _context(image: str, tier: SmallTier, folder: Path) -> io.BytesIO:
    known = {
        sample.name: {"x": sample.x_true.tolist(), "spec": sample.true_spec.values()}  # type: ignore[union-attr]
        for sample in tier.samples
    }
    (folder / "truth.json").write_text(json.dumps(known))
    view = strip(tier.challenge, folder.with_suffix(".h5"))  # the same bytes in each evaluation
    write_answers(
        folder / "earlier.h5",
        true_answers(tier),
        input_sha256=sha256_of(view),
        nonce="earlier",
    )
    (folder / "Dockerfile").write_text(DOCKERFILE.format(image=image))
    (folder / "attack.py").write_bytes((HERE / "attack.py").read_bytes())
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(folder.iterdir()):
            path.chmod(0o644)
            archive.add(path, path.name)
    packed.seek(0)
    return packed


@pytest.fixture
def evaluate(
    engine: DockerEngine, image_of: Callable[[Case], str], hidden: SmallTier, tmp_path: Path
) -> Evaluate:
    """Judge a case's image on the hidden tier; nothing of it may be left behind."""

    def judge(case: Case, limits: ResourceLimits = LIMITS) -> Verdict:
        plan = Plan(
            image=image_of(case),
            challenge=hidden.challenge,
            truth=hidden.truth,
            out=tmp_path / OUT,
            limits=limits,
            staging=tmp_path / "staging",
            timing=TIMING,
        )
        evaluation = Evaluation(plan, engine)
        for _ in evaluation:
            pass
        verdict = evaluation.verdict()
        left = engine.client.containers.list(all=True, filters={"ancestor": plan.image})
        assert left == []
        staging = tmp_path / "staging"
        assert not staging.exists() or list(staging.iterdir()) == []
        return verdict

    return judge
