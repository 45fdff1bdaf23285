from __future__ import annotations

import gzip
import hashlib
import logging
import os
import random
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fovea.core.errors import RunError, UserError
from fovea.datasets import fetch as fetching
from fovea.datasets.fetch import Fetched, fetch
from fovea.datasets.mirrors import Mirror, mirrors
from fovea.datasets.wanted import Wanted

NAME = "digits.gz"
CONTENT = gzip.compress(random.Random(0).randbytes(5000), mtime=0)
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
WANTED = Wanted(NAME, bytes=len(CONTENT), md5=MD5)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def bad(content: bytes) -> str:
    return f"{NAME}.bad-{hashlib.md5(content, usedforsecurity=False).hexdigest()[:8]}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "01_raw" / "mnist"


def mirror(tmp_path: Path, name: str, content: bytes | None = None) -> Mirror:
    place = tmp_path / name
    place.mkdir()
    if content is not None:
        (place / NAME).write_bytes(content)
    return Mirror(str(place))


def get(folder: Path, *places: Mirror, wanted: Wanted = WANTED) -> Fetched:
    return fetch(wanted, folder, lambda: places)


def test_a_file_is_copied_verified_and_remembered(tmp_path: Path, folder: Path) -> None:
    place = mirror(tmp_path, "lab", CONTENT)
    found = get(folder, place)
    assert found.path == folder / NAME
    assert found.path.read_bytes() == CONTENT
    assert (found.facts.bytes, found.facts.md5) == (len(CONTENT), MD5)
    assert found.facts.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert (found.origin, found.fresh) == (place.base, True)
    assert names(folder) == [NAME]


