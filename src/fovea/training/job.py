"""What is to be trained: the typed sections of the config that decide it, and their digest."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fovea.config.schema import (
    AugmentConfig,
    CallbacksConfig,
    DataConfig,
    FinetuneConfig,
    LoaderConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainerConfig,
    parse,
)
from fovea.config.schema.base import Section
from fovea.core.digest import data_digest
from fovea.models import weights
from fovea.training import teacher

# What changes the speed, the place or the looks of a training, but not its weights. Which pictures there are, wherever
# they came from, stands in the digest of the prepared data.
_WITHOUT_EFFECT = {
    "loader": ("num_workers", "eval_batch_size", "prefetch", "cache"),
    "data": ("mirrors", "files", "folder", "table", "wnids"),
    "trainer": ("threads", "devices", "strategy", "launch"),
    "callbacks": ("progress",),
}
_WITH_EFFECT = ("keep", "monitor", "mode")  # of callbacks.checkpoint


def without_effect(sections: Mapping[str, Any]) -> dict[str, Any]:
    """A job as plain data, without what does not decide its weights."""
    kept = {
        name: {key: value for key, value in section.items() if key not in _WITHOUT_EFFECT.get(name, ())}
        if isinstance(section, Mapping)
        else section
        for name, section in sections.items()
    }
    kept["callbacks"]["checkpoint"] = {name: kept["callbacks"]["checkpoint"][name] for name in _WITH_EFFECT}
    return kept


class TrainJob(Section):
    """Everything that decides the weights, except the pictures themselves."""

    seed: int
    data: DataConfig
    loader: LoaderConfig
    augment: AugmentConfig
    model: ModelConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    loss: LossConfig
    finetune: FinetuneConfig
    trainer: TrainerConfig
    callbacks: CallbacksConfig

    @classmethod
    def parse(cls, sections: Mapping[str, Any]) -> TrainJob:
        """Checks plain sections of the config.

        Raises:
            UserError: A key is unknown or a value is wrong.
        """
        return parse(cls, sections, "config")

    def plain(self) -> dict[str, Any]:
        """The sections as plain data."""
        return self.model_dump(mode="json")

    def with_classes(self, classes: Sequence[str]) -> TrainJob:
        """The same job with the names of the classes, where the config leaves them to the source."""
        if self.data.classes is not None:
            return self
        return self.model_copy(update={"data": self.data.model_copy(update={"classes": list(classes)})})

    def with_weights(self) -> TrainJob:
        """The same job with what the first weights decide: their digest, and the normalisation that they expect.

        Raises:
            UserError: There are no such weights.
            RunError: They can be had nowhere.
        """
        return self.model_copy(update={"model": weights.resolve(self.model, self.data)})

    @property
    def lr(self) -> float:
        """The highest learning rate, scaled as `optimizer.lr_scaling` says."""
        return self.optimizer.lr * self.lr_factor

    @property
    def lr_factor(self) -> float:
        """What scaling makes of `optimizer.lr`: a function of the pictures of a step, not of the processes."""
        ratio = self.loader.batch_size * self.trainer.accumulate_batches / self.optimizer.lr_base_batch
        return {"none": 1.0, "linear": ratio, "sqrt": math.sqrt(ratio)}[self.optimizer.lr_scaling]

    def at_scaled_rate(self) -> TrainJob:
        """The same job with `optimizer.lr` scaled, and no scaling left to be done."""
        optimizer = self.optimizer.model_copy(update={"lr": self.lr, "lr_scaling": "none"})
        return self.model_copy(update={"optimizer": optimizer})

    def digest(self, prepared_digest: str) -> str:
        """Hex sha256 of what decides the weights. Those that training begins with count by their own digest.

        Args:
            prepared_digest: The digest of the prepared data.

        Raises:
            UserError: The teacher that it learns from is missing; its weights count, wherever they lie.
        """
        sections = without_effect(self.plain())
        sections["model"]["weights"] = self.model.weights is not None
        if self.loss.distill.teacher is not None:
            sections["loss"]["distill"]["teacher"] = teacher.digest(self.loss.distill.teacher, self.data)
        return data_digest({"job": sections, "prepared": prepared_digest})

    def run_name(self, digest: str) -> str:
        """The name of the MLflow run and of the work folder: `<model>-<data>-<short hash>`."""
        model = re.sub(r"[^A-Za-z0-9._-]", "_", self.model.name)
        return f"{model}-{self.data.name}-{digest[:8]}"
