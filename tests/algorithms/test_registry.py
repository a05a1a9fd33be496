"""Finding algorithms: by name, by entry point, by file; and errors that name what is missing."""

from __future__ import annotations

import itertools
import subprocess
import sys
import textwrap
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from algorithms import registry
from algorithms.base import Algorithm, Calibration, Calibrator, Composed, Reconstruction
from algorithms.registry import (
    ANALYSES,
    CALIBRATORS,
    DEFAULT_ALGORITHM,
    RECONSTRUCTORS,
    installed,
    load_algorithm,
    load_calibrator,
    parameters_of,
)
from schemas import ContractError, Finding, MismatchSpec
from tests.helpers.operators import make_ideal
from tests.helpers.samples import atoms, measured

NUMBERS = itertools.count()

WriteFile = Callable[..., str]


@pytest.fixture(autouse=True)
def import_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading a file puts its folder on the import path: not for the other tests."""
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def plugin(tmp_path: Path) -> WriteFile:
    """Write a file; returns `path.py:Method`."""

    def write(source: str, *, name: str | None = None, attribute: str = "Method") -> str:
        path = tmp_path / (name or f"plugin_{next(NUMBERS)}.py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return f"{path}:{attribute}"

    return write


def refusal(name: str) -> Finding:
    with pytest.raises(ContractError) as failure:
        load_algorithm(name)
    (entry,) = failure.value.findings
    assert entry.hint
    return entry


# --- what is built in -----------------------------------------------------------------------------


@pytest.mark.parametrize("calibrator", sorted(CALIBRATORS))
@pytest.mark.parametrize("reconstructor", sorted(RECONSTRUCTORS))
def test_every_pair_of_names_is_an_algorithm(reconstructor: str, calibrator: str) -> None:
    made = load_algorithm(f"{reconstructor}+{calibrator}")
    assert isinstance(made, Algorithm)
    assert isinstance(made, Composed)
    assert isinstance(made.calibrator, Calibrator)
    assert type(made.calibrator) is type(load_calibrator(calibrator))
    assert set(parameters_of(made)) == {"reconstructor", "calibrator"}


def test_a_reconstructor_alone_is_calibrated_by_gradient() -> None:
    made = load_algorithm("cpu-baseline")
    assert isinstance(made, Composed)
    assert type(made.calibrator) is type(load_calibrator("gradient"))
    assert DEFAULT_ALGORITHM == "ensemble+gradient"


def test_parameters_are_told() -> None:
    assert parameters_of(load_algorithm("cpu-baseline+none")) == {
        "reconstructor": {"smoothing": 0.5},
        "calibrator": {},
    }
    assert parameters_of(object()) == {}


def test_listing_imports_none_of_it() -> None:
    """`stem4d algorithms` answers at once: no torch, no h5py, no plug-in."""
    code = """
        import sys
        from runner.cli import run_command, cli
        assert run_command(cli, ["algorithms"]) == 0
        heavy = {"torch", "h5py", "scipy", "matplotlib", "docker"} & set(sys.modules)
        heavy |= {m for m in sys.modules if m.startswith(("algorithms.cal", "algorithms.rec"))}
        heavy |= {m for m in sys.modules if m.startswith("algorithms.analysis.s")}
        assert not heavy, heavy
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for name in (*CALIBRATORS, *RECONSTRUCTORS, *ANALYSES, DEFAULT_ALGORITHM):
        assert name in done.stdout


# --- files ----------------------------------------------------------------------------------------

SOLVER = """
    import numpy as np
    from algorithms.base import Reconstruction
    from schemas.spec import MismatchSpec

    class Method:
        def solve(self, sample):
            return Reconstruction(np.zeros(sample.object_shape), MismatchSpec())
"""

RECONSTRUCTOR = """
    from dataclasses import dataclass
    import numpy as np
    from algorithms.base import Reconstruction

    @dataclass(frozen=True)
    class Method:
        level: float = 0.25

        def reconstruct(self, sample, spec, *, extra=None):
            return Reconstruction(np.full(sample.object_shape, self.level))
"""

CALIBRATOR = """
    from algorithms.base import Calibration
    from schemas.spec import MismatchSpec

    class Method:
        def estimate(self, sample):
            return Calibration(MismatchSpec(camera_length=1.5), {"camera_length": 0.1}, {"a": 1})
"""


