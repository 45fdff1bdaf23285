"""The report on prepared data: right numbers, safe to open, the same bytes for the same data."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import simplejpeg

from fovea.inspection import data_report


class Page(HTMLParser):
    """Tags, texts and addresses of a page; of each heading the texts and the number of pictures below it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.sections: dict[str, list[str]] = {}
        self.pictures: dict[str, int] = {}
        self._heading = self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._inside = tag
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag == "img":
            self.pictures[self._heading] = self.pictures.get(self._heading, 0) + 1

    def handle_data(self, data: str) -> None:
        if self._inside in ("h1", "h2") and data.strip():
            self._heading = data
            self._inside = ""
        self.sections.setdefault(self._heading, []).append(data)


def read(prepared: Any) -> tuple[Page, dict[str, Any]]:
    assert data_report.write(prepared) == ["data_report.html", "data_report.json"]
    page = (prepared.path / "data_report.html").read_text(encoding="utf-8")
    return Page(page), json.loads((prepared.path / "data_report.json").read_text(encoding="utf-8"))


@pytest.fixture
def report(pets: Callable[..., Any]) -> tuple[Page, dict[str, Any]]:
    return read(pets())


def test_the_facts_count_every_picture_once(report: tuple[Page, dict[str, Any]]) -> None:
    _, facts = report
    assert facts["pictures"] == 20
    assert [(row["status"], row["reason"], row["count"]) for row in facts["outcomes"]] == [
        ("kept", None, 15),
        ("left_out", "duplicate", 1),
        ("left_out", "label_conflict", 1),
        ("quarantined", "empty", 1),
        ("quarantined", "not_an_image", 1),
        ("quarantined", "truncated", 1),
    ]
    assert facts["classes"] == {
        "<i>cat</i>": {"train": 4, "val": 1, "test": 2, "left_out": 1, "quarantined": 2},
        "dog": {"train": 4, "val": 2, "test": 2, "left_out": 1, "quarantined": 1},
    }
    assert facts["oddities"] == {"converted": 1, "misnamed": 1, "turned": 1}
    assert facts["width"]["min"] == facts["width"]["max"] == 160
    assert sum(facts["bytes"]["counts"]) == 15


def test_the_facts_name_the_pairs(report: tuple[Page, dict[str, Any]]) -> None:
    _, facts = report
    assert facts["copies"] == {"count": 1, "pairs": [{"id": "copy.jpg", "other": "0.jpg"}]}
    assert facts["near"] == {"count": 1, "pairs": [{"id": "near.jpg", "other": "2.jpg"}]}
    assert facts["conflicts"] == {"count": 1, "pairs": [{"id": "4.jpg", "other": "conflict.jpg"}]}
    assert facts["leaks"] == {"count": 1, "pairs": [{"id": "leak.jpg", "other": "5.jpg"}]}
    assert [entry["reason"] for entry in facts["quarantined"]] == ["empty", "truncated", "not_an_image"]


def test_the_page_shows_samples_the_quarantine_and_pairs_side_by_side(report: tuple[Page, dict[str, Any]]) -> None:
    page, _ = report
    assert "15 of 20 pictures kept" in page.sections["pets"]
    assert page.pictures == {
        "Samples": 15,
        "Quarantine": 1,
        "Exact copies": 2,
        "Label conflicts": 2,
        "Near duplicates": 2,
        "Leakage": 2,
    }
    assert "copy.jpg: <i>cat</i>, left out (duplicate)" in page.sections["Exact copies"]
    assert "0.jpg: <i>cat</i>, train" in page.sections["Exact copies"]
    assert "no bytes" in page.sections["Quarantine"]
    assert any("<html><s" in text for text in page.sections["Quarantine"])


def test_names_never_become_markup_and_nothing_is_loaded(report: tuple[Page, dict[str, Any]]) -> None:
    page, _ = report
    assert not {"script", "i", "link", "iframe"} & set(page.tags)
    assert all(re.match(r"data:image/(png|jpeg);base64,", address) for address in page.addresses)


def test_the_same_data_give_the_same_bytes(pets: Callable[..., Any]) -> None:
    prepared = pets()
    pages = []
    for _ in range(2):
        data_report.write(prepared)
        pages.append([(prepared.path / name).read_bytes() for name in (data_report.PAGE, data_report.FACTS)])
    assert pages[0] == pages[1]


