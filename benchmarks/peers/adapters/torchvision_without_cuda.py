"""Imports torchvision's pure-Python part where its compiled part does not load.

On Linux the public index has torchvision's CUDA build alone; beside a CPU build of torch its
library does not load, and the import fails at the operators that it describes to torch all the
same. The peers need its Gaussian blur only, which is plain torch. So those operators are declared
first; nothing here calls them.
"""

from __future__ import annotations

import importlib

import torch

DECLARATIONS = []
"""Keeps the declaration alive: it ends with its library object."""


def import_torchvision() -> None:
    """Make `import torchvision` work, with or without its compiled part."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        DECLARATIONS.append(library)
