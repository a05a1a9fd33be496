"""A trained network that refines an iDPC image. `train.py` made its weights."""

from pathlib import Path

import numpy as np
import torch

from algorithms.base import Reconstruction, Sample
from algorithms.reconstructors.baseline import CpuBaseline
from schemas.spec import MismatchSpec

WEIGHTS = Path(__file__).with_name("weights.npz")
CHANNELS = 16


def network() -> torch.nn.Sequential:
    """Four convolutions with wrapped edges; what they give is added to the image, (1, 1, H, W)."""

    def layer(inputs: int, outputs: int) -> torch.nn.Conv2d:
        return torch.nn.Conv2d(inputs, outputs, 5, padding=2, padding_mode="circular")

    return torch.nn.Sequential(
        layer(1, CHANNELS),
        torch.nn.GELU(),
        layer(CHANNELS, CHANNELS),
        torch.nn.GELU(),
        layer(CHANNELS, CHANNELS),
        torch.nn.GELU(),
        layer(CHANNELS, 1),
    )


class MyMethod:
    """iDPC, then the network."""

    def setup(self) -> None:
        """Read the weights once; an .npz holds numbers and nothing that could run."""
        self.net = network().eval()
        with np.load(WEIGHTS, allow_pickle=False) as file:
            self.net.load_state_dict({name: torch.from_numpy(file[name]) for name in file.files})

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """x_hat (H, W) for a detector that is known: `spec` comes from the calibrator."""
        image = torch.from_numpy(starting_image(sample, spec)).to(sample.device)
        with torch.inference_mode():
            refined = image + self.net.to(sample.device)(image[None, None])[0, 0]
        return Reconstruction(refined.clamp(0, 1).cpu().numpy())


def starting_image(sample: Sample, spec: MismatchSpec) -> np.ndarray:
    """(H, W) float32: the image that the network refines."""
    return CpuBaseline().reconstruct(sample, spec).x_hat.astype(np.float32)
