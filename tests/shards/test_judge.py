from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.datasets.samples import SPLITS
from fovea.shards.judge import Pictures, Verdict, judge

FAR = [0x1111222233334444 * number % 2**64 for number in range(1, 40)]


def pictures(
    contents: str,
    *,
    labels: Sequence[int] | None = None,
    splits: str | None = None,
    official: str | None = None,
    phash: Sequence[int] | None = None,
) -> Pictures:
    """A letter for each picture: its content; its split (t, v, e or - for a quarantined one); its official split."""
    count = len(contents)
    digests = b"".join(hashlib.sha256(letter.encode()).digest() for letter in contents)
    codes = {"t": 0, "v": 1, "e": 2, "-": -1}
    return Pictures(
        np.frombuffer(digests, np.uint64).reshape(-1, 4),
        np.array(labels if labels is not None else [0] * count, np.int64),
        np.array([codes[letter] for letter in splits or "t" * count], np.int8),
        np.array([codes[letter] for letter in official or "-" * count], np.int8),
        np.array(phash if phash is not None else [0] * count, np.uint64),
        np.array([0] * count, np.uint64),
    )


def judged(given: Pictures, **changes: Any) -> Verdict:
    return judge(given, **{"duplicates": "leave_out", "near_distance": 3, "leakage": "report", **changes})


def reasons(verdict: Verdict) -> list[str | None]:
    return [verdict.why(row) for row in range(len(verdict.reason))]


def test_the_first_of_equal_pictures_is_kept() -> None:
    verdict = judged(pictures("abacaab", splits="ttttt-t"))
    assert reasons(verdict) == [None, None, "duplicate", None, "duplicate", None, "duplicate"]
    assert verdict.duplicate_of.tolist() == [-1, -1, 0, -1, 0, -1, 1]
    assert not verdict.near.any()


def test_copies_are_kept_where_they_are_wanted_and_told_all_the_same() -> None:
    verdict = judged(pictures("aba"), duplicates="keep")
    assert reasons(verdict) == [None] * 3
    assert verdict.duplicate_of.tolist() == [-1, -1, 0]


@pytest.mark.parametrize("duplicates", ["leave_out", "keep"])
def test_the_later_of_two_labels_for_one_picture_is_left_out(duplicates: str) -> None:
    verdict = judged(pictures("abaa", labels=[0, 0, 1, 2]), duplicates=duplicates)
    assert reasons(verdict) == [None, None, "label_conflict", "label_conflict"]
    assert verdict.conflict_with.tolist() == [2, -1, 0, 0]


def test_pictures_of_official_splits_are_compared_within_them() -> None:
    given = pictures("aaaa", splits="tvee", official="ttee")
    verdict = judged(given)
    assert reasons(verdict) == [None, "duplicate", None, "duplicate"]
    assert verdict.leaks.tolist() == [2, -1, 0, -1]
    assert reasons(judged(given, leakage="leave_out")) == ["leakage", "duplicate", None, "duplicate"]


def test_kept_copies_leak_too() -> None:
    verdict = judged(pictures("aab", splits="tet", official="tet"), leakage="leave_out", duplicates="keep")
    assert reasons(verdict) == ["leakage", None, None]
    verdict = judged(pictures("aaa", splits="tte", official="tte"), leakage="leave_out", duplicates="keep")
    assert reasons(verdict) == ["leakage", "leakage", None]
    assert verdict.leaks.tolist() == [2, 2, 0]


def test_another_label_in_another_official_split_is_told() -> None:
    verdict = judged(pictures("aa", labels=[0, 1], splits="te", official="te"))
    assert reasons(verdict) == [None, None]
    assert verdict.conflict_with.tolist() == [1, 0]
    assert verdict.leaks.tolist() == [1, 0]


def test_near_duplicates_within_a_split_are_kept_and_told() -> None:
    verdict = judged(pictures("abc", phash=[FAR[0], FAR[1], FAR[0] ^ 0b11]))
    assert reasons(verdict) == [None] * 3
    assert verdict.duplicate_of.tolist() == [-1, -1, 0]
    assert verdict.near.tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("splits", "left"),
    [("te", [0]), ("et", [1]), ("tv", [0]), ("vt", [1]), ("ve", [0]), ("ev", [1]), ("tt", []), ("e-", [])],
)
def test_of_near_duplicates_in_two_splits_the_less_protected_goes(splits: str, left: list[int]) -> None:
    verdict = judged(pictures("ab", splits=splits, phash=[FAR[0], FAR[0] ^ 1]))
    assert [row for row in (0, 1) if verdict.why(row) == "straddles_splits"] == left
    for row in left:
        assert verdict.duplicate_of[row] == 1 - row
        assert verdict.near[row]


def test_near_duplicates_across_official_splits_leak() -> None:
    given = pictures("abc", splits="tev", official="tet", phash=[FAR[0], FAR[0] ^ 1, FAR[0] ^ 2])
    verdict = judged(given)
    assert reasons(verdict) == ["straddles_splits", None, None]
    assert verdict.leaks.tolist() == [1, 0, 1]
    assert reasons(judged(given, leakage="leave_out")) == ["leakage", None, "leakage"]


def test_near_duplicates_are_not_looked_for_without_a_distance() -> None:
    assert reasons(judged(pictures("ab", splits="te", phash=[FAR[0]] * 2), near_distance=None)) == [None, None]


def test_pictures_that_show_nothing_resemble_no_other() -> None:
    assert reasons(judged(pictures("ab", splits="te", phash=[0, 0]))) == [None, None]


@settings(deadline=None, max_examples=60)
@given(
    contents=st.text("abcd", min_size=1, max_size=12),
    data=st.data(),
)
def test_nothing_that_is_kept_straddles_and_one_of_each_is_kept(contents: str, data: st.DataObject) -> None:
    letters = sorted(set(contents))
    split_of = {letter: data.draw(st.sampled_from("tve")) for letter in letters}
    look = {letter: data.draw(st.sampled_from(FAR[:2])) for letter in letters}
    labels = data.draw(st.lists(st.integers(0, 1), min_size=len(contents), max_size=len(contents)))
    given = pictures(
        contents,
        labels=labels,
        splits="".join(split_of[letter] for letter in contents),
        phash=[look[letter] for letter in contents],
    )
    verdict = judged(given)
    kept = np.flatnonzero(~verdict.left_out)
    assert len({contents[row] for row in kept}) == len(kept)
    for hashed in set(look.values()):
        alike = [row for row in kept.tolist() if int(given.phash[row]) == hashed]
        assert len({int(given.splits[row]) for row in alike}) <= 1
    safest = max(split_of.values(), key="tve".index)
    assert any(SPLITS[given.splits[row]] == SPLITS["tve".index(safest)] for row in kept)
