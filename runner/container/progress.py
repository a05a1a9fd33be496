"""Progress: one JSON line per finished sample for programs, one line with an ETA for people."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from runner.files.hdf5 import output_error
from schemas.base import json_text
from schemas.result import ProgressLine

REDRAW_S = 0.5
"""Shortest time between two updates of the line on a terminal [s]."""

LOG_S, LOG_FRACTION = 2.0, 0.1
"""The same where stderr is no terminal, as in a container's log: at least so long [s], and this
fraction of the sample's time so far. The lines thin out, so that a day makes no more than a hundred
a sample, and who waits for a short run still sees it go."""


@dataclass
class Progress:
    """Counts samples and tells how far the run is.

    Attributes:
        total: number of samples.
        file: `progress.jsonl`.
        stream: where people read, stderr.
        quiet: tell people nothing.
        limit_s: longest run [s], to say beside the forecast; None: there is none.
        run_began: `time.monotonic()` at which the run began, its set-up included.
    """

    total: int
    file: Path
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    quiet: bool = False
    limit_s: float | None = None
    run_began: float = field(default_factory=time.monotonic)
    _done: int = 0
    _left_out: int = 0
    _seconds: list[float] = field(default_factory=list)
    _sample: str = ""
    _started: float = 0.0
    _shown: float = 0.0
    _open_line: bool = False

    def begin(self, sample: str) -> None:
        """A sample begins."""
        self._sample, self._started = sample, time.monotonic()
        self._shown = self._started

    def update(self, fraction: float) -> None:
        """The running sample is `fraction` done; shown from time to time."""
        now = time.monotonic()
        terminal = self.stream.isatty()
        between = REDRAW_S if terminal else max(LOG_S, LOG_FRACTION * (now - self._started))
        if self.quiet or now - self._shown < between:
            return
        self._shown = now
        fraction = min(max(fraction, 0.0), 1.0)
        spent = now - self._started
        left = spent / fraction - spent if fraction > 0 else math.inf
        left += self._mean() * (self._to_do - 1)
        eta = f", about {left:.0f} s left" if math.isfinite(left) else ""
        text = f"{self._sample} ({self._done + 1} of {self.total}): {100 * fraction:.0f} %{eta}"
        self.stream.write(f"\r{text:<78}" if terminal else f"{text}\n")
        self.stream.flush()
        self._open_line = terminal

    def finish(self, *, resumed: bool = False) -> None:
        """The sample is written; appends a line to the progress file.

        Raises:
            ContractError: the file cannot be written.
        """
        seconds = 0.0 if resumed else time.monotonic() - self._started
        self._done += 1
        if not resumed:
            self._seconds.append(seconds)
        line = ProgressLine(
            sample=self._sample,
            index=self._done,
            total=self.total,
            seconds=round(seconds, 3),
            eta_s=round(self._mean() * self._to_do, 3),
            resumed=resumed,
        )
        try:
            with self.file.open("a", encoding="utf-8") as stream:
                stream.write(json_text(line) + "\n")
        except OSError as error:
            raise output_error(self.file, error) from error
        if not self.quiet:
            lead = "\r" if self._open_line else ""
            what = "kept from an earlier run" if resumed else f"{seconds:.1f} s"
            left = f", about {line.eta_s:.0f} s left" if line.index < line.total else ""
            text = f"{self._sample} done, {line.index} of {line.total}: {what}{left}"
            self.stream.write(f"{lead}{text:<78}\n" if lead else f"{text}\n")
            if not resumed and len(self._seconds) == 1 and line.index < line.total:
                self.stream.write(self._forecast(line.eta_s) + "\n")
            self.stream.flush()
            self._open_line = False

    def _forecast(self, left_s: float) -> str:
        """What the first sample says of the whole run, and whether that keeps to the limit."""
        total = time.monotonic() - self.run_began + left_s
        text = f"forecast: about {total:.0f} s for all {self.total} samples"
        if self.limit_s is None:
            return text
        if total <= self.limit_s:
            return f"{text}, of {self.limit_s:g} s"
        return f"{text}: MORE than the limit of {self.limit_s:g} s; the last would be missing"

    def leave_out(self) -> None:
        """The algorithm cannot serve the sample; why is told when the run ends."""
        self._left_out += 1
        if not self.quiet:
            lead = "\r" if self._open_line else ""
            self.stream.write(f"{lead}{self._sample + ' left out: unsuited':<78}\n")
            self.stream.flush()
            self._open_line = False

    @property
    def _to_do(self) -> int:
        """Samples that are neither done nor left out."""
        return self.total - self._done - self._left_out

    def _mean(self) -> float:
        return sum(self._seconds) / len(self._seconds) if self._seconds else 0.0
