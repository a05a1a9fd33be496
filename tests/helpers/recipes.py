"""Recipes of tiers that are built in a tenth of a second."""

from __future__ import annotations

from typing import Any

from runner.tiers.recipes import default_recipe
from runner.tiers.specimens import FAMILIES
from schemas import Profile, Tier, TierRecipe

SMALL_PROFILE = Profile(window=32, scan_shape=(4, 4), scan_step_px=32)
"""The default object, so that the specimens that ship with the package serve; 16 small patterns."""


def small_recipe(tier: Tier, *, scenes: int = 2, **changes: Any) -> TierRecipe:
    """The tier's own recipe with a small scan, and the public families, which need no extra."""
    recipe = default_recipe(tier, scenes=scenes)
    small = {"profile": SMALL_PROFILE, "families": FAMILIES[Tier.PUBLIC], **changes}
    return recipe.model_copy(update=small)
