from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.shards.keys import sample_keys
from fovea.shards.pack import rules
from fovea.shards.tasks import Task, cuts, tasks

Make = Callable[..., Any]
SIZES = st.lists(st.integers(min_value=0, max_value=300), max_size=200)


def pieces(sizes: list[int], keys: Any, limit: int = 1000) -> list[slice]:
    return list(cuts(np.array(sizes, np.int64), keys, limit))


@settings(deadline=None, max_examples=100)
@given(sizes=SIZES, hashed=st.booleans())
def test_every_picture_is_in_one_piece_and_no_piece_is_too_large(sizes: list[int], hashed: bool) -> None:
    keys = sample_keys([str(number) for number in range(len(sizes))]) if hashed else None
    parts = pieces(sizes, keys)
    assert [at for part in parts for at in range(part.start, part.stop)] == list(range(len(sizes)))
    assert all(sum(sizes[part]) <= 1000 or part.stop - part.start == 1 for part in parts)


def test_without_hashes_pieces_are_full() -> None:
    assert pieces([300] * 7, None) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert pieces([5000, 1, 1], None) == [slice(0, 1), slice(1, 3)]
    assert pieces([], None) == []


def test_with_hashes_pieces_are_a_third_on_average() -> None:
    count = 20_000
    parts = pieces([10] * count, sample_keys([str(number) for number in range(count)]))
    mean = 10 * count / len(parts)
    assert 300 < mean < 500


@settings(deadline=None, max_examples=50)
@given(at=st.integers(min_value=0, max_value=2000), size=st.integers(min_value=1, max_value=300))
def test_an_added_picture_changes_few_pieces(at: int, size: int) -> None:
    names = [str(number) for number in range(2000)]
    sizes = [20] * 2000
    longer, larger = [*names[:at], "new", *names[at:]], [*sizes[:at], size, *sizes[at:]]

    def contents(names: list[str], sizes: list[int]) -> set[tuple[str, ...]]:
        return {tuple(names[part]) for part in pieces(sizes, sample_keys(names))}

    before, after = contents(names, sizes), contents(longer, larger)
    assert len(before) > 80
    assert len(after - before) <= 12


def made(tmp_path: Path, data: Make, config: Make, samples: Any, **changes: Any) -> list[Task]:
    more = rules(data(channels=3), config(**changes))
    return list(tasks([samples], more, tmp_path, limit=30_000, sources=defaultdict(lambda: "0" * 64)))


def test_a_task_is_small_and_names_no_more_files_than_it_needs(
    tmp_path: Path, data: Make, config: Make, photos: Make
) -> None:
    parts = [photos(1, first=number).images for number in range(100)]
    whole = replace(
        parts[0],
        files=tuple(part.files[0] for part in parts),
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("offset", "stored", "sizes", "kind", "zipped", "crc")
        },
        file=np.arange(100, dtype=np.int32),
    )
    samples = replace(photos(100), images=whole)
    found = made(tmp_path, data, config, samples)
    assert len(found) > 4
    for task in found:
        assert len(task.samples.images.files) == len(task.samples)
        assert len(pickle.dumps(task)) < 20_000
    read = [task.samples.images.read(row) for task in found for row in range(len(task.samples))]
    assert read == [whole.read(row) for row in range(100)]


def test_the_digest_follows_from_all_that_matters(tmp_path: Path, data: Make, config: Make, photos: Make) -> None:
    samples = photos(5)
    first = made(tmp_path, data, config, samples)[0].digest
    assert made(tmp_path / "b", data, config, samples, near_distance=None)[0].digest == first
    others = [
        made(tmp_path, data, config, replace(samples, labels=samples.labels + 1)),
        made(tmp_path, data, config, replace(samples, ids=list("abcde"))),
        made(tmp_path, data, config, replace(samples, split="train")),
        made(tmp_path, data, config, replace(samples, sha256=["0" * 64] * 5)),
        made(tmp_path, data, config, replace(samples, problems=[None, None, "missing", None, None])),
        made(tmp_path, data, config, replace(samples, images=replace(samples.images, crc=np.arange(5)))),
        made(tmp_path, data, config, samples, seed=1),
        made(tmp_path, data, config, samples, resize=10),
        made(tmp_path, data, config, samples, max_pixels=5),
    ]
    assert len({first, *(found[0].digest for found in others)}) == 10


def test_no_validation_pictures_are_cut_out_of_a_whole_training_split(
    tmp_path: Path, data: Make, config: Make, photos: Make
) -> None:
    samples = replace(photos(5), split="train")
    cut = made(tmp_path, data, config, samples)[0]
    whole = made(tmp_path, data, config, replace(samples, whole_train=True))[0]
    assert (cut.rules.val_fraction, whole.rules.val_fraction) == (0.1, 0.0)
    assert cut.digest != whole.digest
