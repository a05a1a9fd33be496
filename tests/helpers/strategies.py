"""Hypothesis strategies that several tests draw from."""

from __future__ import annotations

from hypothesis import strategies as st

from schemas.recipes import SPEC_RANGES
from schemas.spec import PARAMETERS, MismatchSpec


def _within(name: str) -> st.SearchStrategy[float]:
    ranges = [entry[name] for entry in SPEC_RANGES.values()]
    return st.floats(min(r.min for r in ranges), max(r.max for r in ranges))


published_specs = st.builds(MismatchSpec, **{name: _within(name) for name in PARAMETERS})
"""Every mismatch that a tier may have."""