def small_sample():
    ideal = make_ideal(object_shape=(16, 16), step=8)
    return measured(ideal, atoms((16, 16), count=3), MismatchSpec())


def test_a_file_that_solves(plugin: WriteFile) -> None:
    made = load_algorithm(plugin(SOLVER))
    assert made.solve(small_sample()).spec == MismatchSpec()


def test_a_file_that_reconstructs_with_one_that_calibrates(plugin: WriteFile) -> None:
    """Each for itself, and both together; the spec that was not refined is the calibrator's."""
    image, detector = plugin(RECONSTRUCTOR), plugin(CALIBRATOR)
    for name, level, length in (
        (f"{image}+none", 0.25, 0.0),
        (f"cpu-baseline+{detector}", None, 1.5),
        (f"{image}+{detector}", 0.25, 1.5),
    ):
        made = load_algorithm(name)
        solved = made.solve(small_sample())
        assert solved.spec == MismatchSpec(camera_length=length)
        if level is not None:
            assert (solved.x_hat == level).all()
            assert parameters_of(made)["reconstructor"] == {"level": 0.25}
        assert solved.diagnostics["calibration"]["spec"]["camera_length"] == length
        if length:
            assert solved.diagnostics["calibration"]["standard_errors"] == {"camera_length": 0.1}
            assert solved.diagnostics["calibration"]["a"] == 1


def test_a_refined_spec_wins() -> None:
    class Refines:
        def reconstruct(self, sample, spec):
            return Reconstruction(np.zeros(sample.object_shape), MismatchSpec(center_offset=0.5))

    class Calibrates:
        def estimate(self, sample):
            return Calibration(MismatchSpec(camera_length=1.0))

    solved = Composed(Refines(), Calibrates()).solve(small_sample())
    assert solved.spec == MismatchSpec(center_offset=0.5)


def test_setup_reaches_both_parts() -> None:
    called = []

    class Part:
        def __init__(self, name: str) -> None:
            self.name = name

        def setup(self) -> None:
            called.append(self.name)

    Composed(Part("image"), Part("detector")).setup()
    assert sorted(called) == ["detector", "image"]
    Composed(object(), object()).setup()


def test_modules_beside_the_file_are_found(plugin: WriteFile) -> None:
    plugin("LEVEL = 0.75\n", name="helper_beside.py")
    name = plugin("from helper_beside import LEVEL\n" + textwrap.dedent(SOLVER))
    assert isinstance(load_algorithm(name), Algorithm)


def test_files_of_one_name_are_not_mixed_up(plugin: WriteFile) -> None:
    first = plugin(RECONSTRUCTOR, name="a/method.py")
    second = plugin(RECONSTRUCTOR.replace("0.25", "0.5"), name="b/method.py")
    levels = [parameters_of(load_algorithm(n))["reconstructor"]["level"] for n in (first, second)]
    assert levels == [0.25, 0.5]


