"""Mutated result files against the sanitiser: `python -m tests.adversarial.fuzz --tries 100000`.

After every file must hold: the judge has not crashed and has not waited; a file outside was not
opened; the reader's memory stayed below its limit; what was accepted is valid by an oracle of its
own, and says bit by bit what plain h5py reads in the file. A file that breaks one of these is kept.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from runner.harness.sanitise import Sanitised, Sanitiser
from schemas.findings import Blame
from schemas.limits import SanitiserLimits
from tests.adversarial.files.workshop import Workshop, furnish
from tests.adversarial.mutate import MUTATIONS, stock_of
from tests.adversarial.oracle import check_canonical
from tests.helpers.watch import watched

LIMITS = SanitiserLimits(cpu_s=1)
"""Damaged files send HDF5 round in circles, one in a hundred: we do not wait the usual time."""

READER_MIB = 80
"""What the reader has in memory before it opens a file, at most [MiB]."""

SHOWN_EVERY = 1000
"""Tries between two lines of progress."""


@dataclass
class Report:
    """What came of all tries.

    Attributes:
        tries: files that were judged.
        whole: files that were accepted with every sample.
        partial: files that were accepted without some of them.
        by_mutation: tries of each kind.
        by_code: files that got each code; a file may get several.
        deaths: how readers ended that did not answer.
        peak_mib: largest memory of a reader [MiB].
        slowest_s: longest time for one file [s].
        seconds: wall time of all [s].
        failures: what broke the rules, with the file's number.
    """

    tries: int = 0
    whole: int = 0
    partial: int = 0
    by_mutation: Counter[str] = field(default_factory=Counter)
    by_code: Counter[str] = field(default_factory=Counter)
    deaths: Counter[str] = field(default_factory=Counter)
    peak_mib: float = 0.0
    slowest_s: float = 0.0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    def count(self, judged: Sanitised) -> None:
        """Add one file that was judged."""
        self.tries += 1
        if judged.accepted:
            if judged.findings:
                self.partial += 1
            else:
                self.whole += 1
        for code in {entry.code for entry in judged.findings}:
            self.by_code[code] += 1
        for entry in judged.findings:
            if entry.code == "RESULT_UNREADABLE":
                self.deaths[re.sub(r"\d{3,}", "N", entry.found)[:80]] += 1
        self.peak_mib = max(self.peak_mib, judged.child_peak_mib)
        self.slowest_s = max(self.slowest_s, judged.seconds)

    def text(self) -> str:
        """The report for a person."""
        refused = self.tries - self.whole - self.partial
        lines = [
            f"{self.tries} tries in {self.seconds:.0f} s:"
            f" {self.whole} accepted whole, {self.partial} in part, {refused} refused",
            f"reader: at most {self.peak_mib:.0f} MiB; slowest file {self.slowest_s:.2f} s",
            *(f"{count:8d}  {code}" for code, count in self.by_code.most_common()),
            *(f"{count:8d}  reader: {death}" for death, count in self.deaths.most_common()),
            f"{len(self.failures)} failures",
            *self.failures,
        ]
        return "\n".join(lines)


def fuzz(tries: int, seed: int, keep: Path, say: Callable[[str], None] = lambda _: None) -> Report:
    """Judge mutated files.

    Args:
        tries: how many.
        seed: decides all of them; file number n is the same whatever `tries` is.
        keep: folder for the files that break a rule.
        say: is told how far it is.
    """
    report = Report()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="stem4d-fuzz-") as name:
        shop = furnish(Path(name))
        stock = stock_of(shop)
        with (
            Sanitiser(shop.view, LIMITS) as sanitiser,
            watched(shop.secret, shop.raw_secret, shop.challenge.path) as touched,
        ):
            for number in range(tries):
                rng = random.Random(f"{seed}-{number}")
                mutation = rng.choice(MUTATIONS)
                content = mutation(rng, stock)
                touched()  # by the mutation itself
                report.by_mutation[mutation.__name__] += 1
                try:
                    _try(content, shop, sanitiser, touched, report)
                except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{seed}-{number}.h5").write_bytes(content)
                    words = traceback.format_exc(limit=-3).strip()
                    report.failures.append(f"file {seed}-{number}, {mutation.__name__}: {words}")
                    say(report.failures[-1])
                if (number + 1) % SHOWN_EVERY == 0:
                    report.seconds = time.monotonic() - begin
                    say(report.text().splitlines()[0] + f", {len(report.failures)} failures")
    report.seconds = time.monotonic() - begin
    return report


def _try(
    content: bytes,
    shop: Workshop,
    sanitiser: Sanitiser,
    touched: Callable[[], bool],
    report: Report,
) -> None:
    shop.result.parent.mkdir(exist_ok=True)
    shop.result.write_bytes(content)
    canonical = shop.folder / "canonical.h5"
    judged = sanitiser.judge(shop.result, canonical)
    report.count(judged)
    assert not touched(), "a file outside was opened"
    assert judged.child_peak_mib < READER_MIB + LIMITS.memory_mib
    assert judged.seconds < LIMITS.wall_s
    assert all(entry.blame is Blame.RESULT for entry in judged.findings), judged.findings
    assert not any("exit code" in entry.found for entry in judged.findings), "an error of ours"
    assert judged.accepted == canonical.exists()
    assert judged.findings or len(judged.samples) == len(shop.challenge.samples)
    if judged.accepted:
        check_canonical(canonical, shop.result, shop.view, judged)


def main() -> int:
    """Fuzz as the command line says; exit code 1 when a rule is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"))
    options = parser.parse_args()
    report = fuzz(options.tries, options.seed, options.keep, lambda line: print(line, flush=True))
    print(report.text())
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
