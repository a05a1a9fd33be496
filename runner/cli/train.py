"""`stem4d train`: make training data, and train the learned reconstructors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from runner.training.trainer import Progress

TRAINABLE = {
    "dncnn-ed": "Residual CNN on the ptychographic image.",
    "phasegan-ed": "The same, taught by the counts and an adversary before any pair.",
    "transed": "Attention of channels to one another over the whole image.",
    "swined": "Attention within shifted windows.",
    "physed": "Unrolled likelihood steps with a learned proximal map.",
    "diffed": "Diffusion of specimens under the counts' own noise.",
}
"""Method -> one line; the networks are `algorithms.networks.models.NETWORKS`."""

BETWEEN_LINES = 20
"""Steps between two lines of progress."""


@click.group()
def train() -> None:
    """Train the learned reconstructors; needs the extras `host` and `organizer`."""


@train.command()
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file of DataRecipe.  [default: that which ships]",
)
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder for the shards and their manifest; shards that are there already are kept.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes."
)
def data(config: Path | None, folder: Path, workers: int) -> None:
    """Make training data: HDF5 shards and a manifest. Same config, same bytes."""
    from runner.training.recipes import data_recipe
    from runner.training.shards import MANIFEST_NAME, make_data, read_manifest

    make_data(
        data_recipe(config),
        folder,
        workers=workers,
        progress=lambda done, total: click.echo(f"shard {done} of {total}", err=True),
    )
    _, digest = read_manifest(folder)
    click.echo(f"{folder / MANIFEST_NAME} sha256 {digest}")


def _command(method: str, text: str) -> click.Command:
    @click.command(method, help=text, short_help=text)
    @click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="TOML file of TrainRecipe.  [default: that which ships]",
    )
    @click.option(
        "--data",
        "source",
        type=click.Path(file_okay=False, path_type=Path),
        required=True,
        help="Folder of `stem4d train data`.",
    )
    @click.option(
        "--out",
        "folder",
        type=click.Path(file_okay=False, path_type=Path),
        required=True,
        help="Folder for the state, which an interrupted training goes on from, and the weights.",
    )
    @click.option("--device", default="cpu", show_default=True, help="Torch device.")
    @click.option(
        "--stop-after", type=click.IntRange(min=1), help="Stop early, after so many steps."
    )
    def command(
        config: Path | None, source: Path, folder: Path, device: str, stop_after: int | None
    ) -> None:
        from runner.training.export import export
        from runner.training.recipes import train_recipe
        from runner.training.trainer import train as run

        training = run(
            method,
            train_recipe(config, method),
            source,
            folder,
            device=device,
            stop_after=stop_after,
            progress=_teller(),
        )
        card = export(training, source, folder)
        click.echo(
            f"{folder / method}.safetensors sha256 {card.sha256}: validation"
            f" {card.validation_psnr_db:.2f} dB, plain ptychography {card.plain_psnr_db:.2f} dB"
        )

    return command


def _teller() -> Callable[[Progress], None]:
    def tell(progress: Progress) -> None:
        if progress.point is None and progress.step % BETWEEN_LINES:
            return
        point = progress.point
        validated = f", validation {point.validation_psnr_db:.2f} dB" if point else ""
        click.echo(
            f"step {progress.step} of {progress.steps}, loss {progress.loss:.3f}, about"
            f" {progress.seconds_left / 60:.0f} min left{validated}",
            err=True,
        )

    return tell


for _method, _text in TRAINABLE.items():
    train.add_command(_command(_method, _text))
