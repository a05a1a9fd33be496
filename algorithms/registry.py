"""Finding algorithms by name, entry point or file; nothing is imported before it is asked for."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from algorithms.analysis.base import Analysis
from algorithms.base import Algorithm, Calibrator, Composed, Reconstructor
from algorithms.hints import hint_for
from schemas.findings import ContractError, refuse

ENTRY_POINT_GROUP = "stem4d.algorithms"
"""Entry point group in which an installed package announces its algorithms."""

DEFAULT_ALGORITHM = "ensemble+gradient"
DEFAULT_CALIBRATOR = "gradient"

UNLOADABLE = (Exception, SystemExit)
"""What a stranger's module may raise. A script without a main guard ends with sys.exit(0), which
must not be taken for the end of a run that went well."""

TEMPLATE_HINT = (
    "a class needs one of: solve(self, sample), reconstruct(self, sample, spec),"
    " estimate(self, sample); docs/write-an-algorithm.md has an example of ten lines"
)


@dataclass(frozen=True)
class Entry:
    """A known plug-in.

    Attributes:
        target: "module:Class".
        summary: one line for `stem4d algorithms`.
        calibrator: what a reconstructor is composed with when nothing else is asked for.
    """

    target: str
    summary: str
    calibrator: str = DEFAULT_CALIBRATOR


CALIBRATORS: Mapping[str, Entry] = MappingProxyType(
    {
        "none": Entry("algorithms.calibrators.fixed:Nominal", "nothing corrected: the ideal H"),
        "midpoint": Entry("algorithms.calibrators.fixed:Midpoint", "centre of each range"),
        "pacbed": Entry(
            "algorithms.calibrators.pacbed:Pacbed", "disk fitted to the position-averaged pattern"
        ),
        "gradient": Entry(
            "algorithms.calibrators.gradient:Gradient", "joint maximum likelihood of x and spec"
        ),
        "oracle": Entry(
            "algorithms.calibrators.fixed:Oracle", "the true spec, where the file has it"
        ),
    }
)

RECONSTRUCTORS: Mapping[str, Entry] = MappingProxyType(
    {
        "cpu-baseline": Entry(
            "algorithms.reconstructors.baseline:CpuBaseline",
            "centre of mass, integrated (iDPC); linear, one pass",
        ),
        "virtual-detector": Entry(
            "algorithms.reconstructors.virtual_detector:VirtualDetector",
            "bright field of the disk's inner half, its contrast transfer undone; linear",
        ),
        "annular-bright-field": Entry(
            "algorithms.reconstructors.virtual_detector:AnnularBrightField",
            "the disk's outer half, its contrast transfer undone; linear",
        ),
        "annular-dark-field": Entry(
            "algorithms.reconstructors.virtual_detector:AnnularDarkField",
            "what is scattered out of the disk, the probe's blur undone",
        ),
        "com": Entry(
            "algorithms.reconstructors.com:CenterOfMass",
            "centre-of-mass field, as arrows in the diagnostics; its charge density as image",
        ),
        "idpc": Entry(
            "algorithms.reconstructors.idpc:Idpc",
            "centre of mass, integrated, and the probe's blur undone; linear",
        ),
        "parallax": Entry(
            "algorithms.reconstructors.parallax:Parallax",
            "tilt-corrected bright field on the object's pixels, CTF undone; linear",
        ),
        "ptychography": Entry(
            "algorithms.reconstructors.ptychography:Ptychography",
            "iterative phase retrieval on the counts' likelihood, known probe",
        ),
        "ensemble": Entry(
            "algorithms.reconstructors.ensemble:Ensemble",
            "the mean of several networks' images, trained here; the counts have the last word",
        ),
        "physed": Entry(
            "algorithms.reconstructors.physed:PhysEd",
            "unrolled likelihood steps with a learned proximal map, trained here",
        ),
        "diffed": Entry(
            "algorithms.reconstructors.diffed:DiffEd",
            "samples of a diffusion prior led by the counts, with their spread; trained here",
        ),
        "swined": Entry(
            "algorithms.reconstructors.swined:SwinEd",
            "transformer of shifted windows on the ptychographic image, trained here",
        ),
        "transed": Entry(
            "algorithms.reconstructors.transed:TransEd",
            "transformer over channels on the ptychographic image, trained here",
        ),
        "dncnn-ed": Entry(
            "algorithms.reconstructors.dncnn_ed:DncnnEd",
            "residual CNN on the ptychographic image, trained here",
        ),
        "phasegan-ed": Entry(
            "algorithms.reconstructors.phasegan_ed:PhaseganEd",
            "CNN taught by the counts and an adversary, then by pairs; trained here",
        ),
        "epie": Entry(
            "algorithms.reconstructors.epie:Epie",
            "ptychographic iterative engine: projections pattern by pattern, stopped by the data",
        ),
        "dm": Entry(
            "algorithms.reconstructors.dm:DifferenceMap",
            "difference map or RAAR over all exit waves at once (needs memory for them)",
        ),
        "ssb": Entry(
            "algorithms.reconstructors.ssb:Ssb",
            "single side bands of a weak phase, scan aliases told apart; linear",
        ),
        "wdd": Entry(
            "algorithms.reconstructors.wdd:Wdd",
            "Wigner distribution deconvolution of the transmission; no iterations",
        ),
        "direct-methods": Entry(
            "algorithms.reconstructors.direct_methods:DirectMethods",
            "Fourier phases from magnitudes alone: triplets, then atoms (needs a periodic object)",
        ),
        "pedt": Entry(
            "algorithms.reconstructors.pedt:Pedt",
            "average cell of a crystal: averaged intensities, charge flipping, tiled",
        ),
        "microed": Entry(
            "algorithms.reconstructors.microed:Microed",
            "the cell of pedt refined against every pattern, with a map of scales",
        ),
        "least-squares": Entry(
            "algorithms.reconstructors.least_squares:LeastSquares",
            "regularised inverse of any linear H: other variants' files, not 4D-STEM",
            calibrator="none",
        ),
    }
)


ANALYSES: Mapping[str, Entry] = MappingProxyType(
    {
        "strain": Entry(
            "algorithms.analysis.strain:Strain",
            "strain and rotation maps from diffraction disks; nanobeam scans",
        ),
        "orientation": Entry(
            "algorithms.analysis.orientation:Orientation",
            "zone axis and in-plane rotation maps by template matching; nanobeam scans",
        ),
    }
)


def installed() -> dict[str, str]:
    """Algorithms that installed packages announce: {name: "module:Class"}; nothing is imported."""
    return {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}


def load_algorithm(name: str) -> Algorithm:
    """An algorithm by name: `RECONSTRUCTOR[+CALIBRATOR]`, an entry point, or `file.py:Class`.

    A reconstructor without a calibrator gets the one of its entry, which is `+gradient` as a rule.

    Raises:
        ContractError: ALGORITHM_UNKNOWN, ALGORITHM_NOT_LOADED or ALGORITHM_SIGNATURE.
    """
    base, plus, calibrator_name = name.partition("+")
    plugin = _instance(base, RECONSTRUCTORS)
    if isinstance(plugin, Algorithm):
        _check_call(plugin, "solve", ("sample",), base)
        if plus:
            raise refuse(
                "USAGE",
                name,
                expected=f"`{base}` alone",
                found=f"+{calibrator_name}",
                hint=f"{base} has solve(), so it finds the spec itself",
            )
        return plugin
    if isinstance(plugin, Reconstructor):
        _check_call(plugin, "reconstruct", ("sample", "spec"), base)
        usual = RECONSTRUCTORS[base].calibrator if base in RECONSTRUCTORS else DEFAULT_CALIBRATOR
        return Composed(plugin, load_calibrator(calibrator_name or usual))
    found = [n for n in dir(plugin) if not n.startswith("_")]
    raise refuse(
        "ALGORITHM_SIGNATURE",
        base,
        expected="a method solve(self, sample) or reconstruct(self, sample, spec)",
        found=f"class {type(plugin).__name__} with {', '.join(found) or 'no public method'}",
        hint=_nearest_method(found) + TEMPLATE_HINT,
    )


def load_calibrator(name: str) -> Calibrator:
    """A calibrator by name, entry point or `file.py:Class`.

    Raises:
        ContractError: as `load_algorithm`.
    """
    plugin = _instance(name, CALIBRATORS)
    if not isinstance(plugin, Calibrator):
        raise refuse(
            "ALGORITHM_SIGNATURE",
            name,
            expected="a method estimate(self, sample)",
            found=f"class {type(plugin).__name__} without it",
            hint=TEMPLATE_HINT,
        )
    _check_call(plugin, "estimate", ("sample",), name)
    return plugin


def load_analysis(name: str, parameters: Mapping[str, Any] = MappingProxyType({})) -> Analysis:
    """An analysis by name or `file.py:Class`, with parameters in the place of their defaults.

    Raises:
        ContractError: as `load_algorithm`; USAGE, a parameter that it does not have, or a value
            that is none of it.
    """
    plugin = _instance(name, ANALYSES)
    if not isinstance(plugin, Analysis):
        raise refuse(
            "ALGORITHM_SIGNATURE",
            name,
            expected="a method analyse(self, sample, spec)",
            found=f"class {type(plugin).__name__} without it",
            hint=f"the analyses are {', '.join(ANALYSES)}; images are made by `stem4d run`",
        )
    _check_call(plugin, "analyse", ("sample", "spec"), name)
    known = parameters_of(plugin)
    if unknown := sorted(set(parameters) - set(known)):
        raise refuse(
            "USAGE",
            f"{name}: {unknown[0]}",
            expected=f"one of its parameters: {', '.join(known) or 'it has none'}",
            found=", ".join(unknown),
            hint=f"docs/algorithms/{name}.md explains each",
        )
    if not parameters:
        return plugin
    try:
        changed: Any = TypeAdapter(type(plugin)).validate_python({**known, **parameters})
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise refuse(
            "USAGE",
            f"{name}: {faults[0]['loc'][0]}",
            expected="a value of the parameter's type",
            found="; ".join(f"{f['loc'][0]}: {f['msg']}, {f['input']!r}" for f in faults),
            hint=f"values are JSON, as [0, 8, 0, 8]; docs/algorithms/{name}.md explains each",
        ) from error
    assert isinstance(changed, Analysis)
    return changed


def parameters_of(plugin: object) -> dict[str, Any]:
    """A plug-in's own parameters for the provenance: the fields of its dataclass, if it is one."""
    if isinstance(plugin, Composed):
        return {
            "reconstructor": parameters_of(plugin.reconstructor),
            "calibrator": parameters_of(plugin.calibrator),
        }
    if dataclasses.is_dataclass(plugin) and not isinstance(plugin, type):
        values = {f.name: getattr(plugin, f.name) for f in dataclasses.fields(plugin)}
        return {name: parameters_of(value) or value for name, value in values.items()}
    return {}