def test_a_path_relative_to_here(plugin: WriteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _, _ = plugin(SOLVER).rpartition(":")
    monkeypatch.chdir(Path(path).parent)
    assert isinstance(load_algorithm(f"{Path(path).name}:Method"), Algorithm)


def test_entry_points(plugin: WriteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package announces a class; a built-in name is not taken over by it."""
    path, _, _ = plugin(RECONSTRUCTOR).rpartition(":")
    monkeypatch.syspath_prepend(str(Path(path).parent))
    group = registry.ENTRY_POINT_GROUP
    points = [
        EntryPoint("their-method", f"{Path(path).stem}:Method", group),
        EntryPoint("cpu-baseline", f"{Path(path).stem}:Method", group),
        EntryPoint("broken", "no_such_module:Method", group),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda *, group: points)
    assert set(installed()) == {"their-method", "cpu-baseline", "broken"}
    assert parameters_of(load_algorithm("their-method"))["reconstructor"] == {"level": 0.25}
    assert "smoothing" in parameters_of(load_algorithm("cpu-baseline"))["reconstructor"]
    assert refusal("broken").code == "ALGORITHM_NOT_LOADED"
    assert "their-method" in refusal("their-methot").expected


# --- what is wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["magic", "", "+gradient", "Ptychography", "module:Class"])
def test_an_unknown_name_is_answered_with_the_known_ones(name: str) -> None:
    entry = refusal(name)
    assert entry.code == "ALGORITHM_UNKNOWN"
    for known in (*RECONSTRUCTORS, "file.py:ClassName"):
        assert known in entry.expected


@pytest.mark.parametrize("name", ["ptychography+magic", "ptychography+cpu-baseline"])
def test_an_unknown_calibrator_is_answered_with_the_known_ones(name: str) -> None:
    entry = refusal(name)
    assert entry.code == "ALGORITHM_UNKNOWN"
    for known in CALIBRATORS:
        assert known in entry.expected


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    entry = refusal(f"{tmp_path}/none.py:Method")
    assert entry.code == "ALGORITHM_UNKNOWN"
    assert f"{tmp_path}/none.py" in entry.found


def test_a_class_misspelt_is_answered_with_those_there_are(plugin: WriteFile) -> None:
    entry = refusal(plugin(SOLVER, attribute="Methot"))
    assert entry.code == "ALGORITHM_UNKNOWN"
    assert "Methot" in entry.expected
    assert "Method" in entry.found
    assert "Reconstruction" not in entry.found, "imported classes are no candidates"


WRONG: dict[str, tuple[str, str, str]] = {
    "no method": (
        "class Method:\n    def run(self, sample): ...",
        "ALGORITHM_SIGNATURE",
        "solve(self, sample) or reconstruct(self, sample, spec)",
    ),
    "a calibrator alone": (textwrap.dedent(CALIBRATOR), "ALGORITHM_SIGNATURE", "estimate"),
    "solve without a sample": (
        "class Method:\n    def solve(self): ...",
        "ALGORITHM_SIGNATURE",
        "solve(self, sample)",
    ),
    "reconstruct without a spec": (
        "class Method:\n    def reconstruct(self, sample): ...",
        "ALGORITHM_SIGNATURE",
        "reconstruct(self, sample, spec)",
    ),
    "solve that wants more": (
        "class Method:\n    def solve(self, sample, probe): ...",
        "ALGORITHM_SIGNATURE",
        "probe",
    ),
    "solve with names only": (
        "class Method:\n    def solve(self, *, sample): ...",
        "ALGORITHM_SIGNATURE",
        "sample",
    ),
    "a package that is missing": (
        "import no_such_package",
        "ALGORITHM_NOT_LOADED",
        "no_such_package",
    ),
    "a syntax error": ("def f(:\n    pass", "ALGORITHM_NOT_LOADED", "SyntaxError"),
    "an error at import": ("x = 1\ny = x / 0", "ALGORITHM_NOT_LOADED", ":2"),
    "an end at import": (
        "import sys\nclass Method: ...\nsys.exit(0)",
        "ALGORITHM_NOT_LOADED",
        "SystemExit",
    ),
    "a constructor that wants arguments": (
        "class Method:\n    def __init__(self, weights): ...\n    def solve(self, sample): ...",
        "ALGORITHM_NOT_LOADED",
        "weights",
    ),
    "a constructor that fails": (
        "class Method:\n    def __init__(self): raise OSError('no weights')",
        "ALGORITHM_NOT_LOADED",
        "no weights",
    ),
    "a function": ("def Method(): ...", "ALGORITHM_UNKNOWN", "class"),
}


@pytest.mark.parametrize("wrong", sorted(WRONG))
def test_what_is_wrong_is_named(plugin: WriteFile, wrong: str) -> None:
    source, code, word = WRONG[wrong]
    entry = refusal(plugin(source))
    assert entry.code == code
    assert word in entry.where + entry.expected + entry.found + entry.hint


def test_a_missing_package_is_to_be_installed(plugin: WriteFile) -> None:
    assert "install" in refusal(plugin("import no_such_package")).hint


def test_what_solves_needs_no_calibrator(plugin: WriteFile) -> None:
    entry = refusal(plugin(SOLVER) + "+gradient")
    assert entry.code == "USAGE"
    assert "+gradient" in entry.found


def test_what_does_not_estimate_is_no_calibrator(plugin: WriteFile) -> None:
    for source in (SOLVER, "class Method:\n    def estimate(self): ..."):
        entry = refusal(f"cpu-baseline+{plugin(source)}")
        assert entry.code == "ALGORITHM_SIGNATURE"
        assert "estimate(self, sample)" in entry.expected