def test_many_classes_are_folded_and_the_table_has_them_all(hand: SimpleNamespace, tmp_path: Path) -> None:
    data = hand.jpeg(1, (20, 20))
    classes = [f"class {number:04d}" for number in range(100)]
    pictures = [hand.Picture(f"{n}-{k}.jpg", n, data) for n in range(100) for k in range(1 + (n == 7))]
    page, facts = read(hand.build(tmp_path / "many", pictures, classes))
    texts = page.sections["Classes and splits"]
    assert "All 100 classes" in texts
    assert texts.count("class 0007") == 2
    assert texts.count("class 0050") == 1
    assert "40 of 100 classes." in page.sections["Samples"]
    assert len(facts["classes"]) == 100


def test_raw_pictures_need_neither_formats_nor_decoders(hand: SimpleNamespace, tmp_path: Path) -> None:
    pixels = np.arange(64, dtype=np.uint8).tobytes()
    page, facts = read(
        hand.build(tmp_path / "raw", [hand.Picture(f"{n}", n % 2, pixels) for n in range(30)], ["0", "1"], raw=8)
    )
    assert page.pictures == {"Samples": 20}
    assert "Nothing was quarantined." in page.sections["Quarantine"]
    assert facts["formats"] == {}


def test_the_number_of_pictures_shown_is_bounded(hand: SimpleNamespace, tmp_path: Path) -> None:
    copies = [
        hand.Picture(f"{n}.jpg", 0, hand.jpeg(n % 3, (16, 16)), {"duplicate_of": f"{n % 3}.jpg", "similarity": "near"})
        for n in range(3, 203)
    ]
    bad = [
        hand.Picture(
            f"bad{n}.jpg", 1, b"\x00" * n, {"status": "quarantined", "reason": "rare" if n == 90 else "damaged"}
        )
        for n in range(91)
    ]
    first = [hand.Picture(f"{n}.jpg", n % 2, hand.jpeg(n, (16, 16))) for n in range(3)]
    page, facts = read(hand.build(tmp_path / "large", [*first, *copies, *bad], ["a", "b"]))
    assert facts["near"]["count"] == 200
    assert page.pictures["Near duplicates"] == 48
    assert page.tags.count("pre") == 60
    assert any(text.startswith("rare") for text in page.sections["Quarantine"])
    assert "91 files, 60 of them shown." in page.sections["Quarantine"]


def test_a_file_that_claims_to_be_huge_is_never_decoded(
    hand: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = bytearray(hand.jpeg(1))
    at = huge.index(b"\xff\xc0")
    huge[at + 5 : at + 9] = b"\xff\x00\xff\x00"
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *_, **__: pytest.fail("it was decoded"))
    bomb = hand.Picture("bomb.jpg", 0, bytes(huge), {"status": "quarantined", "reason": "bomb"})
    kept = [hand.Picture(f"{n}", n, b"\x00" * 64) for n in range(2)]
    page, _ = read(hand.build(tmp_path / "huge", [*kept, bomb], ["a", "b"], raw=8))
    assert "Quarantine" not in page.pictures
    assert "bomb, a" in " ".join(page.sections["Quarantine"])


def test_a_damaged_file_whose_colours_are_stored_in_no_known_way_is_listed(
    hand: SimpleNamespace, tmp_path: Path
) -> None:
    odd = bytearray(simplejpeg.encode_jpeg(np.zeros((64, 64, 3), np.uint8), colorsubsampling="411"))
    odd[odd.index(b"\xff\xc0") + 11] = 0x14
    left = hand.Picture("odd.jpg", 0, bytes(odd[:-2]), {"status": "quarantined", "reason": "truncated"})
    kept = [hand.Picture(f"{n}", n, b"\x00" * 64) for n in range(2)]
    page, _ = read(hand.build(tmp_path / "odd", [*kept, left], ["a", "b"], raw=8))
    assert "truncated, a" in " ".join(page.sections["Quarantine"])


def test_no_plotting_library_is_imported() -> None:
    code = (
        "import sys; import fovea.inspection.data_report; "
        "print([name for name in ('torch', 'PIL', 'mlflow', 'matplotlib', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
