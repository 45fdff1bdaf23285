"""`kedro preview`: what a training with this configuration would see and do, without training."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fovea.inspection.preview import Preview
    from fovea.loading import PictureDataModule
    from fovea.shards import PreparedData
    from fovea.training.job import TrainJob
    from fovea.training.schedules import Steps

FOLDER = "data/08_reporting/preview"
_HEADS = ("as it is", "epoch 1", "epoch 2", "evaluation")
_MOST_CLASSES = 20
_MIXED = 18
_UNKNOWN = ": drawn as constant, as it falls when validation stands still"


@click.command()
@click.argument("overrides", nargs=-1)
@click.option("--output", type=click.Path(path_type=Path), default=None, help=f"Folder for the files; else {FOLDER}.")
@click.option("--count", type=click.IntRange(1, 50), default=3, show_default=True, help="Pictures of each class.")
@click.option(
    "--env", "-e", default=None, help="Kedro's environment; its overrides.yaml takes the place of conf/local's."
)
def command(overrides: tuple[str, ...], output: Path | None, count: int, env: str | None) -> None:
    r"""Draw what `kedro run` with the same OVERRIDES would see: augmented pictures, learning rate, class balance.

    Data that are not prepared yet are prepared. Nothing is trained, and no MLflow run is made.

    \b
      kedro preview augment=mnist
      kedro preview data=cats_vs_dogs augment=imagenet --count 5
    """
    from fovea.commands.composed import prepared_job
    from fovea.config import logs
    from fovea.core.places import project_root
    from fovea.inspection.preview import write

    logs.configure()
    job, prepared = prepared_job(overrides, env)
    folder = output if output is not None else project_root() / FOLDER
    page = write(preview_of(job, prepared, count), folder)
    click.echo(f"The preview is in {page}")


def preview_of(job: TrainJob, prepared: PreparedData, count: int) -> Preview:
    """Everything that is drawn.

    Args:
        job: The training, as `composed.prepared_job` gives it.
        prepared: Its data.
        count: Pictures of each class.

    Raises:
        UserError: The augmentation is wrong, or there are too few pictures for a batch.
        RunError: A picture cannot be decoded.
    """
    import numpy as np

    from fovea.inspection.preview import Preview
    from fovea.training.schedules import Steps

    names = job.data.class_names
    data = _loaders(job, prepared)
    batches = len(data.train_dataloader())
    steps = Steps.of(batches, job.trainer)
    splits = {name: prepared.split(name) for name in ("train", "val", "test")}
    return Preview(
        title=f"{job.data.name}: preview",
        facts={
            "pictures": ", ".join(f"{name} {len(split):,}" for name, split in splits.items()),
            "augmentation": ", ".join(_targets(job.augment.train)) or "none",
            "evaluation": ", ".join(_targets(job.augment.eval)) or "none",
            "mixing": _mixing(job),
            "size for the network": f"{job.data.image_size} x {job.data.image_size}",
            "batches an epoch": f"{batches:,}, {job.loader.sampling}",
            "epochs": job.trainer.max_epochs,
            "schedule": job.schedule.name + (_UNKNOWN if job.schedule.name == "plateau" else ""),
        },
        heads=_HEADS,
        samples=list(_samples(job, prepared, count)),
        mixed=list(_mixed(job, data)) if job.augment.mix.is_on else (),
        rates=_rates(job, steps),
        steps_per_epoch=steps.per_epoch,
        classes=names,
        counts={name: np.bincount(split.labels, minlength=len(names)) for name, split in splits.items()},
    )


def _loaders(job: TrainJob, prepared: PreparedData) -> PictureDataModule:
    """The training's loaders, without processes and cache of their own."""
    from fovea.loading import PictureDataModule

    loader = job.loader.model_copy(update={"num_workers": 0, "cache": "none"})
    log = logging.getLogger("fovea.loading")
    level = log.level
    log.setLevel(logging.WARNING)  # would tell that nothing is cached, which says nothing of the training
    try:
        return PictureDataModule(prepared, data=job.data, loader=loader, augment=job.augment, seed=job.seed)
    finally:
        log.setLevel(level)


def _mixing(job: TrainJob) -> str:
    mix = job.augment.mix
    kinds = [name for name, alpha in (("MixUp", mix.mixup_alpha), ("CutMix", mix.cutmix_alpha)) if alpha > 0]
    return f"{' or '.join(kinds)}, of {100 * mix.prob:g} % of the pictures" if mix.is_on else "none"


def _targets(transforms: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(transform["_target_"]).rpartition(".")[2] for transform in transforms]


def _samples(job: TrainJob, prepared: PreparedData, count: int) -> Iterator[tuple[str, list[list[NDArray[np.uint8]]]]]:
    """For each class some pictures as they are, in two epochs, and in evaluation."""
    import numpy as np

    from fovea.inspection.thumbnails import spaced
    from fovea.loading.recipes import for_evaluation, for_training

    split = prepared.split("train")
    pictures, augmenter = for_training(split, job.data, job.loader, job.augment)
    evaluated = for_evaluation(split, job.data, job.augment).pictures

    def seen(row: int, epoch: int) -> NDArray[np.uint8]:
        image = pictures(row)
        return augmenter(image, seed=job.seed, epoch=epoch, key=int(split.keys[row])) if augmenter else image

    for label in spaced(np.arange(len(job.data.class_names)), _MOST_CLASSES).tolist():
        rows = spaced(np.flatnonzero(split.labels == label), count).tolist()
        # A decoder may use the memory of one picture for the next.
        groups = [
            [image.copy() for image in (split.image(row), *(seen(row, epoch) for epoch in (0, 1)), evaluated(row))]
            for row in rows
        ]
        yield job.data.class_names[label], groups


def _mixed(job: TrainJob, data: PictureDataModule) -> Iterator[tuple[NDArray[np.uint8], str]]:
    """The beginning of the first batch of the first epoch, mixed, with the weights of the labels."""
    from fovea.augment.mixing import apply

    names = job.data.class_names
    batch = next(iter(data.train_dataloader()))
    if batch.mix is None:
        return
    images = apply(batch.images, batch.mix).round().byte().permute(0, 2, 3, 1).numpy()
    for place, image in enumerate(images[:_MIXED]):
        share, partner = float(batch.mix.share[place]), int(batch.mix.partner[place])
        own = names[int(batch.labels[place])]
        rest = f"\n{names[int(batch.labels[partner])]} {1 - share:.2f}" if partner != place else ""
        yield image, f"{own} {share:.2f}{rest}"


def _rates(job: TrainJob, steps: Steps) -> NDArray[np.float64]:
    import numpy as np

    from fovea.training.schedules import lr_factor

    factor = lr_factor(job.schedule, steps)
    return np.array([job.lr * factor(step) for step in range(steps.total)])
