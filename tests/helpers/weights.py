"""A card of weights that nobody trained."""

from __future__ import annotations

from typing import Any

from algorithms.networks.weights import TrainedRange, WeightsCard


def weights_card(**changes: Any) -> WeightsCard:
    """Valid, and of nothing: what a test is about, it names."""
    fields: dict[str, Any] = {
        "method": "none",
        "width": 8,
        "parameters": 1,
        "sha256": "0" * 64,
        "data_sha256": "0" * 64,
        "commit": "none",
        "steps": 1,
        "validation_psnr_db": 30.0,
        "plain_psnr_db": 28.0,
        "recipe": {},
        "trained": TrainedRange(
            energy_eV=80e3,
            semiangle_mrad=21.4,
            C10_A=-60.0,
            sampling_A=0.4,
            phase_rad=(0.1, 2.0),
            noise=(-4.0, 0.0),
        ),
    }
    return WeightsCard(**fields | changes)
