"""The features of a network's last layer, and the map that is drawn of them."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.decomposition
import torch
from torch import nn

from fovea.core.errors import UserError
from fovea.evaluation.embedding_map import (
    MOST_CLASSES,
    Embedded,
    embedding_map,
    neighbourhoods,
    principal_components,
)
from fovea.evaluation.embeddings import check_embeddings, listening
from fovea.evaluation.showing import every


@pytest.mark.parametrize("step", [1, 2, 3, 7, 20])
def test_every_so_many_pictures_are_heard_whatever_the_batches(step: int) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(2, 3))
    numbers = torch.arange(20.0).repeat(2, 1).T
    with listening(net, step) as heard:
        for batch in numbers.split([3, 8, 1, 8]):
            net(batch)
    assert np.concatenate(heard)[:, 0].tolist() == list(range(0, 20, step))
    net(numbers)
    assert sum(map(len, heard)) == len(range(0, 20, step))


def test_maps_before_a_convolution_are_averaged() -> None:
    net = nn.Sequential(nn.Identity(), nn.Conv2d(1, 2, 1))
    with listening(net) as heard:
        net(torch.tensor([1.0, 3.0]).reshape(1, 1, 1, 2))
    assert heard[0].tolist() == [[2.0]]


def test_a_network_without_a_last_layer_gives_nothing() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).eval()
    with listening(net) as heard:
        net(torch.zeros(1, 2))
    assert heard == []
    with pytest.raises(UserError, match=r"take evaluate\.embeddings=false"):
        check_embeddings(net)


@pytest.mark.parametrize(("most", "count", "step"), [(1000, 10_000, 10), (1000, 1001, 2), (10, 5, 1), (0, 5, 5)])
def test_pictures_are_spread_over_all(most: int, count: int, step: int) -> None:
    assert every(most, count) == step


@pytest.mark.parametrize("shape", [(40, 6), (6, 40)])
def test_components_agree_with_scikit_learn(shape: tuple[int, int]) -> None:
    features = (np.random.default_rng(1).normal(size=shape) * np.linspace(1, 3, shape[1])).astype(np.float32)
    points, parts = principal_components(features)
    other = sklearn.decomposition.PCA(2).fit(features.astype(np.float64))
    np.testing.assert_allclose(np.abs(points), np.abs(other.transform(features)), atol=1e-4)
    assert parts == pytest.approx(other.explained_variance_ratio_, rel=1e-4)
    assert (points[np.abs(points).argmax(axis=0), [0, 1]] > 0).all()


@pytest.mark.parametrize("features", [np.zeros((3, 4)), np.ones((1, 4)), np.arange(3.0).reshape(3, 1)])
def test_features_without_two_directions_lie_on_a_line_or_a_point(features: np.ndarray) -> None:
    points, parts = principal_components(features.astype(np.float32))
    assert points.shape == (len(features), 2)
    assert points[:, 1] == pytest.approx(np.zeros(len(features)), abs=1e-6)
    assert parts[1] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("classes", [2, MOST_CLASSES, MOST_CLASSES + 1])
def test_the_map_names_its_classes_or_tells_right_from_wrong(classes: int) -> None:
    features = np.random.default_rng(1).normal(size=(30, 4)).astype(np.float32)
    names = [f"$ class {label}" for label in range(classes)]
    wrong = np.arange(30) % 3 == 0
    shown = Embedded(features, np.arange(30))
    (axes,) = embedding_map(shown, np.arange(30) % classes, wrong, names).axes
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == [*(names if classes <= MOST_CLASSES else ["right"]), "misclassified"]
    drawn = sum(len(points.get_offsets()) for points in axes.collections)
    assert drawn == (40 if classes <= MOST_CLASSES else 30)


def test_umap_keeps_groups_together_and_says_the_same_twice() -> None:
    pytest.importorskip("umap", reason="umap-learn is not installed: pip install 'fovea[umap]'")
    groups = np.arange(60) % 3
    features = np.random.default_rng(2).normal(size=(60, 8)) + 10 * groups[:, None]
    points = neighbourhoods(features.astype(np.float32))
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    assert (groups[apart.argmin(axis=1)] == groups).all()
    assert (neighbourhoods(features.astype(np.float32)) == points).all()
