"""Model cards: what a network was trained on, what it gains, and where it fails."""

from __future__ import annotations

import numpy as np

from algorithms.networks.weights import shipped
from benchmarks.learned_scenes import PLAIN, Answer
from schemas.challenge import Tier

FAILURES = 3
"""Scenes of least gain that a card names."""


def card_text(method: str, own: list[Answer], answers: list[Answer]) -> str:
    """The card of a network's weights."""
    card = shipped(method).card
    before = {(a.tier, a.number): a.psnr_db for a in answers if a.method == PLAIN}
    gains = [(a.psnr_db - before[a.tier, a.number], a) for a in own]
    by_tier = ", ".join(
        f"{tier} {np.mean([gain for gain, a in gains if a.tier == tier.value]):+.2f}"
        for tier in Tier
    )
    worst = "; ".join(
        f"{a.scene.replace('_', ' ')} ({a.tier}) {gain:+.1f} dB"
        for gain, a in sorted(gains, key=lambda pair: pair[0])[:FAILURES]
    )
    trained, recipe = card.trained, card.recipe
    phases, noise = trained.phase_rad, trained.noise
    rows = {
        "weights": f"{card.parameters / 1e6:.2f} M, `algorithms/weights/{method}.safetensors`,"
        f" sha256 `{card.sha256}`",
        "data": f"`stem4d train data`, manifest sha256 `{card.data_sha256}`; phase scale"
        f" {phases[0]:g} to {phases[1]:g} rad, noise of x (middle band) {10 ** noise[0]:.2g} to"
        f" {10 ** noise[1]:.2g}",
        "training": f"`stem4d train {method}`: {card.steps} steps of {recipe['batch']} scenes, seed"
        f" {recipe['seed']}, on a CPU",
        "validation": f"{card.validation_psnr_db:.2f} dB, plain ptychography"
        f" {card.plain_psnr_db:.2f} dB; materials never trained on, one orientation",
        "tiers": f"gain over plain ptychography [dB], {len(gains)} scenes: {by_tier}",
        "fails": f"least gain: {worst}",
    }
    lines = ["| model card | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {text} |" for name, text in rows.items())])
