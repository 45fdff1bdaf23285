from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest

from fovea.core.errors import RunError
from fovea.datasets.fetch import Fetched, fetch
from fovea.datasets.mirrors import Mirror
from fovea.datasets.parts import Patience
from fovea.datasets.wanted import Wanted

NAME = "train images.gz"
CONTENT = random.Random(1).randbytes(40_000)
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
WANTED = Wanted(NAME, bytes=len(CONTENT), md5=MD5)
HASTE = Patience(connect=2.0, read=2.0, attempts=4, pause=0.001)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "mnist"


@pytest.fixture
def web(server: Any) -> Any:
    server.files["/mnist/train%20images.gz"] = CONTENT
    return server


def get(web: Any, folder: Path, *, wanted: Wanted = WANTED, patience: Patience = HASTE) -> Fetched:
    return fetch(wanted, folder, lambda: [Mirror(f"{web.url}/mnist/")], patience=patience)


def begun(folder: Path, content: bytes, url: str, validator: str | None = '"1"', total: int | None = None) -> None:
    """An earlier attempt that was cut."""
    folder.mkdir(parents=True)
    (folder / f"{NAME}.part").write_bytes(content)
    note = {"url": f"{url}/mnist/train%20images.gz", "validator": validator, "total": total}
    (folder / f"{NAME}.part.json").write_text(json.dumps(note))


def ranges(web: Any) -> list[str | None]:
    return [request.get("Range") for request in web.requests]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_a_file_is_fetched_whole(web: Any, folder: Path) -> None:
    found = get(web, folder)
    assert found.path.read_bytes() == CONTENT
    assert found.origin == f"{web.url}/mnist/"
    assert names(folder) == [NAME]
    assert web.requests[0]["Accept-Encoding"] == "identity"


def test_a_cut_connection_is_gone_on_with(web: Any, folder: Path) -> None:
    web.faults = ["cut:10000", "cut:5000"]
    assert get(web, folder).path.read_bytes() == CONTENT
    assert ranges(web) == [None, "bytes=10000-", "bytes=15000-"]
    assert web.requests[1]["If-Range"] == '"1"'


def test_passing_errors_are_tried_again(web: Any, folder: Path) -> None:
    web.faults = [500, 503, 429]
    assert get(web, folder).facts.md5 == MD5
    assert len(web.requests) == 4


def test_lasting_errors_end_with_their_reason(web: Any, folder: Path) -> None:
    web.faults = [500] * 9
    with pytest.raises(RunError, match=rf"{web.url}/mnist/: HTTP 500\); put the file by hand into"):
        get(web, folder)
    assert len(web.requests) == 4


def test_a_missing_file_is_not_asked_for_twice(web: Any, folder: Path) -> None:
    web.files.clear()
    with pytest.raises(RunError, match="HTTP 404"):
        get(web, folder)
    assert len(web.requests) == 1


def test_a_slow_answer_is_tried_again_then_named(web: Any, folder: Path) -> None:
    web.faults = ["slow"]
    assert get(web, folder, patience=Patience(read=0.2, pause=0.001)).facts.md5 == MD5
    web.faults = ["slow"] * 2
    folder = folder.with_name("other")
    with pytest.raises(RunError, match=r"no answer within 0\.2 s"):
        get(web, folder, patience=Patience(read=0.2, attempts=2, pause=0.001))


