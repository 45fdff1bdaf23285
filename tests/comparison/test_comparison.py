"""Runs compared: which pictures, which differences, which words, and where there is nothing to compare."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from fovea.comparison import page, terminal
from fovea.comparison.comparison import Comparison, compare
from fovea.comparison.differences import Value, costs, metrics, origins, packages, parameters
from fovea.comparison.pairing import pair
from fovea.comparison.past import PastRun, labels, packages_of
from fovea.comparison.thumbnails import shower
from fovea.core.errors import UserError
from fovea.inspection.thumbnails import thumbnail

Past = Callable[..., PastRun]


def text_of(comparison: Comparison) -> str:
    console = Console(file=io.StringIO(), width=200)
    for part in terminal.rendered(comparison):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_pictures_are_paired_by_id_in_whatever_order(past: Past) -> None:
    first = past("one", "abca", "abcd")
    second = past("two", "daxb", "dabc", [f"digit-{row}" for row in (3, 0, 1, 2)])
    pairing = pair(first, second)
    assert pairing.is_whole
    assert pairing.won["id"].tolist() == ["digit-3"]
    assert pairing.lost["id"].tolist() == ["digit-1", "digit-2"]
    lost = pairing.lost.iloc[0]
    assert (lost["label"], lost["first"], lost["second"]) == ("b", "b", "x")
    assert (lost["first_probability"], lost["second_probability"]) == pytest.approx((0.51, 0.52))


def test_only_pictures_of_both_are_tested_and_the_reader_is_warned(past: Past) -> None:
    first = past("one", "abc", "abc", ["p", "q", "r"])
    second = past("two", "xxcd", "bzcd", ["q", "r", "s", "t"])
    pairing = pair(first, second)
    assert (pairing.table["id"].tolist(), pairing.only_first, pairing.only_second) == (["q"], 1, 2)
    assert pairing.relabelled == 1
    [warning] = compare([first, second], 0.95).warnings()
    assert warning == (
        "'one' and 'two' were tested on different pictures; the paired tests are on the 1 that are the same "
        "(left out: 1 only 'one' was tested on, 2 only 'two' was tested on, 1 have different labels in the two), "
        "the metrics on all of each"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ids": ["x", "y"]}, "'one' and 'two' were tested on different pictures: there is nothing"),
        ({"labels": "cd"}, "were tested on the same pictures, but under other labels"),
        ({"params": {"data.name": "mnist"}}, "'one' was tested on 'digits' and 'two' on 'mnist', different data"),
    ],
)
def test_runs_without_a_common_picture_are_refused(past: Past, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        pair(past("one", "ab", "ab"), past("two", "ab", **{"labels": "ab", **changes}))


def test_intervals_of_different_coverage_are_told(past: Past) -> None:
    first = past("one", "a", "a", params={"evaluate.confidence": "0.95"})
    second = past("two", "a", "a", params={"evaluate.confidence": "0.95"}, tags={"evaluate.confidence": "0.9"})
    assert (first.confidence, second.confidence, past("old", "a", "a").confidence) == (0.95, 0.9, None)
    [warning] = compare([first, second], 0.95).warnings()
    assert warning == (
        "the intervals of the metrics are of different confidence: 95 % of 'one', 90 % of 'two'; test one again with "
        "that of the other (`evaluate.confidence`) to compare them"
    )
    assert list(compare([first, first, past("old", "a", "a")], 0.95).warnings()) == []


def test_a_run_that_was_tested_on_other_data_is_told(past: Past) -> None:
    trained = {"data_digest": "1" * 64}
    tested = trained | {"evaluated_data": "digits", "evaluated_data_digest": "2" * 64}
    first, second = past("one", "a", "a", tags=trained), past("two", "a", "a", tags=tested)
    assert (first.tested_digest, second.tested_digest) == ("1" * 64, "2" * 64)
    [warning] = compare([first, second], 0.95).warnings()
    assert warning == (
        "'two' was tested on 'digits' (digest 222222222222) and trained on 'digits' (digest 111111111111): some of the "
        "test pictures may have been among its training pictures"
    )
    same = past("two", "a", "a", tags=tested | {"evaluated_data_digest": "1" * 64})
    assert list(compare([first, same, past("old", "a", "a")], 0.95).warnings()) == []
    elsewhere = past("two", "a", "a", tags=tested | {"evaluated_data": "mnist"})
    with pytest.raises(UserError, match="'one' was tested on 'digits' and 'two' on 'mnist', different data"):
        pair(first, elsewhere)


def test_only_what_differs_is_listed(past: Past) -> None:
    first = past("one", "a", "a", params={"seed": "0", "optimizer.lr": "0.1"}, tags={"cpu": "x", "git_dirty": "false"})
    second = past("two", "a", "a", params={"seed": "1", "optimizer.lr": "0.1", "new": "v"}, tags={"cpu": "x"})
    assert parameters([first, second]) == [("seed", ["0", "1"]), ("new", [None, "v"])]
    assert origins([first, second]) == [("uncommitted changes", ["false", None])]


def test_frames_are_the_tables_that_have_rows(past: Past) -> None:
    runs = [
        past(name, "a", "a", params={"seed": seed}, metrics={"test/acc": acc})
        for name, seed, acc in (("one", "0", 0.5), ("two", "1", 0.75))
    ]
    frames = compare(runs, 0.95).frames()
    assert list(frames) == ["Metrics of the test pictures", "Parameters that differ", "Cost"]
    table = frames["Parameters that differ"]
    assert (table.index.name, list(table.index), list(table.columns)) == ("parameter", ["seed"], ["one", "two"])
    assert frames["Metrics of the test pictures"].loc["test/acc"].tolist() == ["0.5000", "0.7500"]


def test_packages_of_a_run_that_does_not_tell_do_not_differ(past: Past) -> None:
    known = packages_of("numpy==2.3.1\n\ntorch==2.14.1\nodd\n")
    assert known == {"numpy": "2.3.1", "torch": "2.14.1"}
    first, second = past("one", "a", "a", packages=known), past("two", "a", "a", packages={**known, "numpy": "2.4"})
    assert packages([first, past("three", "a", "a")]) == []
    assert packages([first, second]) == [("numpy", ["2.3.1", "2.4"])]
    assert packages([first, second, past("three", "a", "a")]) == [("numpy", ["2.3.1", "2.4", None])]


def test_metrics_of_the_test_carry_their_intervals(past: Past) -> None:
    first = past("one", "a", "a", metrics={"val/acc": 0.5, "test/acc": 0.9, "test/acc_low": 0.8, "test/acc_high": 0.95})
    second = past("two", "a", "a", metrics={"test/acc": 0.8, "test/glow_low": 0.1, "test/count": 1012.0})
    rows = dict(metrics([first, second]))
    assert list(rows) == ["test/acc", "test/glow_low", "test/count"]
    assert rows["test/acc"] == [Value(0.9, 0.8, 0.95), Value(0.8)]
    assert [value.text() for value in rows["test/acc"] if value] == ["0.9000 [0.8000, 0.9500]", "0.8000"]
    assert rows["test/count"][0] is None
    assert Value(1012.0).text() == "1,012"


def test_costs(past: Past) -> None:
    runs = [past("one", "a", "a", metrics={"time/fit_seconds": 90.0}, model={"parameters": 61706}), past("two", "", "")]
    assert costs(runs) == [("training, minutes", ["1.50", None]), ("parameters", ["61,706", None])]
    assert costs(runs, [0.00123, 0.1])[-1] == ("one picture on the CPU, ms", ["1.23", "100.00"])


def test_equal_names_are_told_apart() -> None:
    runs = [PastRun("0123456789", "same"), PastRun("abcdefabcdef", "same"), PastRun("f" * 32, "other")]
    assert labels(runs) == ["same (01234567)", "same (abcdefab)", "other"]


def test_the_verdict_is_one_sentence(past: Past) -> None:
    actual = "a" * 40
    base, better = past("base", "b" * 12 + "a" * 28, actual), past("better", actual, actual)
    near = past("near", "b" * 11 + "a" * 29, actual)
    [sentence] = compare([base, better], 0.95).sentences()
    assert sentence.startswith("better is better than base by 30.00 points (95 % interval +")
    assert sentence.endswith("p = 0.00049)")
    assert compare([better, base], 0.95).sentences()[0].startswith("base is worse than better by 30.00 points")
    [sentence] = compare([base, near], 0.95).sentences()
    assert sentence.startswith("near and base: no difference is shown (+2.50 points, 95 % interval +0.00 to ")


def test_more_than_two_runs_are_corrected(past: Past) -> None:
    actual = "a" * 40
    runs = [past(name, "b" * wrong + "a" * (40 - wrong), actual) for name, wrong in (("x", 12), ("y", 0), ("z", 5))]
    comparison = compare(runs, 0.95)
    assert [verdict.p for verdict in comparison.verdicts] == pytest.approx([2 / 2**12, 2 / 2**7])
    assert [verdict.corrected for verdict in comparison.verdicts] == pytest.approx([4 / 2**12, 2 / 2**7])
    head, rows = comparison.tests()
    assert (head[-1], len(rows[0])) == ("with Holm's correction", len(head))
    assert "with Holm's correction" not in compare(runs[:2], 0.95).tests()[0]


def test_the_terminal_shows_every_part_and_escapes_nothing(past: Past) -> None:
    first = past("one", "abcd", "abcc", params={"augment.train": "[]"}, metrics={"test/acc": 0.75})
    second = past("two", "xxxc", "abcc", params={"augment.train": "[bold]"}, status="KILLED")
    said = text_of(compare([first, second], 0.95))
    for words in ("[bold]", "0.7500", "Packages that differ: none", "two, right to wrong: digit-0, digit-1, digit-2"):
        assert words in said
    assert "two, wrong to right: digit-3" in said
    [warning] = compare([first, second], 0.95).warnings()
    assert warning == "'two' has not finished: it is KILLED"


def test_the_page_holds_all_and_runs_nothing(past: Past, tmp_path: Path) -> None:
    first = past("one", "abcd", "abcc", params={"note": "<script>alert(1)</script>"}, metrics={"test/acc": 0.75})
    second = past("two", "xxxc", "abcc", params={"note": "b"})
    small = thumbnail(np.full((4, 4, 1), 9, np.uint8))
    folder = tmp_path / "deep" / "page"
    written = page.write(compare([first, second], 0.95), folder, lambda name: small if name == "digit-3" else None)
    text = written.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert text.count("<img") == 1
    assert "c (0.53)" in text
    assert "d (0.53) → c (0.53)" in text
    changed = pd.read_csv(folder / page.CHANGED)
    assert changed["id"].tolist() == ["digit-0", "digit-1", "digit-2", "digit-3"]
    assert changed["change"].tolist() == ["right to wrong"] * 3 + ["wrong to right"]
    page.write(compare([second, first], 0.95), folder, lambda _: None)  # in the place of the first
    assert "<img" not in written.read_text(encoding="utf-8")


def test_without_prepared_data_pictures_are_named_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))
    caplog.set_level(logging.INFO, "fovea")
    assert shower("")("digit-0") is None
    (tmp_path / "data/03_primary/digits-0123456789ab").mkdir(parents=True)
    assert shower("0123456789ab" + "0" * 52)("digit-0") is None
    assert "holds no prepared data" in caplog.text
    assert "the page names them without showing them" in caplog.text
