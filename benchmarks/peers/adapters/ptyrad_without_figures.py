"""Lets PtyRAD be imported where its figures cannot: they are not needed here.

Version 1.0.0 says that Python 3.10 is enough, but its plotting module nests quotes in an f-string,
which only Python 3.12 can read. There, stand-ins take the place of its plotting modules; whoever
calls one of their functions is told so.
"""

from __future__ import annotations

import sys
import types
from typing import NoReturn


class NoFigures(types.ModuleType):
    """A module whose every function refuses."""

    def __getattr__(self, name: str) -> object:
        """Anything but what the import system looks for is a function that refuses."""
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*_: object, **__: object) -> NoReturn:
            raise RuntimeError(f"{self.__name__}.{name} needs Python 3.12")

        return refuse


def leave_figures_out() -> None:
    """Before PtyRAD is imported: stand-ins for its figures where Python cannot read them."""
    if sys.version_info < (3, 12):
        for module in ("ptyrad.plotting", "ptyrad.plotting.basic", "ptyrad.plotting.model"):
            sys.modules[module] = NoFigures(module)
