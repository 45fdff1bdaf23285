"""What a training is going to do, in a few lines: loss, schedule, parameter groups, what is frozen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from fovea.config.schema import TrainerConfig
from fovea.training.schedules import Steps, lr_factor

if TYPE_CHECKING:
    from torch import nn

    from fovea.training.job import TrainJob
    from fovea.training.module import ClassifierModule

_HEAD = ("group", "tensors", "parameters", "lr", "weight_decay", "trains")


def plan(job: TrainJob, module: ClassifierModule, steps: Steps) -> list[str]:
    """The lines.

    Args:
        job: What is trained.
        module: With its parameter groups; each has a `name`, its `weight_decay`, if its rate is not the config's an
            `lr`, and if it trains from a later epoch on a `from_epoch`, counted from 1.
        steps: Length of the run.
    """
    return [*_recipe(job, steps), *table(group_rows(module.groups, module.net, job.lr))]


def group_rows(groups: Sequence[dict[str, Any]], net: nn.Module, lr: float) -> Iterator[tuple[str, ...]]:
    """A row a group, and one for all that is in none.

    Args:
        groups: The parameter groups.
        net: The network.
        lr: The learning rate of groups that have none of their own.
    """
    for group in groups:
        parameters = list(group["params"])
        trains = f"from epoch {group['from_epoch']}" if group.get("from_epoch", 1) > 1 else "yes"
        rate, decay = group.get("lr", lr), group["weight_decay"]
        yield (group["name"], *_size(parameters), f"{rate:.3g}", f"{decay:.3g}", trains)
    taken = {id(parameter) for group in groups for parameter in group["params"]}
    if frozen := [parameter for parameter in net.parameters() if id(parameter) not in taken]:
        yield ("frozen", *_size(frozen), "-", "-", "no")


def table(rows: Iterator[tuple[str, ...]]) -> list[str]:
    """Columns below their names, numbers to the right."""
    cells = list(chain([_HEAD], rows))
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEAD))]
    return [
        "  ".join(
            cell.rjust(width) if 0 < column < len(_HEAD) - 1 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def schedule_words(job: TrainJob, steps: Steps) -> str:
    """The schedule with the rates at its first step, its highest and its last."""
    factor = lr_factor(job.schedule, steps)
    rates = [job.lr * factor(step) for step in range(steps.total)]
    first, highest, last = rates[0], max(rates), rates[-1]
    path = f"{first:.2g}" if first == last == highest else f"{first:.2g} -> {highest:.2g} -> {last:.2g}"
    falls = " or lower, as validation says" if job.schedule.name == "plateau" else ""
    return f"{job.schedule.name}, lr {path}{_scaling(job)}{falls}"


def _scaling(job: TrainJob) -> str:
    optimizer, pictures = job.optimizer, job.loader.batch_size * job.trainer.accumulate_batches
    if optimizer.lr_scaling == "none":
        return ""
    ratio = f"{pictures:,} / {optimizer.lr_base_batch:,}"
    return f" (of {optimizer.lr:g} x {f'sqrt({ratio})' if optimizer.lr_scaling == 'sqrt' else ratio})"


def _recipe(job: TrainJob, steps: Steps) -> Iterator[str]:
    kind = getattr(job.optimizer, "target", job.optimizer.name)
    each = f"{steps.per_epoch:,} steps an epoch, {job.trainer.max_epochs} epochs"
    yield f"{kind}; {schedule_words(job, steps)}; {each}"
    yield "; ".join(chain([_loss(job)], _extras(job), _limits(job.trainer)))


def _loss(job: TrainJob) -> str:
    loss, mix = job.loss, job.augment.mix
    words: list[str] = [loss.name]
    if loss.label_smoothing:
        words.append(f"label smoothing {loss.label_smoothing:g}")
    if loss.class_weights is not None:
        words.append("balanced classes" if loss.class_weights == "balanced" else "weighted classes")
    if mix.is_on:
        words += [name for name, alpha in (("MixUp", mix.mixup_alpha), ("CutMix", mix.cutmix_alpha)) if alpha > 0]
    if loss.distill.teacher is not None:
        words.append(f"{loss.distill.weight:g} of it from the teacher {loss.distill.teacher}")
    return ", ".join(words)


def _extras(job: TrainJob) -> Iterator[str]:
    averaging, stopping = job.callbacks.averaging, job.callbacks.early_stopping
    if averaging.kind != "none":
        decay = f" {averaging.decay:g}" if averaging.kind == "ema" else ""
        begins = f" after {100 * averaging.start:g} % of the run" if averaging.start else ""
        yield f"{averaging.kind}{decay} of the weights{begins}"
    if stopping.patience is not None:
        yield f"stops after {stopping.patience} epochs without better {stopping.monitor}"


def _limits(trainer: TrainerConfig) -> Iterator[str]:
    yield f"precision {trainer.precision}"
    for words, value in (
        ("gradients clipped to norm {:g}", trainer.gradient_clip_norm),
        ("gradients clipped to values of {:g}", trainer.gradient_clip_value),
        ("{} batches a step", trainer.accumulate_batches if trainer.accumulate_batches > 1 else None),
        ("at most {:g} minutes", trainer.max_minutes),
        ("compiled", trainer.compile or None),
    ):
        if value is not None:
            yield words.format(value)


def _size(parameters: Sequence[nn.Parameter]) -> tuple[str, str]:
    return str(len(parameters)), f"{sum(parameter.numel() for parameter in parameters):,}"
