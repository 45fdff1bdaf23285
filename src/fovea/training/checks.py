"""What no section of the configuration can refuse alone about a recipe. Loads torch only for `optimizer=torch`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fovea.config.schema import MultiStepConfig, OneCycleConfig, StepConfig, TorchConfig
from fovea.core.errors import UserError

if TYPE_CHECKING:
    from fovea.config.schema import Config, TrainerConfig


def check(config: Config) -> None:
    """Refuses a recipe that cannot be trained.

    Raises:
        UserError: The schedule is longer than the run, the optimiser is none of torch's, the weights of the classes are
            not as many as the classes, or the teacher is missing or of other classes.
    """
    _check_schedule(config)
    _check_classes(config)
    if isinstance(config.optimizer, TorchConfig):
        from fovea.training.optimizers import check_torch

        check_torch(config.optimizer)
    if config.loss.distill.teacher is not None:
        from fovea.training.teacher import find

        find(config.loss.distill.teacher, config.data)
    if config.trainer.accelerator == "cpu" and config.trainer.precision in ("16", "16-true"):
        raise UserError(
            f"trainer.precision={config.trainer.precision} needs a GPU, and trainer.accelerator=cpu uses none; take "
            "trainer.precision=bf16 or 32"
        )


def check_machine(trainer: TrainerConfig) -> None:
    """Refuses what this machine cannot do. Not part of `check`: another may prepare the data than trains on them.

    Raises:
        UserError: There is no GPU where one is needed, or no compiler.
    """
    if trainer.compile:
        from fovea.training.compiling import check_compiler

        check_compiler()
    halves = trainer.precision in ("16", "16-true")
    if not halves and trainer.accelerator != "gpu":
        return
    import torch

    if torch.cuda.is_available() and trainer.accelerator != "cpu":
        return
    if halves:
        raise UserError(
            f"trainer.precision={trainer.precision} needs a GPU, and none is in use: a processor takes forty times "
            "as long; take trainer.precision=bf16 or 32"
        )
    raise UserError("trainer.accelerator=gpu, but torch finds no GPU; take trainer.accelerator=auto or cpu")


def _check_schedule(config: Config) -> None:
    schedule, epochs = config.schedule, config.trainer.max_epochs
    if isinstance(schedule, OneCycleConfig):
        return
    if schedule.warmup_epochs >= epochs:
        what = f"schedule.warmup_epochs={schedule.warmup_epochs:g} leaves no epoch after the warm-up"
    elif isinstance(schedule, MultiStepConfig) and schedule.milestones[-1] >= epochs:
        what = f"schedule.milestones={schedule.milestones} reach past the last epoch"
    elif isinstance(schedule, StepConfig) and schedule.every_epochs > epochs:
        what = f"schedule.every_epochs={schedule.every_epochs} is longer than the run"
    else:
        return
    raise UserError(f"{what}, as trainer.max_epochs is {epochs}; shorten the schedule or train longer")


def _check_classes(config: Config) -> None:
    weights = config.loss.class_weights
    if weights == "balanced" and config.loader.sampling == "balanced":
        raise UserError(
            "loader.sampling=balanced and loss.class_weights=balanced both even the classes out, together they turn "
            "them over; choose one"
        )
    if isinstance(weights, list) and config.data.classes is not None:
        from fovea.training.weights import check_length

        check_length(weights, config.data.classes)
