"""The default recipe of each tier (contract, section 6)."""

from __future__ import annotations

from runner.tiers.specimens import FAMILIES
from schemas.challenge import Tier, Track
from schemas.recipes import DOSE_E, SPEC_RANGES, Profile, Realism, TierRecipe


def default_recipe(
    tier: Tier,
    *,
    track: Track = Track.BLIND,
    seed: int = 0,
    scenes: int = 4,
    realism: Realism = Realism.NONE,
) -> TierRecipe:
    """The tier as the contract describes it.

    Args:
        tier: public, dev or hidden.
        track: blind draws a spec for each sample; standard leaves the detector nominal.
        seed: decides scenes, spec and noise.
        scenes: number of samples.
        realism: what the data hold that H does not know; none is the contract's tier.
    """
    return TierRecipe(
        tier=tier,
        track=track,
        seed=seed,
        scenes=scenes,
        families=FAMILIES[tier],
        spec_ranges=SPEC_RANGES[tier],
        profile=Profile(dose_e=DOSE_E[tier]),
        realism=realism,
    )
