"""Pre-flight: every fault of an image, all at once, and nothing is run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runner.harness.preflight import VERSION_LABEL, preflight
from schemas.findings import ContractError
from schemas.limits import ResourceLimits
from tests.helpers.fake_engine import FACTS, FakeEngine, FakeImage, image_like

LIMITS = ResourceLimits()


def codes(
    folder: Path, image: FakeImage, limits: ResourceLimits = LIMITS, **about: object
) -> list[str]:
    engine = FakeEngine(folder, {"it": image}, about=replace(FACTS, **about))  # type: ignore[arg-type]
    found = preflight(engine, "it", limits)
    assert engine.calls.keys() <= {"facts", "image"}
    assert not any(entry.counts_against_quota for entry in found.findings)
    return [entry.code for entry in found.findings]


def test_a_good_image_passes(tmp_path: Path) -> None:
    assert codes(tmp_path, FakeImage()) == []


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (image_like(architecture="arm64"), "IMAGE_ARCHITECTURE"),
        (image_like(os="windows"), "IMAGE_ARCHITECTURE"),
        (image_like(user=""), "IMAGE_USER"),
        (image_like(user="0"), "IMAGE_USER"),
        (image_like(user="root:root"), "IMAGE_USER"),
        (image_like(user="1000:0"), "IMAGE_USER"),
        (image_like(labels={}), "IMAGE_LABEL"),
        (image_like(labels={VERSION_LABEL: "2.0"}), "IMAGE_VERSION"),
        (image_like(labels={VERSION_LABEL: ""}), "IMAGE_VERSION"),
        (image_like(size_bytes=1 << 40), "IMAGE_TOO_LARGE"),
        (image_like(entrypoint=()), "IMAGE_ENTRYPOINT"),
        (image_like(entrypoint=("",)), "IMAGE_ENTRYPOINT"),
        (image_like(volumes=("/data",)), "IMAGE_VOLUME"),
    ],
)
def test_a_fault_of_the_image(tmp_path: Path, image: FakeImage, code: str) -> None:
    assert codes(tmp_path, image) == [code]


@pytest.mark.parametrize(
    "image",
    [
        image_like(labels={VERSION_LABEL: "1.7"}),
        image_like(user="1000"),
        image_like(user="stem4d"),
        image_like(volumes=("/tmp", "/output/", "/input")),
    ],
)
def test_what_does_no_harm_passes(tmp_path: Path, image: FakeImage) -> None:
    assert codes(tmp_path, image) == []


def test_all_faults_at_once(tmp_path: Path) -> None:
    image = image_like(architecture="arm64", user="", labels={}, entrypoint=(), volumes=("/a",))
    limits = ResourceLimits(gpu=True, runtime="kata")
    assert codes(tmp_path, image, limits, seccomp=False) == [
        "IMAGE_ARCHITECTURE",
        "IMAGE_USER",
        "IMAGE_LABEL",
        "IMAGE_ENTRYPOINT",
        "IMAGE_VOLUME",
        "RUNTIME_UNAVAILABLE",
        "GPU_UNAVAILABLE",
        "PROTECTION_MISSING",
    ]


def test_a_missing_image_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ContractError) as caught:
        preflight(FakeEngine(tmp_path, {}), "absent", LIMITS)
    assert caught.value.findings[0].code == "IMAGE_NOT_FOUND"


def test_limits_that_no_kernel_holds_are_named(tmp_path: Path) -> None:
    engine = FakeEngine(tmp_path, {"it": FakeImage()})
    assert preflight(engine, "it", LIMITS).not_held == ()
    gvisor = preflight(engine, "it", ResourceLimits(runtime="runsc"))
    assert gvisor.not_held == ("memory", "cpus", "pids")
    engine.about = replace(FACTS, limits=frozenset({"cpus", "pids"}))
    assert preflight(engine, "it", LIMITS).not_held == ("memory",)
