"""Every case of the corpus, through the real child process: its exact codes, and nothing leaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import h5py
import numpy as np
import pytest

from runner.harness.sanitise import Sanitised, Sanitiser, sanitise
from schemas.findings import CODES
from schemas.limits import SanitiserLimits
from tests.adversarial.files.corpus import CASES, HONEST, Case
from tests.adversarial.files.workshop import SECRET, Workshop
from tests.adversarial.oracle import check_canonical
from tests.helpers.memory import added_peak_mib
from tests.helpers.watch import watched

LIMITS = SanitiserLimits()

START_MIB = 80
"""What the reader has in memory before it opens a file, at most [MiB]: Python, numpy, h5py."""

PARENT_MIB = 32
"""How much this process may grow while it judges a file of two small images [MiB]."""


@pytest.fixture(scope="module")
def sanitiser(workshop: Workshop) -> Iterator[Sanitiser]:
    with Sanitiser(workshop.view, LIMITS) as warmed:
        yield warmed


def codes(judged: Sanitised) -> set[str]:
    return {entry.code for entry in judged.findings}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=[pytest.mark.slow] if case.slow else [])
        for case in CASES
    ],
)
def test_case(case: Case, shop: Workshop, sanitiser: Sanitiser) -> None:
    path = case.make(shop)
    canonical = shop.folder / "canonical.h5"
    canonical.write_bytes(b"of an earlier run")
    with (
        watched(shop.secret, shop.raw_secret, shop.challenge.path) as touched,
        added_peak_mib() as added,
    ):
        judged = sanitiser.judge(path, canonical, nonce=case.nonce)
        assert not touched(), "a file outside was opened"
    assert codes(judged) == set(case.codes), [entry.text() for entry in judged.findings]
    assert judged.samples == case.samples
    assert judged.accepted == bool(case.samples) == canonical.exists()
    assert judged.child_peak_mib < START_MIB + LIMITS.memory_mib
    assert added() < PARENT_MIB
    for entry in judged.findings:
        assert entry.where
        assert entry.hint
        assert entry.blame == "result"
    if judged.accepted:
        check_canonical(canonical, path, shop.view, judged)
        assert SECRET.tobytes()[:64] not in canonical.read_bytes()


def test_the_corpus_is_large_and_names_each_case_once() -> None:
    assert len(CASES) >= 60
    assert max(Counter(case.name for case in CASES).values()) == 1
    assert {code for case in CASES for code in case.codes} >= {
        code
        for code in CODES
        # The reader's own death is tested with readers that die (test_reader.py).
        if code.startswith("RESULT_") and code != "RESULT_UNREADABLE"
    }
    assert all(case.samples and not case.codes for case in HONEST)


def test_the_secret_would_be_taken_for_an_answer(shop: Workshop, sanitiser: Sanitiser) -> None:
    """The same image, written as an own one, is accepted: so what refuses it is the way it came."""

    def put(file: h5py.File) -> None:
        file["sample_00/x_hat"][...] = SECRET

    canonical = shop.folder / "canonical.h5"
    assert sanitiser.judge(shop.damaged(put), canonical).accepted
    assert SECRET.tobytes() in canonical.read_bytes()


def test_the_watch_sees_who_opens(shop: Workshop) -> None:
    with watched(shop.secret) as touched:
        assert not touched()
        h5py.File(shop.secret).close()
        assert touched()


def test_one_call_is_the_same_as_many(shop: Workshop, sanitiser: Sanitiser) -> None:
    one, two = shop.folder / "one.h5", shop.folder / "two.h5"
    first = sanitise(shop.copy(), shop.view, one, nonce=None, limits=LIMITS)
    second = sanitiser.judge(shop.copy(), two)
    assert first.accepted
    assert first.identity == first.sha256 == second.sha256
    assert one.read_bytes() == two.read_bytes()
    assert np.isfinite(first.seconds)