def test_a_good_file_is_neither_fetched_nor_read_again(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = get(folder, mirror(tmp_path, "lab", CONTENT))

    def refuse(path: Path) -> Any:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(fetching, "measure", refuse)
    again = fetch(WANTED, folder, lambda: pytest.fail("no mirror is needed"))
    assert again == Fetched(first.path, first.facts, first.origin, fresh=False)


def test_a_file_placed_by_hand_is_verified_and_kept(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(CONTENT)
    found = get(folder)
    assert (found.origin, found.fresh, found.facts.md5) == ("placed by hand", False, MD5)


def test_a_file_changed_after_it_was_verified_is_kept_aside_and_fetched_anew(
    tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = mirror(tmp_path, "lab", CONTENT)
    get(folder, place)
    damaged = bytearray(CONTENT)
    damaged[100] ^= 1
    (folder / NAME).write_bytes(damaged)
    os.utime(folder / NAME, ns=(1, 1))
    found = get(folder, place)
    assert found.fresh
    assert found.path.read_bytes() == CONTENT
    assert names(folder) == [NAME, bad(damaged)]
    assert (folder / bad(damaged)).read_bytes() == damaged
    assert "digits.gz' is not the announced file: a gzip file with md5" in caplog.text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (CONTENT[:3000], f"cut short, a gzip file of 3,000 bytes instead of {len(CONTENT):,}"),
        (CONTENT[:-1] + b"x", f"a gzip file with md5 .* instead of {MD5}"),
        (b"<!DOCTYPE html><p>Sign in", f"a web page of 25 bytes instead of {len(CONTENT):,}"),
        (b"<?xml version='1.0'?><Error/>", "an XML document of 29 bytes"),
        (b"PK\x03\x04" + CONTENT[4:], f"a zip archive with md5 .* instead of {MD5}"),
        (b"", "an empty file of 0 bytes"),
    ],
)
def test_a_wrong_file_is_named_kept_aside_and_never_used(
    tmp_path: Path, folder: Path, content: bytes, words: str
) -> None:
    wrong, right = mirror(tmp_path, "wrong", content), mirror(tmp_path, "right", CONTENT)
    with pytest.raises(RunError, match=rf"wrong: {words}.*, kept as {bad(content)}\)"):
        get(folder, wrong)
    assert names(folder) == [bad(content)]
    assert (folder / bad(content)).read_bytes() == content
    assert get(folder, wrong, right).origin == right.base
    assert names(folder) == [NAME, bad(content)]


def test_more_bytes_than_announced_are_never_written(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(RunError, match=f"offers {len(CONTENT) + 1:,} bytes instead of {len(CONTENT):,}"):
        get(folder, mirror(tmp_path, "lab", CONTENT + b"x"))
    assert names(folder) == []


def test_all_failures_are_one_sentence_with_the_way_out(tmp_path: Path, folder: Path) -> None:
    empty, folded = mirror(tmp_path, "empty"), mirror(tmp_path, "folded")
    (tmp_path / "folded" / NAME).mkdir()
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(b"no digits")
    with pytest.raises(RunError) as caught:
        get(folder, empty, folded)
    assert str(caught.value) == (
        f"{NAME} could not be had ('{folder / NAME}': a file of 9 bytes instead of {len(CONTENT):,}, kept as "
        f"{bad(b'no digits')}; {empty.base}: has no such file; {folded.base}: cannot be read (Is a directory)); put "
        f"the file by hand into '{folder}', or set FOVEA_MIRROR to a folder or address that has mnist/{NAME}"
    )


def test_without_a_mirror_the_sentence_says_so(folder: Path) -> None:
    with pytest.raises(RunError, match=r"digits.gz is not there and the config names no mirror of it; put the file by"):
        get(folder)


def test_a_digest_that_is_not_announced_is_not_asked_for(tmp_path: Path, folder: Path) -> None:
    assert get(folder, mirror(tmp_path, "lab", b"anything"), wanted=Wanted(NAME)).facts.bytes == 8


def test_a_full_disk_is_told_before_and_while_writing(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = mirror(tmp_path, "lab", CONTENT)
    usage = type("usage", (), {"free": 10})
    with monkeypatch.context() as patch:
        patch.setattr("fovea.core.files.shutil.disk_usage", lambda where: usage)
        with pytest.raises(RunError, match=r"the bytes of digits.gz need 0\.0 MB in .* free some space"):
            get(folder, place)
    monkeypatch.setattr("fovea.datasets.mirrors.Part.begin", lambda part, *note: part.path.symlink_to("/dev/full"))
    with pytest.raises(RunError, match=r"writing .*digits.gz.part failed: the disk is full"):
        get(folder, place)
    assert NAME not in names(folder)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "01_raw").write_text("a file")
    with pytest.raises(RunError, match="a part of the path is a file, not a folder; move that file away"):
        get(tmp_path / "01_raw" / "mnist", mirror(tmp_path, "lab", CONTENT))


def test_good_files_in_a_read_only_folder_serve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(CONTENT)

    def refuse(*args: Any) -> Any:
        raise RunError("read-only")

    monkeypatch.setattr("fovea.datasets.wanted.atomic_file", refuse)
    monkeypatch.setattr(fetching, "waiting", refuse)
    assert get(folder).facts.md5 == MD5


FETCH = """
import logging, sys
from pathlib import Path
from fovea.datasets.fetch import fetch
from fovea.datasets.mirrors import Mirror
from fovea.datasets.wanted import Wanted
logging.basicConfig(level=logging.INFO)
found = fetch(Wanted(sys.argv[1], md5=sys.argv[2]), Path(sys.argv[3]), lambda: [Mirror(sys.argv[4])])
print(found.fresh)
"""


def test_two_processes_fetch_once(tmp_path: Path, folder: Path) -> None:
    place = mirror(tmp_path, "lab", CONTENT)
    command = [sys.executable, "-c", FETCH, NAME, MD5, str(folder), place.base]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = sorted(process.communicate()[0].strip() for process in running)
    assert said == ["False", "False", "True"]
    assert names(folder) == [NAME]


@pytest.mark.parametrize("name", ["../x.gz", "a/b", ".hidden", "", "a\\b"])
def test_a_name_that_leads_out_of_the_folder_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="must be a plain name"):
        Wanted(name)


def test_mirrors_are_fovea_mirror_then_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured = ["https://a.example/mnist/", "http://b.example/"]
    assert [place.base for place in mirrors("mnist", configured)] == configured
    monkeypatch.setenv("FOVEA_MIRROR", f"{tmp_path}/")
    assert [place.base for place in mirrors("mnist", configured)] == [f"{tmp_path}/mnist", *configured]


def test_a_password_in_a_mirror_is_not_shown() -> None:
    assert Mirror("https://me:secret@lab.example:8443/data?token=1").shown == "https://lab.example:8443/data"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("s3://bucket", "FOVEA_MIRROR has 's3://bucket'; a mirror is a folder, file://, http:// or https://"),
        ("/no/such/folder", "FOVEA_MIRROR is '/no/such/folder' but there is no such folder"),
        ("file:///no/such/folder", "there is no such folder"),
    ],
)
def test_a_wrong_fovea_mirror_is_the_users_mistake(monkeypatch: pytest.MonkeyPatch, value: str, words: str) -> None:
    monkeypatch.setenv("FOVEA_MIRROR", value)
    with pytest.raises(UserError, match=words):
        mirrors("mnist", [])


def test_fovea_mirror_as_file_url_with_odd_signs(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "my data" / "mnist"
    place.mkdir(parents=True)
    (place / NAME).write_bytes(CONTENT)
    monkeypatch.setenv("FOVEA_MIRROR", (tmp_path / "my data").as_uri())
    with caplog.at_level(logging.INFO):
        found = fetch(WANTED, folder, partial(mirrors, "mnist", ["https://127.0.0.1:9/"]))
    assert found.origin == f"{(tmp_path / 'my data').as_uri()}/mnist"
    assert f"fetching digits.gz from {found.origin}" in caplog.text