def test_a_server_that_is_not_there(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(RunError, match=r"http://127\.0\.0\.1:9/: no connection\)"):
        fetch(WANTED, folder, lambda: [Mirror("http://127.0.0.1:9/")], patience=HASTE)


def test_what_is_no_address_is_named(folder: Path) -> None:
    with pytest.raises(RunError, match=r"http://: no valid answer \(InvalidURL\)"):
        fetch(WANTED, folder, lambda: [Mirror("http://")], patience=HASTE)


def test_an_earlier_run_is_gone_on_with(web: Any, folder: Path) -> None:
    begun(folder, CONTENT[:30_000], web.url, total=len(CONTENT))
    assert get(web, folder).path.read_bytes() == CONTENT
    assert ranges(web) == ["bytes=30000-"]
    assert names(folder) == [NAME]


def test_a_part_that_is_complete_needs_no_server(web: Any, folder: Path) -> None:
    begun(folder, CONTENT, web.url)
    assert get(web, folder).path.read_bytes() == CONTENT
    assert web.requests == []


def test_a_server_without_ranges_begins_anew(web: Any, folder: Path) -> None:
    begun(folder, CONTENT[:30_000], web.url)
    web.faults = ["norange"]
    assert get(web, folder).path.read_bytes() == CONTENT
    assert len(web.requests) == 1


def test_a_file_that_changed_on_the_server_begins_anew(web: Any, folder: Path) -> None:
    begun(folder, b"x" * 30_000, web.url, validator='"0"')
    assert get(web, folder).path.read_bytes() == CONTENT
    assert len(web.requests) == 1


def test_a_server_that_sends_another_part_begins_anew(web: Any, folder: Path) -> None:
    begun(folder, CONTENT[:30_000], web.url)
    web.faults = ["wrongrange"]
    assert get(web, folder).path.read_bytes() == CONTENT
    assert ranges(web) == ["bytes=30000-", None]


def test_a_file_that_became_shorter_begins_anew(web: Any, folder: Path) -> None:
    begun(folder, b"x" * 50_000, web.url)
    wanted = Wanted(NAME, md5=MD5)
    assert get(web, folder, wanted=wanted).path.read_bytes() == CONTENT
    assert ranges(web) == ["bytes=50000-", None]


def test_a_part_of_another_file_is_thrown_away_when_the_whole_is_wrong(web: Any, folder: Path) -> None:
    web.etag = None
    begun(folder, b"x" * 30_000, "http://elsewhere.example", validator=None)
    assert get(web, folder).path.read_bytes() == CONTENT
    assert ranges(web) == ["bytes=30000-", None]
    assert names(folder) == [NAME]


def test_without_checksum_and_validator_nothing_is_gone_on_with(web: Any, folder: Path) -> None:
    web.etag = None
    begun(folder, b"x" * 30_000, web.url, validator=None)
    assert get(web, folder, wanted=Wanted(NAME)).path.read_bytes() == CONTENT
    assert ranges(web) == [None]


def test_an_end_without_an_announced_length_counts_as_cut(web: Any, folder: Path) -> None:
    web.faults = ["nolength"]
    web.files["/mnist/train%20images.gz"] = CONTENT[:10_000]
    with pytest.raises(RunError, match="a file of 10,000 bytes instead of 40,000, kept as"):
        get(web, folder)
    assert ranges(web) == [None, "bytes=10000-", None]
    web.files["/mnist/train%20images.gz"] = CONTENT
    assert get(web, folder).path.read_bytes() == CONTENT


def test_a_larger_file_is_refused_unread(web: Any, folder: Path) -> None:
    web.files["/mnist/train%20images.gz"] = CONTENT + b"x"
    with pytest.raises(RunError, match="offers 40,001 bytes instead of 40,000"):
        get(web, folder)
    assert NAME not in names(folder)


def test_a_larger_file_of_unknown_length_is_stopped(web: Any, folder: Path) -> None:
    web.faults = ["nolength"]
    web.files["/mnist/train%20images.gz"] = CONTENT * 20
    with pytest.raises(RunError, match="sends more than the announced 40,000 bytes"):
        get(web, folder)
    assert names(folder) == []


def test_a_sign_in_page_is_kept_aside_and_the_next_mirror_asked(web: Any, folder: Path) -> None:
    page = b"<html><body>Please sign in"
    web.files["/captive/train%20images.gz"] = page
    places = [Mirror(f"{web.url}/captive"), Mirror(f"{web.url}/mnist")]
    assert fetch(WANTED, folder, lambda: places, patience=HASTE).origin == f"{web.url}/mnist"
    kept = f"{NAME}.bad-{hashlib.md5(page, usedforsecurity=False).hexdigest()[:8]}"
    assert names(folder) == [NAME, kept]
    assert (folder / kept).read_bytes() == page