def _instance(name: str, builtin: Mapping[str, Entry]) -> object:
    """Import the class that `name` stands for and make one, with its defaults."""
    path, colon, attribute = name.rpartition(":")
    if colon and path.endswith(".py"):
        return _make(_module_of_file(Path(path), name), attribute, name)
    target = builtin[name].target if name in builtin else installed().get(name)
    if target is None:
        known = [*builtin, *installed()]
        raise refuse(
            "ALGORITHM_UNKNOWN",
            name or "(empty name)",
            expected=f"one of {', '.join(known)}; or path/to/file.py:ClassName",
            found=name or "nothing",
            hint=_nearest(name, known)
            + "`stem4d algorithms` lists them; a file of your own is named with its class",
        )
    module, _, attribute = target.partition(":")
    try:
        loaded = importlib.import_module(module)
    except UNLOADABLE as error:
        raise _not_loaded(name, error) from error
    return _make(loaded, attribute, name)


def _module_of_file(path: Path, name: str) -> ModuleType:
    if not path.is_file():
        raise refuse(
            "ALGORITHM_UNKNOWN",
            name,
            expected="an existing Python file before the colon",
            found=f"no file {path} (looked in {Path.cwd()})",
            hint="give the path as seen from here; in a container, as copied into the image",
        )
    spec = importlib.util.spec_from_file_location(f"submission_{path.stem}", path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    # Files beside the submission can be imported by it, as when it is run as a script.
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except UNLOADABLE as error:
        del sys.modules[spec.name]
        raise _not_loaded(name, error) from error
    return module


def _make(module: ModuleType, attribute: str, name: str) -> object:
    made = getattr(module, attribute, None)
    if not inspect.isclass(made):
        classes = [
            n
            for n, o in vars(module).items()
            if inspect.isclass(o) and o.__module__ == module.__name__
        ]
        raise refuse(
            "ALGORITHM_UNKNOWN",
            name,
            expected=f"a class {attribute!r} in {module.__name__}",
            found=f"classes {', '.join(classes) or '(none)'}",
            hint=_nearest(attribute, classes) + "check the spelling after the colon",
        )
    try:
        return made()
    except UNLOADABLE as error:
        raise _not_loaded(name, error) from error


def _not_loaded(name: str, error: BaseException) -> ContractError:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f" ({frame.tb_frame.f_code.co_filename}:{frame.tb_lineno})" if frame else ""
    return refuse(
        "ALGORITHM_NOT_LOADED",
        name,
        expected="code that imports, and a class that can be made without arguments",
        found=f"{type(error).__name__}: {error}{place}",
        hint=hint_for(error)
        or "run the file by itself with Python, and give every parameter a default",
    )


def _nearest_method(found: Sequence[str]) -> str:
    for name in found:
        if near := difflib.get_close_matches(name, ("solve", "reconstruct"), n=1):
            return f"did you mean {near[0]}, not {name}? "
    return ""


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}? " if near else ""


def _check_call(plugin: object, method: str, arguments: tuple[str, ...], name: str) -> None:
    """Whether `method` can be called as the protocol does: with these positional arguments."""
    signature = inspect.signature(getattr(plugin, method))
    try:
        signature.bind(*arguments)
    except TypeError as error:
        raise refuse(
            "ALGORITHM_SIGNATURE",
            f"{name}: {method}{signature}",
            expected=f"{method}(self, {', '.join(arguments)})",
            found=str(error),
            hint=TEMPLATE_HINT,
        ) from error
