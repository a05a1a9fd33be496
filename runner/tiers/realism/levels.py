"""The levels of realism: one table of what is done to the data, with units and sources.

Sources of the orders of magnitude:

- thickness: what lamellae and support films have; a phase object of 80 keV electrons is thinner
  than any of them.
- focal spread: Cc dE/E (1 + E/E0)/(1 + E/2E0) (Kirkland, Advanced Computing in Electron Microscopy
  (2010)). With Cc = 1.2 mm at 80 keV, an energy spread of 0.35 eV full width (cold field emission)
  gives 24 A rms and one of 0.8 eV (Schottky) 55 A; a corrector of Cc or a monochromator less.
- source: an image of 0.5 to 0.8 A full width at the specimen, which is 0.2 to 0.35 A rms, is what
  quantitative work finds (LeBeau, Findlay, Allen and Stemmer, Phys. Rev. Lett. 100 (2008) 206101).
- counts per electron: docs/import.md measures 5.7 in a 300 kV scan. At 60 and 80 keV the spread is
  smaller (Mir et al., Ultramicroscopy 182 (2017) 44); and 64 pixels are seldom a detector's own,
  but 256 binned by four, so that a spread of a pixel or so becomes a quarter of one.
- jitter and descan: a few hundredths of the scan step, and of a pixel, on a good day. No source is
  claimed; the range is what we want to see the effect of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from schemas.recipes import Realism


@dataclass(frozen=True)
class Effects:
    """What is done to the data; the default is nothing, so that one effect can be had alone.

    Attributes:
        thickness_A: the specimen is made as thick [A]; 0 leaves the family's own thickness.
            Sheets always keep theirs.
        multislice: whether the wave propagates within the specimen; if not, all of it lies in one
            plane, as H has it.
        phonons: whether atoms stand displaced, anew in each configuration; if not, the potential is
            their average.
        focal_spread_A: rms spread of C10 [A].
        source_A: rms radius, along one axis, of the image of the source on the specimen [A].
        jitter_A: rms error of a scan position, along one axis [A].
        descan_px: shift of the pattern from one end of the scan to the other [detector pixels].
        counts_per_electron: mean number of counts that an electron makes, at least 1.
        point_spread_px: rms distance, along one axis, of a count from where its electron came down
            [detector pixels].
    """

    thickness_A: float = 0.0
    multislice: bool = False
    phonons: bool = False
    focal_spread_A: float = 0.0
    source_A: float = 0.0
    jitter_A: float = 0.0
    descan_px: float = 0.0
    counts_per_electron: float = 1.0
    point_spread_px: float = 0.0

    def __post_init__(self) -> None:
        if self.counts_per_electron < 1.0:
            raise ValueError(f"an electron makes at least one count, not {self}")

    @property
    def clustered(self) -> bool:
        """Whether the detector does more than count electrons where they come down."""
        return self.counts_per_electron > 1.0 or self.point_spread_px > 0.0

    @property
    def incoherent(self) -> bool:
        """Whether a pattern is a sum over several waves."""
        return self.phonons or self.focal_spread_A > 0.0 or self.source_A > 0.0


LEVELS: Mapping[Realism, Effects] = MappingProxyType(
    {
        Realism.NONE: Effects(),
        Realism.SLIGHT: Effects(
            thickness_A=20.0,
            multislice=True,
            phonons=True,
            focal_spread_A=10.0,
            source_A=0.10,
            jitter_A=0.02,
            descan_px=0.02,
        ),
        Realism.MODERATE: Effects(
            thickness_A=50.0,
            multislice=True,
            phonons=True,
            focal_spread_A=25.0,
            source_A=0.15,
            jitter_A=0.05,
            descan_px=0.05,
            counts_per_electron=1.5,
            point_spread_px=0.1,
        ),
        Realism.STRONG: Effects(
            thickness_A=100.0,
            multislice=True,
            phonons=True,
            focal_spread_A=40.0,
            source_A=0.25,
            jitter_A=0.10,
            descan_px=0.10,
            counts_per_electron=2.5,
            point_spread_px=0.2,
        ),
        Realism.SEVERE: Effects(
            thickness_A=200.0,
            multislice=True,
            phonons=True,
            focal_spread_A=55.0,
            source_A=0.35,
            jitter_A=0.20,
            descan_px=0.20,
            counts_per_electron=4.0,
            point_spread_px=0.4,
        ),
    }
)
"""The levels, each worse than the one before it in every effect."""
