"""`stem4d tiers`: build a tier or an example, and make the blind view of a file."""

from __future__ import annotations

from pathlib import Path

import click

from schemas.challenge import Tier, Track
from schemas.recipes import Realism


@click.group()
def tiers() -> None:
    """Simulated tiers of the competition."""


@tiers.command()
@click.argument("tier", type=click.Choice([tier.value for tier in Tier]))
@click.option(
    "--track",
    type=click.Choice([track.value for track in Track]),
    default=Track.BLIND.value,
    show_default=True,
    help="blind: a random mismatch for each sample; standard: the nominal detector",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Decides scenes, mismatch and noise; keep that of dev and hidden secret",
)
@click.option(
    "--scenes", type=click.IntRange(1, 999), default=4, show_default=True, help="Number of samples"
)
@click.option(
    "--structures",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="Structure file (CIF, XYZ, POSCAR, ... by ASE) to use instead of families; repeatable",
)
@click.option(
    "--realism",
    type=click.Choice([level.value for level in Realism]),
    default=Realism.NONE.value,
    show_default=True,
    help="What the data hold that H does not know: thickness, phonons, coherence, detector, scan",
)
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("data"),
    show_default=True,
    help="Folder for the two files",
)
@click.option("--json", "as_json", is_flag=True, help="Print the paths as one JSON object")
def build(
    tier: str,
    track: str,
    seed: int,
    scenes: int,
    structures: tuple[Path, ...],
    realism: str,
    folder: Path,
    as_json: bool,
) -> None:
    """Build the challenge file and the truth file of TIER. Same seed, same bytes."""
    import json

    from runner.tiers.build import build_tier
    from runner.tiers.recipes import default_recipe

    recipe = default_recipe(
        Tier(tier), track=Track(track), seed=seed, scenes=scenes, realism=Realism(realism)
    )
    files = build_tier(
        recipe, folder, structures=structures, progress=lambda text: click.echo(text, err=True)
    )
    paths = {"challenge": str(files.challenge), "truth": str(files.truth)}
    click.echo(json.dumps(paths) if as_json else "\n".join(paths.values()))


@tiers.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
def strip(source: Path, target: Path) -> None:
    """Write the blind view of the challenge file IN to OUT: no truth, no names, and proved so."""
    from runner.tiers.strip import strip as write_view

    click.echo(str(write_view(source, target)))


@tiers.command()
@click.argument("name", metavar="NAME")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Decides mismatch and noise",
)
@click.option(
    "--dose",
    "dose_e",
    type=click.FloatRange(min=0.0, min_open=True),
    help="Electrons per pattern.  [default: 8000]",
)
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("data"),
    show_default=True,
    help="Folder for the two files",
)
@click.option("--json", "as_json", is_flag=True, help="Print the paths as one JSON object")
def example(name: str, seed: int, dose_e: float | None, folder: Path, as_json: bool) -> None:
    """Build a nanobeam scan of a known crystal, for `stem4d analyse`, and its truth.

    NAME is strained-crystal (strain and rotation) or gold-grains (orientation).
    """
    import json

    from runner.tiers.examples import EXAMPLES, build_example
    from schemas.findings import refuse

    if name not in EXAMPLES:
        raise refuse(
            "USAGE",
            "NAME",
            expected=f"one of {', '.join(EXAMPLES)}",
            found=name,
            hint="; ".join(f"{known}: {text}" for known, (text, _) in EXAMPLES.items()),
        )
    files = build_example(name, folder, seed=seed, dose_e=dose_e)
    paths = {"challenge": str(files.challenge), "truth": str(files.truth)}
    click.echo(json.dumps(paths) if as_json else "\n".join(paths.values()))
