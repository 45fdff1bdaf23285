"""The sections that describe the data and how it is read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from fovea.config.schema.base import Count, Fraction, Name, NotNegative, Section, Seed, Share, Text
from fovea.core.errors import UserError


class FileConfig(Section):
    """One file of a source.

    Attributes:
        name: The file's name at the mirrors and in the folder of raw data.
        md5: The published checksum, 32 hexadecimal digits.
        sha256: The published checksum, 64 hexadecimal digits.
        bytes: The published size.
    """

    name: Name
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    bytes: Count | None = None


class DataConfig(Section):
    """A data set: where it comes from and what its pictures are.

    Attributes:
        name: The name in paths, reports and MLflow.
        source: The kind of source, a module of `fovea.datasets`.
        channels: Channels of a picture as the network sees it, 1 or 3.
        image_size: Height and width of a picture as the network sees it, in pixels.
        classes: The names of the classes, in the order of their labels; None: as the source names them.
        mean: Per channel, of pixels in 0..1.
        std: Per channel, of pixels in 0..1.
        mirrors: Addresses that are tried in turn.
        files: The source's files by their role.
        folder: Where the user's own files lie; they are used in place and never copied or changed.
        table: A CSV file of paths and labels in `folder`, instead of a folder for each class.
        wnids: The WordNet ids of the classes that are taken out of ImageNet; None: all.
    """

    name: Name
    source: Text
    channels: Count
    image_size: Count
    classes: Annotated[list[Text], Field(min_length=2)] | None
    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]
    mirrors: list[Annotated[str, Field(pattern=r"^(https?|file)://")]] = Field(default_factory=list)
    files: dict[str, FileConfig] = Field(default_factory=dict)
    folder: Text | None = None
    table: Text | None = None
    wnids: Annotated[list[Annotated[str, Field(pattern=r"^n[0-9]{8}$")]], Field(min_length=2)] | None = None

    @property
    def class_names(self) -> list[str]:
        """The names of the classes.

        Raises:
            UserError: They are known only once the data are prepared.
        """
        if self.classes is None:
            raise UserError(
                f"data.classes of '{self.name}' follow from the pictures; prepare them first, or name the classes"
            )
        return self.classes

    @property
    def num_classes(self) -> int:
        """How many classes there are.

        Raises:
            UserError: They are known only once the data are prepared.
        """
        return len(self.class_names)

    @field_validator("classes")
    @classmethod
    def _distinct(cls, classes: list[str] | None) -> list[str] | None:
        if classes is None:
            return None
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
        resize: Pixels that the short side of a larger picture is reduced to when it is packed; None: as it is.
        quality: Of the JPEG files that `resize` makes.
        max_bad_fraction: Part of the pictures that may be unusable; with more of them the run stops.
        max_pixels: Pixels of the largest picture that is decoded.
        max_mb: Size of the largest file that is decoded, in MB.
        duplicates: What becomes of exact copies of a picture.
        near_distance: Bits of the 64 of a perceptual hash in which two pictures may differ to count as near duplicates;
            None: they are not looked for.
        leakage: What becomes of a training picture that the source's own test or validation split has too.
        executor: What the work is shared out by: `process`, `thread`, `serial`, `dask`, or the ``module:callable`` that
            makes a `concurrent.futures.Executor`.
        workers: Of the executor; None: one a core.
        scheduler: Address of a Dask scheduler; None: a cluster of `workers` local processes.
    """

    seed: Seed
    test_fraction: Share
    val_fraction: Share
    shard_mb: Count
    resize: Count | None
    quality: Annotated[int, Field(ge=1, le=100)]
    max_bad_fraction: Fraction
    max_pixels: Count
    max_mb: Count
    duplicates: Literal["leave_out", "keep"]
    near_distance: Annotated[int, Field(ge=0, le=8)] | None
    leakage: Literal["report", "leave_out"]
    executor: Text
    workers: Count | None
    scheduler: Text | None


class LoaderConfig(Section):
    """How batches are read.

    Attributes:
        batch_size: Pictures per optimiser step.
        eval_batch_size: Pictures per batch of validation and test.
        num_workers: Processes that read and augment; 0: in the training process; auto: one a core where pictures are
            decoded, else 0.
        prefetch: Batches that each worker makes ahead.
        sampling: `shuffle`: every picture once an epoch; `balanced`: every class equally often.
        cache: Where decoded pictures are kept: `memory`, `disk`, `none`, or `auto`: in memory where they fit.
        fast_decode: Decode training pictures a little less exactly and faster.
        scaled_decode: Decode much larger pictures than the network takes at a half, a quarter or an eighth.
    """

    batch_size: Count
    eval_batch_size: Count
    num_workers: int | Literal["auto"]
    prefetch: Count
    sampling: Literal["shuffle", "balanced"]
    cache: Literal["auto", "memory", "disk", "none"]
    fast_decode: bool
    scaled_decode: bool

    @field_validator("num_workers", mode="plain")
    @classmethod
    def _number_or_auto(cls, value: Any) -> Any:
        """As a union pydantic would tell a mistake once for each of its members."""
        if value != "auto" and (type(value) is not int or value < 0):
            raise ValueError("a whole number, at least 0, or 'auto'")
        return value


class MixConfig(Section):
    """How the pictures of a batch are mixed with each other.

    Attributes:
        mixup_alpha: Of the beta distribution of MixUp's shares; 0: no MixUp.
        cutmix_alpha: Of the beta distribution of CutMix's areas; 0: no CutMix.
        prob: Of mixing a picture at all.
        switch_prob: Of CutMix, where both are on.
    """

    mixup_alpha: NotNegative
    cutmix_alpha: NotNegative
    prob: Fraction
    switch_prob: Fraction

    @property
    def is_on(self) -> bool:
        """Whether pictures are mixed at all."""
        return self.prob > 0 and (self.mixup_alpha > 0 or self.cutmix_alpha > 0)


class AugmentConfig(Section):
    """What is done to a picture on its way to the network.

    Attributes:
        train: The random transforms of training pictures in order, each a `_target_` and its arguments.
        eval: The transforms of all other pictures. Whatever leaves `train` or `eval` in another size than
            `data.image_size` is resized by its short side and cut to its centre.
        mix: How the pictures of a training batch are mixed.
    """

    train: list[dict[str, Any]]
    eval: list[dict[str, Any]]
    mix: MixConfig

    @field_validator("train", "eval")
    @classmethod
    def _targets(cls, transforms: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for transform in transforms:
            if not isinstance(transform.get("_target_"), str):
                raise ValueError("transforms that each name their `_target_`, as in albumentations.HorizontalFlip")
        return transforms
