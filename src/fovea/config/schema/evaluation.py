"""The sections of how models are measured: one, several folds, several members."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated, Literal

from pydantic import Field, field_validator

from fovea.config.schema.base import Count, Section, Seed, Share, Text, Whole


class CrossvalConfig(Section):
    """Cross-validation.

    Attributes:
        folds: Parts, of which each serves once for validation and otherwise for training.
        splits: The splits of the prepared data that are put together and parted anew.
        seed: Another one parts them differently.
    """

    folds: Annotated[int, Field(ge=2)]
    splits: Annotated[list[Literal["train", "val", "test"]], Field(min_length=1)]
    seed: Seed


class EnsembleConfig(Section):
    """Several networks that answer as one.

    Attributes:
        members: Trained models: folders, or names or ids of MLflow runs.
        seeds: Seeds with which the configured network is trained, a member each, beside those.
    """

    members: list[Text]
    seeds: list[Seed]


class EvaluateConfig(Section):
    """How the model is measured.

    Attributes:
        batch_size: Pictures per batch.
        confidence: Of the intervals, as in 0.95.
        gallery: How many misclassified pictures are shown, and how many of which the model is least sure.
        activations: Layers whose activation maps are shown, as `kedro describe-model` names them; `auto`: the first
            convolution, one in the middle, the last.
        maps: How many maps of each; 0: none are drawn.
        grad_cam: How many correct and how many misclassified pictures are shown with Grad-CAM; 0: none.
        embedding_map: How many test pictures are on the map of the features, at most; 0: no map.
        map_method: How they are laid on it: `pca`, by the two directions in which they differ most; `umap`, so that
            neighbours stay neighbours (McInnes, Healy and Melville 2018), which needs the extra of this name.
        tta: Further looks at each test picture, whose probabilities are averaged: `flip`, `crops`; none: not done.
        corruptions: What test pictures are made worse by, in five severities; none: not done.
        embeddings: Whether the predictions hold the features of each picture, as the network's last layer sees them.
    """

    batch_size: Count
    confidence: Share
    gallery: Whole
    activations: Literal["auto"] | list[Text]
    maps: Whole
    grad_cam: Annotated[int, Field(ge=0, le=32)]
    embedding_map: Annotated[int, Field(ge=0, le=5000)]
    map_method: Literal["pca", "umap"]
    tta: list[Literal["flip", "crops"]]
    corruptions: list[Literal["blur", "noise", "brightness", "jpeg", "rotation"]]
    embeddings: bool

    @field_validator("map_method")
    @classmethod
    def _installed(cls, method: str) -> str:
        if method == "umap" and find_spec("umap") is None:
            raise ValueError("pca, as umap-learn is not installed (pip install 'fovea[umap]')")
        return method
