"""The sections that describe the data and how it is read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from fovea.config.schema.base import Count, Name, Section, Seed, Share, Text, Whole


class FileConfig(Section):
    """One file of a source.

    Attributes:
        name: The file's name at the mirrors and in the folder of raw data.
        md5: The published checksum, 32 hexadecimal digits.
        bytes: The published size.
    """

    name: Name
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    bytes: Count | None = None


class DataConfig(Section):
    """A data set: where it comes from and what its pictures are.

    Attributes:
        name: The name in paths, reports and MLflow.
        source: The kind of source, a module of `fovea.datasets`.
        channels: Channels of a prepared picture.
        image_size: Height and width of a prepared picture, in pixels.
        classes: The names of the classes, in the order of their labels.
        mean: Per channel, of pixels in 0..1.
        std: Per channel, of pixels in 0..1.
        mirrors: Addresses that are tried in turn.
        files: The source's files by their role.
    """

    name: Name
    source: Text
    channels: Count
    image_size: Count
    classes: Annotated[list[Text], Field(min_length=2)]
    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]
    mirrors: list[Annotated[str, Field(pattern=r"^(https?|file)://")]] = Field(default_factory=list)
    files: dict[str, FileConfig] = Field(default_factory=dict)

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)

    @field_validator("classes")
    @classmethod
    def _distinct(cls, classes: list[str]) -> list[str]:
        twice = next((name for name in classes if classes.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"names that differ, but '{twice}' is there twice")
        return classes

    @field_validator("mean", "std")
    @classmethod
    def _one_per_channel(cls, values: list[float], info: ValidationInfo) -> list[float]:
        channels = info.data.get("channels")
        if channels is not None and len(values) != channels:
            raise ValueError(
                f"{channels} numbers, one per channel" if channels > 1 else "1 number, as there is 1 channel"
            )
        return values


class PrepareConfig(Section):
    """How a source becomes shards.

    Attributes:
        seed: Decides the split where the source has none.
        test_fraction: Of a source without an official test split.
        val_fraction: Of what is not test.
        shard_mb: Size at which a new shard file begins, in MB.
    """

    seed: Seed
    test_fraction: Share
    val_fraction: Share
    shard_mb: Count


class LoaderConfig(Section):
    """How batches are read.

    Attributes:
        batch_size: Pictures per optimiser step.
        eval_batch_size: Pictures per batch of validation and test.
        num_workers: Processes that read and augment; 0: in the training process.
    """

    batch_size: Count
    eval_batch_size: Count
    num_workers: Whole


class AugmentConfig(Section):
    """What is done to a training picture.

    Attributes:
        train: The transforms in order, each a `_target_` and its arguments.
    """

    train: list[dict[str, Any]]

    @field_validator("train")
    @classmethod
    def _targets(cls, transforms: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for transform in transforms:
            if not isinstance(transform.get("_target_"), str):
                raise ValueError("transforms that each name their `_target_`, as in albumentations.HorizontalFlip")
        return transforms
