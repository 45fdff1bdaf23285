"""What of a fine-tuning cannot work, said before anything is started. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from fovea.core.errors import UserError

if TYPE_CHECKING:
    from fovea.config.schema import AugmentConfig, FinetuneConfig, LossConfig, ModelConfig, TrainerConfig


class Sections(Protocol):
    """The sections that decide it, of a whole configuration or of a job."""

    @property
    def model(self) -> ModelConfig:
        """The network and its weights."""

    @property
    def finetune(self) -> FinetuneConfig:
        """Which layers are trained."""

    @property
    def augment(self) -> AugmentConfig:
        """What is done to pictures."""

    @property
    def loss(self) -> LossConfig:
        """What is made small."""

    @property
    def trainer(self) -> TrainerConfig:
        """How long training runs."""


def check(config: Sections) -> None:
    """Refuses what the sections of a configuration cannot do together.

    Raises:
        UserError: There is nothing to reuse, or nothing may be reused, or cached features do not go with the rest.
    """
    mode, weights = config.finetune.mode, config.model.weights
    if mode == "from_scratch" and weights is not None:
        raise UserError(
            f"finetune=from_scratch begins with new weights, but model.weights={weights}; drop model.weights or choose "
            "finetune=full (or head, discriminative, gradual)"
        )
    if mode != "from_scratch" and weights is None:
        raise UserError(
            f"finetune={mode} has nothing to reuse; set model.weights=imagenet, a file of tensors or the folder of a "
            "trained model, or choose finetune=from_scratch"
        )
    if keeps_features(config):
        _check_features(config)


def keeps_features(config: Sections) -> bool:
    """Whether the head is trained on features that are computed once.

    Not where only a few batches are looked at: computing the features of all pictures would take longer.
    """
    few = config.trainer.limit_batches is not None or config.trainer.overfit_batches is not None
    return config.finetune.mode == "head" and config.finetune.cache_features and not few


def _check_features(config: Sections) -> None:
    way_out = "take finetune.cache_features=false"
    if config.augment.mix.is_on:
        raise UserError(
            "augment.mix mixes pictures anew in every epoch, and cached features are computed once; drop the mixing or "
            + way_out
        )
    if config.loss.distill.teacher is not None:
        raise UserError(
            "loss.distill.teacher must see the pictures, and a head on cached features sees none; drop the teacher or "
            + way_out
        )
    if config.finetune.views > 1 and not config.augment.train:
        raise UserError(
            f"finetune.views={config.finetune.views} keeps differently augmented views, but augment.train changes "
            "nothing; choose another augment, or finetune.views=1"
        )
