"""The objective of an iterative method against the time that it took, for people to look at.

Goes into `Reconstruction.diagnostics["trace"]` or `Calibration.diagnostics["trace"]`, where the
report finds it; any algorithm may put one there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

KEY = "trace"
"""Where diagnostics hold a trace."""


@dataclass
class Trace:
    """Grows while a method works; its clock begins when it is made.

    Attributes:
        began: `time.perf_counter()` at the start; not the clock of deadlines, which nobody should
            look at more often for being watched.
        seconds: when each value was known [s], since the start.
        objective: value of what is minimised; only values of one stage can be compared.
        stage: name of the objective at each value.
    """

    began: float = field(default_factory=time.perf_counter)
    seconds: list[float] = field(default_factory=list)
    objective: list[float] = field(default_factory=list)
    stage: list[str] = field(default_factory=list)

    def add(self, objective: float, stage: str) -> None:
        """A value that is known now."""
        self.seconds.append(round(time.perf_counter() - self.began, 4))
        self.objective.append(objective)
        self.stage.append(stage)

    def record(self) -> dict[str, Any]:
        """As diagnostics hold it."""
        return {"seconds": self.seconds, "objective": self.objective, "stage": self.stage}
