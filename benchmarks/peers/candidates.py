"""Settings that `tune` tries, from each package's own documentation and by hand around its best.

Step sizes and batches; likelihoods where a package has more than one: amplitudes alone stop at
about 21 dB here, for most detector pixels hold less than one electron and the square root of such
counts is biased. Where the object is complex, the package's own constraint to a pure phase. On
mismatched data also the package's own centring of the patterns on their centre of mass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Settings = dict[str, Any]


@dataclass(frozen=True)
class Candidates:
    """What is tried for one curve.

    Attributes:
        package: name of the package.
        solvers: settings, the most promising first.
        centring: settings that let the package centre the patterns itself, tried on mismatched
            data on top of the best of the others; empty where it has no such step.
    """

    package: str
    solvers: tuple[Settings, ...]
    centring: Settings


def _py4dstem(step: float, batch: int) -> Settings:
    return {"options": {"step_size": step, "max_batch_size": batch}}


PURE_PHASE = {"type": "clamp_object_amplitude", "amplitude": [1.0, 1.0]}
"""phaser: the object's amplitude is 1."""


def _phaser_adam(rate: float, grouping: int) -> Settings:
    return {
        "backend": "jax",
        "options": {
            "type": "gradient",
            "grouping": grouping,
            "noise_model": {"type": "poisson"},
            "solvers": {"object": {"type": "adam", "learning_rate": rate}},
            "regularizers": [],
            "iter_constraints": [PURE_PHASE],
        },
    }


def _phaser_lsqml(grouping: int, damping: float) -> Settings:
    return {
        "backend": "numpy",
        "options": {
            "grouping": grouping,
            "noise_model": {"type": "anscombe"},
            "solver": {"type": "lsqml", "illum_reg_object": damping, "stochastic": False},
            "iter_constraints": [PURE_PHASE],
        },
    }


def _ptychi(batch: int, noise: str) -> Settings:
    limits = {"enabled": True, "abs_lim": [1, 1], "phase_lim": [-3.15, 3.15]}
    return {
        "engine": "LSQML",
        "reconstructor": {"batch_size": batch, "noise_model": noise},
        "object": {"hard_limits_magnitude_phase": limits},
    }


def _quantem_poisson(rate: float, batch: int) -> Settings:
    return {
        "optimizer": {"name": "adam", "lr": rate},
        "options": {"batch_size": batch, "loss_type": "poisson"},
    }


def _quantem_amplitude(rate: float, batch: int) -> Settings:
    return {
        "optimizer": {"name": "sgd", "lr": rate},
        "options": {"batch_size": batch, "autograd": False},
    }


def _ptyrad(rate: float, batch: int, poisson: bool) -> Settings:
    losses = {"loss_single": {"state": not poisson}, "loss_poissn": {"state": poisson}}
    update = {"obja": {"start_iter": None, "lr": 0}, "objp": {"start_iter": 1, "lr": rate}}
    return {"batch": batch, "losses": losses, "update": update}


CANDIDATES = {
    "py4DSTEM": Candidates(
        "py4DSTEM",
        (_py4dstem(1.0, 128), _py4dstem(0.5, 64), _py4dstem(1.0, 512)),
        {"centre": "measured"},
    ),
    "phaser, JAX Adam": Candidates(
        "phaser",
        (_phaser_adam(0.02, 64), _phaser_adam(0.03, 128), _phaser_adam(0.01, 64)),
        {"post_init": ["diffraction_align"]},
    ),
    "phaser, LSQML": Candidates(
        "phaser",
        (_phaser_lsqml(32, 0.1), _phaser_lsqml(64, 0.1), _phaser_lsqml(32, 0.01)),
        {"post_init": ["diffraction_align"]},
    ),
    "pty-chi": Candidates(
        "pty-chi", (_ptychi(128, "poisson"), _ptychi(64, "poisson"), _ptychi(256, "gaussian")), {}
    ),
    "quantem": Candidates(
        "quantem",
        (
            _quantem_poisson(0.015, 64),
            _quantem_poisson(0.015, 128),
            _quantem_poisson(0.03, 128),
            _quantem_amplitude(0.5, 128),
        ),
        {"centre": "constant"},
    ),
    "PtyRAD": Candidates(
        "PtyRAD", (_ptyrad(0.01, 32, True), _ptyrad(0.005, 32, True), _ptyrad(0.005, 64, False)), {}
    ),
}
